// Policy folders in temporary places, and OPA itself as the judge of what Rego means.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildBundle, type CompiledBundle } from '../../../src/policy/bundle.ts';
import { PolicyInstance } from '../../../src/policy/host.ts';
import type { MatchFacts } from '../../../src/policy/types.ts';
import { toolPath } from '../../support/tools.ts';

const dirs: string[] = [];

/** A folder with these files; removeFolders() takes it away again. */
export function folder(files: Record<string, string>): string {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-policy-'));
  dirs.push(dir);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return dir;
}

export function removeFolders(): void {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
}

export function build(files: Record<string, string>): Promise<CompiledBundle> {
  return buildBundle(toolPath('opa'), folder(files));
}

export async function instanceOf(bundle: CompiledBundle): Promise<PolicyInstance> {
  return (await instancesOf(bundle))(bundle.data);
}

/** Instances of one module: with data of their own, or with those of an instance before. */
export async function instancesOf(
  bundle: CompiledBundle,
  options: { recycleBytes?: number; maxMemoryBytes?: number } = {},
): Promise<(data: Uint8Array | PolicyInstance) => PolicyInstance> {
  const module = await WebAssembly.compile(new Uint8Array(bundle.wasm));
  return (data) => new PolicyInstance({ module, data, maxMemoryBytes: 256 * 1024 * 1024, ...options });
}

/** The value of `query` as `opa eval` gives it, undefined when it is undefined. */
export function opaEval(dir: string, query: string, input?: string): unknown {
  const args = [
    'eval',
    '--format=json',
    '--ignore=*_test.rego',
    '--data',
    dir,
    ...(input === undefined ? [] : ['--stdin-input']),
    query,
  ];
  const output = execFileSync(toolPath('opa'), args, { input: input ?? '', encoding: 'utf8', maxBuffer: 1 << 28 });
  const { result }: { result?: { expressions: { value: unknown }[] }[] } = JSON.parse(output);
  return result?.[0]?.expressions[0]?.value;
}

export const POD: MatchFacts = {
  group: '',
  version: 'v1',
  kind: 'Pod',
  resource: 'pods',
  subresource: '',
  operation: 'CREATE',
  namespace: 'default',
  name: 'web',
  labels: {},
};
