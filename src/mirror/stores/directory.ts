// Objects as files of a folder: for a laptop, a test, another disk. It locks nothing.
import { randomBytes } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Clock } from '../../lib/clock.ts';
import { SealgateError } from '../../lib/errors.ts';
import { directoryError, systemCode } from './errors.ts';
import { checkKey } from './keys.ts';
import type { Finding, ProbedStore } from './probed.ts';
import { DEFAULT_MAX_BYTES, type GetOptions, type ListedObject, type Retention, type StoredVersion } from './store.ts';

/** Files on their way to their names. No key begins with a dot. */
const UNFINISHED = '.unfinished';
/** A crash leaves an unfinished file behind; nobody needs this long for one. */
const UNFINISHED_FOR_MS = 3_600_000;

interface File {
  readonly key: string;
  readonly size: number;
  readonly modified: Date;
}

export class DirectoryStore implements ProbedStore {
  readonly url: string;
  readonly #root: string;
  readonly #clock: Clock;
  /** Resolves when the folder for unfinished files is there. */
  #ready: Promise<void> | undefined;

  /** The folder is made at the first write. The clock tells which unfinished files are old. */
  constructor(dir: string, clock: Clock) {
    this.#root = resolve(dir);
    this.#clock = clock;
    this.url = pathToFileURL(this.#root).href;
  }

  async create(key: string, bytes: Uint8Array): Promise<'created' | 'occupied'> {
    return await this.#put(key, bytes, async (unfinished, path) => {
      try {
        // Unlike rename(2), link(2) refuses a name that is taken, at one instant with taking it.
        await link(unfinished, path);
      } catch (error) {
        if (systemCode(error) === 'EEXIST') return 'occupied';
        throw error;
      }
      return 'created';
    });
  }

  async replace(key: string, bytes: Uint8Array): Promise<void> {
    await this.#put(key, bytes, (unfinished, path) => rename(unfinished, path));
  }

  async get(key: string, options: GetOptions = {}): Promise<Buffer | undefined> {
    checkKey(key);
    if ((options.version ?? '') !== '') return undefined;
    const max = options.maxBytes ?? DEFAULT_MAX_BYTES;
    const path = this.#path(key);
    let file: FileHandle | undefined;
    try {
      // A link could lead anywhere, and a pipe would wait for its writer.
      file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      const { size } = await this.#statFile(file, path);
      if (size > max) throw tooLarge(path, size, max);
      return await readAll(file, path, size);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw directoryError(error, `${path} cannot be read`);
    } finally {
      await file?.close();
    }
  }

  async *list(prefix: string): AsyncIterable<ListedObject> {
    for await (const { key, size } of this.#files(prefix)) yield { key, size };
  }

  async *versions(prefix: string): AsyncIterable<StoredVersion> {
    for await (const { key, size, modified } of this.#files(prefix)) {
      yield { key, version: '', size, newest: true, deleteMarker: false, modified };
    }
  }

  async retention(key: string, version: string): Promise<Retention | undefined> {
    checkKey(key);
    if (version !== '') return undefined;
    const path = this.#path(key);
    try {
      return (await stat(path)).isFile() ? { mode: 'none', legalHold: false } : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw directoryError(error, `${path} cannot be read`);
    }
  }

  async *inspect(ledgerDir?: string): AsyncIterable<Finding> {
    if (ledgerDir === undefined) return;
    const [here, there] = await Promise.all([deviceOf(this.#root), deviceOf(resolve(ledgerDir))]);
    if (here === there) {
      yield {
        check: 'disk',
        outcome: 'warned',
        message: `it is on the same disk as the ledger (${resolve(ledgerDir)}), so it protects against nothing: what takes the one takes the other`,
      };
    } else yield { check: 'disk', outcome: 'passed', message: 'it is on another disk than the ledger' };
  }

  async createProbe(key: string, bytes: Uint8Array): Promise<'created' | 'occupied'> {
    return await this.create(key, bytes);
  }

  async *attack(key: string): AsyncIterable<Finding> {
    const path = this.#path(key);
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw directoryError(error, `${path} cannot be removed`);
    }
    yield {
      check: 'protection',
      outcome: 'warned',
      message: `nothing in a folder is locked: the probe could be deleted, and whoever may write ${this.#root} can rewrite it all`,
    };
  }

  close(): void {
    // Nothing stays open between calls.
  }

  #path(key: string): string {
    return join(this.#root, ...key.split('/'));
  }

  /** Writes a durable file aside, has it `placed`, and makes its name durable. */
  async #put<T>(key: string, bytes: Uint8Array, place: (unfinished: string, path: string) => Promise<T>): Promise<T> {
    checkKey(key);
    const path = this.#path(key);
    const unfinished = join(this.#root, UNFINISHED, randomBytes(12).toString('hex'));
    try {
      await this.#prepared();
      try {
        await writeDurably(unfinished, bytes);
        await makeFolders(dirname(path));
        const result = await place(unfinished, path);
        // Also when the name was taken: whoever took it may have crashed before this.
        await syncFolder(dirname(path));
        return result;
      } finally {
        await rm(unfinished, { force: true });
      }
    } catch (error) {
      throw directoryError(error, `${path} cannot be written`);
    }
  }

  /** The folder for unfinished files, without those that a crash has left; tried again when it failed. */
  #prepared(): Promise<void> {
    this.#ready ??= this.#prepare().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #prepare(): Promise<void> {
    const dir = join(this.#root, UNFINISHED);
    await makeFolders(dir);
    const old = this.#clock.now() / 1000 - UNFINISHED_FOR_MS;
    for (const name of await readdir(dir)) {
      const path = join(dir, name);
      try {
        if ((await stat(path)).mtimeMs < old) await rm(path, { force: true });
      } catch (error) {
        // Another process has finished it in the meantime.
        if (!isAbsent(error)) throw error;
      }
    }
  }

  async #statFile(file: FileHandle, path: string): Promise<{ size: number }> {
    const found = await file.stat();
    if (!found.isFile()) throw new SealgateError('MIRROR_FOLDER', `${path} is not a file: move it away`);
    return found;
  }

  /** Files under the prefix in the order of their keys; neither links nor what is hidden. */
  async *#files(prefix: string): AsyncIterable<File> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    if (folder !== '') checkKey(folder.slice(0, -1));
    yield* this.#walk(join(this.#root, ...folder.split('/')), prefix);
  }

  async *#walk(dir: string, prefix: string): AsyncIterable<File> {
    for (const entry of await entriesOf(dir)) {
      const path = join(dir, entry.name);
      const key = relative(this.#root, path).split(sep).join('/');
      if (entry.isDirectory()) {
        if (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)) yield* this.#walk(path, prefix);
      } else if (entry.isFile() && key.startsWith(prefix)) {
        const found = await statIfThere(path);
        if (found !== undefined) yield { key, size: found.size, modified: found.mtime };
      }
    }
  }
}

