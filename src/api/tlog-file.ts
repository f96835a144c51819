// A shard as the files of C2SP tlog-tiles, read straight from the ledger: what GET /tlog/<origin>/… answers with. Bodies are
// not among them: they are personal, and come from the query API.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { shardFileName } from '../ledger/files.ts';
import { TreeReader } from '../ledger/tree-reader.ts';
import { encodeEntryBundle } from '../tlog/entry-bundle.ts';
import { hashesAtLevel, parseTilePath, TILE_WIDTH } from '../tlog/tile-path.ts';

/** `full`: it never changes again; of others there will be a wider one, or a newer one. */
export interface TlogFile {
  readonly kind: 'checkpoint' | 'full' | 'partial';
  readonly bytes: Uint8Array;
}

/**
 * `<origin>/checkpoint`, `<origin>/tile/<L>/<N>[.p/<W>]` or `<origin>/tile/entries/<N>[.p/<W>]`, of what the newest checkpoint of that
 * shard covers. Undefined when there is no such file. Throws what reading the ledger throws.
 */
export function readTlogFile(ledgerDir: string, path: string): TlogFile | undefined {
  const [, log, number, rest] = /^(.+)\/(0|[1-9][0-9]{0,14})\/(checkpoint|tile\/.+)$/.exec(path) ?? [];
  if (log === undefined || number === undefined || rest === undefined) return undefined;
  const file = join(ledgerDir, shardFileName(Number(number)));
  if (!existsSync(file)) return undefined;
  // A connection that stayed would keep a full shard from being sealed.
  const shard = TreeReader.open(file);
  try {
    const head = shard.head();
    if (head.origin !== `${log}/${number}`) return undefined;
    return rest === 'checkpoint'
      ? { kind: 'checkpoint', bytes: Buffer.from(head.note) }
      : tileOf(shard, head.size, rest);
  } finally {
    shard.close();
  }
}

function tileOf(shard: TreeReader, size: number, path: string): TlogFile | undefined {
  let tile: ReturnType<typeof parseTilePath>;
  try {
    tile = parseTilePath(path);
  } catch {
    return undefined;
  }
  const { index, width } = tile;
  const first = index * TILE_WIDTH;
  // Any width that is covered: a client may have an older checkpoint than the newest.
  if (first + width > hashesAtLevel(tile.kind === 'tile' ? tile.level : 0, size)) return undefined;
  const bytes = tile.kind === 'tile' ? shard.tiles(tile) : encodeEntryBundle(shard.leaves(first, first + width));
  return { kind: width === TILE_WIDTH ? 'full' : 'partial', bytes };
}
