// Takes a few values out of a JSON document without parsing the rest: a 60 KB object inside an event costs a scan for its
// closing bracket, not 2,000 JavaScript objects.
import { type BodyText, bodyText } from '../ledger/entry.ts';

/**
 * The members to take: `'value'` takes the whole value there, a nested one goes deeper into an object, and an expression takes
 * from an object every member whose name it matches.
 */
export interface WantedTree {
  readonly [key: string]: WantedTree | 'value' | RegExp;
}

/** Where a wanted value, object or set of members stands in what was picked. */
type Slot = number;

interface Member {
  readonly name: Uint8Array;
  readonly text: string;
  readonly slot: Slot;
  /** Of a value: undefined. */
  readonly inside: Wanted | undefined;
}

/** A WantedTree, prepared. The slots of an object and of everything in it follow one another. */
export interface Wanted {
  readonly slot: Slot;
  /** Behind the last slot of what is in it. */
  readonly end: Slot;
  readonly members: readonly Member[];
  /** The same by the length of their names in bytes. */
  readonly byLength: readonly (readonly Member[] | undefined)[];
  readonly like: RegExp | undefined;
}

/** Turns a literal such as `{ event: { verb: 'value' } }` into what `pick` takes. */
export function wanted(tree: WantedTree): Wanted {
  return prepared(tree, 0);
}

function prepared(tree: WantedTree | RegExp, slot: Slot): Wanted {
  if (tree instanceof RegExp) return { slot, end: slot + 1, members: [], byLength: [], like: tree };
  const members: Member[] = [];
  const byLength: Member[][] = [];
  let next = slot + 1;
  for (const [text, node] of Object.entries(tree)) {
    const name = Buffer.from(text, 'utf8');
    const inside = node === 'value' ? undefined : prepared(node, next);
    const member = { name, text, slot: next, inside };
    members.push(member);
    byLength[name.length] = [...(byLength[name.length] ?? []), member];
    next = inside?.end ?? next + 1;
  }
  return { slot, end: next, members, byLength, like: undefined };
}

/** The slot of a wanted value, or of an object or a set of members, by its path. Throws when that is not wanted. */
export function slotOf(want: Wanted, ...path: readonly string[]): Slot {
  let slot = want.slot;
  let inside: Wanted | undefined = want;
  for (const key of path) {
    const member: Member | undefined = inside?.members.find(({ text }) => text === key);
    if (member === undefined) throw new Error(`${path.join('.')} is not picked`);
    slot = member.slot;
    inside = member.inside;
  }
  return slot;
}

/**
 * What was found, by slot: values as JSON.parse gives them, `true` for an object, a Map for the members that an expression
 * matched (undefined when it matched none), and undefined for what the document lacks.
 */
export type Picked = readonly unknown[];

/**
 * The wanted values of a UTF-8 JSON object, or undefined when the document is not one. What is skipped is not checked: a
 * document that is broken inside a skipped value may still give the others. Of a repeated key the last one counts, as in JSON.parse.
 */
