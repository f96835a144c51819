// The hashes of a signed tree, taken from its tiles from the root down: a tile counts when its hashes give the one above it,
// and the rightmost tiles when together they give the signed root. What has been lost is computed from below.
import { CompactRange } from '../tlog/compact-range.ts';
import { decodeEntryBundle } from '../tlog/entry-bundle.ts';
import { TlogError } from '../tlog/errors.ts';
import { HASH_BYTES, leafHash } from '../tlog/merkle.ts';
import { rangeRoot } from '../tlog/subtree.ts';
import { decodeTile, tileNodeReader } from '../tlog/tile.ts';
import { hashesAtLevel, partialWidth, TILE_WIDTH, type Tile } from '../tlog/tile-path.ts';
import { eachContent, type Judged, judge, load } from './judge-object.ts';
import { type ShardObjects, tileLevels } from './shard-objects.ts';

export const MAX_TILE_BYTES = TILE_WIDTH * HASH_BYTES;
/** 256 leaves, each of at most 65,535 bytes behind its length. */
export const MAX_ENTRIES_BYTES = TILE_WIDTH * (2 + 65_535);
/** Ways to put the rightmost tiles together that are tried: more than one each only where somebody added versions. */
const MAX_COMBINATIONS = 4096;
/** Tiles kept a level: the walk is in one, and reads ahead into the next. */
const KEPT_TILES = 8;

type Hashes = readonly Uint8Array[];

/** A tile whose place in the signed tree is known, and what was found under its key. */
export interface SignedTile {
  /** Undefined when it is lost and cannot be computed either. */
  readonly hashes: Hashes | undefined;
  readonly judged: Judged<Hashes>;
}

export class SignedTree {
  readonly size: number;
  readonly #objects: ShardObjects;
  /** Hashes of the partial tile at each level; empty where a level has none. */
  readonly #edge: readonly Hashes[];
  readonly #onTile: (tile: Tile, found: SignedTile) => void;
  readonly #tiles = new Map<string, Promise<SignedTile>>();

  private constructor(
    objects: ShardObjects,
    size: number,
    edge: readonly Hashes[],
    onTile: (tile: Tile, found: SignedTile) => void,
  ) {
    this.#objects = objects;
    this.size = size;
    this.#edge = edge;
    this.#onTile = onTile;
  }

  /**
   * The tree of `size` leaves with this root, or undefined when nothing in the store gives that root. `onTile` hears of every full
   * tile once, when the walk gets to it. Throws what the store throws.
   */
  static async anchor(
    objects: ShardObjects,
    size: number,
    root: string,
    onTile: (tile: Tile, found: SignedTile) => void,
  ): Promise<SignedTree | undefined> {
    const levels = tileLevels(size);
    const candidates: Hashes[][] = [];
    for (let level = 0; level < levels; level++) candidates.push(await edgeCandidates(objects, level, size));
    let edge = choose(candidates, size, root);
    if (edge === undefined) {
      for (const [level, list] of candidates.entries()) {
        const rebuilt = await rebuildEdge(objects, level, size);
        if (rebuilt !== undefined) list.unshift(rebuilt);
      }
      edge = choose(candidates, size, root);
    }
    return edge === undefined ? undefined : new SignedTree(objects, size, edge, onTile);
  }

