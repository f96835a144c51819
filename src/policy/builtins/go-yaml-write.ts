// YAML as go.yaml.in/yaml/v3 3.0.5 writes it with an indentation of two (encode.go, emitterc.go), which is how OPA does.
import { isNumber, numberText, RegoObject, RegoSet, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { formatMagnitude } from './go-float.ts';
import { writeJson } from './go-json.ts';
import { resolvePlain } from './go-yaml-scalar.ts';

export function writeYaml(value: Value): string {
  const text = node(value, 0);
  // Collections begin on a line of their own wherever they are nested, but not at the top.
  return `${text.replace(/^\n/, '')}\n`;
}

/** Text after a dash, a colon or nothing: a scalar, or lines that begin with a line break, indented by `depth`. */
function node(value: Value, depth: number): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return text(value, depth);
  if (isNumber(value)) return number(numberText(value));
  if (value instanceof RegoObject) return mapping(value, depth);
  const items = value instanceof RegoSet ? value.members : value;
  if (items.length === 0) return '[]';
  return items
    .map((item) => (typeof item === 'string' ? text(item, depth) : inItem(node(item, depth + 1), depth + 1)))
    .map((item) => `\n${indent(depth)}- ${item}`)
    .join('');
}

function mapping(object: RegoObject, depth: number): string {
  if (object.entries.length === 0) return '{}';
  const entries = object.entries.map(([key, item]) => [typeof key === 'string' ? key : writeJson(key), item] as const);
  return entries
    .toSorted(([a], [b]) => compareKeys(a, b))
    .map(([key, item]) => entry(key, item, depth))
    .join('');
}

function entry(key: string, item: Value, depth: number): string {
  const isNested = (Array.isArray(item) && item.length > 0) || (item instanceof RegoSet && item.members.length > 0);
  const value = node(item, isNested || item instanceof RegoObject ? depth + 1 : depth);
  const name = text(key, depth);
  const separator = value.startsWith('\n') ? '' : ' ';
  // A key of several lines, or too long to look for its colon, is announced by a question mark.
  if (key.includes('\n') || Buffer.byteLength(key) > 128)
    return `\n${indent(depth)}? ${name}\n${indent(depth)}: ${inItem(value, depth + 1)}`;
  return `\n${indent(depth)}${name}:${separator}${value}`;
}

/** The first line of a nested collection stands behind the dash. */
function inItem(value: string, depth: number): string {
  return value.startsWith(`\n${indent(depth)}`) ? value.slice(1 + 2 * depth) : value;
}

function indent(depth: number): string {
  return '  '.repeat(depth);
}

/** Integers of 64 bits as they are; everything else is a float64 and printed as Go's %g. */
function number(source: string): string {
  const value = resolvePlain(source);
  if (!isNumber(value)) throw new BuiltinError(`yaml: ${source} is too large`);
  const resolved = numberText(value);
  if (/^-?\d+$/.test(resolved) && /^-?\d+$/.test(source)) return resolved;
  const float = Number(resolved);
  return (float < 0 ? '-' : '') + formatMagnitude(float, 'g', -1);
}

const OLD_BOOL = /^(?:[yYnN]|yes|Yes|YES|on|On|ON|no|No|NO|off|Off|OFF)$/;
const BASE_60 = /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?$/;

/** Whether the text would be read as something else without its quotes. */
function isAmbiguous(value: string): boolean {
  if (OLD_BOOL.test(value) || BASE_60.test(value) || isTimestamp(value)) return true;
  try {
    return resolvePlain(value) !== value;
  } catch (error) {
    // .inf and .nan
    if (error instanceof BuiltinError) return true;
    throw error;
  }
}

function isTimestamp(value: string): boolean {
  const match =
    /^\d{4}-(\d\d?)-(\d\d?)(?:(?:[Tt]([\d:]+)(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)| +([\d:]+)(?:[.,]\d+)?))?$/.exec(value);
  if (match === null) return false;
  const [, month, day, ...times] = match;
  const date = new Date(0);
  date.setUTCFullYear(Number(value.slice(0, 4)), Number(month) - 1, Number(day));
  const clock = (times[0] ?? times[1] ?? '0:0:0').split(':').map(Number);
  const [hour = 99, minute = 99, second = 99] = clock;
  const isClock = clock.length === 3 && hour < 24 && minute < 60 && second < 60;
  return isClock && date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}

