// Takes a few values out of a JSON document without parsing the rest: a 60 KB object inside an event costs a scan for its
// closing bracket, not 2,000 JavaScript objects.

import { isAscii } from 'node:buffer';

/**
 * The members to take: `'value'` takes the whole value there, a nested one goes deeper into an object. The keys of the map are
 * the members' names as they stand in the document's bytes, one character a byte.
 */
export type Wanted = ReadonlyMap<string, { readonly name: string; readonly node: Wanted | 'value' }>;

export interface WantedTree {
  readonly [key: string]: WantedTree | 'value';
}

/** Turns a literal such as `{ event: { verb: 'value' } }` into what `pick` takes. */
export function wanted(tree: WantedTree): Wanted {
  return new Map(
    Object.entries(tree).map(([name, node]) => {
      const key = Buffer.from(name, 'utf8').toString('latin1');
      return [key, { name, node: node === 'value' ? node : wanted(node) }];
    }),
  );
}

/** What was found: the same nesting as asked for, without what the document lacks. */
export type Picked = Map<string, unknown>;

/**
 * The wanted values of a UTF-8 JSON object, or undefined when the document is not one. What is skipped is not checked: a
 * document that is broken inside a skipped value may still give the others. Of a repeated key the last one counts, as in JSON.parse.
 */
export function pick(json: Buffer, want: Wanted): Picked | undefined {
  try {
    // One character a byte: slicing is free, and structure is ASCII. What is taken is decoded as UTF-8 then.
    return new Scanner(json.toString('latin1'), isAscii(json)).object(want);
  } catch (error) {
    if (error instanceof NotJson || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The value at a path of what was picked, when it is a string. */
export function text(from: unknown, ...path: string[]): string | undefined {
  const value = at(from, path);
  return typeof value === 'string' ? value : undefined;
}

/** The value at a path of what was picked, whatever it is. */
export function at(from: unknown, path: readonly string[]): unknown {
  let value = from;
  for (const key of path) value = value instanceof Map ? value.get(key) : undefined;
  return value;
}

class NotJson extends Error {}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;

class Scanner {
  readonly #json: string;
  /** Asked once for the whole document, so that most strings need no look at all. */
  readonly #ascii: boolean;
  readonly #escapes: boolean;
  #at = 0;

  constructor(json: string, ascii: boolean) {
    this.#json = json;
    this.#ascii = ascii;
    this.#escapes = json.includes('\\');
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
      const member = want.get(this.#key());
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

  #value(first: number): unknown {
    if (first === QUOTE) return this.#string();
    const start = this.#at;
    this.#skip(first);
    return JSON.parse(this.#decode(this.#json.slice(start, this.#at)));
  }

  #string(): string {
    const raw = this.#raw();
    if (this.#escapes && raw.includes('\\')) return JSON.parse(`"${this.#decode(raw)}"`) as string;
    return this.#decode(raw);
  }

  /** As the keys of Wanted are. */
  #key(): string {
    const raw = this.#raw();
    if (!this.#escapes || !raw.includes('\\')) return raw;
    return Buffer.from(JSON.parse(`"${this.#decode(raw)}"`) as string, 'utf8').toString('latin1');
  }

  #raw(): string {
    this.#expect(QUOTE);
    const start = this.#at;
    this.#skipString();
    return this.#json.slice(start, this.#at - 1);
  }

  #decode(latin1: string): string {
    return this.#ascii ? latin1 : Buffer.from(latin1, 'latin1').toString('utf8');
  }

  #skip(first: number): void {
    const json = this.#json;
    if (first === QUOTE) {
      this.#at++;
      this.#skipString();
      return;
    }
    if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
      this.#skipScalar();
      return;
    }
    let depth = 0;
    for (;;) {
      const code = json.charCodeAt(this.#at++);
      if (code === QUOTE) this.#skipString();
      else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
      else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
        if (--depth === 0) return;
      } else if (Number.isNaN(code)) throw new NotJson();
    }
  }

  #skipScalar(): void {
    const start = this.#at;
    for (;;) {
      const code = this.#json.charCodeAt(this.#at);
      if (Number.isNaN(code)) throw new NotJson();
      if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= 0x20) break;
      this.#at++;
    }
    if (this.#at === start) throw new NotJson();
  }

  /** Stands behind the opening quote; leaves behind the closing one. */
  #skipString(): void {
    for (;;) {
      const quote = this.#json.indexOf('"', this.#at);
      if (quote < 0) throw new NotJson();
      let slash = quote - 1;
      while (slash >= this.#at && this.#json.charCodeAt(slash) === BACKSLASH) slash--;
      this.#at = quote + 1;
      if ((quote - 1 - slash) % 2 === 0) return;
    }
  }

  #peek(): number {
    for (;;) {
      const code = this.#json.charCodeAt(this.#at);
      if (code > 0x20 || Number.isNaN(code)) return code;
      this.#at++;
    }
  }

  #expect(code: number): void {
    if (this.#peek() !== code) throw new NotJson();
    this.#at++;
  }
}
