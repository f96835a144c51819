// Cuts the elements of one array out of a JSON object without giving the text another form. One broken element does not
// take the others with it: the bytes between its neighbours are handed out with the error.
import { isUtf8 } from 'node:buffer';
import { SealgateError } from './errors.ts';
import { invalid, type JsonDocument, type JsonName, MAX_DEPTH, skipSpace } from './json-document.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const LEFT_BRACKET = 0x5b;
const RIGHT_BRACKET = 0x5d;
const LEFT_BRACE = 0x7b;
const RIGHT_BRACE = 0x7d;

export type Part =
  /** The array begins (or is null): its elements follow. */
  | { readonly type: 'array' }
  /** Another member of the object than the array; `doc` holds its value. */
  | { readonly type: 'member'; readonly name: string }
  /**
   * An element, bytes `start` … `end`. `doc` holds it; with an error, what could be read of it. `last` when the error
   * leaves no way to tell where the next element would begin: nothing follows.
   */
  | {
      readonly type: 'element';
      readonly start: number;
      readonly end: number;
      readonly error?: SealgateError;
      readonly last?: true;
    };

/**
 * Walks the members of the object that `bytes` is; those called `name` must be an array (or null) and are handed out
 * element by element. `doc` is scanned anew for each part: use it before asking for the next one. Throws REQUEST_INVALID
 * or REQUEST_TOO_DEEP, with the byte offset, for what is wrong outside the elements.
 */
export function* elements(bytes: Buffer, name: JsonName, doc: JsonDocument, maxDepth = MAX_DEPTH): Generator<Part> {
  let at = skipSpace(bytes, 0);
  if (bytes[at] !== LEFT_BRACE) throw invalid('is not an object', at);
  at = skipSpace(bytes, at + 1);
  if (bytes[at] === RIGHT_BRACE) return endOf(bytes, at + 1);
  for (;;) {
    if (bytes[at] !== QUOTE) throw invalid('lacks a member name in quotes', at);
    at = skipSpace(bytes, doc.scan(bytes, at));
    if (bytes[at] !== COLON) throw invalid('lacks a colon', at);
    at = skipSpace(bytes, at + 1);
    if (doc.is(0, name)) {
      yield { type: 'array' };
      if (bytes[at] === LEFT_BRACKET) {
        const end = yield* arrayElements(bytes, at + 1, doc, maxDepth);
        if (end === undefined) return;
        at = end;
      } else {
        at = doc.scan(bytes, at, maxDepth);
        if (doc.type(0) !== 'null') throw invalid(`has no array in ${name.text}`, doc.start(0));
      }
    } else {
      const member = doc.text(0) ?? '';
      at = doc.scan(bytes, at, maxDepth);
      yield { type: 'member', name: member };
    }
    at = skipSpace(bytes, at);
    if (bytes[at] === RIGHT_BRACE) return endOf(bytes, at + 1);
    if (bytes[at] !== COMMA) throw invalid('lacks a comma or a closing bracket', at);
    at = skipSpace(bytes, at + 1);
  }
}

/** Returns the offset behind the closing bracket, or undefined when it was not found. */
function* arrayElements(
  bytes: Buffer,
  from: number,
  doc: JsonDocument,
  maxDepth: number,
): Generator<Part, number | undefined> {
  let at = skipSpace(bytes, from);
  if (bytes[at] === RIGHT_BRACKET) return at + 1;
  // Once for all: only where there is something else than UTF-8 each element is asked.
  const allUtf8 = isUtf8(bytes);
  for (;;) {
    const start = skipSpace(bytes, at);
    let end: number | undefined;
    let error: SealgateError | undefined;
    try {
      end = doc.scan(bytes, start, maxDepth);
      const next = bytes[skipSpace(bytes, end)];
      if (next !== COMMA && next !== RIGHT_BRACKET) error = invalid('goes on after its end', end);
      else if (!allUtf8 && !isUtf8(bytes.subarray(start, end))) error = invalid('is not UTF-8', start);
    } catch (thrown) {
      if (!(thrown instanceof SealgateError)) throw thrown;
      error = thrown;
    }
    if (error === undefined && end !== undefined) {
      yield { type: 'element', start, end };
    } else if (error !== undefined) {
      end = endOfBroken(bytes, start);
      if (end === undefined) {
        yield { type: 'element', start, end: bytes.length, error, last: true };
        return undefined;
      }
      yield { type: 'element', start, end, error };
    }
    at = skipSpace(bytes, end ?? bytes.length);
    if (bytes[at] === RIGHT_BRACKET) return at + 1;
    // What is not a bracket here is a comma: both ways of finding the end stop at nothing else.
    at++;
  }
}

/**
 * Where an element ends that is not JSON, going by quotes and brackets alone: at the comma or the bracket that no bracket
 * of its own encloses. A closing bracket of one kind closes open ones of the other kind in between. Undefined when there is
 * no such place.
 */
function endOfBroken(bytes: Buffer, start: number): number | undefined {
  const open = new OpenBrackets();
  for (let at = start; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        at = closingQuote(bytes, at);
        break;
      case LEFT_BRACE:
      case LEFT_BRACKET:
        open.push(bytes[at] as number);
        break;
      case RIGHT_BRACE:
        open.close(LEFT_BRACE);
        break;
      case RIGHT_BRACKET:
        if (!open.close(LEFT_BRACKET)) return at;
        break;
      case COMMA:
        if (open.none) return at;
    }
  }
  return undefined;
}

class OpenBrackets {
  readonly #stack: number[] = [];
  /** How many of them are braces: without it, a closing bracket that fits none would be held against all of them. */
  #braces = 0;

  get none(): boolean {
    return this.#stack.length === 0;
  }

  push(opener: number): void {
    this.#stack.push(opener);
    if (opener === LEFT_BRACE) this.#braces++;
  }

  /** Closes the innermost of this kind and what is open inside it; false when there is none. */
  close(opener: number): boolean {
    if ((opener === LEFT_BRACE ? this.#braces : this.#stack.length - this.#braces) === 0) return false;
    for (let inner = this.#stack.pop(); inner !== undefined; inner = this.#stack.pop()) {
      if (inner === LEFT_BRACE) this.#braces--;
      if (inner === opener) break;
    }
    return true;
  }
}

function closingQuote(bytes: Buffer, opening: number): number {
  let at = opening + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

function endOf(bytes: Buffer, at: number): void {
  const end = skipSpace(bytes, at);
  if (end < bytes.length) throw invalid('goes on after its end', end);
}
