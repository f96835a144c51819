// A second verifier, written from docs/ledger-format.md, RFC 6962, c2sp.org/signed-note and c2sp.org/tlog-checkpoint alone. It
// shares nothing with src/, so that what both accept is what the page says. Node alone, no dependencies:
//   node test/independent/verify.ts FOLDER-or-SHARD-FILE VKEY [--checkpoint FILE …]
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Bodies, int } from './bodies.ts';
import { Chain, type Expected } from './chain.ts';
import { type Era, erasOf, openRotation, type Rotation, rotationIn, same } from './eras.ts';
import { type Add, CannotRun, EXIT_CODES, type Finding, GRAVEST, type Report } from './finding.ts';
import { type Checkpoint, type Key, openCheckpoint, parseVkey } from './note.ts';
import { schemaProblems } from './schema.ts';

/** Name, type, place in the primary key and kind of column, of the tables that count. */
const COLUMNS: Record<string, string> = {
  meta: 'key TEXT 1 0,value TEXT 0 0',
  leaf: 'seq INTEGER 1 0,leaf BLOB 0 0',
  pack: 'first INTEGER 1 0,count INTEGER 0 0,codec INTEGER 0 0,data BLOB 0 0,sum BLOB 0 0',
  checkpoint: 'size INTEGER 1 0,note BLOB 0 0',
};

/** A file of a shard's name that is none. */
class Damaged extends Error {}

/** SQLite's codes for a file that it cannot make sense of: error, I/O error, corrupt, schema, too big, format, not a database. */
const DAMAGE = [1, 10, 11, 17, 18, 24, 26];

interface Shard {
  file: string;
  /** From the file's name; absent for a file of another name, which then says itself which shard it is. */
  number: number | undefined;
}

/** How a shard ends, and what its link says of the one before. */
interface End {
  entries: number;
  last: Checkpoint | undefined;
  sound: boolean;
  link: Buffer | undefined;
  /** Kind of the last entry. */
  kind: string | undefined;
  /** Bodies of the signed `removal` entries. */
  removals: Buffer[];
}

/** A checkpoint signed by the key of the shard that it is of. */
function openSigned(note: Uint8Array, { key, eras }: Run): ReturnType<typeof openCheckpoint> {
  let verdict: ReturnType<typeof openCheckpoint> = 'stranger';
  for (const one of eras.length === 0 ? [key] : eras.map((era) => era.key)) {
    const opened = openCheckpoint(note, one);
    if (opened === 'stranger') continue;
    if ('wrong' in opened) verdict = opened;
    else {
      const number = shardNumber(opened.origin, one) ?? 0;
      const era = eras.findLast(({ from }) => from <= number);
      if (era === undefined || same(era.key, one)) return opened;
    }
  }
  return verdict;
}

/** What all shards share. */
interface Run {
  /** The key that was given. */
  key: Key;
  eras: Era[];
  outside: Checkpoint[];
  report: Report;
  /** Ends of the shards that were read, by number. */
  ends: Map<number, End>;
  /** Whether any checkpoint of any shard was signed by the key. */
  known: boolean;
}

/** Read-only, beside a live writer too. A closed shard in a folder that cannot be written has no -shm and can get none. */
function open(file: string): DatabaseSync {
  const url = pathToFileURL(file);
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch {
    if (!existsSync(`${file}-wal`)) url.searchParams.set('immutable', '1');
  }
  return new DatabaseSync(url, { readOnly: true, timeout: 10_000 });
}

function checkSchema(db: DatabaseSync, file: string): void {
  const { application_id: id } = db.prepare('PRAGMA application_id').get() ?? {};
  const { user_version: version } = db.prepare('PRAGMA user_version').get() ?? {};
  if (id !== 1397181508 || Number(version) < 1) throw new Damaged('it is not a ledger shard');
  if (version !== 1) throw new CannotRun(`${file} has format ${version}: this verifier knows 1`);
  const table = db.prepare(
    "SELECT count(*) AS n FROM sqlite_schema WHERE name = ? AND type = 'table' AND rootpage > 0",
  );
  const columns = db.prepare('SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid LIMIT 9');
  for (const [name, expected] of Object.entries(COLUMNS)) {
    const found = columns.all(name).map((column) => Object.values(column).join(' '));
    if (table.get(name)?.['n'] !== 1 || found.join() !== expected)
      throw new Damaged(`table ${name} is not the format's`);
  }
}

