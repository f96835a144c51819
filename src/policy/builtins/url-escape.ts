// Percent-encoding as Go's net/url does it, on bytes: which ones are escaped depends on the part of the URL.
import { BuiltinError } from './error.ts';

const encoder = new TextEncoder();

/** `text` with every byte escaped but letters, digits, -_.~ and those in `kept`. */
export function escapeUrl(text: string, kept: string): string {
  let out = '';
  for (const byte of encoder.encode(text)) {
    const character = String.fromCharCode(byte);
    out += /[A-Za-z0-9\-_.~]/.test(character) || kept.includes(character) ? character : hex(byte);
  }
  return out;
}

function hex(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** The text with its escapes decoded. Throws a BuiltinError for a % without two hexadecimal digits. */
export function unescapeUrl(text: string): string {
  const wrong = /%(?![0-9a-fA-F]{2}).{0,2}/su.exec(text);
  if (wrong !== null) throw new BuiltinError(`invalid URL escape ${JSON.stringify(wrong[0])}`);
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
}

/** url.QueryEscape: + for the space. */
export function queryEscape(text: string): string {
  return escapeUrl(text, ' ').replaceAll(' ', '+');
}

/** url.QueryUnescape. */
export function queryUnescape(text: string): string {
  return unescapeUrl(text.replaceAll('+', ' '));
}
