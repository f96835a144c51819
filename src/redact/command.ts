// Finds credentials in a command line: assignments and flags with a telling name, bearer tokens, credentials in URLs, tokens
// with a known form, and what the configured patterns match. Attacker-controlled text: everything here is linear in it.
import { RE2JS } from 're2js';
import { messageOf, SealgateError } from '../lib/errors.ts';

/** Characters `start` … `end` of a text are a credential. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const TELLING =
  /token|passw|passphrase|passwd|secret|credential|api[_.-]?key|access[_.-]?key|private[_.-]?key|encryption[_.-]?key|auth(?!or(?!i[sz]))|bearer|jwt|cookie|session[_.-]?id|(?:^|[_.-])pwd$|(?:^|[_.-])pass$/i;
/** A name that tells where a credential is, or what it is like, not what it is. */
const ABOUT = /(?:file|path|dir|directory|name|url|uri|endpoint|ttl|expiry|type|policy|mode|length|size|count)$/i;

/** What is in every telling name, looser than TELLING; a percent sign can stand for any of its letters in a URI. */
const LOOSE = /token|pass|secret|credential|key|auth|bearer|jwt|cookie|session|pwd|%/i;

/** False when there is certainly no telling name in a text. */
export function mayBeTelling(text: string): boolean {
  return LOOSE.test(text);
}

/** Whether a variable, flag, header or parameter of this name holds a credential. */
export function isTelling(name: string): boolean {
  return TELLING.test(name) && !ABOUT.test(name);
}

// All with a place of their own (g or y), which is set before each use: a search costs a third of what it does with matchAll.
const WORD = /[\w.-]+/g;
// After a name: maybe a closing quote, then = or : (also := and =>).
const ASSIGNS = /["'\\]{0,4}[ \t]{0,16}(?:=>|:=|[=:])[ \t]{0,16}/y;
const SPACE = /[ \t]+/y;
const SCHEME = /(?:bearer|basic|token|digest|negotiate)[ \t]+/iy;
const VALUE = /\\{0,4}"[^"]*"?|\\{0,4}'[^']*'?|[^\s"'&;|<>,)}\]]+/y;

// One group each: the credential. No quantifier can match what the one before it can, and none begins inside a run that
// another match of the same expression has to read again.
const FORMS: readonly RegExp[] = [
  /\b(?:bearer|basic)[ \t]+([\w.~+/=-]{8,})/gi,
  /(?<![\w-])(eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*)/g,
  /:\/\/[^\s/:@]{0,255}:([^\s/@]{1,1024})@/g,
  /(?<![\w-])((?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|AKIA|ASIA|hvs\.)[\w-]{10,})/g,
  /(?<!\S)(?:-u|--user)[ =]["']?[^\s:"']{1,255}:([^\s"']{1,1024})/g,
];

/** A search for credentials. Throws CONFIG_INVALID for a configured pattern that RE2 does not take. */
export function createCommandSearch(patterns: readonly string[]): (text: string) => readonly Span[] {
  const configured = patterns.map(compile);
  return (text) => {
    const spans: Span[] = [];
    assignments(text, spans);
    for (const form of FORMS) {
      form.lastIndex = 0;
      for (let match = form.exec(text); match !== null; match = form.exec(text)) {
        const value = match[1] ?? '';
        const start = match.index + match[0].lastIndexOf(value);
        spans.push({ start, end: start + value.length });
      }
    }
    for (const pattern of configured) spans.push(...matchesOf(pattern, text));
    return spans;
  };
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (cause) {
    // biome-ignore lint/style/useErrorCause: SealgateError takes it third
    throw new SealgateError(
      'CONFIG_INVALID',
      `redact.patterns: ${JSON.stringify(pattern)} is not a regular expression that RE2 takes: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function* matchesOf(pattern: RE2JS, text: string): Generator<Span> {
  const matcher = pattern.matcher(text);
  const group = matcher.groupCount() > 0 ? 1 : 0;
  while (matcher.find()) {
    const start = matcher.start(group);
    const end = matcher.end(group);
    if (start >= 0 && end > start) yield { start, end };
  }
}

function assignments(text: string, spans: Span[]): void {
  WORD.lastIndex = 0;
  for (let word = WORD.exec(text); word !== null; word = WORD.exec(text)) {
    if (!isTelling(word[0])) continue;
    const behind = WORD.lastIndex;
    let separator = matchAt(ASSIGNS, text, behind);
    const apart = separator === undefined && word[0].startsWith('-');
    if (apart) separator = matchAt(SPACE, text, behind);
    if (separator === undefined) continue;
    let start = behind + separator.length;
    // Authorization: Bearer …: the scheme is no secret, what follows it is.
    start += matchAt(SCHEME, text, start)?.length ?? 0;
    const value = matchAt(VALUE, text, start);
    if (value === undefined || (apart && value.startsWith('-'))) continue;
    // On behind the value: reading it again for each name inside it would take quadratic time.
    WORD.lastIndex = start + value.length;
    spans.push(unquoted(value, start));
  }
}

function matchAt(expression: RegExp, text: string, at: number): string | undefined {
  expression.lastIndex = at;
  return expression.exec(text)?.[0];
}

function unquoted(value: string, start: number): Span {
  const opening = /^\\*["']/.exec(value)?.[0] ?? '';
  if (opening === '') return { start, end: start + value.length };
  const inner = value.slice(opening.length).replace(/\\*["']$/, '');
  return { start: start + opening.length, end: start + opening.length + inner.length };
}

/** An argument that is a flag alone, so that the next argument is its value. */
const FLAG = /^--?[\w.-]+$/;

/** Whether the argument after this one is a credential. */
export function announcesCredential(argument: string): boolean {
  return FLAG.test(argument) && isTelling(argument);
}

/** Replaces the spans of a text, overlapping ones as one; calls `removed` with what each held. */
export function cutSpans(text: string, spans: readonly Span[], by: string, removed: (value: string) => void): string {
  let result = '';
  let at = 0;
  for (const { start, end } of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    if (end > start) removed(text.slice(start, end));
    if (end <= at || end === start) continue;
    // An overlap goes on where the one before it ended.
    result += start >= at ? text.slice(at, start) + by : '';
    at = end;
  }
  return result + text.slice(at);
}
