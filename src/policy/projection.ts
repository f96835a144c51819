// Cuts out of a review what the selected policies read of it, so that the module has less to parse, which is most of the time that an
// evaluation takes. The review has been scanned already, and what is left out is not even looked at.
import { type JsonDocument, type JsonNames, jsonNames, NONE, type Node } from '../lib/json-document.ts';
import type { InputReads } from './input-reads.ts';
import { Reads } from './reads.ts';

/** A larger review goes to a worker whatever is read of it. */
const MAX_BYTES = 1024 * 1024;
/** What the module needs for each byte at most is 95, for an array of digits: whoever has no room for the whole review gets none. */
const MEMORY_FACTOR = 256;
/** In a deeper one, the part that is too deep for the module's parser may be what nobody reads. */
const MAX_DEPTH = 256;
/** Of projections that are kept. What is selected recurs. */
const MAX_KEPT = 256;
/** Parts of one projection. */
const MAX_PARTS = 10_000;
/** Shorter pieces are copied without a call. */
const SHORT = 32;
const FIRST_BYTES = 16 * 1024;

const COMMA = 0x2c;
const LEFT_BRACKET = 0x5b;
const RIGHT_BRACKET = 0x5d;
const LEFT_BRACE = 0x7b;
const RIGHT_BRACE = 0x7d;

/** Everything in a value. */
const ALL = 'all';

/** What stays of a value; a scalar stays as it is. */
type Projection = typeof ALL | Parts;

interface Parts {
  readonly names: JsonNames;
  /** What stays of the member of each name. */
  readonly parts: readonly Projection[];
  /** What stays of every other member, and of every element; undefined where they do not stay. */
  readonly any: Projection | undefined;
  /** Values of the named members: found, used and forgotten in one visit. */
  readonly found: Int32Array;
}

/** A selection of rules, and the projection that it needs; undefined for the whole input. */
interface Kept {
  readonly rules: readonly number[];
  readonly projection: Parts | undefined;
}

/** Projects reviews for the rules of one bundle. */
export class Projector {
  /** By rule. */
  readonly #reads: readonly InputReads[];
  readonly #kept = new Map<number, Kept>();
  readonly #cutter: Cutter;
  readonly #maxBytes: number;

  /** `memoryBytes`: what an instance's memory may grow to. `mostRead`: a projection of more bytes is of no use. */
  constructor(reads: readonly InputReads[], memoryBytes: number, mostRead = MAX_BYTES) {
    this.#reads = reads;
    this.#cutter = new Cutter(mostRead);
    this.#maxBytes = Math.min(MAX_BYTES, memoryBytes / MEMORY_FACTOR);
  }

  /**
   * Of the document a JSON text for which these rules give the same values: what none of them reads is left out. Good until the next
   * call. Undefined where that is not to be had.
   */
  project(rules: readonly number[], doc: JsonDocument): Uint8Array | undefined {
    if (doc.bytes.length > this.#maxBytes || doc.depth > MAX_DEPTH) return undefined;
    const projection = this.#for(rules);
    return projection === undefined ? undefined : this.#cutter.cut(doc, projection);
  }

  #for(rules: readonly number[]): Parts | undefined {
    let hash = rules.length;
    for (const rule of rules) hash = (Math.imul(hash, 31) + rule) | 0;
    const kept = this.#kept.get(hash);
    if (kept !== undefined && isSame(kept.rules, rules)) return kept.projection;
    const projection = this.#make(rules);
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    this.#kept.set(hash, { rules: [...rules], projection });
    return projection;
  }

  #make(rules: readonly number[]): Parts | undefined {
    const reads: Reads[] = [];
    for (const rule of rules) {
      const one = this.#reads[rule];
      if (!(one instanceof Reads)) return undefined;
      reads.push(one);
    }
    const projection = projectionOf(reads, { left: MAX_PARTS });
    return projection === ALL ? undefined : projection;
  }
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What all of them read of one value. */
function projectionOf(reads: readonly Reads[], room: { left: number }): Projection {
  if (room.left-- <= 0 || reads.some(({ all }) => all)) return ALL;
  const any = reads.flatMap((one) => one.any ?? []);
  const texts = [...new Set(reads.flatMap(({ members }) => [...members.keys()]))];
  const parts = texts.map((name) =>
    projectionOf([...reads.flatMap(({ members }) => members.get(name) ?? []), ...any], room),
  );
  return {
    names: jsonNames(texts),
    parts,
    any: any.length === 0 ? undefined : projectionOf(any, room),
    found: new Int32Array(texts.length),
  };
}

