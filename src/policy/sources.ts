// Reads a policy folder once: what is compiled, digested and recorded is the same bytes.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, SealgateError } from '../lib/errors.ts';
import type { BundleFile } from './types.ts';

export interface SourceFile {
  /** Relative to the folder, with forward slashes. */
  readonly path: string;
  readonly kind: 'rego' | 'data' | 'test';
  readonly bytes: Buffer;
}

const DATA_FILE = /^data\.(json|yaml|yml)$/;
const MAX_TOTAL_BYTES = 64 * 1024 * 1024;

/** The Rego modules and data files of a folder: what readFolder gives without the tests. */
export function readSources(dir: string): SourceFile[] {
  return readFolder(dir).filter((source) => source.kind !== 'test');
}

/**
 * The Rego modules, their tests (`*_test.rego`) and the data files of a folder, sorted by path. Left out: names that start
 * with a dot, which is also how a mounted ConfigMap hides its second copy of every file. POLICY_INVALID when the folder
 * cannot be read, holds no module, or holds a JSON or YAML file that OPA would not load from a bundle.
 */
export function readFolder(dir: string): SourceFile[] {
  const sources: SourceFile[] = [];
  let total = 0;
  for (const path of walk(dir, '')) {
    const kind = kindOf(path);
    if (kind === undefined) continue;
    const bytes = readFileSync(join(dir, path));
    total += bytes.length;
    if (total > MAX_TOTAL_BYTES) {
      throw new SealgateError('POLICY_INVALID', `${dir} holds more than ${MAX_TOTAL_BYTES} bytes of policies and data`);
    }
    sources.push({ path, kind, bytes });
  }
  if (!sources.some((source) => source.kind === 'rego')) {
    throw new SealgateError('POLICY_INVALID', `${dir} holds no policy: put .rego files there, or correct the setting`);
  }
  return sources.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

/** Changes when a file of the folder is another or was written again; cheap, because no file is read. Empty when it cannot be read. */
export function signatureOf(dir: string): string {
  const lines: string[] = [];
  try {
    for (const path of walk(dir, '')) {
      const { ino, size, mtimeMs } = statSync(join(dir, path));
      lines.push(`${path} ${ino} ${size} ${mtimeMs}`);
    }
  } catch {
    // Gone between two looks: whoever reads the files says so.
    return '';
  }
  return lines.sort().join('\n');
}

function* walk(dir: string, prefix: string): Generator<string> {
  let names: string[];
  try {
    names = readdirSync(join(dir, prefix));
  } catch (error) {
    // biome-ignore lint/style/useErrorCause: SealgateError takes it third
    throw new SealgateError('POLICY_INVALID', `cannot read the policy folder: ${messageOf(error)}`, { cause: error });
  }
  for (const name of names) {
    if (name.startsWith('.')) continue;
    const path = prefix === '' ? name : `${prefix}/${name}`;
    // stat, not lstat: the files of a mounted ConfigMap are symbolic links.
    const stats = statSync(join(dir, path), { throwIfNoEntry: false });
    if (stats?.isDirectory()) yield* walk(dir, path);
    else if (stats?.isFile()) yield path;
  }
}

function kindOf(path: string): SourceFile['kind'] | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name.endsWith('_test.rego')) return 'test';
  if (name.endsWith('.rego')) return 'rego';
  if (DATA_FILE.test(name)) return 'data';
  if (/\.(json|ya?ml)$/.test(name)) {
    throw new SealgateError(
      'POLICY_INVALID',
      `${path}: data is read from data.json and data.yaml only, under the path of their folder; rename or remove this file`,
    );
  }
  return undefined;
}

/** The files and the digest over them: SHA-256 of the lines that `sha256sum` would print for them. */
export function digestSources(sources: readonly SourceFile[]): { digest: string; files: BundleFile[] } {
  const files = sources.map(({ path, bytes }) => ({ path, sha256: createHash('sha256').update(bytes).digest('hex') }));
  const lines = files.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join('');
  return { digest: `sha256:${createHash('sha256').update(lines).digest('hex')}`, files };
}
