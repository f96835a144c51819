// One value under one verb of Go's fmt package (go1.26, src/fmt/format.go and math/big/intconv.go).
import { isPrintable, quoteString } from '../terms.ts';
import { formatMagnitude } from './go-float.ts';

/** What OPA's sprintf hands to Go (string, int64, *big.Int and float64), and what its templates do. */
export type FormatArg =
  | { readonly type: 'string' | 'json.Number'; readonly value: string }
  | { readonly type: 'int64' | 'int' | 'uint8'; readonly value: bigint }
  | { readonly type: '*big.Int'; readonly value: bigint }
  | { readonly type: 'float64'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: '<nil>' }
  | { readonly type: '[]interface {}'; readonly value: readonly FormatArg[] }
  | {
      readonly type: 'map[string]interface {}';
      /** In the order of the keys. */
      readonly value: readonly (readonly [string, FormatArg])[];
    };

type TextArg = FormatArg & { type: 'string' | 'json.Number' };
type IntegerArg = FormatArg & { type: 'int64' | 'int' | 'uint8' };
type NestedArg = FormatArg & { type: '[]interface {}' | 'map[string]interface {}' };

export interface Flags {
  plus: boolean;
  minus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  /** `#` and `+` with the verb v, which big.Int still sees as flags and the other types do not. */
  sharpV: boolean;
  plusV: boolean;
  width: number | undefined;
  precision: number | undefined;
}

export function noFlags(): Flags {
  return {
    plus: false,
    minus: false,
    sharp: false,
    space: false,
    zero: false,
    sharpV: false,
    plusV: false,
    width: undefined,
    precision: undefined,
  };
}

/** Text of `arg` under `verb`. */
export function formatArg(arg: FormatArg, verb: string, flags: Flags): string {
  if (verb === 'T') return formatString({ type: 'string', value: arg.type }, 's', flags);
  // Every argument is a Go value that is not a pointer, except those whose address nobody can want.
  if (verb === 'p') return badVerb(arg, verb, flags);
  switch (arg.type) {
    case 'string':
    case 'json.Number':
      return formatString(arg, verb, flags);
    case 'int64':
    case 'int':
    case 'uint8':
      return formatInteger(arg, verb, flags);
    case '*big.Int':
      return formatBig(arg, verb, flags);
    case 'float64':
      return formatFloat(arg, verb, flags);
    case 'bool':
      return 'vt'.includes(verb) ? pad(String(arg.value), flags) : badVerb(arg, verb, flags);
    case '<nil>':
      return verb === 'v' ? pad(arg.type, flags) : badVerb(arg, verb, flags);
    default:
      return verb === 'w' ? badVerb(arg, verb, flags) : formatNested(arg, verb, flags);
  }
}

/** The flags hold for each value in a list or a map, and the keys. */
function formatNested(arg: NestedArg, verb: string, flags: Flags): string {
  const each = (item: FormatArg): string => {
    if (item.type === '<nil>') return flags.sharpV ? 'interface {}(nil)' : item.type;
    return formatArg(item, verb, flags);
  };
  const parts =
    arg.type === '[]interface {}'
      ? arg.value.map(each)
      : arg.value.map(([key, item]) => `${each({ type: 'string', value: key })}:${each(item)}`);
  if (flags.sharpV) return `${arg.type}{${parts.join(', ')}}`;
  const text = `[${parts.join(' ')}]`;
  return arg.type === '[]interface {}' ? text : `map${text}`;
}

/** The value in the complaint is printed under the flags of the bad directive, as Go does. */
function badVerb(arg: FormatArg, verb: string, flags: Flags): string {
  if (arg.type === '*big.Int') return `%!${verb}(big.Int=${arg.value})`;
  if (arg.type === '<nil>') return `%!${verb}(${arg.type})`;
  return `%!${verb}(${arg.type}=${formatArg(arg, 'v', flags)})`;
}

function pad(text: string, flags: Flags, zero = flags.zero && !flags.minus): string {
  const missing = (flags.width ?? 0) - [...text].length;
  if (missing <= 0) return text;
  return flags.minus ? text + ' '.repeat(missing) : (zero ? '0' : ' ').repeat(missing) + text;
}

function formatString(arg: TextArg, verb: string, flags: Flags): string {
  const cut = flags.precision === undefined ? arg.value : [...arg.value].slice(0, flags.precision).join('');
  switch (verb) {
    case 'v':
      return flags.sharpV ? quoted(cut, { ...flags, sharp: true }) : pad(cut, flags);
    case 's':
      return pad(cut, flags);
    case 'x':
    case 'X':
      return hexBytes(arg.value, verb, flags);
    case 'q':
      return quoted(cut, flags);
    default:
      return badVerb(arg, verb, flags);
  }
}

function quoted(text: string, flags: Flags): string {
  const backquotable = flags.sharp && !flags.sharpV && canBackquote(text);
  return pad(backquotable ? `\`${text}\`` : quoteString(text, flags.plus), flags);
}

/** strconv.CanBackquote: no control character but tab, no backquote, no byte order mark. */
function canBackquote(text: string): boolean {
  return ![...text].some((character) => character !== '\t' && (character < ' ' || '`\u007f\ufeff'.includes(character)));
}

function hexBytes(text: string, verb: string, flags: Flags): string {
  const bytes = [...Buffer.from(text, 'utf8').subarray(0, flags.precision)];
  const prefix = flags.sharp ? `0${verb}` : '';
  const parts = bytes.map((byte) => byte.toString(16).padStart(2, '0'));
  const hex = flags.space ? parts.join(` ${prefix}`) : parts.join('');
  return pad(parts.length === 0 ? '' : prefix + (verb === 'X' ? hex.toUpperCase() : hex), flags);
}

