// Finds the rotation statements in a mirror before anything in it is verified: a statement proves itself by its two signatures.
import { openRotation, type Rotation } from '../ledger/verify-rotation.ts';
import { SealgateError } from '../lib/errors.ts';
import { formatVkey, type VerifierKey } from '../tlog/vkey.ts';
import { decodeBodyBundle } from './layout.ts';
import { maxBodiesBytes } from './read-bodies.ts';
import type { KeyHistory } from './shard-objects.ts';
import type { ListedShard } from './shard-walk.ts';

/**
 * The statements in the links of these shards that both keys signed, as far as they lead to or from a trusted key: anybody can put
 * statements of keys of their own beside them. Throws what the store throws.
 */
export async function findMirrorRotations(
  shards: readonly ListedShard[],
  trusted: readonly VerifierKey[],
): Promise<Rotation[]> {
  const found = new Map<string, Rotation>();
  for (const shard of shards) {
    if (shard.number === 0 || !shard.mirrored) continue;
    for (const rotation of await rotationsIn(shard)) {
      const { previous, next } = rotation;
      found.set([shard.number, formatVkey(previous), formatVkey(next)].join(' '), rotation);
    }
  }
  return connected([...found.values()], trusted);
}

function connected(rotations: readonly Rotation[], trusted: readonly VerifierKey[]): Rotation[] {
  const known = new Set(trusted.map(formatVkey));
  const keysOf = ({ previous, next }: Rotation): string[] => [previous, next].map(formatVkey);
  for (let before = -1; before < known.size; ) {
    before = known.size;
    for (const rotation of rotations) {
      const keys = keysOf(rotation);
      if (keys.some((key) => known.has(key))) for (const key of keys) known.add(key);
    }
  }
  return rotations.filter((rotation) => keysOf(rotation).some((key) => known.has(key)));
}

async function rotationsIn({ objects, number }: ListedShard): Promise<Rotation[]> {
  const found: Rotation[] = [];
  const bundle = { kind: 'bodies' as const, index: 0, width: 0 };
  for (const { width, history } of await objects.wider(bundle)) {
    for (const statement of await statementsIn(objects.store, history, width)) {
      const rotation = openRotation(statement);
      if (typeof rotation === 'object' && rotation.shard === number) found.push(rotation);
    }
  }
  return found;
}

async function statementsIn(
  store: ListedShard['objects']['store'],
  history: KeyHistory,
  width: number,
): Promise<string[]> {
  const found: string[] = [];
  for (const { key, version, size } of history.versions) {
    const maxBytes = maxBodiesBytes(width);
    if (size > maxBytes) continue;
    const bytes = await store.get(key, version === '' ? { maxBytes } : { maxBytes, version });
    const statement = bytes === undefined ? undefined : statementIn(bytes, width);
    if (statement !== undefined) found.push(statement);
  }
  return found;
}

function statementIn(bytes: Buffer, width: number): string | undefined {
  try {
    const [first] = decodeBodyBundle(bytes, width);
    if (first === undefined || !('body' in first)) return undefined;
    const body: unknown = JSON.parse(Buffer.from(first.body).toString());
    if (typeof body !== 'object' || body === null || !('rotation' in body)) return undefined;
    return typeof body.rotation === 'string' ? body.rotation : undefined;
  } catch (thrown) {
    // What is no bundle or no JSON holds no statement; the verification of its shard reports it.
    if (thrown instanceof SyntaxError) return undefined;
    if (thrown instanceof SealgateError && thrown.code === 'MIRROR_OBJECT_MALFORMED') return undefined;
    throw thrown;
  }
}
