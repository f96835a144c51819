// JSON read at the level of bytes: where each value begins and ends, nothing decoded until somebody asks. What is recorded
// must be what was received, so numbers beyond 2^53, key order, duplicate keys and escapes all have to survive.
// Attacker-controlled input: one pass, no recursion, bounded depth.
import { SealgateError } from './errors.ts';

/** Index of a value, or of a member's key, in a JsonDocument. 0 is the root. */
export type Node = number;

/** What `find` returns when there is no such member. */
export const NONE: Node = -1;

export type JsonType = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

/**
 * The depth that kube-apiserver's own decoder accepts (sigs.k8s.io/json and encoding/json: maxNestingDepth), so that
 * nothing it took is too deep to be recorded.
 */
export const MAX_DEPTH = 10_000;

/** Three integers a node: start, end, link. */
const STRIDE = 3;
/** link of a scalar. */
const PLAIN = 0;
/** link of a string with a backslash in it. */
const ESCAPED = -1;
/** link of an object or array whose end was not reached. Of a complete one it is the node after its last descendant. */
const OPEN = -2;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const LEFT_BRACKET = 0x5b;
const RIGHT_BRACKET = 0x5d;
const LEFT_BRACE = 0x7b;
const RIGHT_BRACE = 0x7d;

const FIRST_CAPACITY = 1024;
/** A larger table is given back after use: 4 Mi integers, 16 MiB. */
const KEPT_CAPACITY = 2 ** 22;

/**
 * The structure of one JSON text. `scan` may be called again and again: each call forgets the text before, so that a
 * handler needs one table for all its requests as long as it finishes with one before it scans the next.
 */
export class JsonDocument {
  /** The bytes that were scanned. Offsets count from their beginning, also when only a part was scanned. */
  bytes: Buffer = Buffer.alloc(0);
  /** Nodes in document order: a member is its key, then its value. */
  count = 0;
  #table = new Int32Array(FIRST_CAPACITY * STRIDE);
  /** The objects and arrays around the place that is read; `#depth` of them. */
  #open = new Int32Array(64);
  #depth = 0;

