// units.parse and units.parse_bytes: Kubernetes-like quantities, exact (OPA v1/topdown/parse_units.go, parse_bytes.go).
import { numberOf, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { stringOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const UNITS: Readonly<Record<string, Builtin>> = {
  'units.parse': (args) => parseUnits(stringOperand(args, 1).replaceAll('"', '')),
  'units.parse_bytes': (args) => parseBytes(stringOperand(args, 1).toLowerCase().replaceAll('"', '')),
};

const LETTERS = ['k', 'm', 'g', 't', 'p', 'e'];

/** 10^18 for e, 2^60 for ei; undefined for what is no unit. */
function power(letter: string, binary: boolean): bigint | undefined {
  const index = LETTERS.indexOf(letter);
  if (index < 0) return undefined;
  return (binary ? 1024n : 1000n) ** BigInt(index + 1);
}

function parseUnits(text: string): Value {
  const { number, unit } = split(text);
  const name = unit.slice(0, 1) + unit.slice(1).toLowerCase();
  if (name === 'm') return print(multiply(number, { numerator: 1n, denominator: 1000n }));
  const factor =
    name === '' ? 1n : /^[A-Za-z]i?$/.test(name) ? power(name[0]?.toLowerCase() ?? '', name.length === 2) : undefined;
  if (factor === undefined) throw new BuiltinError(`units.parse: unit ${name} not recognized`);
  return print(multiply(number, { numerator: factor, denominator: 1n }));
}

function parseBytes(text: string): Value {
  const { number, unit } = split(text);
  const match = /^(?:([kmgtpe])(i)?b?)?$/.exec(unit);
  const factor = unit === '' ? 1n : match === null ? undefined : power(match[1] ?? '', match[2] !== undefined);
  if (factor === undefined) throw new BuiltinError(`units.parse_bytes: byte unit ${unit} not recognized`);
  const { numerator, denominator } = multiply(number, { numerator: factor, denominator: 1n });
  return numberOf((numerator / denominator).toString());
}

interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** The number and the unit of a quantity; `e` begins an exponent only before a digit or a sign. */
function split(text: string): { number: Rational; unit: string } {
  if (text.includes(' ')) throw new BuiltinError('spaces not allowed in resource strings');
  const match = /^((?:[\d.+-]|[eE](?=[\d+-]))*)(.*)$/s.exec(text);
  const number = match?.[1] ?? '';
  if (number === '') throw new BuiltinError('no amount provided');
  // No digit may belong to either of two parts of the pattern: trying both takes time by the square of the length.
  const parts = /^([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d{1,6}))?$/.exec(number);
  if (parts === null) throw new BuiltinError('could not parse amount to a number');
  const fraction = parts[3] ?? parts[4] ?? '';
  const digits = BigInt(`${parts[2] ?? ''}${fraction}`);
  const exponent = Number(parts[5] ?? 0) - fraction.length;
  // 10^999999 would keep a thread busy for seconds: no quantity needs it.
  if (Math.abs(exponent) > 10_000) throw new BuiltinError('exponent too large');
  const signed = parts[1] === '-' ? -digits : digits;
  const scale = 10n ** BigInt(Math.abs(exponent));
  const rational =
    exponent < 0 ? { numerator: signed, denominator: scale } : { numerator: signed * scale, denominator: 1n };
  return { number: rational, unit: match?.[2] ?? '' };
}

function multiply(a: Rational, b: Rational): Rational {
  return { numerator: a.numerator * b.numerator, denominator: a.denominator * b.denominator };
}

/** An integer, or ten decimals rounded half away from zero, as big.Rat.FloatString gives them. */
function print({ numerator, denominator }: Rational): Value {
  if (numerator % denominator === 0n) return numberOf((numerator / denominator).toString());
  const negative = numerator < 0n;
  const magnitude = (negative ? -numerator : numerator) * 10n ** 10n;
  const rounded = (magnitude * 2n + denominator) / (denominator * 2n);
  const text = rounded.toString().padStart(11, '0');
  return numberOf(`${negative ? '-' : ''}${text.slice(0, -10)}.${text.slice(-10)}`);
}
