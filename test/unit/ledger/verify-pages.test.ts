// A page of the database damaged on disk, wherever it is: never called whole unless every row is as it was.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { verify as verifyIndependently } from '../../independent/verify.ts';
import { miniKey, writeMiniShard } from '../../support/mini-ledger.ts';

const KEY = miniKey('example.org/pages/0', 5);
const COUNT = 120;
const PAGE = 4096;
const ENTRIES = Array.from({ length: COUNT }, (_, i) => ({
  kind: i === 0 ? 'start' : 'event',
  body: Buffer.from(JSON.stringify(i === 0 ? { origin: `${KEY.name}/0` } : { i, text: `${i * 7919}`.repeat(9) })),
}));

let folder: string;
let file: string;
let original: Buffer;
let before: string | undefined;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sealgate-pages-'));
  const checkpoints = Array.from({ length: 24 }, (_, i) => (i + 1) * 5);
  file = writeMiniShard(folder, { number: 0, key: KEY, entries: ENTRIES, checkpoints, packs: [1, 60, 30, 1, 1] });
  original = fs.readFileSync(file);
  before = content();
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Every row, as SQLite reads it; undefined when it cannot read them all. */
function content(): string | undefined {
  let db: Database.Database | undefined;
  try {
    db = new Database(file, { readonly: true });
    const tables = ['sqlite_schema', 'meta', 'leaf', 'pack', 'checkpoint', 'subtree'];
    return JSON.stringify(tables.map((table) => db?.prepare(`SELECT * FROM ${table} NOT INDEXED`).raw().all()));
  } catch {
    return undefined;
  } finally {
    db?.close();
  }
}

/** Both verifiers on these bytes: the statuses, and whether every row is as it was. */
function judge(bytes: Buffer, independently = true): { statuses: string[]; same: boolean } {
  fs.writeFileSync(file, bytes);
  for (const suffix of ['-wal', '-shm', '-journal']) fs.rmSync(file + suffix, { force: true });
  const statuses = [verifyLedger(folder, { keys: [KEY.vkey] }).status as string];
  if (independently) statuses.push(verifyIndependently(folder, KEY.vkey).status);
  return { statuses, same: content() === before };
}

const PAGES = 16;
const numbers = Array.from({ length: PAGES }, (_, i) => i);

describe('a damaged page', () => {
  it('is not there to begin with, and the shard has as many pages as are tried', () => {
    expect(judge(original)).toEqual({ statuses: ['whole', 'whole'], same: true });
    expect(original.length).toBe(PAGES * PAGE);
  });

  it.each(numbers)('number %i: zeroed, in part or whole, or full of another one, it is tampered with', (page) => {
    const start = page * PAGE;
    const damages: [string, (bytes: Buffer) => unknown][] = [
      ['zeroed', (bytes) => bytes.fill(0, start, start + PAGE)],
      ['full of ones', (bytes) => bytes.fill(0xff, start, start + PAGE)],
      ['a sector zeroed', (bytes) => bytes.fill(0, start + PAGE - 512, start + PAGE)],
      ['its first sector zeroed', (bytes) => bytes.fill(0, start, start + 512)],
      [
        'another page',
        (bytes) => original.copy(bytes, start, ((page + 3) % PAGES) * PAGE, ((page + 3) % PAGES) * PAGE + PAGE),
      ],
    ];
    for (const [name, damage] of damages) {
      const bytes = Buffer.from(original);
      damage(bytes);
      const { statuses, same } = judge(bytes);
      expect({ name, statuses }).toEqual({ name, statuses: same ? statuses : ['tampered', 'tampered'] });
    }
  });

  it.each(numbers)(
    'number %i: a byte changed in its header, or anywhere in it, is found unless no row changed',
    (page) => {
      const start = page * PAGE;
      const header = page === 0 ? 100 : 0;
      const places = [
        ...Array.from({ length: 16 }, (_, i) => header + i),
        ...Array.from({ length: 24 }, (_, i) => (i * 167 + page) % PAGE),
      ];
      for (const at of places) {
        const bytes = Buffer.from(original);
        bytes[start + at] = (bytes[start + at] as number) ^ (at % 2 === 0 ? 0xff : 0x01);
        const { statuses, same } = judge(bytes, at % 5 === 0);
        const expected = statuses.map((status) => (same && status === 'whole' ? 'whole' : 'tampered'));
        expect({ at, statuses, same }).toEqual({ at, statuses: expected, same });
      }
    },
  );

  it('is not the first: a change of the database’s header ends in a report or a clear error', () => {
    for (let at = 0; at < 100; at++) {
      const bytes = Buffer.from(original);
      bytes[at] = (bytes[at] as number) ^ 0xff;
      let status: string;
      let same = false;
      try {
        const found = judge(bytes, false);
        status = found.statuses[0] ?? '';
        same = found.same;
      } catch (thrown) {
        status = (thrown as { code: string }).code;
      }
      expect({ at, status }).toEqual({
        at,
        status: expect.stringMatching(same ? /^(whole|tampered)$/ : /^(tampered|LEDGER_FORMAT_NEWER)$/),
      });
    }
  });

  it('cut off with all that follow: tampered or incomplete, never whole', () => {
    for (let page = 0; page < original.length / PAGE; page++) {
      const { statuses } = judge(original.subarray(0, page * PAGE));
      for (const status of statuses)
        expect({ page, status }).toEqual({ page, status: expect.stringMatching(/^(tampered|incomplete)$/) });
    }
  });
});
