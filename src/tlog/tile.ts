// The content of tiles, read as the nodes that proofs and roots are made of. Attacker-controlled.
import { CompactRange } from './compact-range.ts';
import { TlogError } from './errors.ts';
import { HASH_BYTES } from './merkle.ts';
import type { NodeReader } from './subtree.ts';
import { hashesAtLevel, TILE_HEIGHT, TILE_WIDTH, type Tile } from './tile-path.ts';

/** Returns the bytes of a tile: 32 for each of its hashes. */
export type TileReader = (tile: Tile) => Uint8Array;

/** The hashes of a tile, as views on its bytes. Throws TILE_MALFORMED unless there are exactly `width` of them. */
export function decodeTile(bytes: Uint8Array, width: number): Uint8Array[] {
  if (bytes.length !== width * HASH_BYTES) {
    throw new TlogError('TILE_MALFORMED', `a tile ${width} wide has ${width * HASH_BYTES} bytes, not ${bytes.length}`);
  }
  return Array.from({ length: width }, (_, i) => bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

/**
 * Reads nodes out of the tiles of a tree of `size` leaves, for proofs and roots. `read` is asked for full tiles, and for
 * partial ones of exactly the width that this size has; it may cache. The tiles are not checked here: what is computed
 * from them has to be compared with a signed root. Throws TILE_MALFORMED for a tile of the wrong length.
 */
export function tileNodeReader(size: number, read: TileReader): NodeReader {
  return (level, index) => {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    // A node between two levels of tiles is the root over the hashes below it, at most 128, all in one tile.
    const count = 2 ** (level % TILE_HEIGHT);
    const first = index * count;
    const tile = Math.floor(first / TILE_WIDTH);
    const width = Math.min(TILE_WIDTH, hashesAtLevel(tileLevel, size) - tile * TILE_WIDTH);
    const begin = first - tile * TILE_WIDTH;
    if (width < begin + count) {
      throw new TlogError(
        'ARGUMENT_INVALID',
        `a tree of ${size} leaves has no complete subtree ${index} of level ${level}`,
      );
    }
    const hashes = decodeTile(read({ kind: 'tile', level: tileLevel, index: tile, width }), width);
    const subtree = new CompactRange();
    for (const hash of hashes.slice(begin, begin + count)) subtree.append(hash);
    return subtree.root();
  };
}
