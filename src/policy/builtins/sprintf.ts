// sprintf as OPA prints it: OPA hands numbers and strings to Go's fmt.Sprintf, and everything else as its printed text.
import { integerOf, isNumber, numberText, printValue, type Value } from '../terms.ts';
import { type Flags, type FormatArg, formatArg, noFlags } from './go-format.ts';
import { arrayOperand, stringOperand } from './operands.ts';
import { TooLong } from './too-long.ts';
import type { Builtin } from './types.ts';

export const SPRINTF: Readonly<Record<string, Builtin>> = {
  sprintf: (args, { maxChars }) => format(stringOperand(args, 1), arrayOperand(args, 2).map(toArg), maxChars),
};

const INT64_MAX = (1n << 63n) - 1n;

/** OPA v1/topdown/strings.go, builtinSprintf. */
function toArg(value: Value): FormatArg {
  if (typeof value === 'string') return { type: 'string', value };
  if (!isNumber(value)) return { type: 'string', value: printValue(value) };
  const text = numberText(value);
  if (/[.eE]/.test(text)) {
    const float = Number(text);
    return Number.isFinite(float) ? { type: 'float64', value: float } : { type: 'string', value: text };
  }
  const integer = integerOf(value);
  if (integer === undefined) return { type: 'string', value: text };
  const fits = integer <= INT64_MAX && integer >= -INT64_MAX - 1n && text.replace('-', '').length <= 19;
  return { type: fits ? 'int64' : '*big.Int', value: integer };
}

/** Width and precision beyond this are refused by Go. */
const TOO_LARGE = 1_000_000;

/**
 * Go's fmt.Sprintf (src/fmt/print.go, doPrintf), in its order of decisions. Throws when the text gets longer than `maxChars`: four
 * bytes of a template can ask for a million characters, and what does not fit the heap of a thread ends the process.
 */
export function format(template: string, args: readonly FormatArg[], maxChars: number): string {
  return new Formatter(template, args, maxChars).run();
}

class Formatter {
  private readonly text: string;
  private readonly args: readonly FormatArg[];
  private at = 0;
  private next = 0;
  private reordered = false;
  private goodIndex = true;
  /** The item before this one was an explicit index such as [3]. */
  private afterIndex = false;
  private out = '';
  private readonly maxChars: number;

  constructor(template: string, args: readonly FormatArg[], maxChars: number) {
    this.text = template;
    this.args = args;
    this.maxChars = maxChars;
  }

  run(): string {
    while (this.at < this.text.length) {
      const percent = this.text.indexOf('%', this.at);
      if (percent < 0) {
        this.out += this.text.slice(this.at);
        break;
      }
      this.out += this.text.slice(this.at, percent);
      this.at = percent + 1;
      if (!this.directive()) break;
      if (this.out.length > this.maxChars) throw new TooLong(this.maxChars);
    }
    if (!this.reordered && this.next < this.args.length) this.extra();
    return this.out;
  }

  /** One directive after its percent sign; false when the template ended inside of it. */
  private directive(): boolean {
    this.goodIndex = true;
    this.afterIndex = false;
    const flags = this.flags();
    this.index();
    this.width(flags);
    this.precision(flags);
    if (!this.afterIndex) this.index();
    if (this.at >= this.text.length) {
      this.out += '%!(NOVERB)';
      return false;
    }
    const verb = String.fromCodePoint(this.text.codePointAt(this.at) ?? 0);
    this.at += verb.length;
    const arg = this.args[this.next];
    if (verb === '%') this.out += '%';
    else if (!this.goodIndex) this.out += `%!${verb}(BADINDEX)`;
    else if (arg === undefined) this.out += `%!${verb}(MISSING)`;
    else {
      if (verb === 'v') {
        flags.sharpV = flags.sharp;
        flags.sharp = false;
        flags.plusV = flags.plus;
        flags.plus = false;
      }
      this.out += formatArg(arg, verb, flags);
      this.next++;
    }
    return true;
  }

  private flags(): Flags {
    const flags = noFlags();
    for (; this.at < this.text.length; this.at++) {
      const character = this.text[this.at];
      if (character === '#') flags.sharp = true;
      else if (character === '0') flags.zero = true;
      else if (character === '+') flags.plus = true;
      else if (character === '-') flags.minus = true;
      else if (character === ' ') flags.space = true;
      else break;
    }
    return flags;
  }

  private width(flags: Flags): void {
    if (this.text[this.at] === '*') {
      this.at++;
      const width = this.fromArg();
      if (width === undefined) this.out += '%!(BADWIDTH)';
      else {
        flags.width = Math.abs(width);
        if (width < 0) {
          flags.minus = true;
          flags.zero = false;
        }
      }
      this.afterIndex = false;
      return;
    }
    flags.width = this.number();
    if (this.afterIndex && flags.width !== undefined) this.goodIndex = false;
  }

  private precision(flags: Flags): void {
    if (this.text[this.at] !== '.' || this.at + 1 >= this.text.length) return;
    this.at++;
    if (this.afterIndex) this.goodIndex = false;
    this.afterIndex = false;
    this.index();
    if (this.text[this.at] === '*') {
      this.at++;
      const precision = this.fromArg();
      if (precision === undefined || precision < 0) this.out += '%!(BADPREC)';
      else flags.precision = precision;
      this.afterIndex = false;
    } else {
      flags.precision = this.number() ?? 0;
    }
  }

  /** An explicit argument index, [n]. */
  private index(): void {
    if (this.text[this.at] !== '[') {
      this.afterIndex = false;
      return;
    }
    this.reordered = true;
    const close = this.text.indexOf(']', this.at);
    if (close < 0) {
      this.at++;
      this.goodIndex = false;
      this.afterIndex = false;
      return;
    }
    const inside = this.text.slice(this.at + 1, close);
    this.at = close + 1;
    const position = /^\d{1,7}$/.test(inside) ? Number(inside) : 0;
    this.afterIndex = position > 0;
    if (position > 0 && position <= this.args.length) this.next = position - 1;
    else this.goodIndex = false;
  }

  /**
   * Digits. Go looks at the size before each further digit, and what is too large swallows the rest of the template.
   */
  private number(): number | undefined {
    let value: number | undefined;
    for (; /^\d$/.test(this.text[this.at] ?? ''); this.at++) {
      if ((value ?? 0) > TOO_LARGE) {
        this.at = this.text.length;
        return undefined;
      }
      value = (value ?? 0) * 10 + Number(this.text[this.at]);
    }
    return value;
  }

  private fromArg(): number | undefined {
    const arg = this.args[this.next];
    if (arg === undefined) return undefined;
    this.next++;
    if (arg.type !== 'int64' && arg.type !== 'int' && arg.type !== 'uint8') return undefined;
    const value = Number(arg.value);
    return Math.abs(value) > TOO_LARGE ? undefined : value;
  }

  private extra(): void {
    const rest = this.args
      .slice(this.next)
      .map((arg) => (arg.type === '<nil>' ? arg.type : `${arg.type}=${formatArg(arg, 'v', noFlags())}`));
    this.out += `%!(EXTRA ${rest.join(', ')})`;
  }
}
