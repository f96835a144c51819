// Takes a few values out of a JSON document without parsing the rest: a 60 KB object inside an event costs a scan for its
// closing bracket, not 2,000 JavaScript objects.

/** The members to take, by path: `'value'` takes the whole value there, a nested map goes deeper into an object. */
export type Wanted = ReadonlyMap<string, Wanted | 'value'>;

export interface WantedTree {
  readonly [key: string]: WantedTree | 'value';
}

/** Turns a literal such as `{ event: { verb: 'value' } }` into what `pick` takes. */
export function wanted(tree: WantedTree): Wanted {
  return new Map(Object.entries(tree).map(([key, node]) => [key, node === 'value' ? node : wanted(node)]));
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
    return new Scanner(json.toString('latin1')).object(want);
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
  #at = 0;

  constructor(json: string) {
    this.#json = json;
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
      const key = this.#string();
      this.#expect(COLON);
      const node = want.get(key);
      const first = this.#peek();
      if (node === undefined || (node !== 'value' && first !== OPEN_BRACE)) this.#skip(first);
      else if (node === 'value') found.set(key, this.#value(first));
      else found.set(key, this.object(node));
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
    return JSON.parse(decode(this.#json.slice(start, this.#at)));
  }

  #string(): string {
    this.#expect(QUOTE);
    const start = this.#at;
    this.#skipString();
    const raw = this.#json.slice(start, this.#at - 1);
    if (raw.includes('\\')) return JSON.parse(`"${decode(raw)}"`) as string;
    return decode(raw);
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

// biome-ignore lint/suspicious/noControlCharactersInRegex: asks whether a text is anything but ASCII
const NOT_ASCII = /[^\u0000-\u007f]/;

function decode(latin1: string): string {
  return NOT_ASCII.test(latin1) ? Buffer.from(latin1, 'latin1').toString('utf8') : latin1;
}
