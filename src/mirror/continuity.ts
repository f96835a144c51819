// Before the ledger is opened: whether what is on the volume is the history that left it, as the mirror has it. A volume that was
// lost, swapped or put back to an older snapshot would else sign another history over the one that others hold.
import { existsSync } from 'node:fs';
import { listShards } from '../ledger/files.ts';
import { beginsAfterBreak } from '../ledger/link.ts';
import { TreeReader } from '../ledger/tree-reader.ts';
import { findRotations } from '../ledger/verify-find-rotations.ts';
import { NoteJudge } from '../ledger/verify-note.ts';
import { checkpointVersions } from './checkpoint-versions.ts';
import { MAX_CHECKPOINT_BYTES } from './judge.ts';
import { mirrorKey, parseMirrorPath } from './layout.ts';
import type { ObjectStore } from './stores/store.ts';

/** What the mirror says of the ledger here. `empty`: nothing of this log is there. */
export type Continuity = { readonly state: 'continued' | 'empty' } | Break;

/** The newest history that the mirror has, where the one here does not continue it. */
export interface Break {
  readonly state: 'broken';
  /** - `lost`: nothing is here. - `rolled-back`: an older state is here. - `forked`: other entries are here. */
  readonly reason: 'lost' | 'rolled-back' | 'forked';
  /** For people: what was found. */
  readonly why: string;
  /** The shard that the mirror knows last, its checkpoint there, and how many entries that covers. */
  readonly mirrored: { readonly shard: number; readonly size: number; readonly checkpoint: string };
  /** The newest shard here, and how many entries it has; absent when there is none. */
  readonly local?: { readonly shard: number; readonly size: number };
}

export interface ContinuityOptions {
  readonly ledgerDir: string;
  readonly logName: string;
  /** The key of the log, and others that it is known to have had. */
  readonly vkeys: readonly string[];
}

interface MirroredHead {
  readonly shard: number;
  readonly size: number;
  /** Hex. */
  readonly root: string;
  readonly note: string;
}

const CONTINUED = { state: 'continued' } as const;

/** Of the checkpoints under their own sizes, when the newest is unreadable, so many are tried. */
const FALLBACK_CHECKPOINTS = 100;

/**
 * Compares the newest checkpoint in the mirror that a key of the log signed with the shards here. Rejects with what the store fails with, and throws what reading the ledger throws.
 */
export async function compareWithMirror(store: ObjectStore, options: ContinuityOptions): Promise<Continuity> {
  const shards = existsSync(options.ledgerDir) ? listShards(options.ledgerDir) : [];
  const newest = shards.at(-1);
  const rotations = findRotations(new Map(shards.map(({ number, path }) => [number, path])));
  const judge = new NoteJudge(options.vkeys, rotations);
  const mirrored = await newestMirrored(store, judge, options.logName, newest?.number ?? -1);
  if (mirrored === undefined) return { state: 'empty' };
  const { shard, size, note: checkpoint } = mirrored;
  const there = { state: 'broken', mirrored: { shard, size, checkpoint } } as const;
  const said = `${store.url} has ${size} entries of shard ${shard}`;
  if (newest === undefined) return { ...there, reason: 'lost', why: `${said}, and there is no ledger here` };
  const local = shards.find(({ number }) => number === shard);
  // An older shard may have been removed here once the mirror had it.
  if (local === undefined && shard < newest.number) return CONTINUED;
  // A break that was found before: a shard that begins after it is here, and the mirror has nothing of that one yet.
  if (shards.some(({ number, path }) => number > shard && beginsAfterBreak(path))) return CONTINUED;
  const reader = TreeReader.open((local ?? newest).path);
  try {
    const here = reader.size();
    const found = { ...there, local: { shard: (local ?? newest).number, size: here } };
    if (local === undefined) {
      return {
        ...found,
        reason: 'rolled-back',
        why: `${said}; the newest here is shard ${newest.number} with ${here} entries`,
      };
    }
    if (here < size) return { ...found, reason: 'rolled-back', why: `${said}, and only ${here} are here` };
    if (reader.root(size).toString('hex') === mirrored.root) return CONTINUED;
    return { ...found, reason: 'forked', why: `${said}, and the first ${size} here are others` };
  } finally {
    reader.close();
  }
}

/** The head of the newest shard in the mirror; shards there follow one another, and may be ahead of those here. */
async function newestMirrored(
  store: ObjectStore,
  judge: NoteJudge,
  log: string,
  newestHere: number,
): Promise<MirroredHead | undefined> {
  const head = (shard: number) => readHead(store, judge, log, shard);
  let found = newestHere < 0 ? undefined : await head(newestHere);
  for (let behind = newestHere - 1; found === undefined && behind >= 0; behind--) found = await head(behind);
  let shard = newestHere + 1;
  // The oldest shards may have left the bucket when their time was over: then it does not begin with 0, nor where we are.
  if (found === undefined && (await head(shard)) === undefined)
    shard = Math.max(shard, (await anyShard(store, log)) ?? 0);
  for (; ; shard++) {
    const next = await head(shard);
    if (next === undefined) return found;
    found = next;
  }
}

/** The number of some shard of the log that has objects in the store: of the first that a listing names. */
async function anyShard(store: ObjectStore, log: string): Promise<number | undefined> {
  for await (const { key } of store.list(`${log}/`)) {
    const [, number] = /^(0|[1-9]\d{0,14})\//.exec(key.slice(log.length + 1)) ?? [];
    if (number !== undefined) return Number(number);
  }
  return undefined;
}

/**
 * The largest checkpoint of a shard that a key of the log signed: of the versions of `checkpoint`, because an older one may have been
 * put back on top of the newest, or else the largest under its own size.
 */
async function readHead(
  store: ObjectStore,
  judge: NoteJudge,
  log: string,
  shard: number,
): Promise<MirroredHead | undefined> {
  const origin = `${log}/${shard}`;
  const open = (note: Buffer | undefined): MirroredHead | undefined => {
    const verdict = note === undefined ? undefined : judge.judge(note);
    if (note === undefined || verdict?.kind !== 'signed' || verdict.origin !== origin) return undefined;
    return { shard, size: verdict.size, root: verdict.root, note: note.toString('utf8') };
  };
  const versions = (await checkpointVersions(store, mirrorKey(origin, { kind: 'checkpoint' }))).map(open);
  const largest = versions.reduce((one, other) => ((other?.size ?? -1) > (one?.size ?? -1) ? other : one), undefined);
  if (largest !== undefined) return largest;
  const sizes: number[] = [];
  for await (const { key } of store.list(`${origin}/checkpoints/`)) {
    const object = parseMirrorPath(key.slice(origin.length + 1));
    if (object?.kind !== 'checkpoints') continue;
    sizes.push(object.size);
    if (sizes.length > 4 * FALLBACK_CHECKPOINTS) keepLargest(sizes);
  }
  keepLargest(sizes);
  for (const size of sizes) {
    const key = mirrorKey(origin, { kind: 'checkpoints', size });
    const one = open(await store.get(key, { maxBytes: MAX_CHECKPOINT_BYTES }));
    if (one !== undefined) return one;
  }
  return undefined;
}

function keepLargest(sizes: number[]): void {
  sizes.sort((a, b) => b - a);
  sizes.length = Math.min(sizes.length, FALLBACK_CHECKPOINTS);
}
