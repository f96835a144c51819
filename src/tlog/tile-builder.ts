// Makes the tiles of a tree from its leaf hashes as they come, for an export or a mirror.
import { CompactRange } from './compact-range.ts';
import { HASH_BYTES } from './merkle.ts';
import { subtreesOf } from './subtree.ts';
import { decodeTile, type TileReader, tileNodeReader } from './tile.ts';
import { hashesAtLevel, partialWidth, TILE_HEIGHT, TILE_WIDTH, type Tile } from './tile-path.ts';

/** Takes a tile; `bytes` is the callee's to keep. */
export type TileWriter = (tile: Tile, bytes: Buffer) => void;

interface Level {
  /** Index of the tile that is being filled. */
  index: number;
  width: number;
  readonly bytes: Buffer;
}

/**
 * Turns leaf hashes into tiles: a full tile is written as soon as it is complete, partial ones when asked for. Holds
 * one tile (8 KiB) a level.
 */
export class TileBuilder {
  readonly #range: CompactRange;
  readonly #levels: Level[] = [];
  readonly #write: TileWriter;

  /** Begins with an empty tree; `range` is for resume(). */
  constructor(write: TileWriter, range = new CompactRange()) {
    this.#write = write;
    this.#range = range;
  }

  /**
   * Goes on with a tree of `size` leaves whose tiles `read` returns; only its rightmost ones are asked for. Compare
   * root() with a signed root before trusting them.
   */
  static resume(size: number, read: TileReader, write: TileWriter): TileBuilder {
    const node = tileNodeReader(size, read);
    const hashes = subtreesOf(0, size).map(({ level, index }) => node(level, index));
    const builder = new TileBuilder(write, CompactRange.fromHashes(size, hashes));
    for (let level = 0; hashesAtLevel(level, size) > 0; level++) {
      const index = Math.floor(hashesAtLevel(level, size) / TILE_WIDTH);
      const width = partialWidth(level, size);
      const bytes = Buffer.alloc(TILE_WIDTH * HASH_BYTES);
      if (width > 0) bytes.set(Buffer.concat(decodeTile(read({ kind: 'tile', level, index, width }), width)));
      builder.#levels.push({ index, width, bytes });
    }
    return builder;
  }

  /** Number of leaves so far. */
  get size(): number {
    return this.#range.size;
  }

  /** Root of the tree so far. */
  root(): Buffer {
    return this.#range.root();
  }

  /** Root of the tree as it would be with these leaf hashes, which are not added. */
  rootWith(leafHashes: readonly Uint8Array[]): Buffer {
    const range = this.#range.clone();
    for (const leafHash of leafHashes) range.append(leafHash);
    return range.root();
  }

  /** Adds the next leaf by its leaf hash. Throws ARGUMENT_INVALID unless it has 32 bytes. */
  append(leafHash: Uint8Array): void {
    const completed: Uint8Array[] = [leafHash];
    this.#range.append(leafHash, (level, _index, hash) => {
      if (level % TILE_HEIGHT === 0) completed.push(hash);
    });
    // A hash for a level of tiles completes a tile of the level below: tiles are written from the lowest level up.
    completed.forEach((hash, level) => {
      this.#push(level, hash);
    });
  }

  /** Writes the partial tiles of the tree as it is now. More leaves may follow. */
  writePartial(): void {
    this.#levels.forEach(({ index, width, bytes }, level) => {
      if (width > 0)
        this.#write({ kind: 'tile', level, index, width }, Buffer.from(bytes.subarray(0, width * HASH_BYTES)));
    });
  }

  #push(level: number, hash: Uint8Array): void {
    let tile = this.#levels[level];
    if (tile === undefined) {
      tile = { index: 0, width: 0, bytes: Buffer.alloc(TILE_WIDTH * HASH_BYTES) };
      this.#levels[level] = tile;
    }
    tile.bytes.set(hash, tile.width * HASH_BYTES);
    tile.width += 1;
    if (tile.width < TILE_WIDTH) return;
    this.#write({ kind: 'tile', level, index: tile.index, width: TILE_WIDTH }, Buffer.from(tile.bytes));
    tile.index += 1;
    tile.width = 0;
  }
}
