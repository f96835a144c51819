// What can be done to a small ledger, and what a verifier must say of it: status, and the entry or the range it names.
import { createHmac } from 'node:crypto';
import fs from 'node:fs';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import Database from 'better-sqlite3';
import type { FindingCode, VerifyStatus } from '../../src/ledger/verify-report.ts';
import {
  type MiniEntry,
  type MiniShard,
  miniChain,
  miniKey,
  miniLeaf,
  miniNote,
  miniRecord,
  miniRoot,
  miniSign,
  writeMiniShard,
} from './mini-ledger.ts';
import { flipByte, leafAt, packAt, setLeaf, setPack, shiftRows } from './tamper.ts';

export const KEY = miniKey('example.org/test/0', 7);
export const OTHER = miniKey('example.org/test/0', 8);
export const STRANGER = miniKey('example.com/other/1', 9);

const UUID = '00000000-0000-4000-8000-000000000000';
const DIGEST = `sha256:${'ab'.repeat(32)}`;

export function entriesOf(count: number, key = KEY, number = 0, mark = ''): MiniEntry[] {
  const start = { origin: `${key.name}/${number}`, vkey: key.vkey, version: '0', ...linkOf(key, number) };
  return Array.from({ length: count }, (_, i) => {
    const body = Buffer.from(JSON.stringify(i === 0 ? start : { event: { verb: 'get', number: i, mark } }));
    if (i === 0) return { kind: number === 0 ? 'start' : 'link', body };
    if (i % 5 === 1) return { kind: 'decision', extra: `"uid":"${UUID}","bundle":"${DIGEST}","allowed":true`, body };
    return { kind: 'event', body };
  });
}

/** What a link says of the shard before: shard 0 has 40 entries, the others 12. */
function linkOf(key: typeof KEY, number: number): object {
  if (number === 0) return {};
  const shard = number - 1;
  const hashes = miniChain(entriesOf(shard === 0 ? 40 : 12, key, shard)).map(({ hash }) => hash);
  const checkpoint = miniNote(key, `${key.name}/${shard}`, hashes.length, miniRoot(hashes));
  return { previous: { shard, size: hashes.length, last: hashes.at(-1)?.toString('hex'), checkpoint } };
}

export const ENTRIES = entriesOf(40);
export const SHARD: MiniShard = {
  number: 0,
  key: KEY,
  entries: ENTRIES,
  checkpoints: [1, 10, 20, 30, 40],
  packs: [1, 8, 1, 10],
};
const LEAVES = miniChain(ENTRIES);

const ROOT_20 = miniRoot(LEAVES.slice(0, 20).map(({ hash }) => hash)).toString('base64');

export function noteAt(size: number, key = KEY, leaves = LEAVES): string {
  return miniNote(key, `${key.name}/0`, size, miniRoot(leaves.slice(0, size).map(({ hash }) => hash)));
}

/** Replaces a checkpoint's note. */
function setNote(db: Database.Database, size: number, note: string): void {
  db.prepare('INSERT OR REPLACE INTO checkpoint VALUES (?, ?)').run(size, Buffer.from(note));
}

/** Writes leaves `from` … `to` − 1 anew, after a change of entry `from`, so that the chain holds among them. */
function rechain(db: Database.Database, from: number, to: number): void {
  let prev = LEAVES[from - 1]?.hash ?? Buffer.alloc(32);
  for (let seq = from; seq < to; seq++) {
    const entry = ENTRIES[seq] as MiniEntry;
    const leaf = miniLeaf(seq, prev, seq === from ? { ...entry, kind: 'malformed' } : entry);
    setLeaf(db, seq, leaf.bytes);
    prev = leaf.hash;
  }
}

export interface Expected {
  readonly status: VerifyStatus;
  /** Code and inclusive range of each finding, in order; '*' for whatever else. */
  readonly findings: readonly (readonly [code: FindingCode, from?: number, to?: number])[];
}

export interface Attack {
  readonly name: string;
  readonly change?: (db: Database.Database) => void;
  /** Leaves the checksums of packs as they were. */
  readonly accident?: boolean;
  /** Something done instead to the ledger's folder, or to the shard's file in it. */
  readonly folder?: (folder: string, file: string) => void;
  /** Outside checkpoints. */
  readonly outside?: readonly string[];
  readonly keys?: readonly string[];
  readonly status: VerifyStatus;
  readonly findings: Expected['findings'];
}

