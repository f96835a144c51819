// Built-ins that OPA's Wasm library has and gets wrong (replaced-natives.ts): here they do what they do in OPA.
import { integerOf, isNumber, numberText, RegoNumber, RegoObject, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { readJson, writeJson } from './go-json.ts';
import { operand, stringOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const CORRECTED: Readonly<Record<string, Builtin>> = {
  'base64.decode': (args) => decode(stringOperand(args, 1)),
  'base64.is_valid': ([text]) => typeof text === 'string' && BASE64.test(withoutBreaks(text)),
  'base64url.decode': (args) => decodeUrl(stringOperand(args, 1)),
  'json.is_valid': ([text]) => typeof text === 'string' && isJson(text),
  'json.marshal': (args) => writeJson(operand(args, 1)),
  'json.unmarshal': (args) => unmarshal(stringOperand(args, 1)),
  format_int: (args) => formatInteger(operand(args, 1), operand(args, 2)),
  indexof: (args) => indexOf(stringOperand(args, 1), stringOperand(args, 2)),
  replace: (args) => replace(stringOperand(args, 1), stringOperand(args, 2), stringOperand(args, 3)),
};

/** encoding/base64 wants the padding, and looks past line breaks wherever they are. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function withoutBreaks(text: string): string {
  return text.replace(/[\r\n]/g, '');
}

function decode(text: string): string {
  const digits = withoutBreaks(text);
  if (!BASE64.test(digits)) throw new BuiltinError('illegal base64 data');
  return Buffer.from(digits, 'base64').toString('utf8');
}

/** The padding may be missing. */
function decodeUrl(text: string): string {
  if (/[+/]/.test(text)) throw new BuiltinError('illegal base64url data');
  const missing = text.endsWith('=') ? 0 : (4 - (Buffer.byteLength(text) % 4)) % 4;
  if (missing === 3) throw new BuiltinError('illegal base64url string');
  return decode(text.replaceAll('-', '+').replaceAll('_', '/') + '='.repeat(missing));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

function unmarshal(text: string): Value {
  const value = readJson(text);
  if (/[eE][-+]?\d{5}/.test(text) && holdsHuge(value)) throw new BuiltinError('number too big');
  return value;
}

/** OPA's limit of a number's binary exponent (v1/ast/term.go, maxNumberExp). */
const MAX_BITS = 100_000;

function holdsHuge(value: Value): boolean {
  if (Array.isArray(value)) return value.some(holdsHuge);
  if (value instanceof RegoObject) return value.entries.some(([, item]) => holdsHuge(item));
  if (!(value instanceof RegoNumber)) return false;
  const [mantissa = '', exponent = 0] = value.text.toLowerCase().split('e');
  const magnitude = Math.abs(Number(mantissa));
  return magnitude !== 0 && Math.abs(Math.log2(magnitude) + Number(exponent) * Math.log2(10)) > MAX_BITS;
}

const BASES: ReadonlyMap<string, number> = new Map([2, 8, 10, 16].map((base) => [String(base), base]));

/** Converting a number takes time by the square of its digits. */
const MAX_DIGITS = 10_000;

/** A fraction is cut off. */
function formatInteger(value: Value, base: Value): string {
  const radix = isNumber(base) ? BASES.get(numberText(base)) : undefined;
  if (!isNumber(value) || radix === undefined) throw new BuiltinError('operand 2 must be one of {2, 8, 10, 16}');
  if (numberText(value).length > MAX_DIGITS)
    throw new RangeError(`format_int: a number of more than ${MAX_DIGITS} digits`);
  const integer = integerOf(value);
  if (integer !== undefined) return integer.toString(radix);
  const float = Math.trunc(Number(numberText(value)));
  if (!Number.isFinite(float)) throw new RangeError('format_int: the number is too large');
  return BigInt(float).toString(radix);
}

/** The position of the first code point. */
function indexOf(text: string, part: string): number {
  if (part === '') throw new BuiltinError('empty search character');
  const units = text.indexOf(part);
  return units < 0 ? -1 : [...text.slice(0, units)].length;
}

/** Characters of what `replace` gives: it is built in the host's memory before the policy sees it. */
const MAX_REPLACED = 16 * 1024 * 1024;

/** An empty text is found around every character. */
function replace(text: string, old: string, by: string): string {
  const parts = old === '' ? ['', ...text, ''] : text.split(old);
  if (text.length + (parts.length - 1) * by.length > MAX_REPLACED)
    throw new RangeError(`replace: the text is longer than ${MAX_REPLACED} characters`);
  return parts.join(by);
}
