// Two verifiers, one written from the code's side and one from docs/ledger-format.md alone, agree on every ledger: what both
// accept and refuse is what the page says.
import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { CannotRun } from '../../independent/finding.ts';
import { verify } from '../../independent/verify.ts';
import { miniNote, writeMiniShard } from '../../support/mini-ledger.ts';
import { tamper } from '../../support/tamper.ts';
import { ATTACKS, entriesOf, KEY, noteAt, OTHER, SHARD, STRANGER } from '../../support/tamper-cases.ts';
import { decision, event, openTestLedger, places, tempDir, testKey } from './temp-ledger.ts';

const execute = async (command: string, args: string[]) => (await promisify(execFile)(command, args)).stdout;
const MAIN = path.join(import.meta.dirname, '..', '..', 'independent', 'verify.ts');

/** What a verifier said: its exit code, and the first entries that it names. */
interface Verdict {
  readonly exit: number;
  readonly first: readonly [from: number, to: number] | undefined;
}

function verdict(
  exitCode: number,
  findings: readonly { readonly shard: number; readonly from?: number; readonly to?: number }[],
): Verdict {
  const named = findings.flatMap(({ shard, from, to }) =>
    from === undefined || to === undefined ? [] : [{ shard, from, to }],
  );
  const first = named.toSorted((a, b) => a.shard - b.shard || a.from - b.from)[0];
  return { exit: exitCode, first: first && [first.from, first.to] };
}

function theirs(where: string, key: string, outside: readonly string[] = []): Verdict {
  try {
    const { exitCode, findings } = verifyLedger(where, { keys: [key], checkpoints: outside });
    return verdict(exitCode, findings);
  } catch (error) {
    // The command maps the codes of errors: docs/verify.md.
    return { exit: (error as { code?: string }).code === 'LEDGER_WRONG_KEY' ? 12 : 1, first: undefined };
  }
}

function ours(where: string, key: string, outside: readonly string[] = []): Verdict {
  try {
    const { exitCode, findings } = verify(where, key, outside);
    return verdict(exitCode, findings);
  } catch (error) {
    if (!(error instanceof CannotRun)) throw error;
    return { exit: 1, first: undefined };
  }
}

let root: string;
let folder: string;
let file: string;
beforeAll(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'sealgate-independent-'));
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  folder = path.join(root, 'ledger');
  fs.rmSync(folder, { recursive: true, force: true });
  file = writeMiniShard(folder, SHARD);
});

