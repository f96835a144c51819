// regex.globs_match: whether some text that is not empty matches both of two globs of characters, dots, [sets] and the
// flags * and + (github.com/yashtewari/glob-intersection 0.2.0, whose answers it gives, repeated work left out).
import { BuiltinError } from './error.ts';

interface Token {
  /** The characters that it matches; undefined for any. */
  readonly characters: ReadonlySet<string> | undefined;
  readonly flag: '' | '+' | '*';
}

/** A set such as [\u0000-\u{10ffff}] would be a million characters. */
const MAX_SET = 65_536;

export function globsIntersect(left: string, right: string): boolean {
  const a = tokenize(left);
  const b = tokenize(right);
  const trimmed = trim(a, b);
  return trimmed !== undefined && new Intersection(trimmed).normal(0, 0);
}

function tokenize(glob: string): Token[] {
  const tokens: Token[] = [];
  const input = [...glob];
  for (let at = 0; at < input.length; ) {
    const { characters, next } = tokenAt(input, at);
    const sign = input[next];
    const flag = sign === '+' || sign === '*' ? sign : '';
    tokens.push({ characters, flag });
    at = next + flag.length;
  }
  return simplify(tokens);
}

function tokenAt(input: readonly string[], at: number): { characters: Set<string> | undefined; next: number } {
  switch (input[at]) {
    case '.':
      return { characters: undefined, next: at + 1 };
    case '[':
      return setAt(input, at + 1);
    case ']':
    case '+':
    case '*':
      throw new BuiltinError(`invalid glob: ${input[at]} at ${at} has nothing before it`);
    default: {
      const { character, next } = characterAt(input, at);
      return { characters: new Set([character]), next };
    }
  }
}

function characterAt(input: readonly string[], at: number): { character: string; escaped: boolean; next: number } {
  const escaped = input[at] === '\\';
  const character = input[escaped ? at + 1 : at];
  if (character === undefined) throw new BuiltinError('invalid glob: it ends too early');
  return { character, escaped, next: at + (escaped ? 2 : 1) };
}

function setAt(input: readonly string[], start: number): { characters: Set<string>; next: number } {
  const characters = new Set<string>();
  let previous: string | undefined;
  for (let at = start; at < input.length; ) {
    const { character, escaped, next } = characterAt(input, at);
    at = next;
    if (escaped || (character !== '-' && character !== ']')) {
      characters.add(character);
      previous = character;
    } else if (character === ']') {
      return { characters, next: at };
    } else {
      const end = characterAt(input, at);
      if (previous === undefined || (!end.escaped && (end.character === ']' || end.character === '-')))
        throw new BuiltinError('invalid glob: a range needs two characters');
      addRange(characters, previous, end.character);
      previous = undefined;
      at = end.next;
    }
  }
  throw new BuiltinError('invalid glob: found [ without matching ]');
}

function addRange(characters: Set<string>, from: string, to: string): void {
  const [first = 0, last = 0] = [from.codePointAt(0), to.codePointAt(0)];
  if (last < first) throw new BuiltinError('invalid glob: a range is out of order');
  if (last - first > MAX_SET) throw new BuiltinError('invalid glob: a range is too large');
  for (let code = first; code <= last; code++) characters.add(String.fromCodePoint(code));
}

/** x*x+ and the like are one token; a plus wins over stars beside it. */
function simplify(tokens: readonly Token[]): Token[] {
  const simple: Token[] = [];
  for (const token of tokens) {
    const before = simple.at(-1);
    if (before !== undefined && before.flag !== '' && token.flag !== '' && sameCharacters(before, token)) {
      if (token.flag === '+') simple[simple.length - 1] = token;
    } else simple.push(token);
  }
  return simple;
}

function sameCharacters(a: Token, b: Token): boolean {
  if (a.characters === undefined || b.characters === undefined) return a.characters === b.characters;
  const { characters } = b;
  return a.characters.size === characters.size && [...a.characters].every((one) => characters.has(one));
}

function match(a: Token, b: Token): boolean {
  if (a.characters === undefined || b.characters === undefined) return true;
  const { characters } = b;
  return [...a.characters].some((one) => characters.has(one));
}

/** Without what both begin and end with; undefined when they differ there. One token of each end stays. */
function trim(a: readonly Token[], b: readonly Token[]): [Token[], Token[]] | undefined {
  const plain = (x: Token | undefined, y: Token | undefined): boolean => x?.flag === '' && y?.flag === '';
  let left = 0;
  for (; plain(a[left], b[left]); left++) if (!match(a[left] as Token, b[left] as Token)) return undefined;
  if (left > 0) left--;
  let [endA, endB] = [a.length - 1, b.length - 1];
  for (; endA >= left && endB >= left && plain(a[endA], b[endB]); endA--, endB--)
    if (!match(a[endA] as Token, b[endB] as Token)) return undefined;
  if (endA < a.length - 1) {
    endA++;
    endB++;
  }
  return [a.slice(left, endA + 1), b.slice(left, endB + 1)];
}

/** The library's search on suffixes of both globs; each pair of suffixes is looked at once. */
class Intersection {
  private readonly globs: readonly [readonly Token[], readonly Token[]];
  private readonly known = new Map<string, boolean>();

  constructor(globs: readonly [readonly Token[], readonly Token[]]) {
    this.globs = globs;
  }

  /** Whether the first glob from `i` and the second from `j` intersect. */
  normal(i: number, j: number): boolean {
    const [a, b] = this.globs;
    let [at, bt] = [i, j];
    for (; at < a.length && bt < b.length; at++, bt++) {
      const [x, y] = [a[at] as Token, b[bt] as Token];
      if (x.flag !== '' || y.flag !== '') return this.special(at, bt);
      if (!match(x, y)) return false;
    }
    return at === a.length && bt === b.length;
  }

  private special(i: number, j: number): boolean {
    const key = `${i} ${j}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const flagged = this.globs[0][i]?.flag === '' ? 1 : 0;
    const [at, other] = flagged === 0 ? [i, j] : [j, i];
    const plus = this.globs[flagged][at]?.flag === '+';
    const found = plus ? this.plus(flagged, at, other) : this.star(flagged, at, other);
    this.known.set(key, found);
    return found;
  }

  private from(flagged: 0 | 1, at: number, other: number): boolean {
    return flagged === 0 ? this.normal(at, other) : this.normal(other, at);
  }

  private plus(flagged: 0 | 1, at: number, other: number): boolean {
    const token = this.globs[flagged][at] as Token;
    const opposite = this.globs[flagged === 0 ? 1 : 0][other];
    if (opposite === undefined || !match(token, opposite)) return false;
    if (this.star(flagged, at, other + 1)) return true;
    return opposite.flag !== '' && this.from(flagged, at + 1, other);
  }

  /** The flagged token takes tokens of the other glob until what remains of both intersects. */
  private star(flagged: 0 | 1, at: number, other: number): boolean {
    const star = this.globs[flagged][at] as Token;
    const next = this.globs[flagged][at + 1];
    const opposite = this.globs[flagged === 0 ? 1 : 0];
    for (let i = other; i < opposite.length; i++) {
      const token = opposite[i] as Token;
      if (next !== undefined && match(token, next) && this.from(flagged, at + 1, i)) return true;
      if (!match(token, star)) return false;
    }
    return next === undefined;
  }
}
