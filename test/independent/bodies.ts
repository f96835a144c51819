// Packs: holds their bytes against their checksum, unpacks them and holds each body against the commitment in its leaf.
import { createHash, createHmac } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import type { Add } from './finding.ts';
import type { Leaf } from './leaf.ts';

/** An INTEGER column that was read as a BigInt; NaN for what is not a number that an entry can have. */
export function int(value: unknown): number {
  return typeof value === 'bigint' && value >= 0n && value < 2n ** 49n ? Number(value) : Number.NaN;
}

/** What a pack of one may unpack to. */
const MAX_RECORDS = 2 ** 28;

interface Pack {
  first: number;
  end: number;
  codec: number;
  data: Uint8Array;
  /** Its checksum, until it was compared. */
  sum: unknown;
  /** Once it was decoded. */
  records?: Buffer;
  /** Entry whose record is next, and where it begins. */
  next: number;
  offset: number;
  /** Given up: the rest of it cannot be judged. */
  given: boolean;
}

/** Of the Zstandard frame at the beginning (RFC 8878, 3.1.1); NaN when there is none, or one that refers to a dictionary. */
function frameLength(data: Buffer): number {
  const descriptor = data[4] ?? 0xff;
  if (data.readUInt32LE(0) !== 0xfd2fb528 || (descriptor & 0b11011) !== 0) return Number.NaN;
  const single = (descriptor >> 5) & 1;
  const contentSize = [single, 2, 4, 8][descriptor >> 6] ?? 0;
  let at = 5 + (1 - single) + contentSize;
  for (let last = 0; last === 0; ) {
    const block = data.readUIntLE(at, 3); // throws beyond the end
    last = block & 1;
    at += 3 + (((block >> 1) & 3) === 1 ? 1 : block >> 3);
  }
  return at + ((descriptor >> 2) & 1) * 4;
}

/** Undoes the codec, to at most `limit` bytes. */
function decode(pack: Pack, limit: number): Buffer {
  if (pack.codec !== 0 && pack.codec !== 1) throw new Error(`codec ${pack.codec} is not one of this version`);
  const data = Buffer.from(pack.data);
  if (limit > MAX_RECORDS) throw new Error('its leaf says more than a pack can hold');
  if (pack.codec === 1) {
    if (frameLength(data) !== data.length) throw new Error('it is not one Zstandard frame');
    return zstdDecompressSync(data, { maxOutputLength: limit });
  }
  if (data.length > limit) throw new Error('it is larger than its entries');
  return data;
}

/** Walks the packs beside the leaves. */
export class Bodies {
  readonly #packs: Iterator<Record<string, unknown>>;
  readonly #report: Add;
  /** The body of entry 0, when it is what its leaf commits to. */
  first: Buffer | undefined;
  /** Bodies of `removal` entries that are what their leaves commit to. */
  readonly removals: { seq: number; body: Buffer }[] = [];
  #current: Pack | undefined;
  #covered = 0;
  #missing: { from: number; to: number } | undefined;

  constructor(packs: Iterator<Record<string, unknown>>, report: Add) {
    this.#packs = packs;
    this.#report = report;
    this.#current = this.#load();
  }