/** Rows in order. NOT INDEXED: an index that somebody added could say something else than its table. */
function select(db: DatabaseSync, columns: string, from: string, order: string): Iterator<Record<string, unknown>> {
  const statement = db.prepare(`SELECT ${columns} FROM ${from} NOT INDEXED ORDER BY ${order}`);
  statement.setReadBigInts(true);
  return statement.iterate();
}

function readCheckpoints(db: DatabaseSync, shard: Shard, run: Run, add: Add): Checkpoint[] {
  const { key } = run;
  const good: Checkpoint[] = [];
  const strangers: bigint[] = [];
  let signed = 0;
  let others = 0;
  const note = 'CASE WHEN length(note) < 1000000 THEN note END AS note';
  for (const row of { [Symbol.iterator]: () => select(db, `size, ${note}`, 'checkpoint', 'size') }) {
    const opened = row['note'] instanceof Uint8Array ? openSigned(row['note'], run) : { wrong: 'is not a note' };
    const name = `the checkpoint of size ${row['size']}`;
    if (Number.isNaN(int(row['size']))) {
      others++;
      add('tampered', `there is a checkpoint with size ${row['size']}`);
    } else if (opened === 'stranger') {
      strangers.push(row['size'] as bigint);
    } else if ('wrong' in opened) {
      others++;
      add('tampered', `${name} ${opened.wrong}`);
    } else {
      signed++;
      const number = shardNumber(opened.origin, key);
      shard.number ??= number;
      if (opened.size !== int(row['size'])) add('tampered', `${name} is of size ${opened.size}`);
      else if (number === undefined || number !== shard.number) add('tampered', `${name} is of ${opened.origin}`);
      else good.push(opened);
    }
  }
  if (signed + others + strangers.length === 0) add('tampered', 'there is no checkpoint');
  else if (signed === 0 && strangers.length > 0) add('wrong-key', `no checkpoint is signed by ${key.name}`);
  else for (const size of strangers) add('tampered', `the checkpoint of size ${size} is not signed by the key`);
  run.known ||= signed > 0;
  return good;
}

/** Of an origin `<log name>/<shard number>`. */
function shardNumber(origin: string, key: Key): number | undefined {
  const number = origin.slice(key.name.length + 1);
  return origin.startsWith(`${key.name}/`) && /^(0|[1-9][0-9]{0,14})$/.test(number) ? Number(number) : undefined;
}

function verifyShard(shard: Shard, run: Run): void {
  const { key, report } = run;
  const named = shard.number !== undefined;
  const add: Add = (status, message, from, to) => {
    const last = report.findings.at(-1);
    const where = from === undefined || to === undefined ? {} : { from, to };
    // One range instead of a thousand entries.
    if (last?.message === message && last.shard === shard.number && last.to === (from ?? 0) - 1 && to) last.to = to;
    else report.findings.push({ status, shard: shard.number ?? 0, message, ...where });
  };
  let db: DatabaseSync | undefined;
  try {
    db = open(shard.file);
    db.exec('PRAGMA cell_size_check = ON');
    db.exec('BEGIN'); // one snapshot, whatever a writer does meanwhile
    checkSchema(db, shard.file);
    const good = readCheckpoints(db, shard, run, add);
    shard.number ??= numberInMeta(db);
    const origin = `${key.name}/${shard.number ?? 0}`;
    const outside = run.outside.filter((checkpoint) => checkpoint.origin === origin);
    const expected = [good, outside].flatMap((list) => list.map((one) => ({ ...one, outside: list === outside })));
    const before = report.findings.length;
    const { entries, link, kind, removals } = followEntries(
      db,
      shard.number ?? 0,
      expected,
      good.length === 0 ? undefined : origin,
      add,
    );
    checkMeta(db, shard.number ?? 0, good.length === 0 ? undefined : origin, add);
    const last = good.toSorted((a, b) => a.size - b.size).at(-1);
    const sound = report.findings.length === before;
    for (const { quick_check: line } of db.prepare('PRAGMA quick_check(3)').all()) {
      if (line !== 'ok') add('tampered', `SQLite: ${line}`);
    }
    for (const problem of schemaProblems(db)) add('tampered', problem);
    const signed = good.reduce((most, checkpoint) => Math.max(most, checkpoint.size), 0);
    const said = removals.filter(({ seq }) => seq < signed).map(({ body }) => body);
    if (good.length > 0) run.ends.set(shard.number ?? 0, { entries, last, sound, link, kind, removals: said });
    report.shards.push({ shard: shard.number ?? 0, origin, entries, signed });
  } catch (error) {
    const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : Number.NaN;
    if (!(error instanceof Damaged) && !DAMAGE.includes(code)) throw error;
    if (!named) throw new CannotRun(`${shard.file} is not a shard`, { cause: error });
    add('tampered', `the database is damaged: ${error instanceof Error ? error.message : error}`);
  } finally {
    db?.close();
  }
}

