// `sealgate query`: decisions and events from a running Sealgate, or straight from a ledger folder.
import { type Command, Option } from 'commander';
import { MAX_LIMIT, PARAMETERS } from '../index/query.ts';
import type { FoundEntry } from '../index/search.ts';
import { fail, UsageError } from './failure.ts';
import {
  createQueryClient,
  type ListAnswer,
  type MissingReplica,
  type OlderHistory,
  type QueryClient,
} from './query-client.ts';
import { formatEntry } from './query-entry.ts';
import { type ServedFolder, serveFolder } from './query-folder.ts';
import { serveMirror } from './query-mirror.ts';
import { parsePlace } from './query-place.ts';
import { header, rowOf, type TableForm } from './query-table.ts';
import { parseCount } from './shard.ts';
import { addStoreOptions, type StoreFlags } from './store-flags.ts';
import { escapeTerminal } from './terminal.ts';

const DEFAULT_SERVER = 'http://127.0.0.1:8080';
const DEFAULT_LIMIT = 50;
/** As `sealgate verify` ends when it finds the same. */
const TAMPERED = 10;
const INCOMPLETE = 11;

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
  readonly local?: boolean;
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
    .argument('[entry]', 'one entry: <seq>, <shard>/<seq>, <replica>/<shard>/<seq>, or the origin of its shard')
    .argument('[seq]', 'its number, behind an origin')
    .option('--server <url>', `query API to ask (default: ${DEFAULT_SERVER})`)
    .option('--local', 'only the replica that is asked, not all')
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
    .action(async (entry: string | undefined, seq: string | undefined, flags: Flags) => {
      try {
        await run(entry, seq, flags);
      } catch (thrown) {
        process.exitCode = fail('query', thrown);
      }
    });
}

