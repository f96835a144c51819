// What the notes in a mirror say about one shard: the one that changes, with every version it had, and those under their sizes.
import type { NoteJudge, NoteVerdict } from '../ledger/verify-note.ts';
import { inBatches } from './in-batches.ts';
import type { ShardObjects } from './shard-objects.ts';
import type { StoredVersion } from './stores/store.ts';

/** More than any note: one signature a key or witness. */
export const MAX_NOTE_BYTES = 64 * 1024;
/** Versions of `checkpoint` that are read; one comes with every push. */
const MAX_HEADS = 100_000;
const BATCH = 32;

export type SignedNote = Extract<NoteVerdict, { kind: 'signed' }>;

/** One version of `checkpoint`. */
export interface Head {
  readonly version: StoredVersion;
  readonly verdict: NoteVerdict;
}

export interface Heads {
  /** Whether there is any version of `checkpoint`. */
  readonly found: boolean;
  /** The version that a reader gets; undefined when there is none, or a marker hides it. */
  readonly newest: Head | undefined;
  readonly hidden: boolean;
  /** Root by size, hex, by the versions that the key signed; two roots of one size are two histories. */
  readonly roots: ReadonlyMap<number, ReadonlySet<string>>;
  /** A note of each of those sizes. */
  readonly notes: ReadonlyMap<number, Buffer>;
  /** Versions that no key given signed, the newest first of them; at most a few. */
  readonly unsigned: readonly Head[];
  readonly unsignedCount: number;
  /** Versions read. */
  readonly read: number;
  /** Versions beyond the limit. */
  readonly left: number;
}

/** Reads all versions of `checkpoint`. Throws what the store throws. */
export async function readHeads(objects: ShardObjects, judge: NoteJudge): Promise<Heads> {
  const key = `${objects.base}checkpoint`;
  const roots = new Map<number, Set<string>>();
  const notes = new Map<number, Buffer>();
  const unsigned: Head[] = [];
  let newest: Head | undefined;
  let hidden = false;
  let read = 0;
  let left = 0;
  let unsignedCount = 0;
  const versions: StoredVersion[] = [];
  for await (const version of objects.store.versions(key)) {
    if (version.key !== key) break;
    if (version.deleteMarker) hidden ||= version.newest;
    else if (versions.length < MAX_HEADS) versions.push(version);
    else left += 1;
  }
  await inBatches(
    versions,
    BATCH,
    async (version) => ({ version, ...(await readNote(objects, judge, version)) }),
    (one) => {
      const { version, verdict, bytes } = one;
      read += 1;
      if (version.newest) newest = { version, verdict };
      if (verdict.kind === 'signed') {
        const list = roots.get(verdict.size) ?? new Set<string>();
        roots.set(verdict.size, list.add(verdict.root));
        if (!notes.has(verdict.size)) notes.set(verdict.size, bytes);
      } else {
        unsignedCount += 1;
        if (unsigned.length < 4) unsigned.push({ version, verdict });
      }
    },
  );
  return { found: versions.length > 0, newest, hidden, roots, notes, unsigned, unsignedCount, read, left };
}

/** One version of a note, judged. */
export async function readNote(
  objects: ShardObjects,
  judge: NoteJudge,
  version: StoredVersion,
): Promise<{ verdict: NoteVerdict; bytes: Buffer }> {
  const altered = (message: string) => ({ verdict: { kind: 'altered' as const, message }, bytes: Buffer.alloc(0) });
  if (version.size > MAX_NOTE_BYTES) return altered(`it has ${version.size} bytes`);
  const options = { maxBytes: MAX_NOTE_BYTES, ...(version.version === '' ? {} : { version: version.version }) };
  const bytes = await objects.store.get(version.key, options);
  if (bytes === undefined) return altered('it is listed but cannot be read');
  return { verdict: judge.judge(bytes), bytes };
}