describe('the independent verifier', () => {
  it.each(ATTACKS)('agrees on: $name', ({ change, accident, folder: alter, keys, outside = [], status }) => {
    if (change !== undefined) tamper(file, change, accident);
    alter?.(folder, file);
    const [key = KEY.vkey] = keys ?? [];
    const [a, b] = [theirs(folder, key, outside), ours(folder, key, outside)];
    expect(b.exit).toBe({ whole: 0, tampered: 10, incomplete: 11, 'wrong-key': 12 }[status]);
    expect(a.exit).toBe(b.exit);
    // Where one of them names a single entry, the other names it, or a range around it.
    expect(a.first === undefined).toBe(b.first === undefined);
    if (a.first === undefined || b.first === undefined) return;
    const [narrow, wide] = a.first[0] === a.first[1] ? [a.first, b.first] : [b.first, a.first];
    if (narrow[0] !== narrow[1]) return;
    expect(wide[0]).toBeLessThanOrEqual(narrow[0]);
    expect(wide[1]).toBeGreaterThanOrEqual(narrow[0]);
  });

  it('agrees on ledgers that were changed at random', () => {
    const change = fc.record({
      table: fc.constantFrom<Table>('leaf', 'leaf', 'pack', 'checkpoint'),
      what: fc.constantFrom(...CHANGES),
      row: fc.nat(),
      other: fc.nat(),
      at: fc.nat(),
    });
    const key = fc.constantFrom(KEY.vkey, KEY.vkey, KEY.vkey, OTHER.vkey);
    const outside = fc.constantFrom([], [], [noteAt(20)], [noteAt(30), noteAt(40)]);
    const checkpoints = fc.constantFrom([1, 10, 20, 30, 40], [1, 20, 37], [1]);
    const changes = fc.array(change, { minLength: 1, maxLength: 4 });
    const property = fc.property(
      changes,
      key,
      outside,
      checkpoints,
      fc.boolean(),
      (wanted, vkey, notes, sizes, accident) => {
        writeMiniShard(folder, { ...SHARD, checkpoints: sizes });
        tamper(
          file,
          (db) => {
            for (const one of wanted) apply(db, one);
          },
          accident,
        );
        expect(ours(folder, vkey, notes).exit).toBe(theirs(folder, vkey, notes).exit);
      },
    );
    fc.assert(property, { numRuns: 150 });
  });

  it('agrees on ledgers of several shards', () => {
    const shard = (number: number, key = KEY): string =>
      writeMiniShard(folder, { ...SHARD, key, number, entries: entriesOf(12, key, number), checkpoints: [12] });
    const both = (expected: number, outside: string[] = [], key = KEY): void => {
      const exits = [theirs(folder, key.vkey, outside).exit, ours(folder, key.vkey, outside).exit];
      expect(exits).toEqual([expected, expected]);
    };
    shard(1);
    const last = shard(2);
    both(0);
    both(11, [miniNote(KEY, `${KEY.name}/3`, 12, Buffer.alloc(32))]);
    both(12, [], STRANGER);
    both(12, [noteAt(20, OTHER)]);
    both(1, ['anything']);
    fs.copyFileSync(last, shard(1));
    both(10);
    shard(1, STRANGER);
    both(10);
    fs.rmSync(shard(1));
    both(11);
    shard(1);
    fs.rmSync(file);
    both(11);
    fs.writeFileSync(file, Buffer.alloc(9000, 1));
    both(10);
    fs.rmSync(folder, { recursive: true });
    both(1);
  });

  it('finds whole what the real writer writes: while it writes, after it ended, and over a restart', async () => {
    const place = tempDir();
    const { dir, shard } = places(place);
    const { vkey } = testKey(place);
    const events = Array.from({ length: 600 }, (_, i) => event({ i, text: 'é\u0000"\\'.repeat(i % 40) }));
    for (const large of [1, 3_000_000]) {
      const ledger = await openTestLedger(place, { checkpointIntervalMs: 10 });
      await ledger.append('decision', [decision('x'.repeat(large), large % 2)]);
      let writing = true;
      const writer = (async () => {
        while (writing) {
          await ledger.append('audit', events);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })();
      // In a process of its own: two SQLite libraries in one process undo each other's locks of a file.
      for (let i = 0; i < 3; i++) expect(await execute(process.execPath, [MAIN, dir, vkey])).toContain('\nwhole\n');
      writing = false;
      await writer;
      await ledger.close('test');
    }
    const report = verify(shard, vkey);
    const entries = verifyLedger(dir, { keys: [vkey] }).shards[0]?.entries ?? 0;
    expect(entries).toBeGreaterThan(1200);
    expect(report).toMatchObject({ status: 'whole', findings: [], shards: [{ entries, signed: entries }] });

    // The triggers of a real shard, too, are no protection against somebody who drops them.
    tamper(shard, (db) => db.exec('UPDATE pack SET data = zeroblob(length(data)) WHERE first = 0'));
    expect(ours(dir, vkey)).toEqual({ exit: 10, first: [0, 0] });
    expect(theirs(dir, vkey)).toEqual({ exit: 10, first: [0, 0] });
  }, 120_000);

  it('says so with its exit code and the first bad entry, run by Node alone', () => {
    const checkpoint = path.join(root, 'checkpoint.txt');
    const run = (...args: string[]) => {
      const { status, stdout } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
      return { status, stdout };
    };
    fs.writeFileSync(checkpoint, noteAt(30));
    expect(run(folder, KEY.vkey, '--checkpoint', checkpoint)).toMatchObject({ status: 0 });
    expect(run(folder, OTHER.vkey).status).toBe(12);
    expect(run(path.join(folder, 'nowhere'), KEY.vkey).status).toBe(1);
    expect(run(folder).status).toBe(2);
    tamper(file, (db) => db.exec('DELETE FROM leaf WHERE seq >= 20; DELETE FROM pack WHERE first >= 20'));
    tamper(file, (db) => db.exec('DELETE FROM checkpoint WHERE size > 20'));
    expect(run(file, KEY.vkey).status).toBe(0);
    const back = run(file, KEY.vkey, '--checkpoint', checkpoint);
    expect(back).toMatchObject({ status: 11, stdout: expect.stringMatching(/^incomplete: shard 0 entries 20\.\.29:/) });
    tamper(file, (db) => db.exec("UPDATE pack SET data = x'00' WHERE first = 9"));
    expect(run(file, KEY.vkey)).toMatchObject({
      status: 10,
      stdout: expect.stringMatching(/^tampered: shard 0 entry 9:/),
    });
  });
});

type Table = 'leaf' | 'pack' | 'checkpoint';
const COLUMNS = { leaf: ['seq', 'leaf'], pack: ['first', 'data'], checkpoint: ['size', 'note'] } as const;
const CHANGES = [
  'flip',
  'delete',
  'swap',
  'copy',
  'shift',
  'cut',
  'extend',
  'end',
  'renumber',
  'count',
  'codec',
] as const;

interface Change {
  readonly table: Table;
  readonly what: (typeof CHANGES)[number];
  readonly row: number;
  readonly other: number;
  readonly at: number;
}

/** Makes one change, to rows and places that the numbers pick among those there are. */
function apply(db: Database.Database, { table, what, row, other, at }: Change): void {
  const [key, column] = COLUMNS[table];
  const keys = db.prepare<[], number>(`SELECT ${key} FROM ${table}`).pluck().all();
  if (keys.length === 0) return;
  const [one = 0, two = 0] = [keys[row % keys.length], keys[other % keys.length]];
  const get = (seq: number) => db.prepare(`SELECT ${column} FROM ${table} WHERE ${key} = ?`).pluck().get(seq) as Buffer;
  const set = (seq: number, value: Buffer) =>
    db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`).run(value, seq);
  const [value, second] = [get(one), get(two)];
  const odd = [-1, 0, 1, 2, 50, 257, 2 ** 49, 2 ** 52][at % 8];
  const steps: Record<Change['what'], () => unknown> = {
    flip: () => {
      if (value.length > 0) value[at % value.length] = (value[at % value.length] as number) ^ (1 << (other % 8));
      set(one, value);
    },
    delete: () => db.prepare(`DELETE FROM ${table} WHERE ${key} = ?`).run(one),
    swap: () => [set(one, second), set(two, value)],
    copy: () => set(one, second),
    shift: () => {
      const far = 1_000_000_000;
      db.prepare(`UPDATE OR IGNORE ${table} SET ${key} = ${key} + ${far} WHERE ${key} >= ?`).run(one);
      db.prepare(`UPDATE OR IGNORE ${table} SET ${key} = ${key} - ? WHERE ${key} >= ${far}`).run(far + 1 - (at % 3));
    },
    cut: () => set(one, value.subarray(0, at % (value.length + 1))),
    extend: () => set(one, Buffer.concat([value, Buffer.from(['\n', 'x', '\0', '\u2014 a AAAAAAA=\n'][at % 4] ?? '')])),
    end: () => db.prepare(`DELETE FROM ${table} WHERE ${key} >= ?`).run(one),
    renumber: () => db.prepare(`UPDATE OR IGNORE ${table} SET ${key} = ? WHERE ${key} = ?`).run(odd, one),
    count: () => db.prepare('UPDATE pack SET count = ? WHERE first = ?').run(odd, one),
    codec: () => db.prepare('UPDATE pack SET codec = ? WHERE first = ?').run(odd, one),
  };
  steps[what]();
}