  /** What lies under the keys of the rightmost tiles, which are known by now. */
  async edgeTiles(): Promise<{ tile: Tile; judged: Judged<Hashes> }[]> {
    const found: { tile: Tile; judged: Judged<Hashes> }[] = [];
    for (const [level, hashes] of this.#edge.entries()) {
      if (hashes.length === 0) continue;
      const index = Math.floor(hashesAtLevel(level, this.size) / TILE_WIDTH);
      const tile: Tile = { kind: 'tile', level, index, width: hashes.length };
      const expected = Buffer.concat(hashes);
      found.push({
        tile,
        judged: await this.#judgeTile(tile, (bytes) =>
          expected.equals(bytes) ? { value: hashes } : tileProblem(bytes, tile.width),
        ),
      });
    }
    return found;
  }

  /** Hashes of the leaves of bundle `index`; undefined when they are lost. */
  async leafHashes(index: number): Promise<Hashes | undefined> {
    return await this.#tile(0, index);
  }

  async #tile(level: number, index: number): Promise<Hashes | undefined> {
    if (index === Math.floor(hashesAtLevel(level, this.size) / TILE_WIDTH)) return this.#edge[level];
    return (await this.#full(level, index)).hashes;
  }

  #full(level: number, index: number): Promise<SignedTile> {
    const key = `${level}/${index}`;
    const known = this.#tiles.get(key);
    if (known !== undefined) return known;
    const ofLevel = [...this.#tiles.keys()].filter((one) => one.startsWith(`${level}/`));
    if (ofLevel.length >= KEPT_TILES && ofLevel[0] !== undefined) this.#tiles.delete(ofLevel[0]);
    const found = this.#resolve({ kind: 'tile', level, index, width: TILE_WIDTH });
    found.catch(() => this.#tiles.delete(key));
    this.#tiles.set(key, found);
    return found;
  }

  async #resolve(tile: Tile): Promise<SignedTile> {
    const above = await this.#tile(tile.level + 1, Math.floor(tile.index / TILE_WIDTH));
    const expected = above?.[tile.index % TILE_WIDTH];
    const judged = await this.#judgeTile(tile, (bytes) => {
      const hashes = tryDecode(bytes, TILE_WIDTH);
      if (hashes === undefined) return tileProblem(bytes, TILE_WIDTH);
      if (expected !== undefined && !rootOf(hashes).equals(expected)) return tileProblem(bytes, TILE_WIDTH);
      return { value: hashes };
    });
    let hashes = expected === undefined ? undefined : judged.value;
    if (hashes === undefined && expected !== undefined) hashes = await rebuild(this.#objects, tile, expected);
    const found = { hashes, judged };
    this.#onTile(tile, found);
    return found;
  }

  async #judgeTile(tile: Tile, read: (bytes: Buffer) => { value: Hashes } | string): Promise<Judged<Hashes>> {
    const { store } = this.#objects;
    return await judge(store, load(store, await this.#objects.history(tile), MAX_TILE_BYTES), MAX_TILE_BYTES, read);
  }
}

function tileProblem(bytes: Buffer, width: number): string {
  const length = width * HASH_BYTES;
  return bytes.length === length
    ? 'its hashes are not those of the signed tree'
    : `it has ${bytes.length} bytes instead of ${length}`;
}

function rootOf(hashes: Hashes): Buffer {
  const range = new CompactRange();
  for (const hash of hashes) range.append(hash);
  return range.root();
}

function tryDecode(bytes: Buffer, width: number): Hashes | undefined {
  return bytes.length === width * HASH_BYTES ? decodeTile(bytes, width) : undefined;
}

/** What the rightmost tile of a level may be: every version of it, and of wider ones that begin with it. */
async function edgeCandidates(objects: ShardObjects, level: number, size: number): Promise<Hashes[]> {
  const width = partialWidth(level, size);
  if (width === 0) return [[]];
  const tile: Tile = { kind: 'tile', level, index: Math.floor(hashesAtLevel(level, size) / TILE_WIDTH), width };
  const all = [{ width, history: await objects.history(tile) }, ...(await objects.wider(tile))];
  const found = new Map<string, Hashes>();
  for (const { width: wide, history } of all) {
    await eachContent(objects.store, history, MAX_TILE_BYTES, (bytes) => {
      const hashes = tryDecode(bytes, wide)?.slice(0, width);
      if (hashes !== undefined) found.set(Buffer.concat(hashes).toString('latin1'), hashes);
    });
  }
  return [...found.values()];
}

/** The combination of candidates, one a level, that gives the root. */
function choose(candidates: readonly Hashes[][], size: number, root: string): Hashes[] | undefined {
  const total = candidates.reduce((product, list) => product * list.length, 1);
  for (let n = 0; n < Math.min(total, MAX_COMBINATIONS); n++) {
    let rest = n;
    const edge = candidates.map((list) => {
      const hashes = list[rest % list.length] ?? [];
      rest = Math.floor(rest / list.length);
      return hashes;
    });
    const nodes = tileNodeReader(size, ({ level }) => Buffer.concat(edge[level] ?? []));
    if (rangeRoot(0, size, nodes).toString('hex') === root) return edge;
  }
  return undefined;
}

