// Reads DER (ITU-T X.690): nested tags, lengths and contents, nothing decoded until it is asked for. What is malformed,
// or goes on behind its end, is a BuiltinError.
import { BuiltinError } from './error.ts';

/** Tags that X.509 uses; context-specific ones are 0x80 | n, and 0xa0 | n when they hold others. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

export class Der {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag and length included. */
  readonly raw: Buffer;

  constructor(tag: number, content: Buffer, raw: Buffer) {
    this.tag = tag;
    this.content = content;
    this.raw = raw;
  }

  /** The one value that the bytes hold. */
  static of(bytes: Buffer): Der {
    const [value, ...more] = readAll(bytes);
    if (value === undefined || more.length > 0) throw malformed();
    return value;
  }

  /** The values inside. */
  children(): Der[] {
    return readAll(this.content);
  }

  /** Itself, if it has that tag. */
  expect(tag: number): Der {
    if (this.tag !== tag) throw malformed();
    return this;
  }

  /** A signed integer. */
  integer(): bigint {
    if (this.content.length === 0) throw malformed();
    const value = BigInt(`0x${this.content.toString('hex')}`);
    return BigInt.asIntN(this.content.length * 8, value);
  }

  boolean(): boolean {
    return this.content.length === 1 && this.content[0] === 0xff;
  }

  /** Contents of a bit string; the unused bits at its end are zeros. */
  bits(): Buffer {
    if (this.content.length === 0 || (this.content[0] ?? 0) > 7) throw malformed();
    return this.content.subarray(1);
  }

  /** The arcs of an object identifier. */
  oid(): number[] {
    const arcs: number[] = [];
    let value = 0;
    for (const byte of this.expect(TAG.oid).content) {
      value = value * 128 + (byte & 0x7f);
      if (value > Number.MAX_SAFE_INTEGER) throw malformed();
      if (byte >= 0x80) continue;
      if (arcs.length === 0) {
        const first = Math.min(Math.floor(value / 40), 2);
        arcs.push(first, value - 40 * first);
      } else arcs.push(value);
      value = 0;
    }
    if (arcs.length === 0) throw malformed();
    return arcs;
  }

  text(): string {
    return this.tag === TAG.bmpString ? swapped(this.content).toString('utf16le') : this.content.toString('utf8');
  }

  /** UTCTime or GeneralizedTime, as milliseconds since the epoch. */
  time(): number {
    const match = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(this.content.toString('latin1'));
    const isUtc = this.tag === TAG.utcTime;
    if (match === null || (match[1]?.length === 2) !== isUtc) throw malformed();
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
    // RFC 5280, 4.1.2.5.1.
    const full = isUtc ? year + (year >= 50 ? 1900 : 2000) : year;
    return new Date(0).setUTCFullYear(full, month - 1, day) + ((hour * 60 + minute) * 60 + second) * 1000;
  }
}

/** Every value of the bytes, one behind the other. */
export function readAll(bytes: Buffer): Der[] {
  const values: Der[] = [];
  for (let at = 0; at < bytes.length; ) {
    const value = readAt(bytes, at);
    values.push(value);
    at += value.raw.length;
  }
  return values;
}

function readAt(bytes: Buffer, start: number): Der {
  const tag = bytes[start] ?? 0;
  let length = bytes[start + 1];
  // Tags beyond 30 need more bytes; X.509 has none.
  if (length === undefined || (tag & 0x1f) === 0x1f) throw malformed();
  let at = start + 2;
  if (length >= 0x80) {
    const count = length - 0x80;
    if (count === 0 || count > 4 || at + count > bytes.length) throw malformed();
    length = bytes.readUIntBE(at, count);
    at += count;
  }
  const end = at + length;
  if (end > bytes.length) throw malformed();
  return new Der(tag, bytes.subarray(at, end), bytes.subarray(start, end));
}

function swapped(bytes: Buffer): Buffer {
  if (bytes.length % 2 !== 0) throw malformed();
  return Buffer.from(bytes).swap16();
}

function malformed(): BuiltinError {
  return new BuiltinError('asn1: structure error');
}
