// Rego values as they cross the border between Wasm and the host: read from what opa_value_dump prints (sets and object
// keys of any type survive, unlike in JSON), written for opa_value_parse, ordered and printed as OPA orders and prints
// them.

/**
 * A Rego value. A number is a JavaScript number only when that prints exactly as the number was written; otherwise
 * (2^53+1, 1.0, 1e400) it is a RegoNumber that keeps its text.
 */
export type Value = null | boolean | number | bigint | RegoNumber | string | Value[] | RegoSet | RegoObject;

/** A number that would change if it became a JavaScript number. */
export class RegoNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A set: unique members in OPA's order. */
export class RegoSet {
  readonly members: readonly Value[];
  constructor(members: Iterable<Value>) {
    const sorted = [...members].sort(compareValues);
    this.members = sorted.filter((member, i) => i === 0 || compareValues(member, sorted[i - 1] as Value) !== 0);
  }
}

/** An object, whose keys may be any value, in OPA's order of keys. */
export class RegoObject {
  readonly entries: readonly (readonly [Value, Value])[];
  constructor(entries: Iterable<readonly [Value, Value]>) {
    this.entries = [...entries].sort((a, b) => compareValues(a[0], b[0]));
  }

  get(key: string): Value | undefined {
    return this.entries.find((entry) => entry[0] === key)?.[1];
  }
}

export function isNumber(value: Value): value is number | bigint | RegoNumber {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof RegoNumber;
}

/** The number's text as Rego would write it. */
export function numberText(value: number | bigint | RegoNumber): string {
  if (value instanceof RegoNumber) return value.text;
  if (typeof value === 'bigint') return value.toString();
  if (!Number.isFinite(value)) throw new RangeError('a Rego number is finite');
  return Object.is(value, -0) ? '0' : String(value);
}

/** The Rego number that `text` writes, which must be a JSON number. */
export function numberOf(text: string): number | RegoNumber {
  const value = Number(text);
  return String(value) === text ? value : new RegoNumber(text);
}

/** The integer's exact value, or undefined when the number has a fraction or an exponent that makes it one. */
export function integerOf(value: Value): bigint | undefined {
  if (!isNumber(value)) return undefined;
  const text = numberText(value);
  if (/^-?\d+$/.test(text)) return BigInt(text);
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return undefined;
  const fraction = match[3] ?? '';
  const exponent = Number(match[4] ?? 0);
  if (Math.abs(exponent) > 4096) return undefined;
  const digits = (match[2] ?? '') + fraction;
  const shift = exponent - fraction.length;
  if (shift >= 0) return BigInt(`${match[1]}${digits}${'0'.repeat(shift)}`);
  const cut = Math.max(0, digits.length + shift);
  return /^0*$/.test(digits.slice(cut)) ? BigInt(`${match[1]}${digits.slice(0, cut) || '0'}`) : undefined;
}

const TYPE_ORDER = { null: 0, boolean: 1, number: 2, string: 3, array: 4, object: 5, set: 6 } as const;
export type TypeName = keyof typeof TYPE_ORDER;

/** The name that Rego's type_name gives. */
export function typeName(value: Value): TypeName {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'string') return 'string';
  if (isNumber(value)) return 'number';
  if (Array.isArray(value)) return 'array';
  return value instanceof RegoSet ? 'set' : 'object';
}

/** OPA's total order: by type, then by value. */
export function compareValues(a: Value, b: Value): number {
  if (a === b) return 0;
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b);
  const type = typeName(a);
  const difference = TYPE_ORDER[type] - TYPE_ORDER[typeName(b)];
  if (difference !== 0) return difference;
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  if (typeof a === 'boolean') return a ? 1 : -1;
  if (Array.isArray(a) && Array.isArray(b)) return compareLists(a, b);
  if (a instanceof RegoSet && b instanceof RegoSet) return compareLists(a.members, b.members);
  if (a instanceof RegoObject && b instanceof RegoObject) return compareObjects(a, b);
  return 0;
}

function compareNumbers(a: number | bigint | RegoNumber, b: number | bigint | RegoNumber): number {
  const x = integerOf(a);
  const y = integerOf(b);
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : 0;
  return Number(numberText(a)) - Number(numberText(b));
}

