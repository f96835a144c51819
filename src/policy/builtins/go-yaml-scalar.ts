// What a plain YAML scalar means to go.yaml.in/yaml/v3 3.0.5 (resolve.go), as OPA reads it: dates stay text, and yes, no,
// on and off are words. The npm package `yaml` finds the scalars; its own schemas differ in octals and underscores.
import { numberOf, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';

const WORDS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
]);

const NOT_FINITE = /^(?:[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const FLOAT = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;
const INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9]\d*))$/;

/** Text that YAML takes for a number, a boolean or null if it stands without quotes; anything else is a string. */
export function resolvePlain(text: string): Value {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  // JSON has no such number.
  if (NOT_FINITE.test(text)) throw new BuiltinError(`unsupported value: ${text}`);
  if (!/^[-+.\d]/.test(text)) return text;
  const plain = text.startsWith('.') ? text : text.replaceAll('_', '');
  return integer(plain) ?? float(plain) ?? text;
}

/** Within what 64 bits hold, with a sign or without. */
function integer(text: string): Value | undefined {
  const match = INTEGER.exec(text);
  if (match === null) return undefined;
  const [, sign, hex, binary, octal, decimal = ''] = match;
  const magnitude = BigInt(
    hex !== undefined
      ? `0x${hex}`
      : binary !== undefined
        ? `0b${binary}`
        : octal !== undefined
          ? `0o${octal}`
          : decimal,
  );
  const value = sign === '-' ? -magnitude : magnitude;
  // A sign and 64 bits do not go together.
  const most = sign === '' ? (1n << 64n) - 1n : (1n << 63n) - 1n;
  return value < -(1n << 63n) || value > most ? undefined : numberOf(value.toString());
}

function float(text: string): Value | undefined {
  if (!FLOAT.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? numberOf(String(value)) : undefined;
}
