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

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const LEFT_BRACKET = 0x5b;
const LEFT_BRACE = 0x7b;
/** From an opening bracket to the closing one. */
const CLOSING = 2;

/** For someString. No string begins with it: JSON writes control characters with a backslash. */
export const ANY_BYTE = 1;

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
  /** How many objects and arrays are around the innermost at most, that one included. */
  depth = 0;
  #table = new Int32Array(FIRST_CAPACITY * STRIDE);
  /** Used by `scan`: the objects and arrays around the place that is read, `#depth` of them, and what the innermost is. */
  #open = new Int32Array(64);
  #depth = 0;
  #inObject = false;

  /**
   * Reads one JSON value (RFC 8259) that starts at `from`, white space before it allowed, and returns the offset behind
   * it. Throws REQUEST_INVALID or REQUEST_TOO_DEEP naming the byte offset; what was read up to there can still be looked
   * at. Does not check UTF-8: see `parseJson`.
   *
   * One loop over local variables, because this is where most of the time of an audit event goes: only where an object or an
   * array begins or ends does it call what keeps its place in fields.
   */
  scan(bytes: Buffer, from = 0, maxDepth = MAX_DEPTH): number {
    this.bytes = bytes;
    this.count = 0;
    this.depth = 0;
    this.#depth = 0;
    if (this.#table.length > KEPT_CAPACITY) this.#table = new Int32Array(FIRST_CAPACITY * STRIDE);
    let table = this.#table;
    let inObject = false;
    let count = 0;
    let at = from;
    // Each round reads a scalar, or a bracket that opens; a member's name before it, and what closes behind it.
    for (;;) {
      if ((count + 2) * STRIDE > table.length) table = this.#grow();
      at = behindSpace(bytes, at);
      if (inObject) {
        if (bytes[at] !== QUOTE) throw invalid('lacks a member name in quotes', at);
        const end = stringEnd(bytes, at);
        addString(table, count, at, end);
        this.count = ++count;
        at = behindColon(bytes, offset(end));
      }
      const byte = bytes[at];
      if (byte === QUOTE) {
        const end = stringEnd(bytes, at);
        addString(table, count, at, end);
        at = offset(end);
      } else if (byte === LEFT_BRACE || byte === LEFT_BRACKET) {
        this.#enter(at, count, maxDepth);
        addNode(table, count, at, at, OPEN);
        inObject = byte === LEFT_BRACE;
        at = behindSpace(bytes, at + 1);
        if (bytes[at] !== byte + CLOSING) {
          this.count = ++count;
          continue;
        }
      } else {
        const end = skipLiteral(bytes, at);
        addNode(table, count, at, end, PLAIN);
        at = end;
      }
      this.count = ++count;
      if (this.#depth === 0) return at;
      at = behindSpace(bytes, at);
      if (bytes[at] === COMMA) at++;
      else {
        at = this.#leave(at, count);
        if (this.#depth === 0) return at;
        inObject = this.#inObject;
      }
    }
  }

  /** Goes into the object or array that begins at `at`, whose node this is. */
  #enter(at: number, node: Node, maxDepth: number): void {
    if (this.#depth >= maxDepth) throw tooDeep(maxDepth, at);
    if (this.#depth === this.#open.length) this.#open = grown(this.#open);
    this.#open[this.#depth++] = node;
    if (this.#depth > this.depth) this.depth = this.#depth;
    this.#inObject = this.bytes[at] === LEFT_BRACE;
  }

  /**
   * Behind a value in an object or array where no comma is: closes what ends from there on, up to the next comma, behind which
   * it returns the offset, or up to the end of the root. `count`: nodes so far.
   */
  #leave(from: number, count: number): number {
    const { bytes } = this;
    let at = from;
    while (bytes[at] !== COMMA) {
      const table = this.#table;
      const container = this.#open[this.#depth - 1] as number;
      const opening = bytes[table[container * STRIDE] as number] as number;
      if (bytes[at] !== opening + CLOSING) throw invalid('lacks a comma or a closing bracket', at);
      at++;
      this.#depth--;
      table[container * STRIDE + 1] = at;
      table[container * STRIDE + 2] = count;
      if (this.#depth === 0) return at;
      this.#inObject = bytes[table[(this.#open[this.#depth - 1] as number) * STRIDE] as number] === LEFT_BRACE;
      at = behindSpace(bytes, at);
    }
    return at + 1;
  }

  #grow(): Int32Array<ArrayBuffer> {
    this.#table = grown(this.#table);
    return this.#table;
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
    return this.end(node) - 1 - start === bytes.length && holds(this.bytes, start, bytes);
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

  /** Which of the names a string is; NONE when it is none of them. */
  which(node: Node, { names, byLength }: JsonNames): number {
    if (this.isEscaped(node)) {
      const text = this.text(node);
      return names.findIndex((name) => name.text === text);
    }
    const start = this.start(node) + 1;
    const candidates = byLength[this.end(node) - 1 - start];
    if (candidates === undefined) return NONE;
    for (const which of candidates) if (holds(this.bytes, start, (names[which] as JsonName).bytes)) return which;
    return NONE;
  }

  /**
   * Values of several members at once, in one pass over them: `found[i]` is what `find` would return for the i-th of the
   * names.
   */
  findAll(object: Node, { names, byLength }: JsonNames, found: Int32Array): void {
    found.fill(NONE);
    if (!this.isObject(object)) return;
    const { bytes } = this;
    const table = this.#table;
    const end = this.after(object);
    for (let key = object + 1; key < end; key = this.after(key + 1)) {
      const at = key * STRIDE;
      if (table[at + 2] === ESCAPED) {
        const text = this.text(key);
        const which = names.findIndex((name) => name.text === text);
        if (which >= 0) found[which] = key + 1;
        continue;
      }
      const start = (table[at] as number) + 1;
      const candidates = byLength[(table[at + 1] as number) - 1 - start];
      if (candidates === undefined) continue;
      for (const which of candidates) {
        if (holds(bytes, start, (names[which] as JsonName).bytes)) {
          found[which] = key + 1;
          break;
        }
      }
    }
  }

  /**
   * Whether `test` holds for any of the strings, keys included, that may be one of a few: `firstBytes` has, by the length in
   * bytes, quotes included, what such a string begins with, ANY_BYTE, or 0 where there is none of that length (nor of a
   * length that it has no place for). Those that are written with a backslash are asked as well.
   */
  someString(firstBytes: Uint8Array, test: (node: Node) => boolean): boolean {
    const { bytes, count } = this;
    const table = this.#table;
    const tooLong = firstBytes.length;
    for (let node = 0, at = 0; node < count; node++, at += STRIDE) {
      const start = table[at] as number;
      const size = (table[at + 1] as number) - start;
      const first = size < tooLong ? (firstBytes[size] as number) : 0;
      if (first !== 0 && (first === ANY_BYTE || first === bytes[start + 1])) {
        if (bytes[start] === QUOTE && test(node)) return true;
      } else if (table[at + 2] === ESCAPED && test(node)) return true;
    }
    return false;
  }

  /** The bytes of a value, as a view. */
  slice(node: Node): Buffer {
    return this.bytes.subarray(this.start(node), this.end(node));
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

/** Several member names, prepared for `findAll`. */
export interface JsonNames {
  readonly names: readonly JsonName[];
  /** Which of them have so many bytes. */
  readonly byLength: readonly (readonly number[] | undefined)[];
}

/** Prepares names for `findAll`. */
export function jsonNames(texts: readonly string[]): JsonNames {
  const names = texts.map(jsonName);
  const byLength: number[][] = [];
  names.forEach(({ bytes: { length } }, i) => {
    byLength[length] = [...(byLength[length] ?? []), i];
  });
  return { names, byLength };
}

/** Whether these bytes stand there. */
function holds(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
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

function tooDeep(maxDepth: number, at: number): SealgateError {
  return new SealgateError('REQUEST_TOO_DEEP', `JSON is nested deeper than ${maxDepth} levels at byte ${at}`);
}

function addNode(table: Int32Array, node: Node, start: number, end: number, link: number): void {
  const at = node * STRIDE;
  table[at] = start;
  table[at + 1] = end;
  table[at + 2] = link;
}

/** The same for a string, its end as stringEnd has it. */
function addString(table: Int32Array, node: Node, start: number, end: number): void {
  addNode(table, node, start, offset(end), end < 0 ? ESCAPED : PLAIN);
}

/** The offset in what stringEnd returns. */
function offset(end: number): number {
  return end < 0 ? ~end : end;
}

/** Where a member's value begins, its name read. */
function behindColon(bytes: Buffer, from: number): number {
  const at = behindSpace(bytes, from);
  if (bytes[at] !== COLON) throw invalid('lacks a colon', at);
  return behindSpace(bytes, at + 1);
}

/** skipSpace for where there is hardly ever any. */
function behindSpace(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  return byte !== undefined && byte > SPACE ? at : skipSpace(bytes, at);
}

/** Offset behind the string that starts at `start`; its complement (~) when there is a backslash in it. */
function stringEnd(bytes: Buffer, start: number): number {
  const end = bytes.length;
  let at = start + 1;
  for (; at < end; at++) {
    const byte = bytes[at] as number;
    // Most are small letters, and need no further question.
    if (byte > BACKSLASH) continue;
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH || byte < SPACE) return escapedStringEnd(bytes, start, at);
  }
  throw invalid('ends inside a string', start);
}

/** The rest of stringEnd from the first backslash or control character on. */
function escapedStringEnd(bytes: Buffer, start: number, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) return ~(at + 1);
    if (byte === BACKSLASH) at = skipEscape(bytes, at);
    else if (byte < SPACE) throw invalid('has a control character in a string', at);
  }
  throw invalid('ends inside a string', start);
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
  const first = bytes[start];
  if (first === undefined) throw invalid('ends where a value should be', start);
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
