// Reads what opa_value_dump prints: JSON, plus {1, 2} and set() for sets, plus object keys that are any value.
import { numberOf, RegoObject, RegoSet, type Value } from './terms.ts';

/** Parses the whole of `text`. Throws a SyntaxError when it is not a dumped value. */
export function parseValue(text: string): Value {
  const reader = new Reader(text);
  const value = reader.value();
  reader.end();
  return value;
}

class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  value(): Value {
    this.space();
    const first = this.text[this.at];
    switch (first) {
      case '"':
        return this.string();
      case '[':
        return this.array();
      case '{':
        return this.braces();
      case 's':
        this.literal('set()');
        return new RegoSet([]);
      case 't':
        this.literal('true');
        return true;
      case 'f':
        this.literal('false');
        return false;
      case 'n':
        this.literal('null');
        return null;
      default:
        return this.number();
    }
  }

  end(): void {
    this.space();
    if (this.at !== this.text.length) this.fail();
  }

  private array(): Value[] {
    const items: Value[] = [];
    this.at++;
    if (this.take(']')) return items;
    do items.push(this.value());
    while (this.take(','));
    this.expect(']');
    return items;
  }

  /** An object or a set with members: the first colon or comma tells which. `{}` is the empty object. */
  private braces(): RegoObject | RegoSet {
    this.at++;
    if (this.take('}')) return new RegoObject([]);
    const first = this.value();
    if (!this.take(':')) {
      const members = [first];
      while (this.take(',')) members.push(this.value());
      this.expect('}');
      return new RegoSet(members);
    }
    const entries: [Value, Value][] = [[first, this.value()]];
    while (this.take(',')) {
      const key = this.value();
      this.expect(':');
      entries.push([key, this.value()]);
    }
    this.expect('}');
    return new RegoObject(entries);
  }

  private string(): string {
    const start = this.at++;
    for (;;) {
      const quote = this.text.indexOf('"', this.at);
      if (quote < 0) this.fail();
      this.at = quote + 1;
      let backslashes = 0;
      while (this.text[quote - 1 - backslashes] === '\\') backslashes++;
      if (backslashes % 2 === 0) return JSON.parse(this.text.slice(start, this.at));
    }
  }

  private number(): Value {
    const match = NUMBER.exec(this.text.slice(this.at, this.at + 40));
    const whole = match !== null && match[0].length === 40 ? NUMBER.exec(this.text.slice(this.at)) : match;
    if (whole === null) return this.fail();
    this.at += whole[0].length;
    // A literal such as .5 is dumped as the policy writes it.
    return numberOf(whole[0].replace(/^(-?)\./, '$10.'));
  }

  private literal(word: string): void {
    if (!this.text.startsWith(word, this.at)) this.fail();
    this.at += word.length;
  }

  private take(character: string): boolean {
    this.space();
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private expect(character: string): void {
    if (!this.take(character)) this.fail();
  }

  private space(): void {
    while (this.text[this.at] === ' ') this.at++;
  }

  private fail(): never {
    throw new SyntaxError(`not a dumped Rego value at offset ${this.at}`);
  }
}

const NUMBER = /^[-+]?\.?\d[\d.eE+-]*/;
