// What values are while a Go template runs: those of Go's encoding/json, and what literals and functions give.
import { isNumber, numberText, RegoObject, RegoSet, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import type { FormatArg } from './go-format.ts';

/** A number from the variables. To templates it is a text: true when it is 0, and no index. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A literal with a point or an exponent. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** A byte of a text. */
export class Byte {
  readonly value: bigint;
  constructor(value: number) {
    this.value = BigInt(value);
  }
}

/** A bigint is Go's int. Undefined is no value at all, such as a key that is not there; null is a value that is nil. */
export type Item =
  | undefined
  | null
  | boolean
  | string
  | bigint
  | JsonNumber
  | Float
  | Byte
  | readonly Value[]
  | RegoObject;

/** A value of the variables, which hold no sets. */
export function itemOf(value: Value): Item {
  if (isNumber(value)) return new JsonNumber(numberText(value));
  if (value instanceof RegoSet) throw new TypeError('JSON has no sets');
  return value;
}

/** Go's truth of a value: neither empty nor zero. */
export function isTrue(item: Item): boolean {
  if (item === undefined || item === null) return false;
  if (item instanceof JsonNumber) return true;
  if (item instanceof RegoObject) return item.entries.length > 0;
  if (item instanceof Float || item instanceof Byte) return Number(item.value) !== 0;
  return Array.isArray(item) ? item.length > 0 : Boolean(item);
}

/** The item as Go's fmt sees it. */
export function formatOf(item: Item): FormatArg {
  if (item === undefined || item === null) return { type: '<nil>' };
  switch (typeof item) {
    case 'boolean':
      return { type: 'bool', value: item };
    case 'string':
      return { type: 'string', value: item };
    case 'bigint':
      return { type: 'int', value: item };
    default:
  }
  if (item instanceof JsonNumber) return { type: 'json.Number', value: item.text };
  if (item instanceof Float) return { type: 'float64', value: item.value };
  if (item instanceof Byte) return { type: 'uint8', value: item.value };
  const nested = (value: Value): FormatArg => formatOf(itemOf(value));
  if (item instanceof RegoObject)
    return {
      type: 'map[string]interface {}',
      value: item.entries.map(([key, value]) => [String(key), nested(value)]),
    };
  return { type: '[]interface {}', value: item.map(nested) };
}

/** The text of a string or a number of the variables, which both are strings to Go. */
export function textOf(item: Item): string | undefined {
  return item instanceof JsonNumber ? item.text : typeof item === 'string' ? item : undefined;
}

/** The integer that may be an index. */
export function indexOf(item: Item): number {
  if (typeof item === 'bigint') return Number(item);
  if (item instanceof Byte) return Number(item.value);
  throw new BuiltinError(`cannot index with type ${formatOf(item).type}`);
}