/** The rightmost tile of a level from what lies below it. */
async function rebuildEdge(objects: ShardObjects, level: number, size: number): Promise<Hashes | undefined> {
  const width = partialWidth(level, size);
  if (width === 0) return undefined;
  const index = Math.floor(hashesAtLevel(level, size) / TILE_WIDTH);
  if (level === 0) return (await leafCandidates(objects, index, width))[0];
  const hashes: Uint8Array[] = [];
  for (let child = index * TILE_WIDTH; hashes.length < width; child++) {
    const [hash] = await childRoots(objects, level - 1, child);
    if (hash === undefined) return undefined;
    hashes.push(hash);
  }
  return hashes;
}

/** A lost tile, computed from what lies below it; undefined when that does not give the hash above it. */
async function rebuild(
  objects: ShardObjects,
  { level, index }: Tile,
  expected: Uint8Array,
): Promise<Hashes | undefined> {
  if (level === 0) {
    return (await leafCandidates(objects, index, TILE_WIDTH)).find((hashes) => rootOf(hashes).equals(expected));
  }
  const choices: Uint8Array[][] = [];
  for (let child = index * TILE_WIDTH; choices.length < TILE_WIDTH; child++) {
    const roots = await childRoots(objects, level - 1, child);
    if (roots.length === 0) return undefined;
    choices.push(roots);
  }
  const first = choices.map(([root]) => root as Uint8Array);
  if (rootOf(first).equals(expected)) return first;
  // Somebody added versions below, too: one of them is tried in its place at a time.
  for (const [i, roots] of choices.entries()) {
    for (const other of roots.slice(1)) {
      const tried = first.with(i, other);
      if (rootOf(tried).equals(expected)) return tried;
    }
  }
  return undefined;
}

/** What the root over a full tile may be: from its own versions, else from below. */
async function childRoots(objects: ShardObjects, level: number, index: number): Promise<Uint8Array[]> {
  const history = await objects.history({ kind: 'tile', level, index, width: TILE_WIDTH });
  const roots = new Map<string, Uint8Array>();
  const add = (hashes: Hashes): void => {
    const root = rootOf(hashes);
    roots.set(root.toString('hex'), root);
  };
  await eachContent(objects.store, history, MAX_TILE_BYTES, (bytes) => {
    const hashes = tryDecode(bytes, TILE_WIDTH);
    if (hashes !== undefined) add(hashes);
  });
  if (level === 0) for (const hashes of await leafCandidates(objects, index, TILE_WIDTH)) add(hashes);
  if (roots.size > 0 || level === 0) return [...roots.values()];
  const below: Uint8Array[] = [];
  for (let child = index * TILE_WIDTH; below.length < TILE_WIDTH; child++) {
    const [root] = await childRoots(objects, level - 1, child);
    if (root === undefined) return [];
    below.push(root);
  }
  return [rootOf(below)];
}

/** Leaf hashes by the entry bundles of a place. */
async function leafCandidates(objects: ShardObjects, index: number, width: number): Promise<Hashes[]> {
  const bundle = { kind: 'entries' as const, index, width };
  const all = [{ width, history: await objects.history(bundle) }, ...(await objects.wider(bundle))];
  const found: Hashes[] = [];
  for (const { width: wide, history } of all) {
    await eachContent(objects.store, history, MAX_ENTRIES_BYTES, (bytes) => {
      const leaves = decodeLeaves(bytes, wide);
      if (leaves !== undefined) found.push(leaves.slice(0, width).map((leaf) => leafHash(leaf)));
    });
  }
  return found;
}

/** The leaves of an entry bundle, or undefined when it is none. */
export function decodeLeaves(bytes: Buffer, width: number): Buffer[] | undefined {
  try {
    return decodeEntryBundle(bytes, width).map((leaf) => Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength));
  } catch (thrown) {
    if (thrown instanceof TlogError) return undefined;
    throw thrown;
  }
}
