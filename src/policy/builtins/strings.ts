// String built-ins that Wasm leaves to the host. Positions count code points, as in OPA.

import { BuiltinError } from './error.ts';
import { integerOperand, stringOperand, stringsOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const STRINGS: Readonly<Record<string, Builtin>> = {
  'strings.any_prefix_match': (args) => anyMatch(stringsOperand(args, 1), stringsOperand(args, 2), 'startsWith'),
  'strings.any_suffix_match': (args) => anyMatch(stringsOperand(args, 1), stringsOperand(args, 2), 'endsWith'),
  'strings.count': (args) => count(stringOperand(args, 1), stringOperand(args, 2)),
  'strings.split_n': (args) => splitN(stringOperand(args, 1), stringOperand(args, 2), Number(integerOperand(args, 3))),
  indexof_n: (args) => indexes(stringOperand(args, 1), stringOperand(args, 2)),
  // Its note would go into OPA's trace, which Wasm does not have.
  trace: (args) => stringOperand(args, 1) !== undefined,
  'glob.quote_meta': (args) => stringOperand(args, 1).replace(/[*?\\[\]{}]/g, '\\$&'),
};

function anyMatch(texts: readonly string[], affixes: readonly string[], test: 'startsWith' | 'endsWith'): boolean {
  return texts.some((text) => affixes.some((affix) => text[test](affix)));
}

/** Go's strings.Count: without overlaps; the empty string is found around every code point. */
function count(text: string, part: string): number {
  return part === '' ? [...text].length + 1 : text.split(part).length - 1;
}

/** The first n parts, or the last -n. */
function splitN(text: string, delimiter: string, n: number): string[] {
  const parts = delimiter === '' ? [...text] : text.split(delimiter);
  return n >= 0 ? parts.slice(0, n) : parts.slice(Math.max(parts.length + n, 0));
}

function indexes(text: string, part: string): number[] {
  if (part === '') throw new BuiltinError('empty search character');
  const characters = [...text];
  const wanted = [...part];
  return characters.flatMap((_, at) => (wanted.every((character, i) => characters[at + i] === character) ? [at] : []));
}
