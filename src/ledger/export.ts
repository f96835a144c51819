// Writes a shard as the files of C2SP tlog-tiles, which any tool of that family can read and check. Streams: one entry bundle
// and one tile a level are in memory. `checkpoint` comes last, so that whoever sees it finds everything it covers.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { parseCheckpoint } from '../tlog/checkpoint.ts';
import { encodeEntryBundle } from '../tlog/entry-bundle.ts';
import { leafHash } from '../tlog/merkle.ts';
import { parseNote } from '../tlog/note.ts';
import { TileBuilder } from '../tlog/tile-builder.ts';
import { type EntryBundle, TILE_WIDTH, type Tile, tilePath } from '../tlog/tile-path.ts';
import type { TreeHead, TreeReader } from './tree-reader.ts';

export interface ExportOptions {
  /** Called after each bundle of at most 256 entries. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface ExportResult {
  readonly origin: string;
  /** Entries in the export: what the newest checkpoint of the shard covers. */
  readonly size: number;
  /** Entries that an older export in the folder had already. */
  readonly before: number;
  /** Tiles and bundles written. */
  readonly files: number;
}

const CHECKPOINT = 'checkpoint';
/** Holds the origin while an export is being written: what an interrupted one left is told from other people's files by it. */
const MARKER = '.sealgate-export';
const DRAFT = '.new';

/**
 * Exports the shard at its newest checkpoint into `dir`, which is created when it does not exist. An older export of the
 * same log in it is extended, an interrupted one completed; its files are not read again. Throws EXPORT_FAILED when the
 * folder holds something else or cannot be written, LEDGER_CORRUPT when the shard does not have the root that its
 * checkpoint signed, or does not continue the older export.
 */
export function exportTiles(shard: TreeReader, dir: string, options: ExportOptions = {}): ExportResult {
  const head = shard.head();
  const before = inFolder(dir, () => prepareFolder(shard, dir, head));
  const write = fileWriter(dir);
  let files = 0;
  const writeTile = (tile: Tile | EntryBundle, bytes: Buffer): void => {
    inFolder(dir, () => write(tilePath(tile), bytes));
    files += 1;
  };
  if (before < head.size) {
    const builder = TileBuilder.resume(before, shard.tiles, writeTile);
    for (let index = Math.floor(before / TILE_WIDTH); index * TILE_WIDTH < head.size; index++) {
      const first = index * TILE_WIDTH;
      const leaves = shard.leaves(first, Math.min(head.size, first + TILE_WIDTH));
      for (const leaf of leaves.slice(Math.max(0, before - first))) builder.append(leafHash(leaf));
      writeTile({ kind: 'entries', index, width: leaves.length }, encodeEntryBundle(leaves));
      options.onProgress?.(first + leaves.length, head.size);
    }
    builder.writePartial();
    if (!builder.root().equals(head.root)) {
      throw shard.corrupt(
        `its ${head.size} entries do not have the root hash that their checkpoint signed: no checkpoint was written to ${dir}`,
      );
    }
  }
  inFolder(dir, () => {
    write(CHECKPOINT, Buffer.from(head.note));
    rmSync(join(dir, MARKER), { force: true });
  });
  return { origin: head.origin, size: head.size, before, files };
}

/** Marks the folder as an export of this log. Returns how many entries the export in it has. */
function prepareFolder(shard: TreeReader, dir: string, head: TreeHead): number {
  mkdirSync(dir, { recursive: true });
  const names = new Set(readdirSync(dir));
  const known = new Set([CHECKPOINT, CHECKPOINT + DRAFT, MARKER, MARKER + DRAFT, 'tile']);
  const stranger = [...names].find((name) => !known.has(name));
  if (stranger !== undefined || (names.has('tile') && !names.has(CHECKPOINT) && !names.has(MARKER))) {
    throw refused(`${dir} holds ${stranger ?? 'tile'}, which no export of this log left there: give an empty folder`);
  }
  if (names.has(MARKER)) requireOrigin(dir, readFileSync(join(dir, MARKER), 'utf8').trimEnd(), head.origin);
  let before = 0;
  if (names.has(CHECKPOINT)) {
    const older = readCheckpoint(join(dir, CHECKPOINT));
    requireOrigin(dir, older.origin, head.origin);
    before = older.size;
    if (before > head.size || !shard.root(before).equals(older.root)) {
      const why = before > head.size ? `only ${head.size} are signed here` : 'the same entries have another root here';
      throw shard.corrupt(
        `it does not continue the export in ${dir}: the checkpoint there has ${before} entries, ${why}. One of the two was put back or changed`,
      );
    }
  }
  if (before < head.size) fileWriter(dir)(MARKER, Buffer.from(`${head.origin}\n`));
  return before;
}

function readCheckpoint(file: string): { origin: string; size: number; root: Uint8Array } {
  try {
    return parseCheckpoint(parseNote(readFileSync(file)).text);
  } catch (error) {
    throw refused(`${file} is not a checkpoint (${messageOf(error)}): give an empty folder`, error);
  }
}

function requireOrigin(dir: string, found: string, wanted: string): void {
  if (found === wanted) return;
  throw refused(`${dir} holds an export of ${JSON.stringify(found)}, not of ${wanted}: give another folder`);
}

/** Writes files under `dir`, whole or not at all: a name never stands for half a file. */
function fileWriter(dir: string): (path: string, bytes: Buffer) => void {
  const folders = new Set<string>();
  return (path, bytes) => {
    const file = join(dir, path);
    const folder = dirname(file);
    if (!folders.has(folder)) mkdirSync(folder, { recursive: true });
    folders.add(folder);
    writeFileSync(file + DRAFT, bytes);
    renameSync(file + DRAFT, file);
  };
}

/** What the file system refuses is an error about the export's folder. */
function inFolder<T>(dir: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw refused(`the export cannot be written to ${dir}: ${error.message}`, error);
  }
}

function refused(why: string, cause?: unknown): SealgateError {
  return new SealgateError('EXPORT_FAILED', why, { cause });
}