/** Of the folder, or of what is there of the path to it. */
async function deviceOf(dir: string): Promise<number> {
  for (let path = dir; ; path = dirname(path)) {
    try {
      return (await stat(path)).dev;
    } catch (error) {
      if (!isAbsent(error) || dirname(path) === path) throw directoryError(error, `${dir} cannot be looked at`);
    }
  }
}

/** What a folder holds, in the order of keys: that of `a/…` is that of its name with the slash. */
async function entriesOf(dir: string): Promise<Dirent[]> {
  const sortKey = (entry: Dirent): string => (entry.isDirectory() ? `${entry.name}/` : entry.name);
  try {
    const entries = (await readdir(dir, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'));
    return entries.sort((a, b) => Buffer.compare(Buffer.from(sortKey(a)), Buffer.from(sortKey(b))));
  } catch (error) {
    if (isAbsent(error)) return [];
    throw directoryError(error, `${dir} cannot be listed`);
  }
}

async function statIfThere(path: string): Promise<{ size: number; mtime: Date } | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw directoryError(error, `${path} cannot be read`);
  }
}

/** Reads `size` bytes; a file that is being cut at the same time is damage. */
async function readAll(file: FileHandle, path: string, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) {
      throw new SealgateError('MIRROR_TRANSFER_DAMAGED', `${path} became shorter while it was read: try again`);
    }
    at += bytesRead;
  }
  return bytes;
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the folder and those above it that are missing, with durable names. */
async function makeFolders(dir: string): Promise<void> {
  const first = await mkdir(dir, { recursive: true });
  if (first === undefined) return;
  const above = dirname(first);
  for (let made = dir; made !== above; made = dirname(made)) await syncFolder(dirname(made));
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(systemCode(error));
}

function tooLarge(path: string, size: number, max: number): SealgateError {
  return new SealgateError(
    'MIRROR_OBJECT_TOO_LARGE',
    `${path} has ${size} bytes, more than the ${max} that belong there`,
  );
}
