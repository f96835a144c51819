// `sealgate certificate`: makes the certificates that an operator hands out when the audit stream gets another CA.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { invalid, readCertificate, writeWhole } from '../kube/certificate-files.ts';
import { keepFolder } from '../kube/certificate-folder.ts';
import { messageOf } from '../lib/errors.ts';
import { fail, UsageError } from './failure.ts';

const MAX_DAYS = 36_500;

interface Options {
  readonly old: string;
  readonly hostname: readonly string[];
  readonly days: string;
}

export function register(program: Command): void {
  const certificate = program
    .command('certificate')
    .summary('make certificates for a new CA of the audit stream')
    .description('Certificates of the audit stream (docs/install.md). Exit codes: 0 done, 1 could not run, 2 usage.');
  certificate
    .command('audit')
    .summary('make another CA, a server certificate and a client certificate under it')
    .description(
      'Makes a folder with ca.crt, tls.crt and tls.key (for Sealgate), client.crt and client.key (for API servers), and both.crt:\n' +
        'the new CA and those that are trusted today, which both ends trust during the change. The key of the new CA is thrown away.',
    )
    .argument('<folder>', 'where they go; must not be there yet')
    .requiredOption('--old <file>', 'the CA that is trusted today, PEM')
    .requiredOption('--hostname <name...>', 'DNS names and addresses by which API servers call the audit listener')
    .option('--days <n>', 'how long all of them last', '3650')
    .action(async (folder: string, options: Options) => {
      try {
        await make(folder, options);
        process.stdout.write(`made ${folder}: next, have ${join(folder, 'both.crt')} trusted (docs/install.md)\n`);
      } catch (thrown) {
        process.exitCode = fail('certificate', thrown);
      }
    });
  for (const command of certificate.commands) command.exitOverride();
}

async function make(folder: string, { old, hostname, days }: Options): Promise<void> {
  const validityDays = Number(days);
  if (!Number.isInteger(validityDays) || validityDays < 1 || validityDays > MAX_DAYS)
    throw new UsageError(`--days must be a whole number from 1 to ${MAX_DAYS}, not ${days}`);
  readCertificate(old);
  if (existsSync(folder)) throw invalid(`${folder} is there already: name a folder that is not, nothing is replaced`);
  const { caFile } = await keepFolder(
    {
      ...{ dir: folder, name: 'audit', hostnames: hostname, client: true },
      ...{ validityDays, caValidityDays: validityDays },
    },
    Date.now(),
  );
  try {
    rmSync(join(folder, 'ca.key'));
    writeWhole(join(folder, 'both.crt'), `${pem(old)}${pem(caFile)}`, 0o644);
  } catch (error) {
    throw invalid(`${folder} cannot be completed (${messageOf(error)}): remove it and try again`, error);
  }
}

/** The old CAs stand first: who reads but one certificate of the file goes on as before. */
function pem(file: string): string {
  return `${readFileSync(file, 'utf8').trim()}\n`;
}
