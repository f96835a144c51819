// `sealgate query`: decisions and events from a running Sealgate, or straight from a ledger folder.
import { type Command, Option } from 'commander';
import { MAX_LIMIT, PARAMETERS } from '../index/query.ts';
import type { FoundEntry } from '../index/search.ts';
import { fail, UsageError } from './failure.ts';
import { createQueryClient, type ListAnswer, type QueryClient } from './query-client.ts';
import { formatEntry } from './query-entry.ts';
import { type ServedFolder, serveFolder } from './query-folder.ts';
import { serveMirror } from './query-mirror.ts';
import { header, rowOf } from './query-table.ts';
import { parseCount } from './shard.ts';
import { addStoreOptions, type StoreFlags } from './store-flags.ts';
import { escapeTerminal } from './terminal.ts';

const DEFAULT_SERVER = 'http://127.0.0.1:8080';
const DEFAULT_LIMIT = 50;
/** As `sealgate verify` ends when it finds the same. */
const TAMPERED = 10;

/** Filters of the API that are flags of the same name. */
const FILTERS = {
  since: '<time>',
  until: '<time>',
  kind: '<kind>',
  policy: '<name>',
  user: '<user>',
  resource: '<resource>',
  name: '<name>',
  verb: '<verb>',
  code: '<status>',
  uid: '<uid>',
} as const satisfies Partial<Record<keyof typeof PARAMETERS, string>>;

interface Flags extends StoreFlags, Partial<Record<keyof typeof FILTERS, string>> {
  readonly namespace?: string;
  readonly auditId?: string;
  readonly denied?: boolean;
  readonly allowed?: boolean;
  readonly limit?: string;
  readonly all?: boolean;
  readonly oldest?: boolean;
  readonly follow?: boolean;
  readonly output: 'table' | 'wide' | 'json';
  readonly server?: string;
  readonly ledger?: string;
  readonly from?: string;
  readonly key: readonly string[];
  readonly shard?: number;
}

export function register(program: Command): void {
  const list = (value: string, before: readonly string[]): string[] => [...before, value];
  const command = program
    .command('query')
    .summary('look decisions and audit events up')
    .description(
      'Shows what is on record, newest first; with an entry (12, or 0/12 with the shard) that one whole, and whether it verifies.\n' +
        'Asks a running Sealgate (reach one in a cluster with kubectl port-forward), or reads a ledger folder itself with --ledger.\n' +
        'With --from it reads older history in a mirror, all of which is verified first.',
    )
    .argument('[entry]', 'seq of one entry, or <shard>/<seq>')
    .option('--server <url>', `query API to ask (default: ${DEFAULT_SERVER})`)
    .option('--ledger <dir>', 'read this ledger or data folder instead, live or a copy')
    .option('--from <url>', 'read the mirror there: s3://bucket/prefix, file:///folder or a folder; needs --key')
    .option('--key <vkey|file>', 'with --from: verifying key of the log, as text or in a file (repeatable)', list, [])
    .option('--shard <n>', 'with --from: only this shard', parseCount)
    .option('--denied', 'only decisions that denied')
    .option('--allowed', 'only decisions that allowed')
    .option('-n, --namespace <namespace>', PARAMETERS.namespace)
    .option('--audit-id <id>', PARAMETERS.auditID);
  for (const [name, placeholder] of Object.entries(FILTERS)) {
    command.option(`--${name} ${placeholder}`, PARAMETERS[name as keyof typeof FILTERS]);
  }
  addStoreOptions(command)
    .option('--limit <n>', `how many entries (default: ${DEFAULT_LIMIT})`)
    .option('--all', 'every entry that matches')
    .option('--oldest', 'oldest first')
    .option('-f, --follow', 'show what comes, until interrupted')
    .addOption(
      new Option('-o, --output <format>', 'json is one JSON object a line')
        .choices(['table', 'wide', 'json'])
        .default('table'),
    )
    .action(async (entry: string | undefined, flags: Flags) => {
      try {
        await run(entry, flags);
      } catch (thrown) {
        process.exitCode = fail('query', thrown);
      }
    });
}

async function run(entry: string | undefined, flags: Flags): Promise<void> {
  const sources = [flags.server, flags.ledger, flags.from].filter((one) => one !== undefined);
  if (sources.length > 1) {
    throw new UsageError(
      '--server, --ledger and --from exclude one another: ask a running Sealgate, or read a folder or a mirror',
    );
  }
  const folder = await open(flags);
  try {
    const client = createQueryClient(folder?.url ?? flags.server ?? DEFAULT_SERVER);
    if (entry !== undefined) await showEntry(client, entry, flags);
    else if (flags.follow === true) await follow(client, flags);
    else await list(client, flags);
  } finally {
    await folder?.close();
  }
}