/** @returns the number of entries, and the body of the link */
function followEntries(
  db: DatabaseSync,
  shard: number,
  expected: readonly Expected[],
  origin: string | undefined,
  add: Add,
): { entries: number; link: Buffer | undefined; kind: string | undefined; removals: { seq: number; body: Buffer }[] } {
  const chain = new Chain(expected, add);
  const bodies = new Bodies(
    select(db, 'first, count, codec, data, CASE WHEN length(sum) < 100 THEN sum END AS sum', 'pack', 'first'),
    add,
  );
  const leaf = 'CASE WHEN length(leaf) < 65536 THEN leaf END AS leaf';
  for (const row of { [Symbol.iterator]: () => select(db, `seq, ${leaf}`, 'leaf', 'seq') }) {
    const seq = int(row['seq']);
    if (seq < chain.size) throw new Damaged('its rows are out of order');
    if (Number.isNaN(seq)) {
      add('tampered', `there is a leaf with seq ${row['seq']}`);
      continue;
    }
    if (seq > chain.size) chain.skip(seq);
    bodies.check(seq, chain.append(row['leaf'] instanceof Uint8Array ? Buffer.from(row['leaf']) : Buffer.alloc(0)));
  }
  chain.finish();
  bodies.finish(chain.size);
  const begin = shard === 0 ? 'start' : 'link';
  if (chain.kind !== undefined && chain.kind !== begin) add('tampered', `the first entry is not a ${begin}`, 0, 0);
  if (
    origin !== undefined &&
    (chain.kind === 'start' || chain.kind === 'link') &&
    bodies.first &&
    originIn(bodies.first) !== origin
  ) {
    add('tampered', 'it is of another origin than the checkpoints', 0, 0);
  }
  const link = chain.kind === 'link' ? bodies.first : undefined;
  return { entries: chain.size, link, kind: chain.lastKind, removals: bodies.removals };
}

function originIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()).origin;
  } catch {
    return undefined;
  }
}

