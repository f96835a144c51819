// Where tlog-tiles puts what (C2SP tlog-tiles, "Merkle Tree", "Partial Tiles" and "Log entries"), and which tiles a tree has.
import { parseDecimal } from './decimal.ts';
import { TlogError } from './errors.ts';
import { requireSize } from './merkle.ts';

/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256;
/** Binary levels of the tree that one level of tiles spans. */
export const TILE_HEIGHT = 8;
const MAX_TILE_LEVEL = 63;

/** A Merkle tree tile: hashes index·256 … index·256 + width − 1 of level 8·level of the tree. */
export interface Tile {
  readonly kind: 'tile';
  readonly level: number;
  readonly index: number;
  /** 1 … 256; less than 256 in a partial tile. */
  readonly width: number;
}

/** An entry bundle: entries index·256 … index·256 + width − 1. */
export interface EntryBundle {
  readonly kind: 'entries';
  readonly index: number;
  readonly width: number;
}

/** `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`, without a leading slash. Throws ARGUMENT_INVALID. */
export function tilePath(tile: Tile | EntryBundle): string {
  const { index, width } = tile;
  requireSize(index);
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) {
    throw new TlogError('ARGUMENT_INVALID', `a tile is 1 to ${TILE_WIDTH} wide, not ${width}`);
  }
  if (tile.kind === 'tile' && !(Number.isInteger(tile.level) && tile.level >= 0 && tile.level <= MAX_TILE_LEVEL)) {
    throw new TlogError('ARGUMENT_INVALID', `a tile level is 0 to ${MAX_TILE_LEVEL}, not ${tile.level}`);
  }
  const folder = tile.kind === 'tile' ? String(tile.level) : 'entries';
  return `tile/${folder}/${indexPath(index)}${width < TILE_WIDTH ? `.p/${width}` : ''}`;
}

/** Reads such a path; exactly what tilePath writes, and nothing else, is accepted. Throws TILE_MALFORMED. */
export function parseTilePath(path: string): Tile | EntryBundle {
  const match = /^tile\/(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/.exec(path);
  if (match === null) throw malformed(path);
  const [, folder, digits, partial] = match;
  const index = Number(digits?.replaceAll(/[x/]/g, ''));
  const width = partial === undefined ? TILE_WIDTH : parseDecimal(partial);
  if (width === undefined || width < 1 || width > TILE_WIDTH) throw malformed(path);
  if (!Number.isSafeInteger(index)) throw malformed(path);
  let tile: Tile | EntryBundle = { kind: 'entries', index, width };
  if (folder !== 'entries') {
    const level = parseDecimal(folder ?? '');
    if (level === undefined || level > MAX_TILE_LEVEL) throw malformed(path);
    tile = { kind: 'tile', level, index, width };
  }
  // Needless leading groups (x000/001) and .p/256 would be second names for the same tile.
  if (tilePath(tile) !== path) throw malformed(path);
  return tile;
}

/** Number of complete subtrees of 256^level leaves in a tree of `size` leaves: hashes at that level of tiles. */
export function hashesAtLevel(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** Width of the partial tile at `level` for a tree of `size` leaves: floor(size / 256^level) mod 256. 0: there is none. */
export function partialWidth(level: number, size: number): number {
  return hashesAtLevel(level, size) % TILE_WIDTH;
}

/**
 * The tiles that a tree of `size` leaves has and one of `oldSize` leaves had not yet (0: all of them), from the lowest
 * level up, from left to right, each level ending in its partial tile. The entry bundles are those of level 0.
 */
export function* tilesBetween(oldSize: number, size: number): Generator<Tile> {
  requireSize(oldSize);
  requireSize(size);
  if (oldSize > size)
    throw new TlogError('ARGUMENT_INVALID', `the tree cannot shrink from ${oldSize} to ${size} leaves`);
  for (let level = 0; hashesAtLevel(level, size) > 0; level++) {
    const before = hashesAtLevel(level, oldSize);
    const now = hashesAtLevel(level, size);
    if (before === now) continue;
    const full = Math.floor(now / TILE_WIDTH);
    for (let index = Math.floor(before / TILE_WIDTH); index < full; index++) {
      yield { kind: 'tile', level, index, width: TILE_WIDTH };
    }
    if (now % TILE_WIDTH > 0) yield { kind: 'tile', level, index: full, width: now % TILE_WIDTH };
  }
}

/** Groups of three digits, all but the last behind an x: 1234067 is x001/x234/067. */
function indexPath(index: number): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const groups = padded.match(/.{3}/g) ?? [];
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
}

function malformed(path: string): TlogError {
  const shown = JSON.stringify(path.slice(0, 100));
  return new TlogError('TILE_MALFORMED', `not the path of a tile or an entry bundle: ${shown}`);
}
