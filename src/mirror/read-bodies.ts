// The bodies of one bundle's entries: each is taken from whatever version holds what its leaf commits to.
import { commitment } from '../ledger/commitment.ts';
import type { Commitment } from '../ledger/verify-pack.ts';
import { SealgateError } from '../lib/errors.ts';
import { eachContent, type Judged, judge, type Loaded, load } from './judge-object.ts';
import {
  type BodyRecord,
  decodeBodyBundle,
  decodeLargeBody,
  LARGE_BODY_BYTES,
  maxBundleBytes,
  maxLargeBytes,
} from './layout.ts';
import type { ShardObjects } from './shard-objects.ts';

export interface FoundBody {
  readonly salt: Uint8Array;
  /** Undefined when the body stands alone; its salt is told again there. */
  readonly body: Uint8Array | undefined;
}

export interface FoundBodies {
  /** What lies under the bundle's own key. */
  readonly judged: Judged<readonly FoundBody[]>;
  /** By entry; undefined where no version of the bundle has what the leaf commits to, or the leaf is not known. */
  readonly bodies: readonly (FoundBody | undefined)[];
}

export function maxBodiesBytes(width: number): number {
  // Zstandard can make what cannot be compressed a little larger; an honest writer does not use it then.
  return maxBundleBytes(width);
}

/** Judges the bundle `loaded` of the entries with these commitments; undefined where a leaf is not known. */
export async function readBodies(
  objects: ShardObjects,
  loaded: Loaded,
  index: number,
  expected: readonly (Commitment | undefined)[],
): Promise<FoundBodies> {
  const width = expected.length;
  const max = maxBodiesBytes(width);
  const judged = await judge(objects.store, loaded, max, (bytes) => {
    const records = decode(bytes, width);
    if (typeof records === 'string') return records;
    const found = expected.map((one, i) => match(records[i], one));
    const wrong = found.findIndex((one, i) => one === undefined && expected[i] !== undefined);
    if (wrong < 0) return { value: found.map((one, i) => one ?? unknownBody(records[i])) };
    return `the body of entry ${index * 256 + wrong}, or its salt, is not what its leaf commits to`;
  });
  if (judged.value !== undefined) return { judged, bodies: judged.value };
  const bodies: (FoundBody | undefined)[] = expected.map(() => undefined);
  const save = (bytes: Buffer, count: number): void => {
    const records = decode(bytes, count);
    if (typeof records === 'string') return;
    for (const [i, one] of expected.entries()) bodies[i] ??= match(records[i], one);
  };
  for (const bytes of judged.wrong) save(bytes, width);
  if (bodies.some((one) => one === undefined)) {
    for (const { width: wide, history } of await objects.wider({ kind: 'bodies', index, width })) {
      const limit = maxBodiesBytes(wide);
      await eachContent(objects.store, history, limit, (bytes) => save(bytes, wide));
    }
  }
  return { judged, bodies };
}

/** Judges the object that holds one large body. */
export async function readLargeBody(
  objects: ShardObjects,
  seq: number,
  { size, body: wanted }: Commitment,
): Promise<Judged<{ readonly salt: Uint8Array; readonly body: Uint8Array }>> {
  const max = maxLargeBytes(size);
  const loaded = load(objects.store, await objects.single(`bodies/large/${seq}`), max);
  return await judge(objects.store, loaded, max, (bytes) => {
    try {
      const found = decodeLargeBody(bytes, size);
      if (commitment(found.salt, found.body) === wanted) return { value: found };
      return `the body of entry ${seq}, or its salt, is not what its leaf commits to`;
    } catch (thrown) {
      return malformed(thrown);
    }
  });
}

function decode(bytes: Buffer, count: number): BodyRecord[] | string {
  try {
    return decodeBodyBundle(bytes, count);
  } catch (thrown) {
    return malformed(thrown);
  }
}

function malformed(thrown: unknown): string {
  if (thrown instanceof SealgateError && thrown.code === 'MIRROR_OBJECT_MALFORMED') return thrown.message;
  throw thrown;
}

function match(record: BodyRecord | undefined, expected: Commitment | undefined): FoundBody | undefined {
  if (record === undefined || expected === undefined) return undefined;
  if (!('body' in record)) {
    return record.large === expected.size && expected.size > LARGE_BODY_BYTES
      ? { salt: record.salt, body: undefined }
      : undefined;
  }
  if (record.body.length !== expected.size || commitment(record.salt, record.body) !== expected.body) return undefined;
  return record;
}

/** Of an entry whose leaf nobody has: kept in its place, and never used. */
function unknownBody(record: BodyRecord | undefined): FoundBody {
  return { salt: record?.salt ?? Buffer.alloc(0), body: undefined };
}
