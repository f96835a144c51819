// docs/ledger-format.md, "Key rotation": which key signs which shard.
import type { DatabaseSync } from 'node:sqlite';
import { zstdDecompressSync } from 'node:zlib';
import { type Key, openNote, parseVkey } from './note.ts';

export interface Rotation {
  previous: Key;
  next: Key;
  shard: number;
}
/** Shards from `from` on, up to the next era, are signed by `key`. */
export interface Era {
  from: number;
  key: Key;
}

export const same = (one: Key, other: Key): boolean => one.vkey === other.vkey;

/** The statement of the shard's link, when there is one and both its keys signed it. */
export function rotationIn(db: DatabaseSync, shard: number | undefined): Rotation | undefined {
  try {
    const row = db.prepare('SELECT codec, data FROM pack NOT INDEXED WHERE first = 0 AND length(data) < 2000000').get();
    if (!(row?.['data'] instanceof Uint8Array)) return undefined;
    const packed = Buffer.from(row['data']);
    const records = row['codec'] === 1 ? zstdDecompressSync(packed, { maxOutputLength: 1048576 }) : packed;
    const body = JSON.parse(records.toString('utf8', 21, 21 + records.readUInt32BE(17)));
    return typeof body.rotation === 'string' ? openRotation(body.rotation, shard) : undefined;
  } catch {
    return undefined; // whatever is wrong with it is found when the shard is verified
  }
}

/** A statement for this shard, or for whichever it names; undefined when it is none, or not signed by both. */
export function openRotation(statement: string, shard: number | undefined): Rotation | undefined {
  try {
    const [header, log, from, to, number, ...rest] = statement.slice(0, statement.lastIndexOf('\n\n') + 1).split('\n');
    if (header !== 'sealgate key rotation v1' || rest.join() !== '') return undefined;
    if (!/^[1-9][0-9]{0,14}$/.test(number ?? '') || (shard ?? Number(number)) !== Number(number)) return undefined;
    const [previous, next] = [parseVkey(from ?? ''), parseVkey(to ?? '')];
    if (previous.name !== log || next.name !== log || same(previous, next)) return undefined;
    const signed = [previous, next].every((key) => typeof openNote(Buffer.from(statement), key) === 'string');
    return signed ? { previous, next, shard: Number(number) } : undefined;
  } catch {
    return undefined;
  }
}

/** No eras unless every statement passes on the key that the one before it named, and the given key is among them. */
export function erasOf(rotations: Rotation[], given: Key): Era[] {
  const eras: Era[] = [];
  for (const { previous, next, shard } of rotations.toSorted((a, b) => a.shard - b.shard)) {
    if (eras.length === 0) eras.push({ from: 0, key: previous });
    if (!same(eras.at(-1)?.key ?? given, previous)) return [];
    eras.push({ from: shard, key: next });
  }
  return eras.some(({ key }) => same(key, given)) ? eras : [];
}
