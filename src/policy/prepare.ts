// A policy folder on its way to be used: read once, compiled, and held to its own tests, all on the same bytes.
import { SealgateError } from '../lib/errors.ts';
import { buildSources, type CompiledBundle, withSources } from './bundle.ts';
import { runTests } from './run-tests.ts';
import { readFolder, type SourceFile } from './sources.ts';

export interface PrepareOptions {
  /** Path of the opa binary. */
  readonly opa: string;
  readonly dir: string;
  /** Whether the folder's own tests have to pass. */
  readonly tests: boolean;
  /** Whether data.inventory is the cluster's, and not for the folder to define. */
  readonly inventory: boolean;
}

/** Failures that the message names. */
const MAX_NAMED = 10;

/** Throws POLICY_INVALID with file and line for all that keeps the folder from being used. */
export async function prepareBundle({ opa, dir, tests, inventory }: PrepareOptions): Promise<CompiledBundle> {
  const files = readFolder(dir);
  const bundle = await buildSources(
    opa,
    files.filter(({ kind }) => kind !== 'test'),
  );
  if (inventory) refuseOwnInventory(bundle, files);
  if (tests && files.some(({ kind }) => kind === 'test')) {
    const { failed, failures } = await withSources(files, (staged) => runTests(opa, staged.dir));
    const named = failures.slice(0, MAX_NAMED).map(({ file, line, rule, message }) => {
      return `${file === undefined ? '' : `${file}:${line}: `}${message}${rule === undefined ? '' : ` (${rule})`}`;
    });
    if (failed > 0)
      throw new SealgateError('POLICY_INVALID', [`${failed} of its own tests failed`, ...named].join('\n'));
  }
  return bundle;
}

/** What the folder has there would be mixed with the cluster's, or hide it. */
function refuseOwnInventory({ data }: CompiledBundle, files: readonly SourceFile[]): void {
  const problem = 'data.inventory is filled from the cluster (inventory.resources)';
  for (const { kind, path, bytes } of files) {
    const lines = kind === 'rego' ? bytes.toString('utf8').split('\n') : [];
    const row = lines.findIndex((line) => /^\s*package\s+inventory\b/.test(line));
    if (row >= 0)
      throw new SealgateError('POLICY_INVALID', `${path}:${row + 1}: ${problem}: give this package another name`);
  }
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (!bytes.includes('"inventory"') || !Object.hasOwn(JSON.parse(bytes.toString('utf8')), 'inventory')) return;
  throw new SealgateError('POLICY_INVALID', `${problem}: name this data otherwise`);
}
