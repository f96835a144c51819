// The regular expressions that Wasm leaves to the host, on a linear-time engine with Go's syntax.
import { RE2JS } from 're2js';
import { BuiltinError } from './error.ts';
import { globsIntersect } from './glob-intersection.ts';
import { integerOperand, stringOperand } from './operands.ts';
import { TooLong } from './too-long.ts';
import type { Builtin, BuiltinContext } from './types.ts';

export const REGEX: Readonly<Record<string, Builtin>> = {
  'regex.replace': (args, context) => {
    const pattern = compile(stringOperand(args, 2), context);
    return replace(stringOperand(args, 1), pattern, stringOperand(args, 3), context.maxChars);
  },
  'regex.split': (args, context) => split(stringOperand(args, 2), compile(stringOperand(args, 1), context)),
  'regex.find_n': (args, context) => {
    const text = stringOperand(args, 2);
    const limit = Number(integerOperand(args, 3));
    const found = findAll(text, compile(stringOperand(args, 1), context), limit);
    return found.map((match) => text.slice(match.start, match.end));
  },
  'regex.globs_match': (args) => globsIntersect(stringOperand(args, 1), stringOperand(args, 2)),
  'regex.template_match': (args, context) => {
    const delimiters = [stringOperand(args, 3), stringOperand(args, 4)] as const;
    if (delimiters.some((delimiter) => Buffer.byteLength(delimiter) !== 1))
      throw new BuiltinError('a delimiter has to be exactly one character long');
    const pattern = fromTemplate(stringOperand(args, 1), delimiters, context);
    return compile(pattern, context).matcher(stringOperand(args, 2)).find();
  },
};

/** The template with what stands between the outermost delimiters as patterns, and the rest as it is. */
function fromTemplate(template: string, [open, close]: readonly [string, string], context: BuiltinContext): string {
  let pattern = '^';
  let level = 0;
  let start = 0;
  for (let at = 0; at < template.length; at++) {
    if (template[at] === open) {
      if (level++ === 0) {
        pattern += RE2JS.quote(template.slice(start, at));
        start = at + 1;
      }
    } else if (template[at] === close) {
      if (--level < 0) break;
      if (level > 0) continue;
      const inner = template.slice(start, at);
      // Each part must be a pattern by itself, too.
      compile(`^${inner}$`, context);
      pattern += `(${inner})`;
      start = at + 1;
    }
  }
  if (level !== 0) throw new BuiltinError(`unbalanced braces in ${JSON.stringify(template)}`);
  return `${pattern}${RE2JS.quote(template.slice(start))}$`;
}

const MAX_COMPILED = 100;

/** The compiled expression. Throws a BuiltinError for one that Go would not take. */
export function compile(pattern: string, { regexes }: BuiltinContext): RE2JS {
  const known = regexes.get(pattern);
  if (known !== undefined) return known;
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    throw new BuiltinError(`error parsing regexp: ${error instanceof Error ? error.message : pattern}`, {
      cause: error,
    });
  }
  // Policies have few patterns; those that build them from the input must not fill the memory.
  if (regexes.size >= MAX_COMPILED) regexes.clear();
  regexes.set(pattern, compiled);
  return compiled;
}

interface Match {
  readonly start: number;
  readonly end: number;
  /** Text of a group by number or name; empty when it took no part. */
  readonly group: (name: string) => string;
}

/** Go's FindAll: left to right, and no empty match right behind the match before. Negative limit: all. */
function findAll(text: string, pattern: RE2JS, limit: number): Match[] {
  const matches: Match[] = [];
  const matcher = pattern.matcher(text);
  const names = pattern.namedGroups();
  let previousEnd = -1;
  while ((limit < 0 || matches.length < limit) && matcher.find()) {
    const start = matcher.start();
    const end = matcher.end();
    if (start === end && start === previousEnd) continue;
    previousEnd = end;
    const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? '');
    matches.push({
      start,
      end,
      group: (name) => groups[/^\d+$/.test(name) ? Number(name) : (names[name] ?? -1)] ?? '',
    });
  }
  return matches;
}

function replace(text: string, pattern: RE2JS, template: string, maxChars: number): string {
  let out = '';
  let last = 0;
  for (const match of findAll(text, pattern, -1)) {
    out += text.slice(last, match.start) + expand(template, match, maxChars);
    if (out.length > maxChars) throw new TooLong(maxChars);
    last = match.end;
  }
  return out + text.slice(last);
}

/** Go's Regexp.Expand: $name takes every word character that follows; ${name}; $$ is a dollar; anything else stays. */
function expand(template: string, match: Match, maxChars: number): string {
  let length = 0;
  return template.replace(/\$(?:\$|\{(\w+)\}|([\p{L}\p{Nd}_]+))/gu, (found, braced?: string, bare?: string) => {
    const part = found === '$$' ? '$' : match.group(braced ?? bare ?? '');
    length += part.length;
    if (length > maxChars) throw new TooLong(maxChars);
    return part;
  });
}

function split(text: string, pattern: RE2JS): string[] {
  if (text === '' && pattern.pattern() !== '') return [''];
  const parts: string[] = [];
  let begin = 0;
  let end = 0;
  for (const match of findAll(text, pattern, -1)) {
    end = match.start;
    if (match.end !== 0) parts.push(text.slice(begin, end));
    begin = match.end;
  }
  if (end !== text.length) parts.push(text.slice(begin));
  return parts;
}