/** What has to be served for this one command; undefined when a running Sealgate is asked. */
async function open(flags: Flags): Promise<ServedFolder | undefined> {
  const { from, key, shard, ledger } = flags;
  if (from === undefined) {
    if (key.length > 0 || shard !== undefined) throw new UsageError('--key and --shard go with --from');
    return ledger === undefined ? undefined : await serveFolder(ledger);
  }
  if (flags.follow === true) throw new UsageError('--follow shows what comes: a mirror has what was');
  if (key.length === 0) throw new UsageError('--from needs --key, which all that is read is verified with');
  return await serveMirror(from, flags);
}

async function showEntry(client: QueryClient, entry: string, flags: Flags): Promise<void> {
  if (!/^\d{1,15}(\/\d{1,15})?$/.test(entry)) {
    throw new UsageError(
      `${entry} is not an entry: give its seq, or <shard>/<seq>; filters are flags (--name ${entry}?)`,
    );
  }
  const answer = await client.entry(entry);
  const { text, verifies } = formatEntry(answer);
  process.stdout.write(flags.output === 'json' ? `${answer}\n` : text);
  if (!verifies) process.exitCode = TAMPERED;
}

async function list(client: QueryClient, flags: Flags): Promise<void> {
  const wanted = flags.all === true ? Number.POSITIVE_INFINITY : readLimit(flags.limit);
  const print = printer(flags);
  let shown = 0;
  let cursor: string | undefined;
  for (;;) {
    const parameters = parametersOf(flags);
    parameters.set('limit', String(Math.min(MAX_LIMIT, wanted - shown)));
    if (flags.oldest === true) parameters.set('order', 'oldest');
    if (cursor !== undefined) parameters.set('cursor', cursor);
    const page = await client.list(parameters);
    if (!page.current && cursor === undefined) say('the index is still catching up: the newest entries are missing');
    print(page.entries);
    shown += page.entries.length;
    cursor = page.next ?? undefined;
    if (cursor === undefined) {
      if (flags.from === undefined) sayOlder(page);
      break;
    }
    if (shown >= wanted) {
      say(`there is more: --limit ${shown * 2}, --all, or narrow it down`);
      return;
    }
  }
  if (shown === 0) say('nothing on record matches; sealgate query without filters shows the newest entries');
}

/** What is before the oldest entry here, when that was asked for, too. */
function sayOlder({ older }: ListAnswer): void {
  if (older === undefined || older === null) return;
  const where = older.store === undefined ? 'a mirror may have it' : `it is in ${older.store}`;
  const whole = older.store ?? 's3://bucket/prefix';
  const text = `what is older than ${older.before} (before shard ${older.oldestShard}) is not here: ${where}`;
  say(escapeTerminal(`${text}; sealgate query --from ${whole} --key <vkey> reads it`));
}

/** Ends when the server does, or by an interrupt. */
async function follow(client: QueryClient, flags: Flags): Promise<void> {
  if (flags.limit !== undefined || flags.all === true || flags.oldest === true) {
    throw new UsageError('--follow shows what comes, as it comes: it takes no --limit, --all or --oldest');
  }
  const parameters = parametersOf(flags);
  parameters.set('follow', '1');
  const print = printer(flags);
  for await (const entry of client.follow(parameters)) print([entry]);
}

function parametersOf(flags: Flags): URLSearchParams {
  if (flags.allowed === true && flags.denied === true) {
    throw new UsageError('--allowed and --denied exclude one another: leave both out to see both');
  }
  const given: Record<string, string | undefined> = { namespace: flags.namespace, auditID: flags.auditId };
  for (const name of Object.keys(FILTERS) as (keyof typeof FILTERS)[]) given[name] = flags[name];
  if (flags.allowed === true) given['allowed'] = 'true';
  if (flags.denied === true) given['allowed'] = 'false';
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) if (value !== undefined) parameters.set(name, value);
  return parameters;
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--limit is a number from 1, not ${text}`);
  return Number(text);
}

/** Prints entries in the wanted form; the header of a table before the first one. */
function printer({ output }: Flags): (entries: readonly FoundEntry[]) => void {
  let first = true;
  return (entries) => {
    if (entries.length === 0) return;
    const wide = output === 'wide';
    const lines =
      output === 'json' ? entries.map((entry) => JSON.stringify(entry)) : entries.map((entry) => rowOf(entry, wide));
    if (first && output !== 'json') lines.unshift(header(wide));
    first = false;
    process.stdout.write(`${lines.join('\n')}\n`);
  };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
