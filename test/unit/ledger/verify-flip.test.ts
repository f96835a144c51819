// No byte of a leaf or a body can change unnoticed, and no bit of a pack's row.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import type { VerifyReport } from '../../../src/ledger/verify-report.ts';
import { verify as verifyIndependently } from '../../independent/verify.ts';
import { miniKey, writeMiniShard } from '../../support/mini-ledger.ts';

const KEY = miniKey('example.org/flip/0', 3);
const EVENT = { level: 'aaaaaaaaaaaaaaaa' };
const ENTRIES = [
  { kind: 'start', body: Buffer.from(JSON.stringify({ origin: `${KEY.name}/0`, vkey: KEY.vkey })) },
  {
    kind: 'decision',
    extra: `"uid":"00000000-0000-4000-8000-000000000000","bundle":"sha256:${'0f'.repeat(32)}","allowed":false`,
    body: Buffer.from(JSON.stringify({ caller: null, verdict: [] })),
  },
  { kind: 'event', body: Buffer.from(JSON.stringify({ event: EVENT })) },
  { kind: 'event', body: Buffer.from(JSON.stringify({ event: EVENT })) },
  { kind: 'stop', body: Buffer.from('{"reason":"test"}') },
];

let folder: string;
let db: Database.Database;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sealgate-flip-test-'));
  const file = writeMiniShard(folder, {
    number: 0,
    key: KEY,
    entries: ENTRIES,
    checkpoints: [1, 4, 5],
    packs: [1, 1, 3],
  });
  db = new Database(file);
  db.pragma('synchronous = OFF');
});
afterAll(() => {
  db.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

const verify = (): VerifyReport => verifyLedger(folder, { keys: [KEY.vkey] });

function unpacked(frame: Buffer): Buffer | undefined {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: 100_000 });
  } catch {
    return undefined;
  }
}

/** Updates a row past its trigger, which is there again afterwards. */
function update(table: 'leaf' | 'pack', sets: string, where: string, ...values: unknown[]): void {
  const trigger = db.prepare('SELECT sql FROM sqlite_schema WHERE name = ?').pluck().get(`${table}_update`) as string;
  db.transaction(() => {
    db.exec(`DROP TRIGGER ${table}_update`);
    db.prepare(`UPDATE ${table} SET ${sets} WHERE ${where} = ?`).run(...values);
    db.exec(trigger);
  })();
}

const BITS = [1, 2, 4, 8, 16, 32, 64, 128];

/** What both verifiers say. */
const exits = (report: VerifyReport): number[] => [report.exitCode, verifyIndependently(folder, KEY.vkey).exitCode];

/** Verifies with each of the masks on each byte of a blob, and puts the blob back. */
function flips(
  table: 'leaf' | 'pack',
  row: number,
  masks: readonly number[],
  check: (report: VerifyReport, changed: Buffer, what: string) => void,
): void {
  const [key, column] = table === 'leaf' ? ['seq', 'leaf'] : ['first', 'data'];
  const value = db.prepare(`SELECT ${column} FROM ${table} WHERE ${key} = ?`).pluck().get(row) as Buffer;
  for (let at = 0; at < value.length; at++) {
    for (const mask of masks) {
      const changed = Buffer.from(value);
      changed[at] = (changed[at] as number) ^ mask;
      try {
        update(table, `${column} = ?`, key, changed, row);
        check(verify(), changed, `${table} ${row}, byte ${at} ^ ${mask}`);
      } finally {
        update(table, `${column} = ?`, key, value, row);
      }
    }
  }
}

describe('a flipped byte', () => {
  it('is not there to begin with', () => {
    expect(verify().status).toBe('whole');
  });

  it.each([0, 1, 2, 3, 4])('anywhere in leaf %i is found and the entry named', (seq) => {
    flips('leaf', seq, [0x01, 0xff], (report, _changed, what) => {
      const named = report.findings.map(({ from, to }) => [from, to]);
      expect({ what, exit: report.exitCode, named }).toEqual({ what, exit: 10, named: [[seq, seq]] });
    });
  });

  it.each([0, 1])(
    'anywhere in the body, salt or header of entry %i, stored plain, is found and the entry named',
    (seq) => {
      flips('pack', seq, [0x01, 0xff], (report, _changed, what) => {
        const named = report.findings.map(({ from, to }) => [from, to]);
        expect({ what, exit: report.exitCode, named }).toEqual({ what, exit: 10, named: [[seq, seq]] });
      });
    },
  );

  it('anywhere in a compressed pack is found and named within the pack', () => {
    flips('pack', 2, [0xff], (report, _changed, what) => {
      const inside = report.findings.every(({ from = -1, to = 99 }) => from >= 2 && to <= 4);
      expect({ what, exit: report.exitCode, inside }).toEqual({ what, exit: 10, inside: true });
    });
  });

  it('of one bit anywhere in the row of a compressed pack is found, by the independent verifier too', () => {
    const records = zstdDecompressSync(db.prepare('SELECT data FROM pack WHERE first = 2').pluck().get() as Buffer);
    let padding = 0;
    let turn = 0;
    flips('pack', 2, BITS, (report, changed, what) => {
      expect({ what, exit: report.exitCode }).toEqual({ what, exit: 10 });
      const same = unpacked(changed)?.equals(records) === true;
      if (same) padding += 1;
      // The other one is slow to start: every ninth bit is one of each byte.
      turn += 1;
      if (same || turn % 9 === 0) expect({ what, exits: exits(report) }).toEqual({ what, exits: [10, 10] });
    });
    expect(padding).toBeGreaterThan(0);
    const row = db.prepare('SELECT first, count, codec, data, sum FROM pack WHERE first = 2').safeIntegers();
    const [first, count, codec, data, sum] = row.raw().get() as [bigint, bigint, bigint, Buffer, Buffer];
    const all = 'first = ?, count = ?, codec = ?, data = ?, sum = ?';
    const check = (changed: readonly [bigint, bigint, bigint, Buffer, Buffer], what: string): void => {
      try {
        update('pack', all, 'rowid', ...changed, 2);
        expect({ what, exits: exits(verify()) }).toEqual({ what, exits: [10, 10] });
      } finally {
        update('pack', all, 'rowid', first, count, codec, data, sum, changed[0]);
      }
    };
    for (let bit = 0n; bit < 64n; bit += bit < 9n ? 1n : 6n) {
      const flip = (value: bigint): bigint => BigInt.asIntN(64, value ^ (1n << bit));
      // Where another pack has that number already there is no such row.
      if (flip(first) !== 0n) check([flip(first), count, codec, data, sum], `first, bit ${bit}`);
      check([first, flip(count), codec, data, sum], `count, bit ${bit}`);
      check([first, count, flip(codec), data, sum], `codec, bit ${bit}`);
    }
    for (let bit = 0; bit < 256; bit += 5) {
      const changed = Buffer.from(sum);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      check([first, count, codec, data, changed], `sum, bit ${bit}`);
    }
  });
});
