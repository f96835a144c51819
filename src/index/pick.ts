// Takes a few values out of a JSON document without parsing the rest: a 60 KB object inside an event costs a scan for its
// closing bracket, not 2,000 JavaScript objects.

import { isAscii } from 'node:buffer';

/**
 * The members to take: `'value'` takes the whole value there, a nested one goes deeper into an object, and an expression takes
 * from an object every member whose name it matches.
 */
export interface WantedTree {
  readonly [key: string]: WantedTree | 'value' | RegExp;
}

interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly node: Wanted | 'value';
}

/** A WantedTree, prepared. */
export interface Wanted {
  /** The members of an object by the length of their names in bytes. */
  readonly byLength: readonly (readonly Member[] | undefined)[];
  readonly like: RegExp | undefined;
}

/** Turns a literal such as `{ event: { verb: 'value' } }` into what `pick` takes. */
export function wanted(tree: WantedTree): Wanted {
  const byLength: Member[][] = [];
  for (const [name, node] of Object.entries(tree)) {
    const bytes = Buffer.from(name, 'utf8');
    byLength[bytes.length] = [...(byLength[bytes.length] ?? []), { name, bytes, node: prepared(node) }];
  }
  return { byLength, like: undefined };
}

function prepared(node: WantedTree | 'value' | RegExp): Wanted | 'value' {
  if (node === 'value') return node;
  return node instanceof RegExp ? { byLength: [], like: node } : wanted(node);
}

/** What was found: the same nesting as asked for, without what the document lacks. */
export type Picked = Map<string, unknown>;

/**
 * The wanted values of a UTF-8 JSON object, or undefined when the document is not one. What is skipped is not checked: a
 * document that is broken inside a skipped value may still give the others. Of a repeated key the last one counts, as in JSON.parse.
 */
export function pick(json: Buffer, want: Wanted): Picked | undefined {
  try {
    return new Scanner(json).object(want);
  } catch (error) {
    if (error instanceof NotJson || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The value at a path of what was picked, one or two members long, when it is a string. */
export function text(from: unknown, key: string, inside?: string): string | undefined {
  const member = from instanceof Map ? from.get(key) : undefined;
  const value = inside === undefined ? member : member instanceof Map ? member.get(inside) : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** The value at a path of what was picked, whatever it is. */
export function at(from: unknown, path: readonly string[]): unknown {
  let value = from;
  for (const key of path) value = value instanceof Map ? value.get(key) : undefined;
  return value;
}

class NotJson extends Error {}

const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;

/**
 * Reads structure from the document's bytes. Beside them it has the same as text of one character a byte: the next quote is found
 * twice as fast in a string, and slices are free. What is taken is decoded as UTF-8 then, where it is not ASCII.
 */
class Scanner {
  readonly #json: Buffer;
  readonly #latin1: string;
  /** Asked once for the whole document, so that most strings need no look at all. */
  readonly #ascii: boolean;
  /** The first backslash that is not before what was read: infinite when there is none any more. */
  #backslash = -1;
  #at = 0;

  constructor(json: Buffer) {
    this.#json = json;
    this.#latin1 = json.toString('latin1');
    this.#ascii = isAscii(json);
  }

  /** Reads the object that begins here. */
  object(want: Wanted): Picked {
    const found: Picked = new Map();
    this.#expect(OPEN_BRACE);
    if (this.#peek() === CLOSE_BRACE) {
      this.#at++;
      return found;
    }
    for (;;) {
      const member = this.#key(want);
      this.#expect(COLON);
      const first = this.#peek();
      if (member === undefined || (member.node !== 'value' && first !== OPEN_BRACE)) this.#skip(first);
      else found.set(member.name, member.node === 'value' ? this.#value(first) : this.object(member.node));
      const after = this.#peek();
      this.#at++;
      if (after === CLOSE_BRACE) return found;
      if (after !== COMMA) throw new NotJson();
    }
  }

  /** Reads a member's name: the wanted member of that name. */
  #key(want: Wanted): Member | undefined {
    this.#expect(QUOTE);
    const start = this.#at;
    const escaped = this.#skipString();
    if (want.like === undefined && !escaped) {
      const candidates = want.byLength[this.#at - 1 - start];
      return candidates?.find((member) => holds(this.#json, start, member.bytes));
    }
    const name = this.#text(start, escaped);
    return like(want, name) ?? want.byLength.flat().find((member) => member?.name === name);
  }

  /** Whether there is a backslash from `start`, where everything before is read, to `end`. */
  #isEscaped(start: number, end: number): boolean {
    if (this.#backslash < start) {
      const found = this.#latin1.indexOf('\\', start);
      this.#backslash = found < 0 ? Number.POSITIVE_INFINITY : found;
    }
    return this.#backslash < end;
  }

  #value(first: number): unknown {
    const start = this.#at;
    if (first === QUOTE) {
      this.#at++;
      return this.#text(start + 1, this.#skipString());
    }
    this.#skip(first);
    return JSON.parse(this.#decode(start, this.#at));
  }

  /** The string whose characters begin at `start` and whose closing quote was just read. */
  #text(start: number, escaped: boolean): string {
    return escaped ? (JSON.parse(this.#decode(start - 1, this.#at)) as string) : this.#decode(start, this.#at - 1);
  }

  #decode(start: number, end: number): string {
    const latin1 = this.#latin1.slice(start, end);
    return this.#ascii ? latin1 : Buffer.from(latin1, 'latin1').toString('utf8');
  }

  #skip(first: number): void {
    if (first === QUOTE) {
      this.#at++;
      this.#skipString();
    } else if (first === OPEN_BRACE || first === OPEN_BRACKET) this.#skipContainer();
    else this.#skipScalar();
  }

  #skipContainer(): void {
    const json = this.#json;
    let depth = 0;
    while (this.#at < json.length) {
      const code = json[this.#at++];
      if (code === QUOTE) this.#skipString();
      else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
      else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
        if (--depth === 0) return;
      }
    }
    throw new NotJson();
  }

  #skipScalar(): void {
    const json = this.#json;
    const start = this.#at;
    for (let at = start; at < json.length; at++) {
      const code = json[at] as number;
      if (code !== COMMA && code !== CLOSE_BRACE && code !== CLOSE_BRACKET && code > SPACE) continue;
      if (at === start) break;
      this.#at = at;
      return;
    }
    throw new NotJson();
  }

  /** Stands behind the opening quote; leaves behind the closing one. Whether there is a backslash in between. */
  #skipString(): boolean {
    const start = this.#at;
    for (;;) {
      const quote = this.#latin1.indexOf('"', this.#at);
      if (quote < 0) throw new NotJson();
      this.#at = quote + 1;
      if (!this.#isEscaped(start, quote)) return false;
      let slash = quote - 1;
      while (slash >= start && this.#json[slash] === BACKSLASH) slash--;
      if ((quote - 1 - slash) % 2 === 0) return true;
    }
  }

  /** The next character that is no white space, at which it stands then; NaN at the end. */
  #peek(): number {
    const json = this.#json;
    for (; this.#at < json.length; this.#at++) {
      const code = json[this.#at] as number;
      if (code > SPACE) return code;
    }
    return Number.NaN;
  }

  #expect(code: number): void {
    if (this.#peek() !== code) throw new NotJson();
    this.#at++;
  }
}

function like(want: Wanted, name: string): Member | undefined {
  return want.like?.test(name) ? { name, bytes: NO_BYTES, node: 'value' } : undefined;
}

const NO_BYTES = new Uint8Array(0);

function holds(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false;
  return true;
}
