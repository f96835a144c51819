// What a mirror asked of its store, counted in the access log of the server (the form of S3's own access logs).
import { readFileSync, statSync } from 'node:fs';
import { parseMirrorPath } from '../src/mirror/layout.ts';

/** Requests and bytes of one purpose. */
export interface Tally {
  /** PUT and list: the dearer class of S3's prices. */
  puts: number;
  /** GET and HEAD. */
  gets: number;
  /** Of what was put. */
  bytes: number;
}

export interface Requests {
  /** What is written once for so many entries: full tiles and bundles, and large bodies. */
  readonly full: Tally;
  /** What each push brings, however few the entries: partial ones and checkpoints. */
  readonly push: Tally;
  /** The rest: starting, probing. */
  readonly other: Tally;
  /** How often a checkpoint was replaced. */
  readonly pushes: number;
}

/** Where the log ends now, for requestsSince. */
export function mark(accessLog: string): number {
  return statSync(accessLog).size;
}

/** `origin`: of the mirrored log with the store's prefix before it, without the number of a shard. */
export function requestsSince(accessLog: string, from: number, origin: string): Requests {
  const none = (): Tally => ({ puts: 0, gets: 0, bytes: 0 });
  const found = { full: none(), push: none(), other: none() };
  let pushes = 0;
  const text = readFileSync(accessLog).subarray(from).toString('latin1');
  for (const [, operation, key, bytes] of text.matchAll(
    / s3_(\w+) (\S+) \S+ \d{3} \S+ \d+ (\d+) /g,
  ) as IterableIterator<[string, string, string, string]>) {
    const tally = found[purpose(key, origin)];
    if (/^(Get|Head)/.test(operation)) tally.gets += 1;
    else tally.puts += 1;
    if (operation === 'PutObject' && key.endsWith('/checkpoint')) pushes += 1;
    if (operation === 'PutObject') tally.bytes += Number(bytes);
  }
  return { ...found, pushes };
}

function purpose(key: string, origin: string): 'full' | 'push' | 'other' {
  if (!key.startsWith(`${origin}/`)) return 'other';
  const object = parseMirrorPath(key.slice(origin.length + 1).replace(/^\d+\//, ''));
  if (object === undefined) return 'other';
  switch (object.kind) {
    case 'checkpoint':
    case 'checkpoints':
      return 'push';
    case 'large':
      return 'full';
    case 'tile':
    case 'entries':
    case 'bodies':
      return object.width === 256 ? 'full' : 'push';
  }
}
