// Go's string and character literals (strconv.Unquote and UnquoteChar), which may spell bytes that are no UTF-8.
import { BuiltinError } from './error.ts';

const SHORT: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\u000b',
  '\\': '\\',
};

/** A backslash and what belongs to it. */
const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([\s\S]))/y;

/** The text that a literal in double quotes or backquotes spells. Bytes that are no UTF-8 become U+FFFD. */
export function unquote(literal: string): string {
  const inner = literal.slice(1, -1);
  // Go drops carriage returns from what stands in backquotes.
  if (literal.startsWith('`')) return inner.replaceAll('\r', '');
  const bytes: Buffer[] = [];
  for (let at = 0; at < inner.length; ) {
    const backslash = inner.indexOf('\\', at);
    const end = backslash < 0 ? inner.length : backslash;
    bytes.push(Buffer.from(inner.slice(at, end)));
    if (backslash < 0) break;
    const { value, length, byte } = escapeAt(inner, backslash, '"');
    bytes.push(byte ? Buffer.from([value]) : Buffer.from(String.fromCodePoint(value)));
    at = end + length;
  }
  return Buffer.concat(bytes).toString('utf8');
}

/** The code point of a literal in single quotes. */
export function unquoteCharacter(literal: string): number {
  const inner = literal.slice(1, -1);
  const { value, length } = inner.startsWith('\\')
    ? escapeAt(inner, 0, "'")
    : { value: inner.codePointAt(0) ?? 0, length: (inner.codePointAt(0) ?? 0) > 0xffff ? 2 : 1 };
  if (inner === '' || length !== inner.length) throw new BuiltinError(`malformed character constant: ${literal}`);
  return value;
}

function escapeAt(text: string, at: number, quote: string): { value: number; length: number; byte: boolean } {
  ESCAPE.lastIndex = at;
  const [whole = '', x, u, U, octal, short = ''] = ESCAPE.exec(text) ?? [];
  const length = whole.length;
  if (x !== undefined) return { value: Number.parseInt(x, 16), length, byte: true };
  if (octal !== undefined && Number.parseInt(octal, 8) < 256)
    return { value: Number.parseInt(octal, 8), length, byte: true };
  const value = Number.parseInt(u ?? U ?? '', 16);
  if (value <= 0x10ffff && !(value >= 0xd800 && value < 0xe000)) return { value, length, byte: false };
  const character = short === quote ? quote : SHORT[short];
  if (character === undefined) throw new BuiltinError('invalid escape in a quoted text');
  return { value: character.charCodeAt(0), length, byte: false };
}
