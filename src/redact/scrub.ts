// Takes removed values out of texts that may quote them: policy messages, print output, errors. It knows the value as it was,
// decoded, encoded, escaped, without its white space, line by line, and cut off at the end of the text.
import { isUtf8 } from 'node:buffer';

export const REDACTED = '[redacted]';

/** A value this short is a word or a number more often than a quotation: only where it stands alone is it one. */
const SHORT_CHARS = 4;
/** Lines of a longer value that are looked for by themselves. */
const LINE_CHARS = 8;
/** So much of a value at the end of a text is taken for its beginning, cut off. */
const HEAD_CHARS = 6;
const MAX_DEPTH = 64;
/**
 * What looking for values may cost for one document, in characters compared: some tenths of a second. A document can hold a
 * hundred thousand values, and texts that are as long; past this, a text that may quote one goes whole.
 */
const MAX_WORK = 2 ** 28;
/** What looking for a value in an empty text costs, in the same unit. */
const LOOK_WORK = 500;
/** Forms of values that are kept; of a document with more, every text may quote one. */
const MAX_NEEDLES = 32_768;

export interface Scrubber {
  text(text: string): string;
  value(value: unknown): unknown;
  /** Whether `text` would change it. */
  finds(text: string): boolean;
}

/** Gathers what is removed from one document. */
export class RemovedValues {
  readonly #needles = new Set<string>();
  /** What was added already, as text and as base64. */
  readonly #seen = [new Set<string>(), new Set<string>()] as const;
  readonly #known: ReadonlySet<string>;
  readonly #work = { left: MAX_WORK };
  #scrubber: Scrubber | undefined;

  /** `known`: texts that the record shows anyway, such as the object's name and namespace; quoting them reveals nothing. */
  constructor(known: Iterable<string> = []) {
    this.#known = new Set(known);
  }

  /** `base64`: the value of a Secret's `data`, so that what it stands for is to be found as well. */
  add(value: string, base64 = false): void {
    const seen = this.#seen[base64 ? 1 : 0];
    if (value === '' || seen.has(value)) return;
    if (this.#needles.size >= MAX_NEEDLES) {
      this.#work.left = 0;
      return;
    }
    seen.add(value);
    this.#forms(value);
    this.#add(unpadded(Buffer.from(value).toString('base64')));
    if (!base64) return;
    this.#add(unpadded(value));
    const bytes = Buffer.from(value, 'base64');
    if (isUtf8(bytes)) this.#forms(bytes.toString('utf8'));
  }

  get empty(): boolean {
    return this.#needles.size === 0;
  }

  /** Of what was added up to now. All of one document's share what work is left. */
  scrubber(): Scrubber {
    this.#scrubber ??= createScrubber(this.#needles, this.#work);
    return this.#scrubber;
  }

  #forms(value: string): void {
    const trimmed = value.trim();
    for (const form of trimmed === value ? [value] : [value, trimmed]) {
      this.#add(form);
      this.#add(JSON.stringify(form).slice(1, -1));
      // Lone surrogates cannot be percent-encoded.
      this.#add(encodeURIComponent(form.toWellFormed()));
    }
    if (!trimmed.includes('\n')) return;
    for (const line of trimmed.split('\n')) {
      const text = line.trim();
      // The frame of a PEM block says nothing.
      if (text.length >= LINE_CHARS && !text.startsWith('-----')) this.#add(text);
    }
  }

  #add(needle: string): void {
    if (needle === '' || this.#known.has(needle) || this.#needles.has(needle)) return;
    this.#needles.add(needle);
    this.#scrubber = undefined;
  }
}

function unpadded(base64: string): string {
  return base64.trim().replace(/={1,2}$/, '');
}

function createScrubber(values: ReadonlySet<string>, work: { left: number }): Scrubber {
  // Putting them in order is the smaller part of it, as long as that is not done for each of many manifests.
  work.left -= values.size * LOOK_WORK;
  // A value that holds another one goes first, or its rest would stay.
  const needles = work.left <= 0 ? [] : [...values].sort((a, b) => b.length - a.length);
  const text = (original: string): string => {
    if (original === '') return original;
    work.left -= needles.length * (original.length + LOOK_WORK);
    if (work.left <= 0) return REDACTED;
    let result = original;
    for (const needle of needles) {
      if (needle.length >= SHORT_CHARS) {
        if (result.includes(needle)) result = result.replaceAll(needle, () => REDACTED);
        result = withoutCutOff(result, needle);
      } else {
        result = withoutWord(result, needle);
      }
    }
    return result;
  };
  const value = (original: unknown, depth: number): unknown => {
    if (typeof original === 'string') return text(original);
    if (typeof original === 'number' || typeof original === 'boolean') {
      return work.left <= 0 || values.has(String(original)) ? REDACTED : original;
    }
    if (typeof original !== 'object' || original === null) return original;
    if (depth > MAX_DEPTH) return REDACTED;
    if (Array.isArray(original)) return original.map((element) => value(element, depth + 1));
    // fromEntries defines each key, __proto__ as well, as a key of the object's own.
    return Object.fromEntries(Object.entries(original).map(([key, inner]) => [text(key), value(inner, depth + 1)]));
  };
  return { text, value: (original) => value(original, 0), finds: (original) => text(original) !== original };
}

/** A text may have been cut to a limit in the middle of a quotation. */
function withoutCutOff(text: string, needle: string): string {
  if (needle.length <= HEAD_CHARS) return text;
  const end = text.length - (/(?:…|\.\.\.)$/.exec(text)?.[0].length ?? 0);
  const at = text.lastIndexOf(needle.slice(0, HEAD_CHARS), end);
  if (at < 0 || end - at >= needle.length || !needle.startsWith(text.slice(at, end))) return text;
  return text.slice(0, at) + REDACTED + text.slice(end);
}

/** Without the needle where no letter, digit or underscore touches it. */
function withoutWord(text: string, needle: string): string {
  let result = '';
  let from = 0;
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) {
    const end = at + needle.length;
    if (at < from || isWordChar(text, at - 1) || isWordChar(text, end)) continue;
    result += text.slice(from, at) + REDACTED;
    from = end;
  }
  return result + text.slice(from);
}

function isWordChar(text: string, at: number): boolean {
  return /^[\p{L}\p{N}_]$/u.test(text[at] ?? '');
}