async function run(entry: string | undefined, seq: string | undefined, flags: Flags): Promise<void> {
  const sources = [flags.server, flags.ledger, flags.from].filter((one) => one !== undefined);
  if (sources.length > 1) {
    throw new UsageError(
      '--server, --ledger and --from exclude one another: ask a running Sealgate, or read a folder or a mirror',
    );
  }
  const folder = await open(flags);
  try {
    const client = createQueryClient(folder?.url ?? flags.server ?? DEFAULT_SERVER);
    if (entry !== undefined) await showEntry(client, entry, seq, flags);
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

async function showEntry(client: QueryClient, entry: string, seq: string | undefined, flags: Flags): Promise<void> {
  const { place, replica } = parsePlace(entry, seq);
  const parameters = new URLSearchParams();
  if (replica !== undefined) parameters.set('replica', replica);
  if (flags.local === true) parameters.set('local', '1');
  const answer = await client.entry(place, parameters);
  const { text, verifies } = formatEntry(answer);
  process.stdout.write(flags.output === 'json' ? `${answer}\n` : text);
  if (!verifies) process.exitCode = TAMPERED;
}

async function list(client: QueryClient, flags: Flags): Promise<void> {
  const wanted = flags.all === true ? Number.POSITIVE_INFINITY : readLimit(flags.limit);
  const print = printer(flags);
  let shown = 0;
  let cursor: string | undefined;
  let missing: readonly MissingReplica[] = [];
  const end = (): void => print.missing(missing);
  for (;;) {
    const parameters = parametersOf(flags);
    parameters.set('limit', String(Math.min(MAX_LIMIT, wanted - shown)));
    if (flags.oldest === true) parameters.set('order', 'oldest');
    if (cursor !== undefined) parameters.set('cursor', cursor);
    const page = await client.list(parameters);
    if (!page.current && cursor === undefined) say('the index is still catching up: the newest entries are missing');
    print.entries(page.entries);
    missing = tellMissing(page, missing);
    shown += page.entries.length;
    cursor = page.next ?? undefined;
    if (cursor === undefined) {
      if (flags.from === undefined) sayOlder(page);
      break;
    }
    if (shown >= wanted) {
      say(`there is more: --limit ${shown * 2}, --all, or narrow it down`);
      end();
      return;
    }
  }
  end();
  if (shown === 0) say('nothing on record matches; sealgate query without filters shows the newest entries');
}

/** What is before the oldest entry here, when that was asked for, too. */
function sayOlder({ older, replicas }: ListAnswer): void {
  if (replicas === undefined) sayOlderOf(older, '');
  for (const { replica, older: its } of replicas ?? []) sayOlderOf(its, ` in the ledger of ${replica}`);
}

function sayOlderOf(older: OlderHistory | null | undefined, whose: string): void {
  if (older === undefined || older === null) return;
  const where = older.store === undefined ? 'a mirror may have it' : `it is in ${older.store}`;
  const whole = older.store ?? 's3://bucket/prefix';
  const text = `what is older than ${older.before} (before shard ${older.oldestShard})${whose} is not here: ${where}`;
  say(escapeTerminal(`${text}; sealgate query --from ${whole} --key <vkey> reads it`));
}

/** Says which replicas are not in this page, unless that was said of an earlier one. Returns all that were missing so far. */
function tellMissing({ replicas = [] }: ListAnswer, before: readonly MissingReplica[]): readonly MissingReplica[] {
  const missing = replicas.flatMap(({ replica, why }) => (why === undefined ? [] : [{ replica, why }]));
  const news = missing.filter(({ replica }) => !before.some((one) => one.replica === replica));
  if (news.length === 0) return before;
  const answered = replicas.filter((part) => part.answered).length;
  const reasons = news.map(({ replica, why }) => `${replica}: ${why}`).join('; ');
  say(escapeTerminal(`${answered} of ${replicas.length} replicas answered: ${reasons}`));
  process.exitCode = INCOMPLETE;
  return [...before, ...news];
}

/** Ends when the server does, or by an interrupt. */
async function follow(client: QueryClient, flags: Flags): Promise<void> {
  if (flags.limit !== undefined || flags.all === true || flags.oldest === true) {
    throw new UsageError('--follow shows what comes, as it comes: it takes no --limit, --all or --oldest');
  }
  const parameters = parametersOf(flags);
  parameters.set('follow', '1');
  const print = printer(flags);
  for await (const line of client.follow(parameters)) {
    if ('replicas' in line) {
      const { missing } = line.replicas;
      const reasons = missing.map(({ replica, why }) => `${replica}: ${why}`).join('; ');
      say(escapeTerminal(missing.length === 0 ? 'all replicas answer' : `these replicas do not answer: ${reasons}`));
      print.missing(missing, true);
    } else print.entries([line]);
  }
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
  if (flags.local === true) parameters.set('local', '1');
  return parameters;
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--limit is a number from 1, not ${text}`);
  return Number(text);
}

interface Printer {
  entries(entries: readonly FoundEntry[]): void;
  /** Of JSON a line that is no entry, so that whoever reads it does not take a part for the whole. */
  missing(missing: readonly MissingReplica[], alsoNone?: boolean): void;
}

/** Prints entries in the wanted form; the header of a table before the first one. */
function printer({ output }: Flags): Printer {
  let form: TableForm | undefined;
  return {
    entries: (entries) => {
      const [first] = entries;
      if (first === undefined) return;
      if (output === 'json') {
        process.stdout.write(`${entries.map((entry) => JSON.stringify(entry)).join('\n')}\n`);
        return;
      }
      const before = form;
      form ??= { wide: output === 'wide', replicas: first.replica !== undefined };
      const known = form;
      const lines = [...(before === undefined ? [header(known)] : []), ...entries.map((entry) => rowOf(entry, known))];
      process.stdout.write(`${lines.join('\n')}\n`);
    },
    missing: (missing, alsoNone = false) => {
      if (output !== 'json' || (missing.length === 0 && !alsoNone)) return;
      process.stdout.write(`${JSON.stringify({ replicas: { missing } })}\n`);
    },
  };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