  #load(): Pack | undefined {
    for (let row = this.#packs.next(); row.done !== true; row = this.#packs.next()) {
      const [first, count, codec] = [int(row.value['first']), int(row.value['count']), int(row.value['codec'])];
      const data = row.value['data'];
      const end = first + count;
      if (!(count >= 1 && count <= 256) || !(data instanceof Uint8Array) || !Number.isSafeInteger(end)) {
        this.#report(
          'tampered',
          `a pack is malformed: first ${row.value['first']}, count ${row.value['count']}, codec ${codec}`,
        );
      } else if (first < this.#covered) {
        this.#report('tampered', 'a pack overlaps the one before', first, Math.min(end, this.#covered) - 1);
      } else {
        this.#covered = end;
        return { first, end, codec, data, sum: row.value['sum'], offset: 0, next: first, given: false };
      }
    }
    return undefined;
  }

  /** `leaf` undefined: it is malformed, its body cannot be judged. To be called with rising `seq`, leaving out missing leaves. */
  check(seq: number, leaf: Leaf | undefined): void {
    while (this.#current !== undefined && this.#current.end <= seq) this.#current = this.#load();
    const pack = this.#current;
    if (pack === undefined || pack.first > seq) {
      if (this.#missing?.to === seq - 1) this.#missing.to = seq;
      else {
        this.#reportMissing();
        this.#missing = { from: seq, to: seq };
      }
      return;
    }
    this.#sum(pack);
    // The walk goes by the records' own lengths. A pack of one with a malformed leaf has no limit to unpack it by.
    if (leaf === undefined && pack.end - pack.first === 1) return;
    while (pack.next < seq && !pack.given) this.#record(pack, undefined);
    if (!pack.given) this.#record(pack, leaf);
  }

  #sum(pack: Pack): void {
    const { sum, codec, data, first, end } = pack;
    if (sum === undefined) return;
    pack.sum = undefined;
    if (codec !== 0 && codec !== 1) {
      this.#report('tampered', `codec ${codec} is not one of this version`, first, end - 1);
      return;
    }
    const head = Buffer.alloc(13);
    head.writeBigUInt64BE(BigInt(first));
    head.writeUInt32BE(end - first, 8);
    head.writeUInt8(codec, 12);
    const own = createHash('sha256').update(head).update(data).digest();
    if (!(sum instanceof Uint8Array) || !own.equals(sum))
      this.#report('tampered', 'the pack does not have its checksum', first, end - 1);
  }

  #record(pack: Pack, leaf: Leaf | undefined): void {
    const seq = pack.next++;
    const { first, end, offset } = pack;
    const giveUp = (message: string, from: number, to: number): void => {
      pack.given = true;
      this.#report('tampered', message, from, to);
    };
    try {
      pack.records ??= decode(pack, end - first === 1 ? 21 + (leaf?.size ?? 0) : 2 ** 20);
    } catch (error) {
      giveUp(`the pack cannot be unpacked: ${error instanceof Error ? error.message : error}`, first, end - 1);
      return;
    }
    const { records } = pack;
    if (records.length < offset + 21 || records[offset] !== 1) {
      giveUp('the record is cut off or of no state of this version', seq, seq);
      return;
    }
    const length = records.readUInt32BE(offset + 17);
    pack.offset += 21 + length;
    if (pack.offset > records.length || (leaf !== undefined && length !== leaf.size)) {
      giveUp('the length of the body is not the one in the leaf', seq, seq);
      return;
    }
    if (leaf !== undefined) {
      const hmac = createHmac('sha256', records.subarray(offset + 1, offset + 17));
      const body = records.subarray(offset + 21, pack.offset);
      if (hmac.update(body).digest('hex') !== leaf.body) {
        this.#report('tampered', 'the body is not the one the leaf commits to', seq, seq);
      } else {
        if (seq === 0) this.first = body;
        if (leaf.kind === 'removal') this.removals.push({ seq, body: Buffer.from(body) });
      }
    }
    if (pack.next === end && pack.offset !== records.length)
      giveUp('the pack holds more than its records', first, end - 1);
  }

  #reportMissing(): void {
    if (this.#missing === undefined) return;
    const { from, to } = this.#missing;
    this.#report('incomplete', 'the body is missing', from, to);
    this.#missing = undefined;
  }

  /** After the last leaf, `size` of them. */
  finish(size: number): void {
    this.#reportMissing();
    const open = this.#current;
    if (open !== undefined && open.first < size && open.end - open.first > 1) {
      while (open.next < open.end && !open.given) this.#record(open, undefined);
    }
    for (let pack = this.#current; pack !== undefined; pack = this.#load()) {
      const from = Math.max(pack.first, size);
      this.#sum(pack);
      if (pack.end > size)
        this.#report('incomplete', 'there are bodies, but their leaves are missing', from, pack.end - 1);
    }
  }
}