  /**
   * Reads one JSON value (RFC 8259) that starts at `from`, white space before it allowed, and returns the offset behind
   * it. Throws REQUEST_INVALID or REQUEST_TOO_DEEP naming the byte offset; what was read up to there can still be looked
   * at. Does not check UTF-8: see `parseJson`.
   */
  scan(bytes: Buffer, from = 0, maxDepth = MAX_DEPTH): number {
    this.bytes = bytes;
    this.count = 0;
    this.#depth = 0;
    if (this.#table.length > KEPT_CAPACITY) this.#table = new Int32Array(FIRST_CAPACITY * STRIDE);
    let at = from;
    do {
      at = this.#begin(skipSpace(bytes, at), maxDepth);
      if (at < 0) at = this.#finish(~at);
    } while (at >= 0);
    return ~at;
  }

  /**
   * Reads a scalar, or the opening of an object or array up to where its first value is expected, which is returned. The
   * complement (~) of the offset behind the value when it is complete already.
   */
  #begin(at: number, maxDepth: number): number {
    const { bytes } = this;
    const first = bytes[at];
    if (first === QUOTE) return ~this.#string(at);
    if (first !== LEFT_BRACE && first !== LEFT_BRACKET) {
      if (first === undefined) throw invalid('ends where a value should be', at);
      const end = skipLiteral(bytes, at);
      const node = this.#add(at, PLAIN);
      this.#table[node * STRIDE + 1] = end;
      return ~end;
    }
    if (this.#depth >= maxDepth) {
      throw new SealgateError('REQUEST_TOO_DEEP', `JSON is nested deeper than ${maxDepth} levels at byte ${at}`);
    }
    if (this.#depth === this.#open.length) this.#open = grown(this.#open);
    this.#open[this.#depth++] = this.#add(at, OPEN);
    const inside = skipSpace(bytes, at + 1);
    if (bytes[inside] === (first === LEFT_BRACE ? RIGHT_BRACE : RIGHT_BRACKET)) return ~this.#close(inside + 1);
    return first === LEFT_BRACE ? this.#key(inside) : inside;
  }

  /**
   * Goes on behind a complete value: closes what ends there, up to where the next value is expected, which is returned.
   * The complement of the offset when the root is complete.
   */
  #finish(from: number): number {
    const { bytes } = this;
    let at = from;
    while (this.#depth > 0) {
      at = skipSpace(bytes, at);
      const container = this.#open[this.#depth - 1] as number;
      const isObject = bytes[this.#table[container * STRIDE] as number] === LEFT_BRACE;
      if (bytes[at] === COMMA) return isObject ? this.#key(skipSpace(bytes, at + 1)) : at + 1;
      if (bytes[at] !== (isObject ? RIGHT_BRACE : RIGHT_BRACKET)) {
        throw invalid('lacks a comma or a closing bracket', at);
      }
      at = this.#close(at + 1);
    }
    return ~at;
  }

  /** Offset of the first byte of a value; of a string, its quote. */
  start(node: Node): number {
    return this.#table[node * STRIDE] as number;
  }

  /** Offset behind the last byte of a value. */
  end(node: Node): number {
    return this.#table[node * STRIDE + 1] as number;
  }

  /** The node behind a value and everything in it. */
  after(node: Node): Node {
    const link = this.#table[node * STRIDE + 2] as number;
    return link > 0 ? link : node + 1;
  }

  /** False for an object or array whose end a failed scan did not reach. */
  complete(node: Node): boolean {
    return node < this.count && this.#table[node * STRIDE + 2] !== OPEN;
  }

  type(node: Node): JsonType {
    switch (this.bytes[this.start(node)]) {
      case LEFT_BRACE:
        return 'object';
      case LEFT_BRACKET:
        return 'array';
      case QUOTE:
        return 'string';
      case 0x74:
      case 0x66:
        return 'boolean';
      case 0x6e:
        return 'null';
      default:
        return 'number';
    }
  }

  isObject(node: Node): boolean {
    return node !== NONE && this.bytes[this.start(node)] === LEFT_BRACE;
  }

  isArray(node: Node): boolean {
    return node !== NONE && this.bytes[this.start(node)] === LEFT_BRACKET;
  }

  isString(node: Node): boolean {
    return node !== NONE && this.bytes[this.start(node)] === QUOTE;
  }

  /** The text of a string, escapes undone (lone surrogates stay); undefined for anything else. */
  text(node: Node): string | undefined {
    if (!this.isString(node)) return undefined;
    const start = this.start(node);
    const end = this.end(node);
    if (!this.isEscaped(node)) return this.bytes.toString('utf8', start + 1, end - 1);
    return JSON.parse(this.bytes.toString('utf8', start, end)) as string;
  }

  /** Whether a string (a key, say) is this text, whichever way it is written. */
  is(node: Node, name: JsonName): boolean {
    const start = this.start(node) + 1;
    if (this.isEscaped(node)) return this.text(node) === name.text;
    const { bytes } = name;
    if (this.end(node) - 1 - start !== bytes.length) return false;
    for (let i = 0; i < bytes.length; i++) if (this.bytes[start + i] !== bytes[i]) return false;
    return true;
  }

  /** Whether a string is written with a backslash. */
  isEscaped(node: Node): boolean {
    return this.#table[node * STRIDE + 2] === ESCAPED;
  }

  /** Value of the member of this name: the last one where there are several, as JSON.parse and Go have it. */
  find(object: Node, name: JsonName): Node {
    if (!this.isObject(object)) return NONE;
    let found = NONE;
    const end = this.after(object);
    for (let key = object + 1; key < end; key = this.after(key + 1)) if (this.is(key, name)) found = key + 1;
    return found;
  }

  /** The bytes of a value, as a view. */
  slice(node: Node): Buffer {
    return this.bytes.subarray(this.start(node), this.end(node));
  }

  #add(start: number, link: number): Node {
    const node = this.count++;
    let at = node * STRIDE;
    if (at + STRIDE > this.#table.length) this.#table = grown(this.#table);
    this.#table[at++] = start;
    this.#table[at++] = start;
    this.#table[at] = link;
    return node;
  }

  #close(end: number): number {
    const node = this.#open[--this.#depth] as number;
    this.#table[node * STRIDE + 1] = end;
    this.#table[node * STRIDE + 2] = this.count;
    return end;
  }

