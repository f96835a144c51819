// JSON as Go's encoding/json writes it (keys in order, <, > and & escaped) and as OPA reads it (numbers stay exact).
import { isNumber, numberOf, numberText, RegoObject, RegoSet, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';

/** Line prefix and indentation of json.MarshalIndent. */
interface Indent {
  readonly prefix: string;
  readonly indent: string;
}

/** json.Marshal of the value; with `pretty`, json.MarshalIndent. Sets are arrays, other keys than strings their JSON. */
export function writeJson(value: Value, pretty?: Indent): string {
  return write(value, pretty, pretty === undefined ? '' : `\n${pretty.prefix}`);
}

function write(value: Value, pretty: Indent | undefined, line: string): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return quote(value);
  if (isNumber(value)) return numberText(value);
  const inner = line + (pretty?.indent ?? '');
  if (value instanceof RegoObject) {
    const entries = value.entries.map(
      ([key, item]) => [typeof key === 'string' ? key : write(key, undefined, ''), item] as const,
    );
    // Keys that became text stand where their text belongs.
    entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const colon = pretty === undefined ? ':' : ': ';
    return list(
      '{}',
      entries.map(([key, item]) => quote(key) + colon + write(item, pretty, inner)),
      inner,
      line,
    );
  }
  const items = value instanceof RegoSet ? value.members : value;
  return list(
    '[]',
    items.map((item) => write(item, pretty, inner)),
    inner,
    line,
  );
}

function list(brackets: string, items: readonly string[], inner: string, line: string): string {
  if (items.length === 0) return brackets;
  return `${brackets[0]}${inner}${items.join(`,${inner}`)}${line}${brackets[1]}`;
}

function quote(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** What JSON.parse gives its reviver: the text of a number as it was written. */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

const REVIVER: Reviver = (_key, value, { source }) => {
  if (typeof value === 'number') return source === undefined ? value : numberOf(source);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isNumber(value as Value)) return value;
  if (value instanceof RegoObject) return value;
  return new RegoObject(Object.entries(value) as [string, Value][]);
};

/** The value of a JSON text. Throws a BuiltinError when it is none; of a key that comes twice, the last value counts. */
export function readJson(text: string, wrong = 'invalid JSON'): Value {
  try {
    return JSON.parse(text, REVIVER as (key: string, value: unknown) => unknown) as Value;
  } catch (error) {
    throw new BuiltinError(wrong, { cause: error });
  }
}