/** What a file of another name is taken for when none of its checkpoints is signed by the key. */
function numberInMeta(db: DatabaseSync): number | undefined {
  const text = String(db.prepare("SELECT value FROM meta NOT INDEXED WHERE key = 'shard'").get()?.['value']);
  return /^(0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : undefined;
}

function checkMeta(db: DatabaseSync, shard: number, origin: string | undefined, add: Add): void {
  const value = db.prepare('SELECT value FROM meta NOT INDEXED WHERE key = ? AND length(value) < 1000');
  const said = value.get('origin')?.['value'];
  if (value.get('shard')?.['value'] !== String(shard) || (origin !== undefined && said !== origin)) {
    add('tampered', 'table meta contradicts the rest');
  }
}

/** The shards at a path, by number. */
function findShards(path: string): Shard[] {
  let names: string[];
  try {
    names = statSync(path).isDirectory() ? readdirSync(path) : [];
  } catch (error) {
    throw new CannotRun(`cannot read ${path}`, { cause: error });
  }
  const shards = (statSync(path).isDirectory() ? names.map((name) => join(path, name)) : [path]).map((file): Shard => {
    const [, digits] = /^shard-([0-9]{6,15})\.sqlite$/.exec(basename(file)) ?? [];
    return { file, number: digits === undefined ? undefined : Number(digits) };
  });
  const found = shards.filter((shard) => shard.file === path || shard.number !== undefined);
  if (found.length === 0) throw new CannotRun(`there is no shard in ${path}`);
  return found.toSorted((a, b) => (a.number ?? 0) - (b.number ?? 0));
}

/**
 * Verifies a ledger folder or one shard's file. `notes` are checkpoints from outside.
 * @throws CannotRun when nothing can be said about the ledger
 */
export function verify(path: string, vkey: string, notes: readonly (string | Uint8Array)[] = []): Report {
  const key = parseVkey(vkey.trim());
  const report: Report = { status: 'whole', exitCode: 0, findings: [], shards: [] };
  const shards = findShards(path);
  const run: Run = {
    key,
    eras: erasOf(shards.flatMap(findRotation), key),
    outside: [],
    report,
    ends: new Map(),
    known: false,
  };
  run.outside = notes.flatMap((note) => {
    const opened = openSigned(Buffer.from(note), run);
    if (opened === 'stranger') {
      report.findings.push({ status: 'wrong-key', shard: 0, message: 'the checkpoint from outside is of another key' });
      return [];
    }
    if ('wrong' in opened) throw new CannotRun(`the checkpoint from outside ${opened.wrong}`);
    if (shardNumber(opened.origin, key) === undefined) throw new CannotRun(`${opened.origin} is no shard's origin`);
    return [opened];
  });
  if (report.findings.length === 0) {
    for (const shard of shards) verifyShard(shard, run);
    if (statSync(path).isDirectory()) {
      reportMissingShards(shards, run);
      for (const number of run.ends.keys()) if (number > 0) checkLink(number, run);
    }
  }
  // Among shards of the key's log, one of another key is a stranger; a ledger that has none is of another log.
  const { findings } = report;
  if (run.known) for (const one of findings) if (one.status === 'wrong-key') one.status = 'tampered';
  findings.sort((a, b) => a.shard - b.shard || (a.from ?? 0) - (b.from ?? 0));
  report.status = GRAVEST.find((status) => findings.some((finding) => finding.status === status)) ?? 'whole';
  report.exitCode = EXIT_CODES[report.status];
  return report;
}

function findRotation({ file, number }: Shard): Rotation[] {
  if (number === 0) return [];
  let db: DatabaseSync | undefined;
  try {
    db = open(file);
    const rotation = rotationIn(db, number);
    return rotation === undefined ? [] : [rotation];
  } catch {
    return []; // said when the shard is verified
  } finally {
    db?.close();
  }
}

/** How many shards were removed in order, before `first`: the newest removal says so, and the link of `first` agrees with it. */
function removedBefore(first: number, { ends, report }: Run): number {
  let newest: { shard: number; size: number; checkpoint: string } | undefined;
  for (const [holder, { removals }] of ends) {
    for (const body of removals) {
      try {
        const { removed } = JSON.parse(body.toString());
        const { shard, size, checkpoint } = removed;
        if (typeof size !== 'number' || typeof checkpoint !== 'string' || !Number.isInteger(shard)) continue;
        if (shard <= holder - 2 && shard >= (newest?.shard ?? 0)) newest = { shard, size, checkpoint };
      } catch {
        // Says nothing about any shard.
      }
    }
  }
  if (newest === undefined) return 0;
  const link = ends.get(first)?.link;
  if (newest.shard === first - 1 && link !== undefined) {
    const { previous } = JSON.parse(link.toString()) ?? {};
    if (previous?.checkpoint !== newest.checkpoint || previous?.size !== newest.size)
      report.findings.push({
        status: 'tampered',
        shard: first,
        message: 'its link is not to the shard that was removed',
      });
  }
  return Math.min(first, newest.shard + 1);
}

function reportMissingShards(shards: readonly Shard[], run: Run): void {
  const { key, outside, report } = run;
  const there = new Set(shards.map((shard) => shard.number));
  const wanted = outside.map((checkpoint) => shardNumber(checkpoint.origin, key) ?? 0);
  // All before the last that is there; of those after it, the ones that a checkpoint from outside is of.
  const first = Math.min(...[...there].map(Number));
  let next = removedBefore(first, run);
  for (const number of [...there, ...wanted].map(Number).sort((a, b) => a - b)) {
    if (number < first) continue; // removed, or reported with the gap before the first
    const missing = there.has(number) && number > next ? next : there.has(number) ? undefined : number;
    if (missing !== undefined)
      report.findings.push({ status: 'incomplete', shard: missing, message: 'the shard is missing' });
    next = Math.max(next, number + 1);
  }
}

/** The link of a shard is to the one before, which ends as it says. */
function checkLink(number: number, run: Run): void {
  const { eras, ends, report } = run;
  const link = ends.get(number)?.link;
  if (link === undefined) return;
  const add = (status: Finding['status'], shard: number, message: string): void => {
    report.findings.push({ status, shard, message });
  };
  const said = readLink(link, number - 1, run);
  if (said === undefined) {
    add('tampered', number, 'the link is not one to the shard before');
    return;
  }
  const end = ends.get(number - 1);
  const passedOn = said.statement === undefined ? undefined : openRotation(said.statement, number);
  if (said.statement !== undefined && (passedOn === undefined || !eras.some(({ from }) => from === number))) {
    add('tampered', number, 'the link holds a rotation statement that does not count');
  } else if (passedOn !== undefined && end !== undefined && end.kind !== 'key') {
    add(
      'tampered',
      number,
      'it begins under another key, but the shard before does not end with the entry that says so',
    );
  }
  if (end === undefined) return;
  const { entries, last, sound } = end;
  const fits = last?.size === said.size && Buffer.from(last.root).equals(Buffer.from(said.root));
  if (entries < said.size) add('incomplete', number - 1, 'its end is missing: the next shard links to more entries');
  else if (entries > said.size) add('tampered', number - 1, 'it was written on after the next shard began');
  else if (sound && !fits) add('tampered', number - 1, 'it is not the shard that the next one links to');
}

/** The checkpoint of shard `before` that a link carries, and its rotation statement. */
function readLink(
  body: Buffer,
  before: number,
  run: Run,
): (Checkpoint & { statement: string | undefined }) | undefined {
  try {
    const { previous, rotation } = JSON.parse(body.toString());
    const { shard, size, checkpoint } = previous;
    const opened = openSigned(Buffer.from(String(checkpoint)), run);
    if (opened === 'stranger' || 'wrong' in opened) return undefined;
    const good = opened.origin === `${run.key.name}/${before}` && shard === before && size === opened.size;
    return good ? { ...opened, statement: rotation === undefined ? undefined : String(rotation) } : undefined;
  } catch {
    return undefined;
  }
}

// ---- Command line

function describe({ status, shard, from, to, message }: Finding): string {
  const entries = from === undefined ? '' : from === to ? ` entry ${from}` : ` entries ${from}..${to}`;
  return `${status}: shard ${shard}${entries}: ${message}\n`;
}

function main(args: string[]): number {
  const options = { checkpoint: { type: 'string', multiple: true } } as const;
  let parsed: { positionals: string[]; values: { checkpoint?: string[] | undefined } };
  try {
    parsed = parseArgs({ args, allowPositionals: true, options });
  } catch {
    parsed = { positionals: [], values: {} };
  }
  const [path, vkey, ...more] = parsed.positionals;
  if (path === undefined || vkey === undefined || more.length > 0) {
    process.stderr.write('usage: verify.ts FOLDER-or-SHARD-FILE VKEY [--checkpoint FILE …]\n');
    return 2;
  }
  try {
    const report = verify(
      path,
      vkey,
      (parsed.values.checkpoint ?? []).map((file) => readFileSync(file)),
    );
    for (const finding of report.findings) process.stdout.write(describe(finding));
    for (const { origin, entries, signed } of report.shards) {
      process.stdout.write(
        `${origin}: ${entries} entries, ${Math.max(0, entries - signed)} of them an unsigned tail\n`,
      );
    }
    process.stdout.write(`${report.status}\n`);
    return report.exitCode;
  } catch (error) {
    process.stderr.write(`cannot verify: ${error instanceof Error ? error.message : error}\n`);
    return 1;
  }
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
