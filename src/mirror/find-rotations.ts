// Finds the rotation statements in a mirror before anything in it is verified: a statement proves itself by its two signatures.
import { openRotation, type Rotation } from '../ledger/verify-rotation.ts';
import { SealgateError } from '../lib/errors.ts';
import { decodeBodyBundle } from './layout.ts';
import { maxBodiesBytes } from './read-bodies.ts';
import type { KeyHistory } from './shard-objects.ts';
import type { ListedShard } from './shard-walk.ts';

/** The statements in the links of these shards that both keys signed. Throws what the store throws. */
export async function findMirrorRotations(shards: readonly ListedShard[]): Promise<Rotation[]> {
  const found: Rotation[] = [];
  for (const shard of shards) {
    if (shard.number === 0 || !shard.mirrored) continue;
    const rotation = await rotationIn(shard);
    if (rotation !== undefined) found.push(rotation);
  }
  return found;
}

async function rotationIn({ objects, number }: ListedShard): Promise<Rotation | undefined> {
  const bundle = { kind: 'bodies' as const, index: 0, width: 0 };
  for (const { width, history } of await objects.wider(bundle)) {
    for (const statement of await statementsIn(objects.store, history, width)) {
      const rotation = openRotation(statement);
      if (typeof rotation === 'object' && rotation.shard === number) return rotation;
    }
  }
  return undefined;
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
