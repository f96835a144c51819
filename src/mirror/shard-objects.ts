// What a store has of one shard: every version of every object, listed a group of at most a thousand indexes at a time, so that
// memory does not grow with the log or with what somebody piled up in it. Nothing is judged here.

import type { EntryBundle } from '../tlog/tile-path.ts';
import { hashesAtLevel, type Tile, tilePath } from '../tlog/tile-path.ts';
import type { ObjectStore, StoredVersion } from './stores/store.ts';

/** Everything under one key. */
export interface KeyHistory {
  /** Relative to the store's prefix. */
  readonly key: string;
  /** Newest first, without markers; at most MAX_VERSIONS of them, the newest ones and the oldest. */
  readonly versions: readonly StoredVersion[];
  /** Whether a delete marker hides the newest version. */
  readonly hidden: boolean;
  /** Versions between those two, which a listing of the key gives again. */
  readonly left: number;
}

export interface BodyBundle {
  readonly kind: 'bodies';
  readonly index: number;
  readonly width: number;
}

export type Bundle = Tile | EntryBundle | BodyBundle;

/** Versions of one key that are kept; the oldest of them, since whoever writes over an object comes later. */
export const MAX_VERSIONS = 64;
const OLDEST_VERSIONS = 16;
/** Groups kept: the walk goes through tiles of each level, entries and bodies side by side. */
const MAX_GROUPS = 24;

export function noHistory(key: string): KeyHistory {
  return { key, versions: [], hidden: false, left: 0 };
}

/** Adds what a listing says; it names the versions of one key newest first. */
export function addVersion(history: KeyHistory | undefined, found: StoredVersion): KeyHistory {
  const before = history ?? noHistory(found.key);
  if (found.deleteMarker) return found.newest ? { ...before, hidden: true } : before;
  if (before.versions.length >= MAX_VERSIONS) {
    const versions = [...before.versions.toSpliced(MAX_VERSIONS - OLDEST_VERSIONS, 1), found];
    return { ...before, versions, left: before.left + 1 };
  }
  return { ...before, versions: [...before.versions, found] };
}

/** Path of a bundle below the shard. */
export function bundlePath(bundle: Bundle): string {
  if (bundle.kind !== 'bodies') return tilePath(bundle);
  return `bodies/${tilePath({ ...bundle, kind: 'entries' }).slice('tile/entries/'.length)}`;
}

export class ShardObjects {
  readonly store: ObjectStore;
  /** `<origin>/`, or '' where the shard lies at the top of the store. */
  readonly base: string;
  readonly #groups = new Map<string, Promise<Map<string, KeyHistory>>>();

  constructor(store: ObjectStore, base: string) {
    this.store = store;
    this.base = base;
  }

  /** Everything under the key of this bundle. */
  async history(bundle: Bundle): Promise<KeyHistory> {
    const path = bundlePath(bundle);
    const group = await this.#group(path);
    return group.get(this.base + path) ?? noHistory(this.base + path);
  }

  /** Bundles of the same place that are wider and so begin with what this one holds, narrowest first. */
  async wider(bundle: Bundle): Promise<{ readonly width: number; readonly history: KeyHistory }[]> {
    const path = bundlePath({ ...bundle, width: 256 });
    const group = await this.#group(path);
    const full = this.base + path;
    const found: { width: number; history: KeyHistory }[] = [];
    for (let width = bundle.width + 1; width <= 256; width++) {
      const history = group.get(width === 256 ? full : `${full}.p/${width}`);
      if (history !== undefined) found.push({ width, history });
    }
    return found;
  }

  /** Everything under one key outside the bundles. */
  async single(path: string): Promise<KeyHistory> {
    const key = this.base + path;
    let history: KeyHistory | undefined;
    for await (const found of this.store.versions(key)) {
      // Keys that only begin alike come after it.
      if (found.key !== key) break;
      history = addVersion(history, found);
    }
    return history ?? noHistory(key);
  }

  #group(path: string): Promise<Map<string, KeyHistory>> {
    const folder = path.replace(/\.p\/\d+$/, '').replace(/[^/]*$/, '');
    const known = this.#groups.get(folder);
    if (known !== undefined) return known;
    if (this.#groups.size >= MAX_GROUPS) {
      const [oldest] = this.#groups.keys();
      if (oldest !== undefined) this.#groups.delete(oldest);
    }
    const group = this.#list(this.base + folder);
    this.#groups.set(folder, group);
    // Whoever asked gets the error; it is not kept.
    group.catch(() => this.#groups.delete(folder));
    return group;
  }

  async #list(prefix: string): Promise<Map<string, KeyHistory>> {
    const group = new Map<string, KeyHistory>();
    for await (const found of this.store.versions(prefix)) {
      const rest = found.key.slice(prefix.length);
      // Digits come first: what follows are the groups of larger indexes, and large bodies.
      if (rest > ':') break;
      if (/^\d{3}(?:\.p\/\d{1,3})?$/.test(rest)) group.set(found.key, addVersion(group.get(found.key), found));
    }
    return group;
  }
}

/** Levels of tiles that a tree of `size` leaves has. */
export function tileLevels(size: number): number {
  let level = 0;
  while (hashesAtLevel(level, size) > 0) level += 1;
  return level;
}
