// How much room is left on the ledger's volume and what follows from it: the audit stream is refused while decisions still
// have the reserve. Free space is measured, not set aside in a file (docs/decisions/0006-space.md).
import { statfsSync } from 'node:fs';
import { messageOf } from '../lib/errors.ts';

/**
 * `plenty`; `low`: worth a warning; `reserve`: only decisions are taken; `full`: a decision could not be written for want of
 * space, and none has been since.
 */
export type SpaceLevel = 'plenty' | 'low' | 'reserve' | 'full';

export interface SpaceLimits {
  /** Free bytes below which the level is `low`. */
  readonly lowBytes: number;
  /** Free bytes below which it is `reserve`. */
  readonly reserveBytes: number;
}

export interface SpaceState {
  readonly level: SpaceLevel;
  /** As last measured. */
  readonly freeBytes: number;
  /** Why it could not be measured; then the level is that of the last time. */
  readonly problem?: string;
}

/** Bytes that a process without privileges may still write on the volume of `dir`. Throws what statfs throws. */
export function freeBytesOn(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
}

/** A level is left for a better one only when this part of its limit is free on top, so that it does not flap. */
const HYSTERESIS = 1 / 8;
/** Space has come back when this much more is free than when a decision found none. */
const ROOM_BYTES = 1024 * 1024;
const ORDER: readonly SpaceLevel[] = ['plenty', 'low', 'reserve', 'full'];

/** The level by free bytes alone, given the level before. */
export function levelOf(freeBytes: number, limits: SpaceLimits, before: SpaceLevel): SpaceLevel {
  const below = (limit: number, level: SpaceLevel): boolean =>
    freeBytes < limit * (ORDER.indexOf(before) >= ORDER.indexOf(level) ? 1 + HYSTERESIS : 1);
  if (below(limits.reserveBytes, 'reserve')) return 'reserve';
  return below(limits.lowBytes, 'low') ? 'low' : 'plenty';
}

export interface SpaceWatchOptions extends SpaceLimits {
  /** Free bytes now; may throw. */
  readonly freeBytes: () => number;
  readonly onChange: (state: SpaceState, before: SpaceLevel) => void;
}

/** Owned by the main thread. Times are monotonic milliseconds. */
export class SpaceWatch {
  readonly #options: SpaceWatchOptions;
  #state: SpaceState = { level: 'plenty', freeBytes: 0 };
  #measuredAt = Number.NEGATIVE_INFINITY;
  /** What was free when a decision found no room; undefined when the last one found some. */
  #fullAt: number | undefined;

  constructor(options: SpaceWatchOptions) {
    this.#options = options;
  }

  /** The state as of a measurement that is at most `maxAgeMs` old. */
  look(nowMs: number, maxAgeMs = 0): SpaceState {
    if (nowMs - this.#measuredAt >= maxAgeMs) {
      this.#measuredAt = nowMs;
      this.#measure();
    }
    return this.#state;
  }

  /** A decision could not be written for want of space. */
  noRoom(nowMs: number): void {
    if (this.#fullAt !== undefined) return;
    this.#fullAt = Number.POSITIVE_INFINITY;
    this.look(nowMs);
    this.#fullAt = this.#state.freeBytes;
  }

  /** Something was written. */
  wrote(nowMs: number): void {
    if (this.#fullAt === undefined) return;
    this.#fullAt = undefined;
    this.look(nowMs);
  }

  #measure(): void {
    const before = this.#state;
    try {
      const freeBytes = this.#options.freeBytes();
      if (this.#fullAt !== undefined && freeBytes >= this.#fullAt + ROOM_BYTES) this.#fullAt = undefined;
      const level = this.#fullAt === undefined ? levelOf(freeBytes, this.#options, before.level) : 'full';
      this.#state = { level, freeBytes };
    } catch (error) {
      const level = this.#fullAt === undefined ? before.level : 'full';
      this.#state = { level, freeBytes: before.freeBytes, problem: messageOf(error) };
    }
    if (this.#state.level !== before.level || (this.#state.problem === undefined) !== (before.problem === undefined))
      this.#options.onChange(this.#state, before.level);
  }
}
