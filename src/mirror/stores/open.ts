// From the URL of a mirror to its store.
import { fileURLToPath } from 'node:url';
import { SealgateError } from '../../lib/errors.ts';
import { DirectoryStore } from './directory.ts';
import type { StoreOptions } from './options.ts';
import type { ProbedStore } from './probed.ts';
import { S3Store } from './s3.ts';

/**
 * Opens `s3://bucket/prefix`, `file:///folder` or a plain folder; nothing is asked of it yet. Throws MIRROR_URL_INVALID.
 */
export function openStore(url: string, options: StoreOptions): ProbedStore {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (url === '') throw new SealgateError('MIRROR_URL_INVALID', 'the URL of the mirror is empty');
  if (scheme === undefined) return new DirectoryStore(url, options.clock);
  if (scheme === 'file') return new DirectoryStore(folderOf(url), options.clock);
  if (scheme === 's3') return new S3Store(url, options);
  throw new SealgateError(
    'MIRROR_URL_INVALID',
    `a mirror cannot be on ${scheme}://: give s3://bucket/prefix, file:///folder or a folder`,
  );
}

function folderOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw invalid(`${url} names no folder of this machine: give file:///folder`, cause);
  }
}

function invalid(message: string, cause: unknown): SealgateError {
  return new SealgateError('MIRROR_URL_INVALID', message, { cause });
}