function compareLists(a: readonly Value[], b: readonly Value[]): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const order = compareValues(a[i] as Value, b[i] as Value);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareObjects(a: RegoObject, b: RegoObject): number {
  const shared = Math.min(a.entries.length, b.entries.length);
  for (let i = 0; i < shared; i++) {
    const [keyA, valueA] = a.entries[i] as readonly [Value, Value];
    const [keyB, valueB] = b.entries[i] as readonly [Value, Value];
    const order = compareValues(keyA, keyB) || compareValues(valueA, valueB);
    if (order !== 0) return order;
  }
  return a.entries.length - b.entries.length;
}

/** Order of the UTF-8 bytes. UTF-16 order differs from it only between surrogates and U+E000..U+FFFF. */
function compareStrings(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** The value as JSON would carry it: sets become arrays, keys that are not strings become their printed form. */
export function toJson(value: Value): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string' || typeof value === 'number')
    return value;
  if (isNumber(value)) return Number(numberText(value));
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof RegoSet) return value.members.map(toJson);
  // defineProperty semantics: a key named __proto__ is only a key.
  return Object.fromEntries(
    value.entries.map(([key, item]) => [typeof key === 'string' ? key : printValue(key), toJson(item)]),
  );
}

/** The Rego value of parsed JSON. */
export function fromJson(value: unknown): Value {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value === 'object')
    return new RegoObject(Object.entries(value).map(([key, item]) => [key, fromJson(item)]));
  if (typeof value === 'boolean' || typeof value === 'string' || typeof value === 'number') return value;
  throw new TypeError(`${typeof value} is not JSON`);
}

/** Text for opa_value_parse. */
export function writeValue(value: Value): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  // A lone surrogate has no UTF-8 form; OPA itself holds U+FFFD there.
  if (typeof value === 'string') return JSON.stringify(value.toWellFormed());
  if (isNumber(value)) return numberText(value);
  if (Array.isArray(value)) return `[${value.map(writeValue).join(',')}]`;
  if (value instanceof RegoSet)
    return value.members.length === 0 ? 'set()' : `{${value.members.map(writeValue).join(',')}}`;
  return `{${value.entries.map(([key, item]) => `${writeValue(key)}:${writeValue(item)}`).join(',')}}`;
}

/**
 * Whether its text would have more characters than that, found without writing it: a value may hold another many times over, and what a
 * few operations double is soon more than any heap holds. Escapes count as what they stand for.
 */
export function isLongerThan(value: Value, chars: number): boolean {
  let left = chars;
  const take = (one: Value): boolean => {
    left -= typeof one === 'string' ? one.length + 2 : 1;
    if (left < 0 || one === null || typeof one !== 'object') return left < 0;
    if (Array.isArray(one)) return one.some(take);
    if (one instanceof RegoSet) return one.members.some(take);
    return one instanceof RegoObject && one.entries.some(([key, item]) => take(key) || take(item));
  };
  return take(value);
}

/** The value as OPA's `%v` and `print` show it, a string with its quotes. */
export function printValue(value: Value): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'string') return quoteString(value);
  if (isNumber(value)) return numberText(value);
  if (Array.isArray(value)) return `[${value.map(printValue).join(', ')}]`;
  if (value instanceof RegoSet) {
    return value.members.length === 0 ? 'set()' : `{${value.members.map(printValue).join(', ')}}`;
  }
  return `{${value.entries.map(([key, item]) => `${printValue(key)}: ${printValue(item)}`).join(', ')}}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\u000b': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};

/** Letters, marks, numbers, punctuation, symbols, and the ASCII space. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** Go's strconv.IsPrint of one character. */
export function isPrintable(character: string): boolean {
  return PRINTABLE.test(character);
}

/** Go's strconv.Quote; with `ascii`, strconv.QuoteToASCII. */
export function quoteString(text: string, ascii = false): string {
  let quoted = '"';
  for (const character of text.toWellFormed()) {
    const code = character.codePointAt(0) ?? 0;
    const short = ESCAPES[character];
    if (short !== undefined) quoted += short;
    else if (isPrintable(character) && (code < 0x80 || !ascii)) quoted += character;
    else quoted += escapeCode(code);
  }
  return `${quoted}"`;
}

function escapeCode(code: number): string {
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}
