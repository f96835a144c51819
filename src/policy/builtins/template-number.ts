// Number literals of Go templates (go1.26, src/text/template/parse/node.go, newNumber; exec.go, idealConstant).
import { BuiltinError } from './error.ts';

/** What a literal is where nothing asks for a certain type; `overflow` is an error only where it is evaluated. */
export type TemplateNumber =
  | { readonly type: 'int'; readonly value: bigint }
  | { readonly type: 'float64'; readonly value: number }
  | { readonly type: 'overflow' };

/** Underscores stand between digits, or between a prefix and a digit. */
const INTEGER = /^[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?[0-7])*|[1-9](?:_?\d)*)$/;
const DIGITS = String.raw`\d(?:_?\d)*`;
const DECIMAL = new RegExp(String.raw`^[+-]?(?:${DIGITS}(?:\.(?:${DIGITS})?)?|\.${DIGITS})(?:[eE][+-]?${DIGITS})?$`);
const HEXADECIMAL = /^([+-]?)0[xX]_?([0-9a-fA-F_]*)\.?([0-9a-fA-F_]*)[pP]([+-]?\d+)$/;

const INT64_MAX = (1n << 63n) - 1n;
const UINT64_MAX = (1n << 64n) - 1n;

export function templateNumber(text: string): TemplateNumber {
  const wrong = new BuiltinError(`illegal number syntax: ${text}`);
  // Go looks for the letter of an exponent and takes a signed -0x1e for a float.
  const looksFloat = /[.eEpP]/.test(text) && !/^0[xX][^pP]*$/.test(text);
  if (INTEGER.test(text)) {
    const value = integer(text.replaceAll('_', ''));
    if (value <= INT64_MAX && value >= -INT64_MAX - 1n)
      return looksFloat ? { type: 'float64', value: Number(value) } : { type: 'int', value };
    if (/^\d/.test(text) && value <= UINT64_MAX) return { type: 'overflow' };
    throw wrong;
  }
  const value = float(text);
  if (!looksFloat || value === undefined || !Number.isFinite(value)) throw wrong;
  return { type: 'float64', value };
}

function integer(text: string): bigint {
  const digits = text.replace(/^[+-]/, '');
  const value = BigInt(/^0\d/.test(digits) ? `0o${digits}` : digits);
  return text.startsWith('-') ? -value : value;
}

function float(text: string): number | undefined {
  if (DECIMAL.test(text)) return Number(text.replaceAll('_', ''));
  const [, sign, whole = '', fraction = '', exponent] = HEXADECIMAL.exec(text.replaceAll('_', '')) ?? [];
  if (whole + fraction === '') return undefined;
  const mantissa = Number(`0x${whole}${fraction}`) * 2 ** (Number(exponent) - 4 * fraction.length);
  return sign === '-' ? -mantissa : mantissa;
}