/** The frame with a bit flipped that leaves what it unpacks to as it was. */
function withPaddingFlipped(frame: Buffer): Buffer {
  const records = zstdDecompressSync(frame);
  for (let bit = 0; bit < frame.length * 8; bit++) {
    const changed = Buffer.from(frame);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    try {
      if (zstdDecompressSync(changed).equals(records)) return changed;
    } catch {
      // No longer a frame: not this one.
    }
  }
  throw new Error('every bit of the frame matters');
}

/** Changes the database without covering it up. */
function alter(file: string, change: (db: Database.Database) => void): void {
  const db = new Database(file);
  try {
    change(db);
  } finally {
    db.close();
  }
}

const WITHIN = (text: string, key: string): number => text.indexOf(`"${key}":`) + key.length + 4;

/** Flips the lowest bit of a character of a value in a leaf. */
export function flipValue(db: Database.Database, seq: number, key: string, offset = 0): void {
  flipByte(db, 'leaf', seq, WITHIN(leafAt(db, seq).toString(), key) + offset, 1);
}

export const ATTACKS: readonly Attack[] = [
  { name: 'nothing', status: 'whole', findings: [] },
  { name: 'nothing, with an outside checkpoint', outside: [noteAt(20)], status: 'whole', findings: [] },

  // Leaves.
  {
    name: 'the time in a leaf is changed',
    change: (db) => flipValue(db, 13, 'time', 18),
    status: 'tampered',
    findings: [['leaf-changed', 13, 13]],
  },
  {
    name: 'prev in a leaf is changed',
    change: (db) => flipValue(db, 13, 'prev', 2),
    status: 'tampered',
    findings: [['leaf-changed', 13, 13]],
  },
  {
    name: 'prev is changed in the first leaf after a checkpoint',
    change: (db) => flipValue(db, 20, 'prev', 2),
    status: 'tampered',
    findings: [['leaf-changed', 20, 20]],
  },
  {
    name: 'the last leaf under a checkpoint is changed',
    change: (db) => flipValue(db, 19, 'time', 18),
    status: 'tampered',
    findings: [['leaf-changed', 19, 19]],
  },
  {
    name: 'the commitment in a leaf is changed',
    change: (db) => flipValue(db, 13, 'body', 2),
    status: 'tampered',
    findings: [['leaf-changed', 13, 13]],
  },
  {
    name: 'the size in a leaf is changed',
    change: (db) =>
      setLeaf(
        db,
        13,
        leafAt(db, 13)
          .toString()
          .replace(/"size":\d+/, '"size":7'),
      ),
    status: 'tampered',
    findings: [['leaf-changed', 13, 13]],
  },
  {
    name: 'a verdict is changed',
    change: (db) => setLeaf(db, 16, leafAt(db, 16).toString().replace('"allowed":true', '"allowed":false')),
    status: 'tampered',
    findings: [['leaf-changed', 16, 16]],
  },
  {
    name: 'the keys of a leaf are in another order',
    change: (db) => {
      const text = leafAt(db, 13).toString();
      setLeaf(db, 13, text.replace(/("seq":13),("time":"[^"]*")/, '$2,$1'));
    },
    status: 'tampered',
    findings: [['leaf-changed', 13, 13]],
  },
  {
    name: 'a leaf is replaced by bytes that are no leaf',
    change: (db) => setLeaf(db, 13, Buffer.alloc(100, 0xff)),
    status: 'tampered',
    findings: [['leaf-changed', 13, 13]],
  },
  {
    name: 'a leaf is larger than a leaf can be',
    change: (db) => setLeaf(db, 13, Buffer.alloc(70_000)),
    status: 'tampered',
    findings: [['leaf-changed', 13, 13]],
  },
  {
    name: 'three leaves are changed under one checkpoint',
    change: (db) => {
      for (const seq of [12, 15, 16]) flipValue(db, seq, 'time', 18);
    },
    status: 'tampered',
    findings: [
      ['leaf-changed', 12, 12],
      ['leaf-changed', 15, 15],
      ['leaf-changed', 16, 16],
    ],
  },
  {
    name: 'a leaf is changed under each of two checkpoints',
    change: (db) => {
      flipValue(db, 5, 'time', 18);
      flipValue(db, 35, 'time', 18);
    },
    status: 'tampered',
    findings: [
      ['leaf-changed', 5, 5],
      ['leaf-changed', 35, 35],
    ],
  },
  {
    name: 'the chain is made anew from a changed leaf to the end',
    change: (db) => rechain(db, 13, 40),
    status: 'tampered',
    findings: [['history-changed', 10, 19]],
  },
  {
    name: 'the chain is made anew from a changed leaf to the next checkpoint',
    change: (db) => rechain(db, 13, 20),
    status: 'tampered',
    findings: [
      ['history-changed', 10, 19],
      ['chain-broken', 19, 20],
    ],
  },

  // Bodies.
  {
    name: 'a body stored plain is changed',
    change: (db) => flipByte(db, 'pack', 9, 25),
    status: 'tampered',
    findings: [['body-changed', 9, 9]],
  },
  {
    name: 'a salt is changed',
    change: (db) => flipByte(db, 'pack', 9, 3),
    status: 'tampered',
    findings: [['body-changed', 9, 9]],
  },
  {
    name: 'the state of a record is changed',
    change: (db) => flipByte(db, 'pack', 9, 0),
    status: 'tampered',
    findings: [['body-changed', 9, 9]],
  },
  {
    name: 'one body in a pack is replaced by another of its length',
    change: (db) => {
      const bodies = ENTRIES.slice(1, 9).map(({ body }) => body);
      bodies[3] = Buffer.from((bodies[3] as Buffer).toString().replace('get', 'put'));
      const records = bodies.map((body, i) => miniRecord(LEAVES[1 + i]?.salt as Buffer, body));
      setPack(db, 1, zstdCompressSync(Buffer.concat(records)));
    },
    status: 'tampered',
    findings: [['body-changed', 4, 4]],
  },
  {
    name: 'one body in a pack is replaced by a longer one',
    change: (db) => {
      const bodies = ENTRIES.slice(1, 9).map(({ body }) => body);
      bodies[3] = Buffer.from((bodies[3] as Buffer).toString().replace('get', 'delete'));
      const records = bodies.map((body, i) => miniRecord(LEAVES[1 + i]?.salt as Buffer, body));
      setPack(db, 1, zstdCompressSync(Buffer.concat(records)));
    },
    status: 'tampered',
    findings: [['body-changed', 4, 4]],
  },
  {
    name: 'a pack cannot be unpacked',
    change: (db) => setPack(db, 1, Buffer.from('28b52ffd60ffffffff', 'hex')),
    status: 'tampered',
    findings: [['pack-damaged', 1, 8]],
  },
  {
    name: 'bytes are added behind a Zstandard frame',
    change: (db) => setPack(db, 1, Buffer.concat([packAt(db, 1), Buffer.from('more')])),
    status: 'tampered',
    findings: [['pack-damaged', 1, 8]],
  },
  {
    name: 'a pack is a Zstandard bomb',
    change: (db) => {
      const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));
      setPack(db, 1, bomb);
    },
    status: 'tampered',
    findings: [['pack-damaged', 1, 8]],
  },
  {
    name: 'a pack has an unknown codec',
    change: (db) => db.prepare('UPDATE pack SET codec = 9 WHERE first = 9').run(),
    status: 'tampered',
    findings: [['pack-damaged', 9, 9]],
  },
  {
    name: 'a bit of a pack is flipped that a decoder does not look at',
    accident: true,
    change: (db) => setPack(db, 20, withPaddingFlipped(packAt(db, 20))),
    status: 'tampered',
    findings: [['pack-damaged', 20, 39]],
  },
  {
    name: 'the checksum of a pack is changed',
    accident: true,
    change: (db) => db.prepare('UPDATE pack SET sum = zeroblob(32) WHERE first = 1').run(),
    status: 'tampered',
    findings: [['pack-damaged', 1, 8]],
  },
  {
    name: 'the checksum of a pack is too long',
    accident: true,
    change: (db) => db.prepare("UPDATE pack SET sum = CAST(sum || x'00' AS BLOB) WHERE first = 1").run(),
    status: 'tampered',
    findings: [['pack-damaged', 1, 8]],
  },
  {
    name: 'a bit of the number of a pack is flipped, which puts it far beyond the end',
    accident: true,
    change: (db) => db.prepare('UPDATE pack SET first = first + (1 << 30) WHERE first = 20').run(),
    status: 'tampered',
    findings: [
      ['body-missing', 20, 39],
      ['tail-missing', 40, 2 ** 30 + 39],
      ['pack-damaged', 2 ** 30 + 20, 2 ** 30 + 39],
    ],
  },
  {
    name: 'a pack is deleted',
    change: (db) => db.prepare('DELETE FROM pack WHERE first = 1').run(),
    status: 'incomplete',
    findings: [['body-missing', 1, 8]],
  },
  {
    name: 'the last pack is deleted',
    change: (db) => db.prepare('DELETE FROM pack WHERE first = 20').run(),
    status: 'incomplete',
    findings: [['body-missing', 20, 39]],
  },
  {
    name: 'a pack overlaps the one before it',
    change: (db) => db.prepare('UPDATE pack SET count = 9 WHERE first = 1').run(),
    status: 'tampered',
    findings: [
      ['pack-damaged', 9, 9],
      ['pack-overlap', 9, 9],
    ],
  },
  {
    name: 'the last pack says that it holds nothing',
    change: (db) => db.prepare('UPDATE pack SET count = 0 WHERE first = 20').run(),
    status: 'tampered',
    findings: [
      ['pack-damaged', 20, 20],
      ['body-missing', 20, 39],
    ],
  },
  {
    name: 'packs beyond the end overlap',
    change: (db) => {
      db.prepare('DELETE FROM leaf WHERE seq >= 8').run();
      db.prepare('UPDATE pack SET count = 3 WHERE first = 9').run();
    },
    status: 'tampered',
    findings: [
      ['tail-missing', 8, 39],
      ['pack-overlap', 10, 11],
    ],
  },
  {
    name: 'a body and its leaf are changed together',
    change: (db) => {
      const body = Buffer.from((ENTRIES[9] as MiniEntry).body.toString().replace('get', 'put'));
      const { salt, bytes } = LEAVES[9] as { salt: Buffer; bytes: Buffer };
      const commitment = createHmac('sha256', salt).update(body).digest('hex');
      setPack(db, 9, miniRecord(salt, body));
      setLeaf(db, 9, bytes.toString().replace(/"body":"[0-9a-f]+"/, `"body":"${commitment}"`));
    },
    status: 'tampered',
    findings: [['leaf-changed', 9, 9]],
  },

  // Entries as a whole.
  {
    name: 'an entry is deleted',
    change: (db) => db.prepare('DELETE FROM leaf WHERE seq = 13').run(),
    status: 'tampered',
    findings: [['entry-deleted', 13, 13]],
  },
  {
    name: 'several entries are deleted',
    change: (db) => db.prepare('DELETE FROM leaf WHERE seq BETWEEN 13 AND 15').run(),
    status: 'tampered',
    findings: [['entry-deleted', 13, 15]],
  },
  {
    name: 'an entry is deleted and the rows after it renumbered',
    change: (db) => {
      db.prepare('DELETE FROM leaf WHERE seq = 13').run();
      shiftRows(db, 'leaf', 14, -1);
    },
    status: 'tampered',
    findings: [['entry-deleted', 13, 13]],
  },
  {
    name: 'entries are deleted and the rows after them renumbered',
    change: (db) => {
      db.prepare('DELETE FROM leaf WHERE seq BETWEEN 13 AND 22').run();
      shiftRows(db, 'leaf', 23, -10);
    },
    status: 'tampered',
    findings: [['entry-deleted', 13, 22]],
  },
  {
    name: 'the first entries are deleted',
    change: (db) => db.prepare('DELETE FROM leaf WHERE seq < 4').run(),
    status: 'tampered',
    findings: [['head-missing', 0, 3]],
  },
  {
    name: 'an entry is inserted and the rows after it renumbered',
    change: (db) => {
      shiftRows(db, 'leaf', 13, 1);
      setLeaf(db, 13, miniLeaf(13, (LEAVES[12] as { hash: Buffer }).hash, ENTRIES[14] as MiniEntry, 5).bytes);
    },
    status: 'tampered',
    findings: [['entry-inserted', 13, 13]],
  },
  {
    name: 'an entry out of nowhere is inserted and the rows after it renumbered',
    change: (db) => {
      shiftRows(db, 'leaf', 13, 1);
      setLeaf(db, 13, Buffer.from('anything'));
    },
    status: 'tampered',
    findings: [['entry-inserted', 13, 13]],
  },
  {
    name: 'a second version of an entry is inserted behind it',
    change: (db) => {
      shiftRows(db, 'leaf', 14, 1);
      setLeaf(db, 14, miniLeaf(13, (LEAVES[12] as { hash: Buffer }).hash, ENTRIES[14] as MiniEntry, 5).bytes);
    },
    status: 'tampered',
    findings: [['entry-inserted', 14, 14]],
  },
  {
    name: 'two chained entries are inserted and the rows after them renumbered',
    change: (db) => {
      shiftRows(db, 'leaf', 13, 2);
      const first = miniLeaf(13, (LEAVES[12] as { hash: Buffer }).hash, ENTRIES[14] as MiniEntry, 5);
      setLeaf(db, 13, first.bytes);
      setLeaf(db, 14, miniLeaf(14, first.hash, ENTRIES[14] as MiniEntry, 5).bytes);
    },
    status: 'tampered',
    findings: [['entry-inserted', 13, 14]],
  },
  {
    name: 'two neighbours are swapped',
    change: (db) => {
      const [one, two] = [leafAt(db, 13), leafAt(db, 14)];
      setLeaf(db, 13, two);
      setLeaf(db, 14, one);
    },
    status: 'tampered',
    findings: [['entries-swapped', 13, 14]],
  },
  {
    name: 'two entries under one checkpoint are swapped',
    change: (db) => {
      const [one, two] = [leafAt(db, 12), leafAt(db, 17)];
      setLeaf(db, 12, two);
      setLeaf(db, 17, one);
    },
    status: 'tampered',
    findings: [['entries-swapped', 12, 17]],
  },
  {
    name: 'two entries far apart are swapped',
    change: (db) => {
      const [one, two] = [leafAt(db, 5), leafAt(db, 35)];
      setLeaf(db, 5, two);
      setLeaf(db, 35, one);
    },
    status: 'tampered',
    findings: [
      ['leaf-changed', 5, 5],
      ['leaf-changed', 35, 35],
    ],
  },
  {
    name: 'an entry of another ledger takes the place of one',
    change: (db) => setLeaf(db, 13, (miniChain(entriesOf(40, STRANGER, 0, 'other'))[13] as { bytes: Buffer }).bytes),
    status: 'tampered',
    findings: [['leaf-changed', 13, 13]],
  },
  {
    name: 'the newest entries are cut off, the checkpoints stay',
    change: (db) => {
      db.prepare('DELETE FROM leaf WHERE seq >= 35').run();
      db.prepare('DELETE FROM pack WHERE first >= 20').run();
    },
    status: 'incomplete',
    findings: [
      ['body-missing', 20, 34],
      ['tail-missing', 35, 39],
    ],
  },
  {
    name: 'the newest leaves are cut off, their bodies stay',
    change: (db) => {
      db.prepare('DELETE FROM leaf WHERE seq >= 35').run();
      db.prepare('DELETE FROM checkpoint WHERE size > 30').run();
    },
    status: 'incomplete',
    findings: [['tail-missing', 35, 39]],
  },

  // The unsigned tail.
  {
    name: 'a leaf in the unsigned tail is changed',
    change: (db) => {
      db.prepare('DELETE FROM checkpoint WHERE size > 20').run();
      flipValue(db, 27, 'time', 18);
    },
    status: 'tampered',
    findings: [['chain-broken', 27, 28]],
  },
  {
    name: 'prev in a leaf of the unsigned tail is changed',
    change: (db) => {
      db.prepare('DELETE FROM checkpoint WHERE size > 20').run();
      flipValue(db, 27, 'prev', 2);
    },
    status: 'tampered',
    findings: [['leaf-changed', 27, 27]],
  },
  {
    name: 'two leaves of the unsigned tail are swapped',
    change: (db) => {
      db.prepare('DELETE FROM checkpoint WHERE size > 20').run();
      const [one, two] = [leafAt(db, 25), leafAt(db, 27)];
      setLeaf(db, 25, two);
      setLeaf(db, 27, one);
    },
    status: 'tampered',
    findings: [
      ['entry-moved', 25, 25],
      ['entry-moved', 27, 27],
    ],
  },

  // Checkpoints.
  {
    name: 'a byte of a signature is changed',
    change: (db) => flipByte(db, 'checkpoint', 20, noteAt(20).indexOf('\u2014') + 40, 1),
    status: 'tampered',
    findings: [['checkpoint-altered']],
  },
  {
    name: 'the root in a checkpoint is changed',
    change: (db) =>
      setNote(
        db,
        20,
        noteAt(20).replace(/\n20\n./, (text) => `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`),
      ),
    status: 'tampered',
    findings: [['checkpoint-altered']],
  },
  {
    name: 'a checkpoint stands in the row of another size',
    change: (db) => setNote(db, 15, noteAt(20)),
    status: 'tampered',
    findings: [['checkpoint-altered']],
  },
  {
    name: 'a checkpoint is not a note',
    change: (db) => setNote(db, 20, 'anything'),
    status: 'tampered',
    findings: [['checkpoint-altered']],
  },
  {
    name: 'a checkpoint is a gigantic blob',
    change: (db) => setNote(db, 20, 'x'.repeat(10_000_000)),
    status: 'tampered',
    findings: [['checkpoint-altered']],
  },
  {
    name: 'a checkpoint is signed by another key of the same name',
    change: (db) => setNote(db, 20, noteAt(20, OTHER)),
    status: 'tampered',
    findings: [['checkpoint-other-key']],
  },
  {
    name: 'one checkpoint is of another history under the same key',
    change: (db) => setNote(db, 20, noteAt(20, KEY, miniChain(entriesOf(40, KEY, 0, 'forged')))),
    status: 'tampered',
    findings: [['checkpoint-fork', 10, 19]],
  },
  {
    name: 'a checkpoint with extension lines, properly signed',
    change: (db) => setNote(db, 20, miniSign(KEY, `${KEY.name}/0\n20\n${ROOT_20}\nextension\n`)),
    status: 'tampered',
    findings: [['checkpoint-altered']],
  },
  {
    name: 'all checkpoints are deleted',
    change: (db) => db.prepare('DELETE FROM checkpoint').run(),
    status: 'tampered',
    findings: [['checkpoint-missing']],
  },
  {
    name: 'all checkpoints are signed by another key of the same name',
    folder: (folder) => writeMiniShard(folder, { ...SHARD, key: OTHER }),
    status: 'wrong-key',
    findings: [['checkpoint-other-key']],
  },
  {
    name: 'the ledger is of another log',
    keys: [STRANGER.vkey],
    status: 'wrong-key',
    findings: [['checkpoint-other-key']],
  },
  {
    name: 'the ledger is of another log, and changed',
    keys: [STRANGER.vkey],
    change: (db) => flipByte(db, 'pack', 9, 25),
    status: 'tampered',
    findings: [['checkpoint-other-key'], ['body-changed', 9, 9]],
  },

  // With a checkpoint from outside.
  {
    name: 'the tail is cut off without a trace in the file',
    change: (db) => {
      db.prepare('DELETE FROM leaf WHERE seq >= 20').run();
      db.prepare('DELETE FROM pack WHERE first >= 20').run();
      db.prepare('DELETE FROM checkpoint WHERE size > 20').run();
    },
    outside: [noteAt(30)],
    status: 'incomplete',
    findings: [['rolled-back', 20, 29]],
  },
  {
    name: 'an older copy was put back and written on',
    folder: (folder) => {
      const entries = [...ENTRIES.slice(0, 20), ...entriesOf(45, KEY, 0, 'later').slice(20)];
      writeMiniShard(folder, { ...SHARD, entries, checkpoints: [10, 20, 45] });
    },
    outside: [noteAt(30), noteAt(20)],
    status: 'tampered',
    findings: [['outside-fork', 20, 29]],
  },
  {
    name: 'the holder of the key wrote everything anew',
    folder: (folder) => writeMiniShard(folder, { ...SHARD, entries: entriesOf(40, KEY, 0, 'rewritten') }),
    outside: [noteAt(40)],
    status: 'tampered',
    findings: [['outside-fork', 0, 39]],
  },
  {
    name: 'the holder of the key rewrote what only the tail of an outside checkpoint covers',
    folder: (folder) => {
      const entries = [...ENTRIES.slice(0, 33), ...entriesOf(40, KEY, 0, 'rewritten').slice(33)];
      writeMiniShard(folder, { ...SHARD, entries, checkpoints: [10, 40] });
    },
    outside: [noteAt(35), noteAt(30)],
    status: 'tampered',
    findings: [['outside-fork', 30, 34]],
  },

  // The beginning.
  {
    name: 'the start entry is of another log, signed so',
    folder: (folder) => writeMiniShard(folder, { ...SHARD, entries: [...entriesOf(1, STRANGER), ...ENTRIES.slice(1)] }),
    status: 'tampered',
    findings: [['start-mismatch', 0, 0]],
  },
  {
    name: 'the first entry is not a start, signed so',
    folder: (folder) => writeMiniShard(folder, { ...SHARD, entries: ENTRIES.slice(2), checkpoints: [38] }),
    status: 'tampered',
    findings: [['start-mismatch', 0, 0]],
  },

  // Files and tables.
  {
    name: 'a database in UTF-16, in which a leaf only reads like the one that was recorded',
    folder: (_folder, file) => {
      const old = new Database(file, { readonly: true });
      const rows = (table: string): unknown[][] => old.prepare(`SELECT * FROM ${table}`).raw().all() as unknown[][];
      const tables = ['meta', 'leaf', 'pack', 'checkpoint', 'subtree'];
      const content = tables.map((table) => [table, rows(table)] as const);
      const schema = old.prepare("SELECT sql FROM sqlite_schema WHERE type = 'table'").pluck().all() as string[];
      const triggers = old.prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger'").pluck().all() as string[];
      old.close();
      fs.rmSync(file);
      const db = new Database(file);
      db.pragma("encoding = 'UTF-16le'");
      db.pragma('application_id = 1397181508');
      db.pragma('user_version = 1');
      for (const sql of schema) db.exec(sql);
      for (const [table, all] of content) {
        for (const row of all) db.prepare(`INSERT INTO ${table} VALUES (${row.map(() => '?').join()})`).run(...row);
      }
      setLeaf(db, 13, Buffer.from(leafAt(db, 13).toString(), 'utf16le'));
      for (const sql of triggers) db.exec(sql);
      db.close();
    },
    status: 'tampered',
    findings: [['leaf-changed', 13, 13]],
  },
  {
    name: 'a view stands in the place of a table',
    change: (db) => {
      db.exec('ALTER TABLE leaf RENAME TO hidden; CREATE VIEW leaf AS SELECT seq, leaf FROM hidden');
    },
    status: 'tampered',
    findings: [['database-damaged']],
  },
  {
    name: 'a table is missing',
    change: (db) => db.exec('DROP TABLE pack'),
    status: 'tampered',
    findings: [['database-damaged']],
  },
  {
    name: 'a column is computed',
    change: (db) => {
      db.exec(
        "DROP TABLE pack; CREATE TABLE pack (first INTEGER PRIMARY KEY, count INTEGER, codec INTEGER, data BLOB AS (x'00'), sum BLOB)",
      );
    },
    status: 'tampered',
    findings: [['database-damaged']],
  },
  {
    name: 'a table without types holds a text for a leaf and a number for a note',
    change: (db) => {
      const leaves = db.prepare('SELECT seq, leaf FROM leaf').raw().all();
      db.exec('DROP TABLE leaf; CREATE TABLE leaf (seq INTEGER PRIMARY KEY, leaf BLOB)');
      const insert = db.prepare('INSERT INTO leaf VALUES (?, ?)');
      for (const [seq, leaf] of leaves as [number, Buffer][]) insert.run(seq, seq === 13 ? 'text' : leaf);
      db.exec('CREATE TABLE c (size INTEGER PRIMARY KEY, note BLOB); INSERT INTO c SELECT * FROM checkpoint');
      db.exec('UPDATE c SET note = 17 WHERE size = 30; DROP TABLE checkpoint; ALTER TABLE c RENAME TO checkpoint');
    },
    status: 'tampered',
    findings: [['checkpoint-altered'], ['schema-changed'], ['schema-changed'], ['leaf-changed', 13, 13]],
  },
  {
    name: 'rows have numbers that no entry can have',
    change: (db) => {
      setLeaf(db, -5, 'x');
      db.prepare('INSERT INTO leaf VALUES (9223372036854775807, ?)').run(Buffer.from('y'));
    },
    status: 'tampered',
    findings: [['entry-inserted']],
  },
  {
    name: 'a row stands far beyond the end',
    change: (db) => setLeaf(db, 2 ** 40, 'x'),
    status: 'tampered',
    findings: [
      ['entry-deleted', 40, 2 ** 40 - 1],
      ['body-missing', 2 ** 40, 2 ** 40],
      ['leaf-changed', 2 ** 40, 2 ** 40],
    ],
  },
  {
    name: 'indexes are added',
    change: (db) => db.exec('CREATE INDEX lie ON leaf (seq, leaf); CREATE INDEX lie2 ON leaf (seq) WHERE seq < 5'),
    status: 'tampered',
    findings: [['schema-changed'], ['schema-changed']],
  },
  {
    name: 'a view and a table are added',
    change: (db) => db.exec('CREATE TABLE more (x); CREATE VIEW entries AS SELECT seq FROM leaf'),
    status: 'tampered',
    findings: [['schema-changed'], ['schema-changed']],
  },
  {
    name: 'a trigger is added that drops what is appended',
    change: (db) => db.exec('CREATE TRIGGER sneaky BEFORE INSERT ON leaf BEGIN SELECT RAISE(IGNORE); END'),
    status: 'tampered',
    findings: [['schema-changed']],
  },
  {
    name: 'a trigger is missing',
    folder: (_folder, file) => alter(file, (db) => db.exec('DROP TRIGGER leaf_delete')),
    status: 'tampered',
    findings: [['schema-changed']],
  },
  {
    name: 'a trigger is another one under its name',
    folder: (_folder, file) =>
      alter(file, (db) =>
        db.exec('DROP TRIGGER pack_update; CREATE TRIGGER pack_update BEFORE UPDATE ON pack BEGIN SELECT 1; END'),
      ),
    status: 'tampered',
    findings: [['schema-changed']],
  },
  {
    name: 'all triggers are missing',
    folder: (_folder, file) =>
      alter(file, (db) => {
        const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all();
        for (const name of names) db.exec(`DROP TRIGGER ${name}`);
      }),
    status: 'tampered',
    findings: Array.from({ length: 15 }, () => ['schema-changed'] as const),
  },
  {
    name: 'a trigger is missing and an entry is changed',
    folder: (_folder, file) =>
      alter(file, (db) => {
        db.exec('DROP TRIGGER leaf_update');
        flipValue(db, 13, 'time', 18);
      }),
    status: 'tampered',
    findings: [['schema-changed'], ['leaf-changed', 13, 13]],
  },
  {
    name: 'ANALYZE was run',
    change: (db) => db.exec('ANALYZE'),
    status: 'whole',
    findings: [],
  },
  {
    name: 'the table of derived hashes is missing',
    change: (db) => db.exec('DROP TABLE subtree'),
    status: 'tampered',
    findings: Array.from({ length: 4 }, () => ['schema-changed'] as const),
  },
  {
    name: 'the table for people is changed',
    change: (db) => db.exec("UPDATE meta SET value = 'example.org/else' WHERE key = 'origin'"),
    status: 'tampered',
    findings: [['meta-changed']],
  },
];
