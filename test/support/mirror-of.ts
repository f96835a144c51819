// Puts a shard into a store as docs/mirror.md lays it out, push by push, without the code that does so in the pod.
import { TreeReader } from '../../src/ledger/tree-reader.ts';
import { readLeaf } from '../../src/ledger/verify-leaf.ts';
import { bodyRecord, encodeBodyBundle, encodeLargeBody, mirrorKey } from '../../src/mirror/layout.ts';
import type { ObjectStore } from '../../src/mirror/stores/store.ts';
import { parseCheckpoint } from '../../src/tlog/checkpoint.ts';
import { encodeEntryBundle } from '../../src/tlog/entry-bundle.ts';
import { leafHash } from '../../src/tlog/merkle.ts';
import { parseNote } from '../../src/tlog/note.ts';
import { TileBuilder } from '../../src/tlog/tile-builder.ts';
import { checkpointsOf } from './checkpoints-of.ts';
import { type MiniEntry, type MiniKey, miniChain, miniNote, miniRoot } from './mini-ledger.ts';

interface Stored {
  readonly leaf: Buffer;
  readonly salt: Buffer;
  readonly body: Buffer;
}

type Read = (from: number, to: number) => Stored[];

/** Pushes a ledger's shard at each of its checkpoints. Returns its origin. */
export async function mirrorShard(store: ObjectStore, file: string): Promise<string> {
  const notes = checkpointsOf(file);
  const { origin } = parseCheckpoint(parseNote(notes[0]?.note ?? '').text);
  const reader = TreeReader.open(file);
  const read: Read = (from, to) =>
    reader.leaves(from, to).map((leaf, i) => {
      const { salt, body } = reader.body(from + i, readLeaf(leaf.toString('latin1'))?.size ?? 0);
      return { leaf, salt, body };
    });
  try {
    let before = 0;
    for (const { size, note } of notes) {
      await push(store, origin, before, size, note, read);
      before = size;
    }
  } finally {
    reader.close();
  }
  return origin;
}

/** Pushes entries that no writer wrote, at these sizes. */
export async function mirrorEntries(
  store: ObjectStore,
  key: MiniKey,
  number: number,
  entries: readonly MiniEntry[],
  sizes: readonly number[],
): Promise<void> {
  const origin = `${key.name}/${number}`;
  const leaves = miniChain(entries);
  const stored = leaves.map(({ bytes, salt }, i) => ({ leaf: bytes, salt, body: entries[i]?.body as Buffer }));
  let before = 0;
  for (const size of sizes) {
    const root = miniRoot(leaves.slice(0, size).map(({ hash }) => hash));
    const note = Buffer.from(miniNote(key, origin, size, root));
    await push(store, origin, before, size, note, (from, to) => stored.slice(from, to));
    before = size;
  }
}

async function push(
  store: ObjectStore,
  origin: string,
  before: number,
  size: number,
  note: Buffer,
  read: Read,
): Promise<void> {
  const objects: { key: string; bytes: Buffer; full: boolean }[] = [];
  const put = (key: string, bytes: Buffer, full: boolean): void => void objects.push({ key, bytes, full });
  const builder = new TileBuilder((tile, bytes) => put(mirrorKey(origin, tile), bytes, tile.width === 256));
  for (let first = 0; first < size; first += 256) {
    const stored = read(first, Math.min(size, first + 256));
    for (const { leaf } of stored) builder.append(leafHash(leaf));
    const [index, width] = [first / 256, stored.length];
    if (first + width <= before) continue;
    const full = width === 256;
    put(mirrorKey(origin, { kind: 'entries', index, width }), encodeEntryBundle(stored.map(({ leaf }) => leaf)), full);
    const records = stored.map(({ salt, body }) => bodyRecord(salt, body));
    put(mirrorKey(origin, { kind: 'bodies', index, width }), encodeBodyBundle(records), full);
    for (const [i, { salt, body }] of stored.entries()) {
      if (body.length > 65_536)
        put(mirrorKey(origin, { kind: 'large', seq: first + i }), encodeLargeBody(salt, body), true);
    }
  }
  builder.writePartial();
  for (const { key, bytes, full } of objects) await store.create(key, bytes, full ? 'log' : 'partial');
  await store.create(mirrorKey(origin, { kind: 'checkpoints', size }), note, 'log');
  await store.replace(mirrorKey(origin, { kind: 'checkpoint' }), note, 'partial');
}
