// Finds the rotation statements of a ledger before anything in it is verified: a statement proves itself by its two
// signatures, whatever else the file holds.
import { zstdDecompressSync } from 'node:zlib';
import { SealgateError } from '../lib/errors.ts';
import { ShardDamage, ShardFile } from './verify-file.ts';
import { packedLimit } from './verify-pack.ts';
import { openRotation, type Rotation } from './verify-rotation.ts';

/** What precedes the first body of a pack: state, salt, length. */
const HEADER = 21;
const MAX_RECORDS = 1024 * 1024;

/**
 * The statements in the links of these shards that both keys signed. What cannot be read or does not count is left out: the
 * verification of its shard reports it. `unnamed` says that the numbers mean nothing: a statement says itself of which shard it is.
 */
export function findRotations(shards: ReadonlyMap<number, string>, unnamed = false): Rotation[] {
  const found: Rotation[] = [];
  for (const [number, file] of shards) {
    const statement = number === 0 && !unnamed ? undefined : statementIn(file);
    const rotation = statement === undefined ? undefined : openRotation(statement);
    if (typeof rotation === 'object' && (unnamed || rotation.shard === number)) found.push(rotation);
  }
  return found;
}

function statementIn(file: string): string | undefined {
  let shard: ShardFile | undefined;
  try {
    shard = ShardFile.open(file);
    for (const { first, codec, length, data } of shard.packs(1, () => undefined)) {
      if (first !== 0 || data === undefined || length > packedLimit(MAX_RECORDS)) return undefined;
      return readStatement(codec === 1 ? zstdDecompressSync(data, { maxOutputLength: MAX_RECORDS }) : data);
    }
    return undefined;
  } catch (thrown) {
    if (thrown instanceof SealgateError) throw thrown;
    // Damage is reported with the shard; what is no Zstandard or no JSON holds no statement.
    if (thrown instanceof ShardDamage || thrown instanceof SyntaxError || isZlibError(thrown)) return undefined;
    throw thrown;
  } finally {
    shard?.close();
  }
}

function readStatement(records: Buffer): string | undefined {
  if (records.length < HEADER) return undefined;
  const end = HEADER + records.readUInt32BE(HEADER - 4);
  const body: unknown = JSON.parse(records.toString('utf8', HEADER, end));
  if (typeof body !== 'object' || body === null || !('rotation' in body)) return undefined;
  return typeof body.rotation === 'string' ? body.rotation : undefined;
}

function isZlibError(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && /^(ERR_|ZSTD_|Z_)/.test(String(thrown.code));
}
