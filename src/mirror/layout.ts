// The layout of a mirror: which key holds what of a shard, and the form of body bundles (docs/mirror.md, "What is in it").
// What is read back is attacker-controlled: whoever may write to the bucket chose it.
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { SealgateError } from '../lib/errors.ts';
import { parseDecimal } from '../tlog/decimal.ts';
import { type EntryBundle, parseTilePath, TILE_WIDTH, type Tile, tilePath } from '../tlog/tile-path.ts';

/** A body above this stands alone, so that one huge object does not make a bundle huge. */
export const LARGE_BODY_BYTES = 64 * 1024;

/** What a key below a shard's origin stands for. */
export type MirrorObject =
  /** The newest checkpoint: the one key whose content changes. */
  | { readonly kind: 'checkpoint' }
  /** The checkpoint of that size, written once. */
  | { readonly kind: 'checkpoints'; readonly size: number }
  | Tile
  | EntryBundle
  /** Bodies and salts of entries index·256 … index·256 + width − 1, those of the entry bundle of the same index and width. */
  | { readonly kind: 'bodies'; readonly index: number; readonly width: number }
  /** The body of one entry that is above LARGE_BODY_BYTES, with its salt. */
  | { readonly kind: 'large'; readonly seq: number };

/** What a body bundle says of one entry. */
export type BodyRecord =
  | { readonly salt: Uint8Array; readonly body: Uint8Array }
  /** The body is too large for the bundle and stands under its own key; how many bytes it has. */
  | { readonly salt: Uint8Array; readonly large: number };

const ENTRIES = 'tile/entries/';
const BODIES = 'bodies/';

/** The key of an object of the shard with this origin, relative to the prefix of the store. Throws ARGUMENT_INVALID (TlogError). */
export function mirrorKey(origin: string, object: MirrorObject): string {
  return `${origin}/${pathOf(object)}`;
}

/** Reads a key below `<origin>/`; exactly what mirrorKey writes is accepted, anything else is undefined. */
export function parseMirrorPath(path: string): MirrorObject | undefined {
  const object = readPath(path);
  return object !== undefined && pathOf(object) === path ? object : undefined;
}

function pathOf(object: MirrorObject): string {
  switch (object.kind) {
    case 'checkpoint':
      return 'checkpoint';
    case 'checkpoints':
      return `checkpoints/${object.size}`;
    case 'bodies':
      return BODIES + tilePath({ ...object, kind: 'entries' }).slice(ENTRIES.length);
    case 'large':
      return `bodies/large/${object.seq}`;
    default:
      return tilePath(object);
  }
}

function readPath(path: string): MirrorObject | undefined {
  if (path === 'checkpoint') return { kind: 'checkpoint' };
  const [, size] = /^checkpoints\/([0-9]+)$/.exec(path) ?? [];
  if (size !== undefined) return numbered(size, (value) => ({ kind: 'checkpoints', size: value }));
  const [, seq] = /^bodies\/large\/([0-9]+)$/.exec(path) ?? [];
  if (seq !== undefined) return numbered(seq, (value) => ({ kind: 'large', seq: value }));
  const bodies = path.startsWith(BODIES);
  try {
    const tile = parseTilePath(bodies ? ENTRIES + path.slice(BODIES.length) : path);
    return bodies ? { kind: 'bodies', index: tile.index, width: tile.width } : tile;
  } catch {
    return undefined;
  }
}

function numbered(digits: string, of: (value: number) => MirrorObject): MirrorObject | undefined {
  const value = parseDecimal(digits);
  return value === undefined ? undefined : of(value);
}

const MAGIC = Buffer.from('SGB1');
const HEADER_BYTES = MAGIC.length + 1;
const CODEC_NONE = 0;
const CODEC_ZSTD = 1;
const STATE_HERE = 1;
const STATE_ALONE = 2;
const SALT_BYTES = 16;
/** state, salt, length of the body */
const RECORD_BYTES = 1 + SALT_BYTES + 4;
const MAX_BODY_BYTES = 2 ** 32 - 1;
/** Level 1: what the writer of the ledger uses, at 2 µs an audit event. */
const ZSTD_PARAMS = { [constants.ZSTD_c_compressionLevel]: 1 };
/** The smallest that zlib takes. */
const MIN_CHUNK_BYTES = 64;

/** The most bytes that an honest bundle of `count` records has. */
export function maxBundleBytes(count: number): number {
  return HEADER_BYTES + count * (RECORD_BYTES + LARGE_BODY_BYTES);
}

/** The most bytes that an honest object with one large body of `size` bytes has. */
export function maxLargeBytes(size: number): number {
  return HEADER_BYTES + RECORD_BYTES + size;
}

/** The body of an entry as a bundle has it: itself, or how large it is. */
export function bodyRecord(salt: Uint8Array, body: Uint8Array): BodyRecord {
  return body.length > LARGE_BODY_BYTES ? { salt, large: body.length } : { salt, body };
}