/** Writes projections, one after the other into the same memory. */
class Cutter {
  #out = Buffer.alloc(FIRST_BYTES);
  /** Where the next byte goes. */
  #at = 0;
  #bytes: Buffer = this.#out;
  /** The piece of the document that is to be copied next; pieces side by side become one. */
  #from = 0;
  #to = 0;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** Undefined when it becomes too long. */
  cut(doc: JsonDocument, projection: Parts): Uint8Array | undefined {
    // What is written is never longer than what it is cut out of.
    if (this.#out.length < doc.bytes.length) this.#out = Buffer.alloc(2 ** Math.ceil(Math.log2(doc.bytes.length)));
    this.#bytes = doc.bytes;
    this.#at = 0;
    this.#from = 0;
    this.#to = 0;
    this.#value(doc, 0, projection);
    this.#flush();
    return this.#at > this.#most ? undefined : this.#out.subarray(0, this.#at);
  }

  /** Already too long: the rest does not matter. */
  get #full(): boolean {
    return this.#at + this.#to - this.#from > this.#most;
  }
  #value(doc: JsonDocument, node: Node, projection: Projection): void {
    const start = doc.start(node);
    const first = projection === ALL ? undefined : this.#bytes[start];
    if (first === LEFT_BRACE) this.#object(doc, node, projection as Parts);
    else if (first === LEFT_BRACKET) this.#array(doc, node, projection as Parts);
    else this.#keep(start, doc.end(node));
  }

  #object(doc: JsonDocument, node: Node, { names, parts, any, found }: Parts): void {
    if (any !== undefined) {
      this.#members(doc, node, names, parts, any);
      return;
    }
    this.#put(LEFT_BRACE);
    // Of several of one name the last, which is the one that OPA takes.
    if (parts.length > 0) doc.findAll(node, names, found);
    let more = false;
    for (let i = 0; i < parts.length; i++) {
      const value = found[i] as Node;
      if (value === NONE) continue;
      if (more) this.#put(COMMA);
      more = true;
      this.#keep(doc.start(value - 1), doc.start(value));
      this.#value(doc, value, parts[i] as Projection);
    }
    this.#put(RIGHT_BRACE);
  }

  /** All of them, in their order and as often as they are there: the module goes through them in an order that comes of that. */
  #members(doc: JsonDocument, node: Node, names: JsonNames, parts: readonly Projection[], any: Projection): void {
    let from = doc.start(node);
    const behind = doc.after(node);
    for (let key = node + 1; key < behind && !this.#full; key = doc.after(key + 1)) {
      const which = parts.length === 0 ? NONE : doc.which(key, names);
      this.#keep(from, doc.start(key + 1));
      this.#value(doc, key + 1, which === NONE ? any : (parts[which] as Projection));
      from = doc.end(key + 1);
    }
    this.#keep(from, doc.end(node));
  }

  #array(doc: JsonDocument, node: Node, { any }: Parts): void {
    if (any === undefined) {
      // Names lead nowhere in it, and nothing else is asked for.
      this.#put(LEFT_BRACKET);
      this.#put(RIGHT_BRACKET);
      return;
    }
    let from = doc.start(node);
    const behind = doc.after(node);
    for (let element = node + 1; element < behind && !this.#full; element = doc.after(element)) {
      this.#keep(from, doc.start(element));
      this.#value(doc, element, any);
      from = doc.end(element);
    }
    this.#keep(from, doc.end(node));
  }

  #put(byte: number): void {
    this.#flush();
    this.#out[this.#at++] = byte;
  }

  #keep(from: number, to: number): void {
    if (from !== this.#to) {
      this.#flush();
      this.#from = from;
    }
    this.#to = to;
  }

  #flush(): void {
    const from = this.#from;
    const to = this.#to;
    if (to - from > SHORT) this.#bytes.copy(this.#out, this.#at, from, to);
    else for (let i = from, at = this.#at; i < to; i++, at++) this.#out[at] = this.#bytes[i] as number;
    this.#at += to - from;
    this.#from = to;
  }
}