const BASES: Readonly<Record<string, number>> = { v: 10, d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };

function formatInteger(arg: IntegerArg, verb: string, flags: Flags): string {
  const base = BASES[verb];
  if (base === undefined) return formatCharacter(arg, verb, flags);
  if (verb === 'v' && flags.sharpV && arg.type === 'uint8')
    return formatInteger(arg, 'x', { ...flags, sharp: true, sharpV: false });
  const negative = arg.value < 0n;
  const magnitude = negative ? -arg.value : arg.value;
  if (flags.precision === 0 && magnitude === 0n) return ' '.repeat(flags.width ?? 0);
  const signed = negative || flags.plus || flags.space;
  let least = flags.precision ?? 0;
  if (flags.precision === undefined && flags.zero && !flags.minus) least = (flags.width ?? 0) - (signed ? 1 : 0);
  let digits = magnitude.toString(base).padStart(least, '0');
  if (verb === 'X') digits = digits.toUpperCase();
  if (flags.sharp) {
    if (base === 2) digits = `0b${digits}`;
    if (base === 8 && !digits.startsWith('0')) digits = `0${digits}`;
    if (base === 16) digits = `0${verb}${digits}`;
  }
  if (verb === 'O') digits = `0o${digits}`;
  return pad(signOf(negative, flags) + digits, flags, false);
}

function signOf(negative: boolean, flags: Flags): string {
  if (negative) return '-';
  if (flags.plus) return '+';
  return flags.space ? ' ' : '';
}

function formatCharacter(arg: IntegerArg, verb: string, flags: Flags): string {
  const inRange = arg.value >= 0n && arg.value <= 0x10ffffn && !(arg.value >= 0xd800n && arg.value <= 0xdfffn);
  const character = inRange ? String.fromCodePoint(Number(arg.value)) : '\ufffd';
  switch (verb) {
    case 'c':
      return pad(character, flags);
    case 'q':
      return pad(quoteCharacter(character, flags.plus), flags);
    case 'U': {
      const hex = BigInt.asUintN(64, arg.value).toString(16).toUpperCase();
      const code = `U+${hex.padStart(Math.max(4, flags.precision ?? 0), '0')}`;
      const shown = flags.sharp && inRange && isPrintable(character);
      return pad(shown ? `${code} '${character}'` : code, flags, false);
    }
    default:
      return badVerb(arg, verb, flags);
  }
}

/** strconv.QuoteRune: like a string's quotes, but the single quote is the one that is escaped. */
function quoteCharacter(character: string, ascii: boolean): string {
  if (character === '"') return `'"'`;
  if (character === "'") return "'\\''";
  return `'${quoteString(character, ascii).slice(1, -1)}'`;
}

function formatBig(arg: FormatArg & { type: '*big.Int' }, verb: string, flags: Flags): string {
  const base = verb === 's' ? 10 : BASES[verb];
  if (base === undefined) return badVerb(arg, verb, flags);
  const negative = arg.value < 0n;
  const sign = signOf(negative, { ...flags, plus: flags.plus || flags.plusV });
  const prefixes: Readonly<Record<string, string>> = { b: '0b', o: '0', x: '0x', X: '0X' };
  const prefix = verb === 'O' ? '0o' : flags.sharp ? (prefixes[verb] ?? '') : '';
  const text = (negative ? -arg.value : arg.value).toString(base);
  let digits = (verb === 'X' ? text.toUpperCase() : text).padStart(flags.precision ?? 0, '0');
  const missing = (flags.width ?? 0) - sign.length - prefix.length - digits.length;
  if (missing > 0 && flags.zero && !flags.minus && flags.precision === undefined) {
    digits = '0'.repeat(missing) + digits;
  }
  return pad(sign + prefix + digits, flags, false);
}

const FLOAT_VERBS: Readonly<Record<string, { verb: string; precision: number }>> = {
  v: { verb: 'g', precision: -1 },
  b: { verb: 'b', precision: -1 },
  g: { verb: 'g', precision: -1 },
  G: { verb: 'G', precision: -1 },
  x: { verb: 'x', precision: -1 },
  X: { verb: 'X', precision: -1 },
  f: { verb: 'f', precision: 6 },
  F: { verb: 'f', precision: 6 },
  e: { verb: 'e', precision: 6 },
  E: { verb: 'E', precision: 6 },
};

function formatFloat(arg: FormatArg & { type: 'float64' }, verb: string, flags: Flags): string {
  const form = FLOAT_VERBS[verb];
  if (form === undefined) return badVerb(arg, verb, flags);
  const precision = flags.precision ?? form.precision;
  const magnitude = formatMagnitude(arg.value, form.verb, precision);
  const digits = flags.sharp && form.verb !== 'b' ? keepPoint(magnitude, form.verb, precision) : magnitude;
  const negative = arg.value < 0 || Object.is(arg.value, -0);
  const sign = signOf(negative, flags);
  if (sign !== '' && flags.zero && !flags.minus) {
    return sign + pad(digits, { ...flags, width: (flags.width ?? 0) - 1 });
  }
  return pad(sign + digits, flags);
}

/** `#`: a decimal point always, and for %g the trailing zeros up to the precision. */
function keepPoint(text: string, verb: string, precision: number): string {
  const [, mantissa = text, tail = ''] = /^(0[xX][^pP]*|[^eEpP]*)(.*)$/.exec(text) ?? [];
  const pointed = mantissa.includes('.') ? mantissa : `${mantissa}.`;
  if (!'gGx'.includes(verb)) return pointed + tail;
  const wanted = precision === -1 ? 6 : precision;
  const digits = mantissa === '0' ? 1 : pointed.replace('.', '').replace(/^0+/, '').length;
  return pointed + '0'.repeat(Math.max(0, wanted - digits)) + tail;
}