/** Throws RangeError unless there are 1 to 256 records as bodyRecord makes them. The bytes are a function of the records. */
export function encodeBodyBundle(records: readonly BodyRecord[]): Buffer {
  if (records.length < 1 || records.length > TILE_WIDTH) {
    throw new RangeError(`a body bundle has 1 to ${TILE_WIDTH} records, not ${records.length}`);
  }
  for (const record of records) {
    const length = 'body' in record ? record.body.length : record.large;
    if (length > LARGE_BODY_BYTES === 'body' in record) {
      throw new RangeError(`a body of ${length} bytes has no place in a record of that form`);
    }
  }
  return encode(records);
}

/** The object under `bodies/large/<seq>`. */
export function encodeLargeBody(salt: Uint8Array, body: Uint8Array): Buffer {
  return encode([{ salt, body }]);
}

/**
 * Takes a bundle of `count` entries apart, unpacking no more than an honest one has. Whether the bodies are those that the
 * leaves commit to is for the caller to find out. Throws MIRROR_OBJECT_MALFORMED.
 */
export function decodeBodyBundle(bytes: Uint8Array, count: number): BodyRecord[] {
  const records = decode(bytes, count, maxBundleBytes(count) - HEADER_BYTES);
  for (const [i, record] of records.entries()) {
    const length = 'body' in record ? record.body.length : record.large;
    if (length > LARGE_BODY_BYTES === 'body' in record) {
      throw malformed(`record ${i} has ${length} bytes, which ${'body' in record ? 'stand alone' : 'belong in it'}`);
    }
  }
  return records;
}

/** The large body of an entry whose leaf says that it has `size` bytes. Throws MIRROR_OBJECT_MALFORMED. */
export function decodeLargeBody(
  bytes: Uint8Array,
  size: number,
): { readonly salt: Uint8Array; readonly body: Uint8Array } {
  const [record] = decode(bytes, 1, maxLargeBytes(size) - HEADER_BYTES);
  if (record === undefined || !('body' in record) || record.body.length !== size) {
    throw malformed(`it does not hold a body of ${size} bytes`);
  }
  return record;
}

function encode(list: readonly BodyRecord[]): Buffer {
  const size = (record: BodyRecord) => RECORD_BYTES + ('body' in record ? record.body.length : 0);
  const records = Buffer.allocUnsafe(list.reduce((sum, record) => sum + size(record), 0));
  let at = 0;
  for (const record of list) {
    const here = 'body' in record;
    const length = here ? record.body.length : record.large;
    if (record.salt.length !== SALT_BYTES)
      throw new RangeError(`a salt has ${SALT_BYTES} bytes, not ${record.salt.length}`);
    if (length > MAX_BODY_BYTES) throw new RangeError(`a body has at most ${MAX_BODY_BYTES} bytes, not ${length}`);
    records[at] = here ? STATE_HERE : STATE_ALONE;
    records.set(record.salt, at + 1);
    at = records.writeUInt32BE(length, at + 1 + SALT_BYTES);
    if (here) records.set(record.body, at);
    if (here) at += length;
  }
  // One chunk, for the reason that src/ledger/compressor.ts gives: else an empty second frame may follow.
  const chunkSize = Math.max(records.length, MIN_CHUNK_BYTES);
  const packed = zstdCompressSync(records, { params: ZSTD_PARAMS, chunkSize });
  const [codec, data] = packed.length < records.length ? [CODEC_ZSTD, packed] : [CODEC_NONE, records];
  return Buffer.concat([MAGIC, Buffer.of(codec), data]);
}

function decode(bytes: Uint8Array, count: number, maxBytes: number): BodyRecord[] {
  const object = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (object.length < HEADER_BYTES || !object.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw malformed('it does not begin with SGB1');
  }
  const records = unpack(object[MAGIC.length] ?? -1, object.subarray(HEADER_BYTES), maxBytes);
  const list: BodyRecord[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + RECORD_BYTES > records.length) throw malformed(`record ${i} is cut off`);
    const state = records[at];
    const salt = records.subarray(at + 1, at + 1 + SALT_BYTES);
    const length = records.readUInt32BE(at + 1 + SALT_BYTES);
    at += RECORD_BYTES;
    if (state === STATE_ALONE) {
      list.push({ salt, large: length });
      continue;
    }
    if (state !== STATE_HERE) throw malformed(`record ${i} has the unknown state ${state}`);
    if (at + length > records.length) throw malformed(`the body of record ${i} is cut off`);
    list.push({ salt, body: records.subarray(at, at + length) });
    at += length;
  }
  if (at !== records.length) throw malformed(`${records.length - at} bytes follow the last record`);
  return list;
}

function unpack(codec: number, data: Buffer, maxBytes: number): Buffer {
  if (codec === CODEC_NONE) return data;
  if (codec !== CODEC_ZSTD) throw malformed(`codec ${codec} is unknown`);
  try {
    return zstdDecompressSync(data, { maxOutputLength: maxBytes });
  } catch (error) {
    throw malformed('it cannot be decompressed, or not within the size that belongs there', error);
  }
}

function malformed(why: string, cause?: unknown): SealgateError {
  return new SealgateError('MIRROR_OBJECT_MALFORMED', `not a bundle of bodies: ${why}`, { cause });
}
