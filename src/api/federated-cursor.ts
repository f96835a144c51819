// Where a query over several replicas goes on: a place in each of their ledgers, and the copies of events that were listed already.
import type { Cursor } from '../index/cursor.ts';

/** `end`: nothing is behind (newest first). `missing`: it did not answer, and is left out until the query begins anew. */
export type Position = Cursor | 'end' | 'missing';

/** Entries of one replica that are copies of listed ones: `[shard, first seq, last seq]`. */
export type Span = readonly [shard: number, from: number, to: number];

export interface FederatedCursor {
  readonly positions: ReadonlyMap<string, Position>;
  readonly listed: ReadonlyMap<string, readonly Span[]>;
}

/** Tells it from the cursor of one replica. */
const PREFIX = 'r.';

/** As many as fit a URL. What is beyond it comes twice, and says so itself (`copies`). */
const MAX_SPANS = 64;
/** Of one replica, while a query is followed. */
const MAX_KEPT = 1024;
const MAX_TEXT = 8192;
const MAX_REPLICAS = 128;

export function isFederated(text: string | null): text is string {
  return text?.startsWith(PREFIX) === true;
}

/** Opaque to clients, as the cursor of one replica is. */
export function encodeFederated({ positions, listed }: FederatedCursor): string {
  const p = Object.fromEntries([...positions].map(([name, position]) => [name, written(position)]));
  let left = MAX_SPANS;
  const l = Object.fromEntries(
    [...listed].flatMap(([name, spans]) => {
      const kept = spans.slice(0, left);
      left -= kept.length;
      return kept.length === 0 ? [] : [[name, kept]];
    }),
  );
  return (
    PREFIX + Buffer.from(JSON.stringify({ p, ...(Object.keys(l).length === 0 ? {} : { l }) })).toString('base64url')
  );
}

/** undefined when it is not a cursor of ours. */
export function decodeFederated(text: string): FederatedCursor | undefined {
  if (!isFederated(text) || text.length > MAX_TEXT) return undefined;
  try {
    const { p, l = {} } = JSON.parse(Buffer.from(text.slice(PREFIX.length), 'base64url').toString()) as {
      p: Record<string, unknown>;
      l?: Record<string, unknown>;
    };
    const positions = new Map(Object.entries(p).map(([name, value]) => [name, read(value)]));
    const listed = new Map(Object.entries(l).map(([name, value]) => [name, readSpans(value)]));
    return positions.size === 0 || positions.size > MAX_REPLICAS ? undefined : { positions, listed };
  } catch {
    return undefined;
  }
}

function written(position: Position): unknown {
  return typeof position === 'string' ? position : [position.shard, position.seq];
}

function read(value: unknown): Position {
  if (value === 'end' || value === 'missing') return value;
  const [shard, seq] = numbers(value, 2);
  return { shard: shard as number, seq: seq as number };
}

function readSpans(value: unknown): readonly Span[] {
  if (!Array.isArray(value) || value.length > MAX_SPANS) throw new TypeError('no spans');
  return value.map((span) => numbers(span, 3) as unknown as Span);
}

/** `seq` may be −1: before the first entry of the shard. */
function numbers(value: unknown, count: number): readonly number[] {
  const good =
    Array.isArray(value) && value.length === count && value.every((one) => Number.isSafeInteger(one) && one >= -1);
  if (!good) throw new TypeError('no place');
  return value as number[];
}

/** Collects copies that were listed, in spans, because those of one batch stand next to one another. */
export class Listed {
  readonly #spans = new Map<string, [number, number, number][]>();

  constructor(from: ReadonlyMap<string, readonly Span[]> = new Map()) {
    for (const [name, spans] of from)
      this.#spans.set(
        name,
        spans.map((span) => [...span]),
      );
  }

  has(replica: string, shard: number, seq: number): boolean {
    return this.#spans.get(replica)?.some(([s, from, to]) => s === shard && from <= seq && seq <= to) ?? false;
  }

  add(replica: string, shard: number, seq: number): void {
    if (this.has(replica, shard, seq)) return;
    const spans = this.#spans.get(replica) ?? [];
    this.#spans.set(replica, spans);
    const beside = spans.find(([s, from, to]) => s === shard && (seq === from - 1 || seq === to + 1));
    if (beside === undefined) {
      spans.push([shard, seq, seq]);
      if (spans.length > MAX_KEPT) spans.shift();
    } else if (seq < beside[1]) beside[1] = seq;
    else beside[2] = seq;
  }

  /** Without those that lie before the position in the query's order, which no later page reaches. */
  behind(positions: ReadonlyMap<string, Position>, ascending: boolean): ReadonlyMap<string, readonly Span[]> {
    const left = new Map<string, readonly Span[]>();
    for (const [name, spans] of this.#spans) {
      const position = positions.get(name);
      if (position === undefined || typeof position === 'string') continue;
      const { shard, seq } = position;
      const kept = spans.filter(([s, from, to]) =>
        ascending ? s > shard || (s === shard && to > seq) : s < shard || (s === shard && from < seq),
      );
      if (kept.length > 0) left.set(name, kept);
    }
    return left;
  }
}