  /** A member's name and its colon; returns the offset behind the colon. */
  #key(at: number): number {
    if (this.bytes[at] !== QUOTE) throw invalid('lacks a member name in quotes', at);
    const behind = skipSpace(this.bytes, this.#string(at));
    if (this.bytes[behind] !== COLON) throw invalid('lacks a colon', behind);
    return behind + 1;
  }

  #string(start: number): number {
    const { bytes } = this;
    const end = bytes.length;
    let at = start + 1;
    let link = PLAIN;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) {
        const node = this.#add(start, link);
        this.#table[node * STRIDE + 1] = at + 1;
        return at + 1;
      }
      if (byte === BACKSLASH) {
        link = ESCAPED;
        at = skipEscape(bytes, at);
      } else if (byte < 0x20) throw invalid('has a control character in a string', at);
    }
    throw invalid('ends inside a string', start);
  }
}

/** A member name prepared for comparing with bytes. */
export interface JsonName {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** Prepares a name for `is` and `find`. The name must be one that JSON writes without a backslash. */
export function jsonName(text: string): JsonName {
  return { text, bytes: Buffer.from(text) };
}

/** White space of RFC 8259. */
export function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return at;
  }
  return at;
}

export function invalid(what: string, at: number): SealgateError {
  return new SealgateError('REQUEST_INVALID', `JSON ${what} at byte ${at}`);
}

function grown(table: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(table.length * 2);
  larger.set(table);
  return larger;
}

/** Offset of the last byte of the escape that starts at `at`. */
function skipEscape(bytes: Buffer, at: number): number {
  switch (bytes[at + 1]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 1;
    case 0x75: // u
      for (let i = at + 2; i < at + 6; i++) {
        if (!isHex(bytes[i])) throw invalid('has a malformed \\u escape', at);
      }
      return at + 5;
    default:
      throw invalid('has an unknown escape', at);
  }
}

function isHex(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}

const LITERALS = ['true', 'false', 'null'].map((text) => Buffer.from(text));

/** Offset behind the number, true, false or null at `start`. */
function skipLiteral(bytes: Buffer, start: number): number {
  const first = bytes[start] as number;
  if (first === 0x2d || (first >= 0x30 && first <= 0x39)) return skipNumber(bytes, start);
  for (const literal of LITERALS) {
    const end = start + literal.length;
    if (literal[0] === first && bytes.compare(literal, 0, literal.length, start, Math.min(end, bytes.length)) === 0) {
      return end;
    }
  }
  throw invalid('has something that is no value', start);
}

function skipNumber(bytes: Buffer, start: number): number {
  let at = bytes[start] === 0x2d ? start + 1 : start;
  // No leading zeros: 0 stands alone.
  at = bytes[at] === 0x30 ? at + 1 : skipDigits(bytes, at);
  if (bytes[at] === 0x2e) at = skipDigits(bytes, at + 1);
  if (bytes[at] === 0x65 || bytes[at] === 0x45) {
    at++;
    if (bytes[at] === 0x2b || bytes[at] === 0x2d) at++;
    at = skipDigits(bytes, at);
  }
  return at;
}

/** At least one digit. */
function skipDigits(bytes: Buffer, from: number): number {
  let at = from;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte < 0x30 || byte > 0x39) break;
  }
  if (at === from) throw invalid('has a malformed number', at);
  return at;
}
