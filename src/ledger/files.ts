// The ledger's folder: names of shards, durable renames, which file systems are refused.
import { closeSync, fsyncSync, openSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { SealgateError } from '../lib/errors.ts';

const SHARD_NAME = /^shard-(\d{6,15})\.sqlite$/;
const NEW_SUFFIX = '.new';

/**
 * `f_type` of statfs(2) for file systems whose locks or shared memory another host may not see, so that neither the
 * writer's lock nor a WAL is safe on them. From Linux include/uapi/linux/magic.h and the file systems' own headers.
 */
const REFUSED_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB2'],
  [0xff534d42, 'CIFS'],
  [0x00c36400, 'CephFS'],
  [0x01021997, '9P'],
  [0x65735546, 'FUSE'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x564c, 'NCP'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x19830326, 'BeeGFS'],
  [0x786f4256, 'VirtualBox shared folders'],
]);

/** The name of a refused file system by its `f_type`, or undefined. */
export function refusedFileSystem(type: number): string | undefined {
  return REFUSED_FILE_SYSTEMS.get(type);
}

/** Throws LEDGER_UNSUPPORTED_FS when `dir` is on a network or FUSE file system. Numbers are Linux's; elsewhere nothing is known. */
export function refuseNetworkFileSystem(dir: string): void {
  if (process.platform !== 'linux') return;
  const name = refusedFileSystem(statfsSync(dir).type);
  if (name === undefined) return;
  throw new SealgateError(
    'LEDGER_UNSUPPORTED_FS',
    `${dir} is on ${name}, whose locks and shared memory SQLite cannot rely on: put the ledger on a local disk or a block volume (ReadWriteOncePod)`,
  );
}

/** `shard-000007.sqlite` */
export function shardFileName(shard: number): string {
  return `shard-${String(shard).padStart(6, '0')}.sqlite`;
}

/** The number that a shard's path has in its name; undefined when it is not a shard's. */
export function shardNumberOf(path: string): number | undefined {
  const name = basename(path);
  const number = Number(SHARD_NAME.exec(name)?.[1] ?? Number.NaN);
  return shardFileName(number) === name ? number : undefined;
}

/** The shards in the folder, lowest number first. Throws what readdir throws. */
export function listShards(dir: string): { number: number; path: string }[] {
  const shards: { number: number; path: string }[] = [];
  for (const name of readdirSync(dir)) {
    const number = shardNumberOf(name);
    if (number !== undefined) shards.push({ number, path: join(dir, name) });
  }
  return shards.sort((a, b) => a.number - b.number);
}

/** Where a shard is built before it gets its name. */
export function newShardPath(path: string): string {
  return `${path}${NEW_SUFFIX}`;
}

/** Removes what a crash left of a shard that never got its name; nothing in it was ever acknowledged. */
export function removeUnfinished(dir: string): void {
  for (const name of readdirSync(dir)) {
    if (name.startsWith('shard-') && name.includes(`.sqlite${NEW_SUFFIX}`)) rmSync(join(dir, name));
  }
}

/**
 * Throws LEDGER_CORRUPT when a WAL lies in the folder without its database: entries may be in it, so that starting a new
 * shard under the same name would discard them.
 */
export function refuseOrphanedWal(dir: string): void {
  const names = new Set(readdirSync(dir));
  for (const name of names) {
    if (!name.endsWith('.sqlite-wal') || names.has(name.slice(0, -'-wal'.length))) continue;
    throw new SealgateError(
      'LEDGER_CORRUPT',
      `${join(dir, name)} is there but ${basename(name, '-wal')} is not: the shard was moved or removed; put it back, or move the -wal away if its entries are not wanted`,
    );
  }
}

/** Makes a file or a folder entry durable. Never for a database that is open: closing a descriptor drops POSIX locks. */
export function fsyncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes the name of a new folder durable, and the names of those above it, which may be as new: a synced file is lost with
 * a folder whose name a power cut takes away. Ends where another file system begins, and at a folder that may not be read,
 * which is not one that we made.
 */
export function fsyncAncestors(dir: string): void {
  const { dev } = statSync(dir);
  for (let name = resolve(dir); dirname(name) !== name; name = dirname(name)) {
    const parent = dirname(name);
    if (statSync(parent).dev !== dev) return;
    try {
      fsyncPath(parent);
    } catch (error) {
      if (error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')) return;
      throw error;
    }
  }
}
