// The tokens of a Go template (go1.26, src/text/template/parse/lex.go).
import { BuiltinError } from './error.ts';

type Mark = '|' | '(' | ')' | '=' | ':=' | ',';

export type TokenKind =
  | 'text'
  | 'left'
  | 'right'
  | 'space'
  | Mark
  | 'character'
  | 'number'
  | 'string'
  | 'field'
  | 'variable'
  | 'dot'
  | 'boolean'
  | 'keyword'
  | 'identifier'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const KEYWORDS = new Set('block break continue define else end if nil range template with'.split(' '));

/** Marks by their first character. */
const MARKS: Readonly<Record<string, Mark>> = { '|': '|', '(': '(', ')': ')', '=': '=', ':': ':=', ',': ',' };

const LEFT = '{{';
const RIGHT = '}}';

/** What may follow a name, a field or a variable: else Go complains of the character. */
const TERMINATOR = /[ \t\r\n.,|:()]|\}\}|$/y;

const HEX = '[0-9a-fA-F_]*';
const NUMBER = new RegExp(
  String.raw`[+-]?(?:0[xX]${HEX}(?:\.${HEX})?(?:[pP][+-]?[\d_]*)?|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?|` +
    String.raw`[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?[\d_]*)?)i?`,
  'y',
);
/** A complex number: a second one with its sign follows, or the i of an imaginary one. */
const COMPLEX = /[+-]|(?<=i)/y;
const ALPHANUMERIC = /[\p{L}\p{Nd}_]/uy;
const WORD = /[\p{L}\p{Nd}_]+/uy;
const NAMED = /[.$][\p{L}\p{Nd}_]*/uy;
const QUOTED = /"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`/uy;
const CHARACTER = /'(?:[^'\\\n]|\\[^\n])*'/uy;
const SPACES = /[ \t\r\n]+/y;

/** All tokens of the template, the end last. Throws a BuiltinError where Go's lexer gives an error. */
export function lex(template: string): Token[] {
  return new Lexer(template).run();
}

class Lexer {
  private readonly input: string;
  private readonly tokens: Token[] = [];
  private at = 0;
  private parens = 0;

  constructor(input: string) {
    this.input = input;
  }

  run(): Token[] {
    while (this.at < this.input.length) this.text();
    this.add('end', '');
    return this.tokens;
  }

  /** Text up to an action, and the action or comment. A dash inside the braces takes away the space outside of them. */
  private text(): void {
    const { input } = this;
    const start = this.at;
    const open = input.indexOf(LEFT, start);
    if (open < 0) {
      this.add('text', input.slice(start));
      this.at = input.length;
      return;
    }
    const inside = open + LEFT.length;
    const trims = /^-[ \t\r\n]/.test(input.slice(inside, inside + 2));
    let end = open;
    while (trims && end > start && ' \t\r\n'.includes(input[end - 1] ?? '')) end--;
    if (end > start) this.add('text', input.slice(start, end));
    this.at = inside + (trims ? 2 : 0);
    if (input.startsWith('/*', this.at)) this.comment();
    else this.action();
  }

  private action(): void {
    this.add('left', LEFT);
    this.parens = 0;
    while (!this.right()) this.inside();
    this.add('right', RIGHT);
  }

  private comment(): void {
    const close = this.input.indexOf('*/', this.at + 2);
    if (close < 0) throw new BuiltinError('unclosed comment');
    this.at = close + 2;
    if (!this.right()) throw new BuiltinError('comment ends before closing delimiter');
  }

  /** Whether the action ends here; if so, its end is passed, with the space after it where a dash says so. */
  private right(): boolean {
    const { input, at } = this;
    const trims = /^[ \t\r\n]-\}\}/.test(input.slice(at, at + 4));
    if (!trims && !input.startsWith(RIGHT, at)) return false;
    if (this.parens > 0) throw new BuiltinError('unclosed left paren');
    this.at += RIGHT.length + (trims ? 2 : 0);
    if (trims) this.match(SPACES);
    return true;
  }

  /** One token inside of an action. */
  private inside(): void {
    const { input, at } = this;
    const first = input[at] ?? '';
    const mark = MARKS[first];
    if (first === '') fail('unclosed action');
    else if (/[ \t\r\n]/.test(first)) this.space();
    else if (mark !== undefined) this.mark(mark);
    else if ('"`'.includes(first)) this.add('string', this.match(QUOTED) ?? fail('unterminated quoted string'));
    else if (first === "'") this.add('character', this.match(CHARACTER) ?? fail('unterminated character constant'));
    else if (first === '$') this.named('variable');
    else if (first === '.' && !/\d/.test(input[at + 1] ?? '')) this.named('field');
    else if (/[.+\-\d]/.test(first)) this.number();
    else this.word();
  }

  private mark(mark: Mark): void {
    if (!this.input.startsWith(mark, this.at)) fail(`expected ${mark}`);
    if (mark === '(') this.parens++;
    if (mark === ')' && --this.parens < 0) fail('unexpected right paren');
    this.at += mark.length;
    this.add(mark, mark);
  }

  /** A run of spaces, the last of which may begin the end of the action. */
  private space(): void {
    const run = this.match(SPACES) ?? '';
    if (this.input.startsWith(`-${RIGHT}`, this.at)) {
      this.at--;
      if (run.length === 1) return;
    }
    this.add('space', run);
  }

  private named(kind: 'variable' | 'field'): void {
    const text = this.match(NAMED) ?? '';
    this.terminated();
    this.add(text === '.' ? 'dot' : kind, text);
  }

  private number(): void {
    const text = this.match(NUMBER) ?? '';
    if (this.sees(ALPHANUMERIC)) throw new BuiltinError(`bad number syntax: ${text}`);
    if (this.sees(COMPLEX)) throw new BuiltinError('templates have no complex numbers here');
    this.add('number', text);
  }

  private word(): void {
    const text = this.match(WORD) ?? fail('unrecognized character in action');
    this.terminated();
    const kind = KEYWORDS.has(text) ? 'keyword' : /^(?:true|false)$/.test(text) ? 'boolean' : 'identifier';
    this.add(kind, text);
  }

  private terminated(): void {
    if (!this.sees(TERMINATOR)) throw new BuiltinError('bad character after a name');
  }

  private add(kind: TokenKind, text: string): void {
    this.tokens.push({ kind, text });
  }

  private sees(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    return pattern.test(this.input);
  }

  /** What `pattern` matches here, and passes it. */
  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.input)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }
}

function fail(message: string): never {
  throw new BuiltinError(message);
}
