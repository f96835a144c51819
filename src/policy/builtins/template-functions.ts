// The functions of Go templates (go1.26, src/text/template/funcs.go). `and` and `or` are in template.ts, because they
// do not look at all of their arguments.
import { compareValues, isPrintable, RegoObject } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { type FormatArg, formatArg, noFlags } from './go-format.ts';
import { format } from './sprintf.ts';
import { Byte, Float, formatOf, type Item, indexOf, isTrue, itemOf, JsonNumber, textOf } from './template-value.ts';
import { MAX_CHARS } from './too-long.ts';
import { queryEscape } from './url-escape.ts';

interface TemplateFunction {
  readonly least: number;
  readonly most: number;
  call(args: readonly Item[]): Item;
}

function exactly(count: number, call: (args: readonly Item[]) => Item): TemplateFunction {
  return { least: count, most: count, call };
}

function atLeast(count: number, call: (args: readonly Item[]) => Item): TemplateFunction {
  return { least: count, most: Number.POSITIVE_INFINITY, call };
}

export const TEMPLATE_FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map(
  Object.entries({
    // No value of a template is a function.
    call: atLeast(1, () => fail('call of what is no function')),
    index: atLeast(1, index),
    slice: atLeast(1, slice),
    len: exactly(1, ([item]) => BigInt(length(item))),
    not: exactly(1, ([item]) => !isTrue(item)),
    eq: atLeast(1, (args) => equalsAny(args)),
    ne: exactly(2, (args) => !equalsAny(args)),
    lt: exactly(2, ([a, b]) => less(a, b)),
    le: exactly(2, ([a, b]) => less(a, b) || equals(a, b)),
    gt: exactly(2, ([a, b]) => !less(a, b) && !equals(a, b)),
    ge: exactly(2, ([a, b]) => !less(a, b)),
    print: atLeast(0, (args) => print(args.map(formatOf))),
    println: atLeast(0, (args) => `${args.map((item) => text(formatOf(item))).join(' ')}\n`),
    printf: atLeast(1, printf),
    html: atLeast(0, (args) => escapeHtml(plainText(args))),
    js: atLeast(0, (args) => escapeJs(plainText(args))),
    urlquery: atLeast(0, (args) => queryEscape(plainText(args))),
  }),
);

/** What an action prints: nothing is there for undefined and nil. */
export function printed(item: Item): string {
  return item === undefined || item === null ? '<no value>' : text(formatOf(item));
}

function fail(message: string): never {
  throw new BuiltinError(message);
}

function text(arg: FormatArg): string {
  return formatArg(arg, 'v', noFlags());
}

/** fmt.Sprint: spaces between operands of which neither is a string. */
function print(args: readonly FormatArg[]): string {
  const isText = (arg: FormatArg | undefined): boolean => arg?.type === 'string' || arg?.type === 'json.Number';
  return args.map((arg, i) => (i > 0 && !isText(arg) && !isText(args[i - 1]) ? ' ' : '') + text(arg)).join('');
}

function printf([template, ...args]: readonly Item[]): string {
  if (typeof template !== 'string') return fail('printf: wrong type for value; expected string');
  return format(template, args.map(formatOf), MAX_CHARS);
}

/** The text that html, js and urlquery escape. */
function plainText(args: readonly Item[]): string {
  return print(args.map((item) => formatOf(item ?? '<no value>')));
}

function length(item: Item): number {
  const string = textOf(item);
  if (string !== undefined) return Buffer.byteLength(string);
  if (item instanceof RegoObject) return item.entries.length;
  return Array.isArray(item) ? item.length : fail(`len of type ${formatOf(item).type}`);
}

function index([item, ...indexes]: readonly Item[]): Item {
  let found = item;
  if (isNil(found)) return fail('index of untyped nil');
  for (const key of indexes) {
    if (found instanceof RegoObject) {
      if (typeof key !== 'string') return fail('the key of a map is a string');
      const value = found.get(key);
      found = value === undefined ? null : itemOf(value);
      continue;
    }
    const string = textOf(found);
    const items = string === undefined ? found : Buffer.from(string);
    if (!Array.isArray(items) && !Buffer.isBuffer(items))
      return fail(`can't index item of type ${formatOf(found).type}`);
    const member = items[indexOf(key)];
    if (member === undefined) return fail('index out of range');
    found = Buffer.isBuffer(items) ? new Byte(member) : itemOf(member);
  }
  return found ?? null;
}

/** Positions in a text are those of its bytes. Go lets a list be sliced past its end, into what is not its own. */
function slice([item, ...indexes]: readonly Item[]): Item {
  const string = textOf(item);
  const items = string === undefined ? item : Buffer.from(string);
  if (!Array.isArray(items) && !Buffer.isBuffer(items)) return fail(`can't slice item of type ${formatOf(item).type}`);
  if (indexes.length > (string === undefined ? 3 : 2)) return fail('too many slice indexes');
  const bounds = indexes.map(indexOf);
  const [from = 0, to = items.length, most = items.length] = bounds;
  if (from < 0 || from > to || to > most || most > items.length) return fail('slice index out of range');
  if (!Buffer.isBuffer(items)) return items.slice(from, to);
  const part = items.subarray(from, to).toString('utf8');
  return item instanceof JsonNumber ? new JsonNumber(part) : part;
}

type Kind = 'bool' | 'integer' | 'float' | 'string' | undefined;

/** What can be compared with one another. */
function kindOf(item: Item): Kind {
  if (typeof item === 'boolean') return 'bool';
  if (typeof item === 'bigint' || item instanceof Byte) return 'integer';
  if (item instanceof Float) return 'float';
  return textOf(item) === undefined ? undefined : 'string';
}

function isNil(item: Item): boolean {
  return item === undefined || item === null;
}

/** Whether the first equals one of the others; those after it are not looked at. */
function equalsAny([first, ...others]: readonly Item[]): boolean {
  if (others.length === 0) return fail('missing argument for comparison');
  return others.some((other) => equals(first, other));
}

function equals(a: Item, b: Item): boolean {
  const kind = kindOf(a);
  if (kind !== kindOf(b)) return isNil(a) || isNil(b) ? false : fail('incompatible types for comparison');
  if (kind === undefined) return isNil(a) || isNil(b) ? isNil(a) && isNil(b) : fail('non-comparable types');
  return compare(a, b) === 0;
}

function less(a: Item, b: Item): boolean {
  const kind = kindOf(a);
  if (kind === undefined || kind === 'bool' || kind !== kindOf(b)) return fail('invalid types for comparison');
  return compare(a, b) < 0;
}

/** Order of two items of one kind. */
function compare(a: Item, b: Item): number {
  const x = textOf(a);
  const y = textOf(b);
  if (x !== undefined && y !== undefined) return compareValues(x, y);
  const left = a instanceof Float || a instanceof Byte ? a.value : (a as bigint | boolean);
  const right = b instanceof Float || b instanceof Byte ? b.value : (b as bigint | boolean);
  return left < right ? -1 : left > right ? 1 : 0;
}

const HTML: Readonly<Record<string, string>> = {
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '\0': '\ufffd',
};

function escapeHtml(plain: string): string {
  return plain.replace(/["'&<>\0]/g, (character) => HTML[character] ?? character);
}

function escapeJs(plain: string): string {
  return plain.replace(/[\\'"]|[^ -~]|[<>&=]/gu, (character) => {
    if ('\\\'"'.includes(character)) return `\\${character}`;
    if (character > '\u007f' && isPrintable(character)) return character;
    // Go does not escape the one control character of ASCII above the letters.
    if (character === '\u007f') return character;
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  });
}
