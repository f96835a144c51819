// `sealgate key`: makes, shows and replaces the key that signs a ledger.
import type { Command } from 'commander';
import { createKey, loadKey, previousFileOf, replaceKey, vkeyFileOf } from '../ledger/key.ts';
import { fail } from './failure.ts';

const LOG_NAME = '<domain>/<cluster>/<replica>, as the settings under identity name it';

export function register(program: Command): void {
  const key = program
    .command('key')
    .summary('make, show or replace the key that signs a ledger')
    .description('The key that signs a ledger (docs/keys.md). Exit codes: 0 done, 1 could not run, 2 usage.');
  key
    .command('new')
    .summary('make a key, for a Secret or a file of your own')
    .description(
      'Writes a new private key (PKCS#8 PEM, mode 0600), and its verifying key beside it. Nothing is replaced.',
    )
    .argument('<file>', 'where the private key goes')
    .requiredOption('--name <log>', `log name: ${LOG_NAME}`)
    .action((file: string, { name }: { name: string }) =>
      attempt(() => {
        const { vkey } = createKey(file, name);
        return `${vkey}\n`;
      }),
    );
  key
    .command('show')
    .summary('print the verifying key of a private key')
    .argument('<file>', 'the private key')
    .requiredOption('--name <log>', `log name: ${LOG_NAME}`)
    .action((file: string, { name }: { name: string }) => attempt(() => `${loadKey(file, name).vkey}\n`));
  key
    .command('rotate')
    .summary('replace the key of a ledger')
    .description(
      'Puts a new key in the place of the old one. The next start of Sealgate records the rotation, signed by both keys, and\n' +
        'goes on in a new shard under the new one. Then delete the old key, whose file this names.',
    )
    .argument('[file]', 'the private key', 'sealgate-data/keys/ledger.key')
    .action((file: string) =>
      attempt(() => {
        const { previous, next } = replaceKey(file);
        return [
          `old  ${previous.vkey}`,
          `new  ${next.vkey}  (${vkeyFileOf(file)})`,
          `Witnesses have to know the new key: restart them with it as a further --log.`,
          `Restart Sealgate to record the rotation, then delete ${previousFileOf(file)}.`,
          '',
        ].join('\n');
      }),
    );
  for (const command of key.commands) command.exitOverride();
}

function attempt(act: () => string): void {
  try {
    process.stdout.write(act());
  } catch (thrown) {
    process.exitCode = fail('key', thrown);
  }
}
