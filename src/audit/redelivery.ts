// Remembers what arrived, so that a batch which comes again makes no second record. kube-apiserver sends a batch up to five
// times when it did not hear that the first one arrived (facts: 10, 15, 22.5 and 33.75 s apart, and the time of the calls).
// auditID is no key: any client can choose it, and could so hide an event behind another. The content is.
import { hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { parseMicros } from '../lib/clock.ts';
import { SealgateError } from '../lib/errors.ts';
import { JsonDocument, jsonName } from '../lib/json-document.ts';

/** Where an event is recorded. */
export interface Place {
  readonly shard: number;
  readonly seq: number;
}

/** The SHA-256 of an event as recorded, a character a byte. Half of it is what is compared. */
export type ContentKey = string;

/** The key of an event's bytes after redaction: what the ledger can be asked for again after a restart. */
export function contentKey(event: Uint8Array): ContentKey {
  // As a string: Node makes an ArrayBuffer for 'buffer', which costs more than the hash.
  return hash('sha256', event, 'latin1');
}

/** The i-th four characters of a key, a byte each, as a 32-bit integer. */
function wordOf(key: ContentKey, i: number): number {
  const at = i * 4;
  return (
    key.charCodeAt(at) | (key.charCodeAt(at + 1) << 8) | (key.charCodeAt(at + 2) << 16) | (key.charCodeAt(at + 3) << 24)
  );
}

export interface RedeliveryLimits {
  /** Events remembered; the oldest are forgotten first. About 50 bytes of memory each. */
  readonly maxEvents: number;
  /** How long each is remembered. */
  readonly seconds: number;
}

/** Where an event is; a function that waits for it while it is on its way to the disk, and rejects when it does not get there. */
export type Seen = Place | (() => Promise<Place>);

export interface RedeliveryWindow {
  /** Where this content is recorded, or is about to be; undefined when it is new. */
  find(key: ContentKey): Seen | undefined;
  /**
   * From now on these contents count as seen; `recorded` resolves with the places of all entries once they are on disk, and
   * each key stands where its entry does (undefined for one that is not remembered). When it rejects they are new again.
   */
  begin(keys: readonly (ContentKey | undefined)[], recorded: Promise<readonly Place[]>): void;
  /** Content that was recorded at `time` (milliseconds on the window's clock). In the order of time. */
  remember(key: ContentKey, place: Place, time: number): void;
  /** Events remembered now. */
  readonly size: number;
}

/** `now`: milliseconds since the epoch. */
export function createRedeliveryWindow(limits: RedeliveryLimits, now: () => number): RedeliveryWindow {
  return new Window(limits, now);
}

/** An entry as the ledger's reader has it. */
export interface RecordedEntry extends Place {
  readonly leaf: { readonly kind: string; readonly time: string };
  readonly body: Buffer;
}

const EVENT = jsonName('event');

/** While it is rebuilt, other work comes in between after so long. */
const SLICE_MS = 2;

/**
 * Fills the window from the newest entries of the ledger, oldest first. The window is only a memory: none is lost with it.
 * Resolves early when `signal` is aborted. Rejects with what reading the entries throws.
 */
export async function rebuild(
  window: RedeliveryWindow,
  entries: Iterable<RecordedEntry>,
  signal?: AbortSignal,
): Promise<void> {
  const doc = new JsonDocument();
  let until = performance.now() + SLICE_MS;
  for (const { leaf, body, shard, seq } of entries) {
    if (performance.now() > until) {
      await setImmediate();
      if (signal?.aborted === true) return;
      until = performance.now() + SLICE_MS;
    }
    if (leaf.kind !== 'event') continue;
    const time = parseMicros(leaf.time);
    if (time === undefined || !scans(doc, body)) continue;
    const event = doc.find(0, EVENT);
    if (doc.isObject(event)) window.remember(contentKey(doc.slice(event)), { shard, seq }, time / 1000);
  }
}

function scans(doc: JsonDocument, body: Buffer): boolean {
  try {
    doc.scan(body);
    return true;
  } catch (thrown) {
    if (thrown instanceof SealgateError) return false;
    throw thrown;
  }
}

interface InFlight {
  readonly index: number;
  readonly recorded: Promise<readonly Place[]>;
}

/** Integers a slot: the four words of the key, the shard, seq in two halves (low 32 bits, rest). */
const SLOT = 7;
const WORDS = 4;

/** Place of one of the entries of an append. */
export function placeAt<P extends Place>(places: readonly P[], index: number): P {
  const place = places[index];
  if (place === undefined) throw new SealgateError('LEDGER_WRITE_FAILED', 'the ledger named too few entries');
  return place;
}

/**
 * A ring of slots in the order of arrival, and a hash table of their indices (open addressing, linear probing). Plain
 * arrays of numbers: a Map of a quarter of a million strings is ten times as large and stops the process for its collection.
 */
class Window implements RedeliveryWindow {
  readonly #limits: RedeliveryLimits;
  readonly #now: () => number;
  readonly #ring: Int32Array;
  readonly #times: Float64Array;
  /** Index of a slot, plus one; 0 is free. At most half full. */
  readonly #table: Int32Array;
  /** On the way to the disk. */
  readonly #pending = new Map<string, InFlight>();
  #oldest = 0;
  #size = 0;

  constructor(limits: RedeliveryLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#ring = new Int32Array(limits.maxEvents * SLOT);
    this.#times = new Float64Array(limits.maxEvents);
    this.#table = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(2, limits.maxEvents * 2))));
  }

  get size(): number {
    return this.#size;
  }

  find(key: ContentKey): Seen | undefined {
    const pending = this.#pending.get(key);
    if (pending !== undefined) return async () => placeAt(await pending.recorded, pending.index);
    // Nearly everything is new: the clock is asked only about what is there.
    if (this.#table[this.#probe(key)] === 0) return undefined;
    this.#forget(this.#now());
    const slot = (this.#table[this.#probe(key)] as number) - 1;
    if (slot < 0) return undefined;
    const at = slot * SLOT;
    const low = (this.#ring[at + 5] as number) >>> 0;
    return { shard: this.#ring[at + 4] as number, seq: (this.#ring[at + 6] as number) * 2 ** 32 + low };
  }

  begin(keys: readonly (ContentKey | undefined)[], recorded: Promise<readonly Place[]>): void {
    keys.forEach((key, index) => {
      if (key !== undefined) this.#pending.set(key, { index, recorded });
    });
    const settle = (places: readonly Place[]) => {
      const time = this.#now();
      keys.forEach((key, index) => {
        if (key === undefined) return;
        this.#pending.delete(key);
        const place = places[index];
        if (place !== undefined) this.#put(key, place, time, time);
      });
    };
    recorded.then(settle, () => settle([]));
  }

  remember(key: ContentKey, place: Place, time: number): void {
    this.#put(key, place, time, this.#now());
  }

  #put(key: ContentKey, { shard, seq }: Place, time: number, now: number): void {
    const { maxEvents, seconds } = this.#limits;
    this.#forget(now);
    if (maxEvents === 0 || time <= now - seconds * 1000) return;
    if (this.#table[this.#probe(key)] !== 0) return;
    if (this.#size === maxEvents) this.#drop();
    const slot = (this.#oldest + this.#size) % maxEvents;
    const at = slot * SLOT;
    for (let i = 0; i < WORDS; i++) this.#ring[at + i] = wordOf(key, i);
    this.#ring[at + 4] = shard;
    this.#ring[at + 5] = seq | 0;
    this.#ring[at + 6] = Math.floor(seq / 2 ** 32);
    this.#times[slot] = time;
    this.#size++;
    // Dropping moved others about: the free place is looked for only now.
    this.#table[this.#probe(key)] = slot + 1;
  }

  /** Drops what is older than the limit. */
  #forget(now: number): void {
    const before = now - this.#limits.seconds * 1000;
    while (this.#size > 0 && (this.#times[this.#oldest] as number) <= before) this.#drop();
  }

  /** Drops the oldest, and moves those behind it in the table forward that would not be found otherwise. */
  #drop(): void {
    const mask = this.#table.length - 1;
    let free = this.#placeOf(this.#oldest);
    this.#oldest = (this.#oldest + 1) % this.#limits.maxEvents;
    this.#size--;
    for (let at = (free + 1) & mask; this.#table[at] !== 0; at = (at + 1) & mask) {
      const home = (this.#ring[((this.#table[at] as number) - 1) * SLOT] as number) & mask;
      // Whether `home` lies cyclically in (free, at]: then it is reached without passing `free`, and stays.
      if (((at - home) & mask) < ((at - free) & mask)) continue;
      this.#table[free] = this.#table[at] as number;
      free = at;
    }
    this.#table[free] = 0;
  }

  /** Place in the table of the slot with this key, or the free place where it would be. */
  #probe(key: ContentKey): number {
    const a = wordOf(key, 0);
    const b = wordOf(key, 1);
    const c = wordOf(key, 2);
    const d = wordOf(key, 3);
    const ring = this.#ring;
    const mask = this.#table.length - 1;
    let at = a & mask;
    for (; this.#table[at] !== 0; at = (at + 1) & mask) {
      const slot = ((this.#table[at] as number) - 1) * SLOT;
      if (ring[slot] === a && ring[slot + 1] === b && ring[slot + 2] === c && ring[slot + 3] === d) break;
    }
    return at;
  }

  /** Place in the table of this slot, which is in it. */
  #placeOf(slot: number): number {
    const mask = this.#table.length - 1;
    let at = (this.#ring[slot * SLOT] as number) & mask;
    while (this.#table[at] !== slot + 1) at = (at + 1) & mask;
    return at;
  }
}