/** libyaml's analysis of a scalar. */
function analyze(value: string): { plain: boolean; singleQuoted: boolean; block: boolean } {
  const special = [...value].some((character) => character !== '\t' && !isPrintable(character));
  const indicators =
    /^(?:---|\.\.\.|[#,[\]{}&*!|>'"%@`]|[?:-](?:[ \t\r\n]|$))/.test(value) || /:(?:[ \t\r\n]|$)|[ \t\r\n]#/.test(value);
  const breaks = /[\r\n\u0085\u2028\u2029]/.test(value);
  const breakSpace = /[\r\n\u0085\u2028\u2029] /.test(value);
  const spaceBreak = / [\r\n\u0085\u2028\u2029]/.test(value);
  const edges = /^[ \r\n\u0085\u2028\u2029]|[ \r\n\u0085\u2028\u2029]$/.test(value);
  const unquotable = breakSpace || spaceBreak || value.includes('\t') || special;
  return {
    plain: !edges && !unquotable && !breaks && !indicators,
    singleQuoted: !unquotable,
    block: value !== '' && !value.endsWith(' ') && !spaceBreak && !special,
  };
}

/** Line feed, and what YAML prints of the Basic Multilingual Plane. */
function isPrintable(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  if (code === 0x0a || (code >= 0x20 && code <= 0x7e)) return true;
  return code >= 0xa0 && code <= 0xfffd && code !== 0xfeff;
}

function text(value: string, depth: number): string {
  const { plain, singleQuoted, block } = analyze(value);
  if (value.includes('\n')) return block ? literal(value, depth) : doubleQuoted(value);
  if (isAmbiguous(value)) return doubleQuoted(value);
  if (plain) return value;
  return singleQuoted ? `'${value.replaceAll("'", "''")}'` : doubleQuoted(value);
}

/** A literal block: its lines, and how the breaks at its end are to be kept. */
function literal(value: string, depth: number): string {
  const hint = /^[ \n\r\u0085\u2028\u2029]/.test(value) ? '2' : '';
  const chomp = value.endsWith('\n\n') || value === '\n' ? '+' : value.endsWith('\n') ? '' : '-';
  const lines = value.replace(/\n$/, '').split('\n');
  return `|${hint}${chomp}\n${lines.map((line) => (line === '' ? '' : indent(depth + 1) + line)).join('\n')}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\0': '0',
  '\u0007': 'a',
  '\b': 'b',
  '\t': 't',
  '\n': 'n',
  '\v': 'v',
  '\f': 'f',
  '\r': 'r',
  '\u001b': 'e',
  '"': '"',
  '\\': '\\',
  '\u0085': 'N',
  '\u2028': 'L',
  '\u2029': 'P',
};

function doubleQuoted(value: string): string {
  let quoted = '';
  for (const character of value) {
    const short = ESCAPES[character];
    if (short !== undefined) quoted += `\\${short}`;
    else quoted += isPrintable(character) ? character : escapeCode(character.codePointAt(0) ?? 0);
  }
  return `"${quoted}"`;
}

function escapeCode(code: number): string {
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

/** Order of keys: letters after everything else, except right behind digits; runs of digits by their value (sorter.go). */
function compareKeys(left: string, right: string): number {
  const [a, b] = [[...left], [...right]];
  let afterDigits = false;
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x = '', y = ''] = [a[i], b[i]];
    if (x === y) {
      afterDigits = /\p{Nd}/u.test(x);
      continue;
    }
    const [isLetterX, isLetterY] = [/\p{L}/u.test(x), /\p{L}/u.test(y)];
    if (isLetterX && isLetterY) return codeOf(x) - codeOf(y);
    if (isLetterX || isLetterY) return (afterDigits ? isLetterX : isLetterY) ? -1 : 1;
    return compareRuns(a, b, i);
  }
  return a.length - b.length;
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

/** The characters from `at` on begin with different ones, neither of them a letter. */
function compareRuns(a: readonly string[], b: readonly string[], at: number): number {
  let lead = 0n;
  if (a[at] === '0' || b[at] === '0') {
    let before = at - 1;
    while (before >= 0 && a[before] === '0') before--;
    // Zeros behind another digit count: 100 and 10.
    if (before >= 0 && /\d/.test(a[before] ?? '')) lead = 1n;
  }
  const [runA, runB] = [run(a, at, lead), run(b, at, lead)];
  if (runA.value !== runB.value) return runA.value < runB.value ? -1 : 1;
  if (runA.end !== runB.end) return runA.end - runB.end;
  return codeOf(a[at] ?? '') - codeOf(b[at] ?? '');
}

function run(characters: readonly string[], from: number, lead: bigint): { value: bigint; end: number } {
  let end = from;
  let value = lead;
  for (; /^\d$/.test(characters[end] ?? ''); end++) value = value * 10n + BigInt(characters[end] ?? 0);
  return { value, end };
}
