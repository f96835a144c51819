// Judges what lies under one key by its content: the version that is what the log signed counts, whatever was put under, over or
// in front of it.

import { SealgateError } from '../lib/errors.ts';
import type { KeyHistory } from './shard-objects.ts';
import type { ObjectStore, StoredVersion } from './stores/store.ts';

/** What happened to an object, beside or instead of the version that counts. */
export type Interference =
  /** No version of it is there. */
  | 'missing'
  /** A delete marker hides the right version. */
  | 'hidden'
  /** Something else was written over the right version. */
  | 'overwritten'
  /** Something else was under the key before the right version. */
  | 'squatted'
  /** There are versions, and none of them is right. */
  | 'changed';

export interface Judged<T> {
  readonly key: string;
  /** What the right version holds. */
  readonly value: T | undefined;
  /** The right versions, newest first. */
  readonly right: readonly StoredVersion[];
  readonly interference: readonly Interference[];
  /** What is wrong with the newest wrong version. */
  readonly reason: string | undefined;
  /** Bytes of every wrong version, newest first, for whoever wants to save what can be saved. Only without a right one. */
  readonly wrong: readonly Buffer[];
}

/** Reads a version's content: what it holds, or (a string) why it is not the right one. */
export type Reading<T> = (bytes: Buffer) => { readonly value: T } | string;

/** Wrong versions that are kept. */
const MAX_WRONG = 4;

/** The first version's bytes, asked for ahead of time. */
export interface Loaded {
  readonly history: KeyHistory;
  readonly first: Promise<Buffer | undefined> | undefined;
}

/** Begins to read the newest version, so that it is there when it is judged. */
export function load(store: ObjectStore, history: KeyHistory, maxBytes: number): Loaded {
  const [newest] = history.versions;
  const first = newest === undefined ? undefined : fetch(store, newest, maxBytes);
  // It may fail before anybody waits for it; whoever does gets the error.
  first?.catch(() => undefined);
  return { history, first };
}

/** What can be found beside a right version. */
const NEARBY = ['hidden', 'overwritten', 'squatted'] as const;

/**
 * Judges the versions under a key: those that the listing kept and, when none of them is right, those in between. Throws what
 * the store throws when it cannot answer.
 */
export async function judge<T>(
  store: ObjectStore,
  { history, first }: Loaded,
  maxBytes: number,
  read: Reading<T>,
): Promise<Judged<T>> {
  const right: StoredVersion[] = [];
  const wrong: Buffer[] = [];
  let value: T | undefined;
  let reason: string | undefined;
  let newerWrong = false;
  let olderWrong = false;
  let loaded = first;
  const consider = async (version: StoredVersion): Promise<void> => {
    const bytes = await (loaded ?? fetch(store, version, maxBytes));
    loaded = undefined;
    const verdict = bytes === undefined ? unreadable(version, maxBytes) : read(bytes);
    if (typeof verdict === 'string') {
      reason ??= verdict;
      if (right.length === 0) newerWrong = true;
      else olderWrong = true;
      if (bytes !== undefined && right.length === 0 && wrong.length < MAX_WRONG) wrong.push(bytes);
      return;
    }
    if (right.length === 0) ({ value } = verdict);
    // A wrong version between two right ones was written over the older.
    else if (olderWrong) newerWrong = true;
    right.push(version);
    olderWrong = false;
  };
  for (const version of history.versions) await consider(version);
  if (right.length === 0 && history.left > 0) {
    for await (const version of between(store, history)) {
      await consider(version);
      if (right.length > 0) break;
    }
    if (right.length > 0) olderWrong = true;
  }
  const found = right.length > 0;
  const interference = found
    ? NEARBY.filter((one) => ({ hidden: history.hidden, overwritten: newerWrong, squatted: olderWrong })[one])
    : [history.versions.length === 0 ? ('missing' as const) : ('changed' as const)];
  return { key: history.key, value, right, interference, reason, wrong: found ? [] : wrong };
}

/** The versions that the listing had no room for. */
async function* between(store: ObjectStore, { key, versions }: KeyHistory): AsyncIterable<StoredVersion> {
  const seen = new Set(versions.map(({ version }) => version));
  for await (const version of store.versions(key)) {
    if (version.key !== key) return;
    if (!version.deleteMarker && !seen.has(version.version)) yield version;
  }
}

/** Hands over the contents of the versions that the listing kept, one after the other, without judging them. */
export async function eachContent(
  store: ObjectStore,
  history: KeyHistory,
  maxBytes: number,
  take: (bytes: Buffer) => void,
): Promise<void> {
  for (const version of history.versions) {
    const bytes = await fetch(store, version, maxBytes);
    if (bytes !== undefined) take(bytes);
  }
}

function unreadable({ size }: StoredVersion, maxBytes: number): string {
  if (size > maxBytes) return `it has ${size} bytes, more than anything that belongs there`;
  return 'it is listed but cannot be read';
}

/** The bytes of one version, or undefined when it is too large, went away or cannot be had whole. */
async function fetch(store: ObjectStore, version: StoredVersion, maxBytes: number): Promise<Buffer | undefined> {
  if (version.size > maxBytes) return undefined;
  try {
    return await store.get(version.key, version.version === '' ? { maxBytes } : { maxBytes, version: version.version });
  } catch (error) {
    if (error instanceof SealgateError && BY_CONTENT.has(error.code)) return undefined;
    throw error;
  }
}

/** What the store refuses because of the object itself. */
const BY_CONTENT: ReadonlySet<string> = new Set(['MIRROR_OBJECT_TOO_LARGE', 'MIRROR_KEY_INVALID']);
