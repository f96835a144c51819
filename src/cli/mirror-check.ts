// `sealgate mirror check`: tries on the configured store everything that the mirror relies on, and prints what came of it.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { addSettingOptions } from '../config/flags.ts';
import { loadSettings } from '../config/loader.ts';
import type { Settings } from '../config/schema.ts';
import { listShards } from '../ledger/files.ts';
import { previousFileOf, vkeyFileOf } from '../ledger/key.ts';
import { originOf } from '../ledger/open-shard.ts';
import { systemClock } from '../lib/clock.ts';
import { SealgateError } from '../lib/errors.ts';
import { type ProbedLog, probeStore } from '../mirror/probe.ts';
import { openStore } from '../mirror/stores/open.ts';
import type { Finding } from '../mirror/stores/probed.ts';
import { fail } from './failure.ts';
import { readKey } from './keys.ts';
import { escapeTerminal } from './terminal.ts';

/** The store was reached, and does not do what is asked of it. */
const UNFIT = 14;

export function register(mirror: Command): void {
  const command = mirror
    .command('check')
    .summary('try everything that the mirror relies on')
    .description(
      'Tries on the store that mirror.url names what the mirror relies on: credentials, versioning, Object Lock, a probe object ' +
        'that cannot be deleted, the clock, the log that is there already. Settings as for serve (docs/settings.md).\n' +
        'Exit codes: 0 fit (warnings are printed), 1 could not run, 2 usage, 14 not fit.',
    )
    .option('--json', 'print the findings as JSON');
  addSettingOptions(command).action(async (options: { json?: boolean }, self: Command) => {
    process.exitCode = await run(self.opts(), options.json === true);
  });
}

async function run(flags: Record<string, unknown>, json: boolean): Promise<number> {
  try {
    const { settings } = loadSettings({ flags, environment: process.env });
    const { url, retention, s3 } = settings.mirror;
    if (url === '') {
      throw new SealgateError(
        'CONFIG_INVALID',
        'no mirror is configured: set mirror.url (s3://bucket/prefix or a folder)',
      );
    }
    const store = openStore(url, { clock: systemClock(), retention, s3 });
    try {
      return await report(
        store.url,
        probeStore(store, {
          nonce: randomBytes(12).toString('hex'),
          ledgerDir: join(settings.dataDir, 'ledger'),
          log: mirroredLog(settings),
        }),
        json,
      );
    } finally {
      store.close();
    }
  } catch (thrown) {
    return fail('mirror check', thrown);
  }
}

/** Prints each finding as it comes, or all of them as JSON. */
async function report(url: string, findings: AsyncIterable<Finding>, json: boolean): Promise<number> {
  const marks = { passed: 'ok  ', warned: 'WARN', failed: 'FAIL' } as const;
  const all: Finding[] = [];
  for await (const finding of findings) {
    all.push(finding);
    if (!json)
      process.stdout.write(`${marks[finding.outcome]}  ${escapeTerminal(`${finding.check}: ${finding.message}`)}\n`);
  }
  const count = (outcome: Finding['outcome']): number => all.filter((finding) => finding.outcome === outcome).length;
  const fit = count('failed') === 0;
  if (json) process.stdout.write(`${JSON.stringify({ report: 1, url, fit, findings: all }, null, 2)}\n`);
  else {
    const warnings = count('warned') === 0 ? '' : `, ${count('warned')} to think about`;
    process.stdout.write(
      escapeTerminal(
        fit
          ? `FIT: ${url} does what is asked of it${warnings}.`
          : `NOT FIT: ${url} fails ${count('failed')}${warnings}.`,
      ),
    );
    process.stdout.write('\n');
  }
  return fit ? 0 : UNFIT;
}

/** The log that the settings are about, as far as it has been begun here. Of keys, only the public ones are read. */
function mirroredLog({ dataDir, identity, ledger }: Settings): ProbedLog {
  const folder = join(dataDir, 'ledger');
  const shard = existsSync(folder) ? (listShards(folder).at(-1)?.number ?? 0) : 0;
  const keyFile = ledger.keyFile ?? join(dataDir, 'keys', 'ledger.key');
  const previous = vkeyFileOf(ledger.previousKeyFile ?? previousFileOf(keyFile));
  const vkeyFiles = new Set([join(dataDir, 'keys', 'ledger.vkey'), vkeyFileOf(keyFile), previous]);
  return {
    origin: originOf(`${identity.domain}/${identity.cluster}/${identity.replica}`, shard),
    vkeys: [...vkeyFiles].filter((file) => existsSync(file)).flatMap(readKey),
  };
}