export function pick(json: Buffer | BodyText, want: Wanted): Picked | undefined {
  const found = new Array<unknown>(want.end);
  // Read once: what it was read with may have to be asked for each of them.
  const { bytes, latin1, start, end } = json instanceof Uint8Array ? bodyText(json) : json;
  const from = { bytes, latin1, start, end };
  try {
    const at = behindSpace(from, start);
    if (bytes[at] !== OPEN_BRACE) return undefined;
    readObject(from, want, at, found);
    return found;
  } catch (error) {
    if (error instanceof NotJson || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What was picked there, when it is a string. */
export function text(picked: Picked | undefined, slot: Slot): string | undefined {
  const value = picked?.[slot];
  return typeof value === 'string' ? value : undefined;
}

class NotJson extends Error {}

const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const BRACE_BIT = 0x20;
const COLON = 0x3a;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;
const DELETE = 0x7f;
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');

/** Digits of a number that is read here; a longer one is left to JSON.parse. */
const SHORT_NUMBER = 9;

// Structure is read from the bytes. The same as text of one character a byte gives slices for nothing, and the quotes of strings
// that nobody asked for; what is taken is decoded as UTF-8 where it is not plain ASCII. Offsets count in the bytes.

/** Reads the object that begins at `start`; returns the offset behind it. */
function readObject(from: BodyText, want: Wanted, start: number, found: unknown[]): number {
  const { bytes } = from;
  // Of a repeated key the last one counts.
  if (found[want.slot] !== undefined) found.fill(undefined, want.slot, want.end);
  if (want.like === undefined) found[want.slot] = true;
  let at = behindSpace(from, start + 1);
  if (bytes[at] === CLOSE_BRACE) return at + 1;
  for (;;) {
    if (bytes[at] !== QUOTE) throw new NotJson();
    const name = at + 1;
    const close = closingQuote(from, name);
    at = behindSpace(from, quoteAt(close) + 1);
    if (bytes[at] !== COLON) throw new NotJson();
    at = behindSpace(from, at + 1);
    if (want.like !== undefined) {
      const key = decoded(from, name, close);
      if (want.like.test(key)) at = readMatched(from, want.slot, key, at, found);
      else at = skip(from, at);
    } else {
      const member = memberOf(from, want, name, close);
      if (member === undefined || (member.inside !== undefined && bytes[at] !== OPEN_BRACE)) at = skip(from, at);
      else if (member.inside !== undefined) at = readObject(from, member.inside, at, found);
      else at = readValue(from, at, member.slot, found);
    }
    at = behindSpace(from, at);
    const after = bytes[at];
    at++;
    if (after === CLOSE_BRACE) return at;
    if (after !== COMMA) throw new NotJson();
    at = behindSpace(from, at);
  }
}

/** The wanted member whose name begins at `start` and ends where closingQuote said. */
function memberOf(from: BodyText, want: Wanted, start: number, close: number): Member | undefined {
  if (close < 0) {
    const key = decoded(from, start, close);
    return want.members.find(({ text }) => text === key);
  }
  const candidates = want.byLength[close - start];
  if (candidates === undefined) return undefined;
  for (const member of candidates) if (holds(from.bytes, start, member.name)) return member;
  return undefined;
}

/** Reads a value into its slot; returns the offset behind it. */
function readValue(from: BodyText, start: number, slot: Slot, found: unknown[]): number {
  const { bytes } = from;
  if (bytes[start] === QUOTE) {
    const close = closingQuote(from, start + 1);
    found[slot] = decoded(from, start + 1, close);
    return quoteAt(close) + 1;
  }
  const end = skip(from, start);
  found[slot] = shortValue(bytes, start, end) ?? JSON.parse(bytes.toString('utf8', start, end));
  return end;
}

/** The same for a member that an expression matched. */
function readMatched(from: BodyText, slot: Slot, key: string, start: number, found: unknown[]): number {
  const members = (found[slot] ?? new Map()) as Map<string, unknown>;
  const value: unknown[] = [];
  const end = readValue(from, start, 0, value);
  members.set(key, value[0]);
  found[slot] = members;
  return end;
}

/** What needs no parser: a number of few digits, `true`, `false` and an empty list. */
function shortValue(bytes: Buffer, start: number, end: number): number | boolean | [] | undefined {
  const length = end - start;
  if (length > SHORT_NUMBER) return undefined;
  const first = bytes[start] as number;
  if (first === OPEN_BRACKET) return length === 2 && bytes[start + 1] === CLOSE_BRACKET ? [] : undefined;
  if (first === TRUE[0]) return length === TRUE.length && holds(bytes, start, TRUE) ? true : undefined;
  if (first === FALSE[0]) return length === FALSE.length && holds(bytes, start, FALSE) ? false : undefined;
  if (first === ZERO && length > 1) return undefined;
  let value = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte < ZERO || byte > NINE) return undefined;
    value = value * 10 + byte - ZERO;
  }
  return value;
}

/** Offset of the quote that ends the string whose characters begin at `start`; its complement (~) when it is not plain ASCII. */
function closingQuote({ bytes, end }: BodyText, start: number): number {
  let plain = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) return plain ? at : ~at;
    if (byte === BACKSLASH) at++;
    if (byte === BACKSLASH || byte > DELETE) plain = false;
  }
  throw new NotJson();
}

/** The quote in what closingQuote returns. */
function quoteAt(close: number): number {
  return close < 0 ? ~close : close;
}

/** The string whose characters begin at `start`, its end as closingQuote has it. */
function decoded({ bytes, latin1 }: BodyText, start: number, close: number): string {
  if (close >= 0) return latin1.slice(start, close);
  const raw = bytes.toString('utf8', start, ~close);
  return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
}

/** Offset behind the value that begins at `start`. */
function skip(from: BodyText, start: number): number {
  const first = from.bytes[start];
  if (first === QUOTE) return behindString(from.bytes, from.latin1, start + 1, from.end);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipContainer(from, start);
  return skipScalar(from, start);
}

function skipContainer({ bytes, latin1, end }: BodyText, start: number): number {
  let depth = 0;
  let at = start;
  while (at < end) {
    const byte = bytes[at++] as number;
    if (byte === QUOTE) at = behindString(bytes, latin1, at, end);
    // Braces and brackets differ in this one bit.
    else if ((byte | BRACE_BIT) === OPEN_BRACE) depth++;
    else if ((byte | BRACE_BIT) === CLOSE_BRACE && --depth === 0) return at;
  }
  throw new NotJson();
}

function skipScalar({ bytes, end }: BodyText, start: number): number {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte !== COMMA && byte !== CLOSE_BRACE && byte !== CLOSE_BRACKET && byte > SPACE) continue;
    if (at === start) break;
    return at;
  }
  throw new NotJson();
}

/** Offset behind the string whose characters begin at `start`. */
function behindString(bytes: Buffer, latin1: string, start: number, end: number): number {
  for (let at = start; ; ) {
    const quote = latin1.indexOf('"', at);
    if (quote < 0 || quote >= end) throw new NotJson();
    at = quote + 1;
    // Nearly always.
    if (bytes[quote - 1] !== BACKSLASH) return at;
    let slash = quote;
    while (slash > start && bytes[slash - 1] === BACKSLASH) slash--;
    if ((quote - slash) % 2 === 0) return at;
  }
}

/** Offset of the next byte that is no white space. */
function behindSpace({ bytes, end }: BodyText, start: number): number {
  let at = start;
  while (at < end && (bytes[at] as number) <= SPACE) at++;
  if (at >= end) throw new NotJson();
  return at;
}

function holds(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false;
  return true;
}
