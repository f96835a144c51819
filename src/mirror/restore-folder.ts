// The folder of a restore: everything is built in a hidden folder in it, and gets its name in the ledger only when all of it was verified.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fsyncAncestors, fsyncPath, listShards, shardFileName } from '../ledger/files.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';

const BUILDING = '.restoring';
const MARKER = 'restore.json';
/** Is there when all shards were verified, so that only their names are missing. */
const VERIFIED = 'verified';

/** What is being restored: an interrupted restore of something else is not gone on with. */
export interface RestoreMarker {
  readonly url: string;
  readonly log: string;
  readonly shard: number | 'all';
}

export class RestoreFolder {
  readonly dir: string;
  /** Where the shards are built. */
  readonly building: string;

  private constructor(dir: string) {
    this.dir = dir;
    this.building = join(dir, BUILDING);
  }

  /** Takes an empty or new folder, or that of the same restore, interrupted. Throws RESTORE_FAILED. */
  static open(dir: string, marker: RestoreMarker): RestoreFolder {
    const folder = new RestoreFolder(dir);
    inFolder(dir, () => folder.#prepare(JSON.stringify({ restore: 1, ...marker })));
    return folder;
  }

  #prepare(marker: string): void {
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    const names = readdirSync(this.dir);
    const file = join(this.building, MARKER);
    if (!names.includes(BUILDING)) {
      const [first] = names;
      if (first !== undefined) throw refused(`${this.dir} is not empty (${first}): give a new or an empty folder`);
      mkdirSync(this.building, { mode: 0o700 });
    }
    // Killed before the marker was written, nothing else was, either.
    const said = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
    if (said === undefined) {
      if (readdirSync(this.building).some((name) => !name.startsWith(MARKER))) {
        throw refused(`${this.building} holds what no restore left there: give an empty folder`);
      }
      writeFileSync(`${file}.new`, marker);
      renameSync(`${file}.new`, file);
      return;
    }
    if (said !== marker) {
      throw refused(
        `${this.dir} holds an interrupted restore of something else (${said}): finish that one, or give another folder`,
      );
    }
    const stranger = names.find((name) => name !== BUILDING && (!this.verified || !name.startsWith('shard-')));
    if (stranger !== undefined)
      throw refused(`${this.dir} holds ${stranger}, which no restore left there: give an empty folder`);
  }

  /** Whether an earlier run had verified everything and was interrupted while it gave the names. */
  get verified(): boolean {
    return existsSync(join(this.building, VERIFIED));
  }

  pathOf(shard: number): string {
    return join(this.building, shardFileName(shard));
  }

  /** Throws away what was built. */
  startOver(): void {
    for (const { path } of listShards(this.building)) this.discard(path);
  }

  discard(path: string): void {
    for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  }

  /** Makes durable what was built and verified, then gives it its names. Throws RESTORE_FAILED. */
  finish(): void {
    inFolder(this.dir, () => {
      const shards = listShards(this.building);
      if (!this.verified) {
        for (const { path } of shards) fsyncPath(path);
        writeFileSync(join(this.building, VERIFIED), '');
        fsyncPath(join(this.building, VERIFIED));
        fsyncPath(this.building);
        fsyncAncestors(this.building);
      }
      this.#name(shards);
      rmSync(this.building, { recursive: true });
      fsyncPath(this.dir);
    });
  }

  /** The newest gets its name first: a start on what is there in between finds a gap, and does not write on in an older shard. */
  #name(shards: readonly { readonly number: number; readonly path: string }[]): void {
    const newest = Math.max(...shards.map(({ number }) => number), ...listShards(this.dir).map(({ number }) => number));
    for (const { number, path } of shards.toReversed()) {
      const target = join(this.dir, shardFileName(number));
      if (existsSync(target))
        throw refused(`${target} has come to be while it was restored: something else writes there`);
      chmodSync(path, number === newest ? 0o640 : 0o440);
      renameSync(path, target);
    }
    fsyncPath(this.dir);
  }
}

function inFolder<T>(dir: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw refused(`the restore cannot be written to ${dir}: ${messageOf(error)}`, error);
  }
}

function refused(why: string, cause?: unknown): SealgateError {
  return new SealgateError('RESTORE_FAILED', why, { cause });
}
