// Policy folder → Wasm module: read once, checked, compiled by `opa build` with one entrypoint for each rule that is
// asked.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { SealgateError } from '../lib/errors.ts';
import { refusalReason, supportedCapabilities } from './capabilities.ts';
import { parseModules } from './modules.ts';
import { runOpa } from './opa.ts';
import { policiesOf } from './policies.ts';
import { digestSources, readSources, type SourceFile } from './sources.ts';
import { readTar } from './tar.ts';
import type { BundleInfo, PolicyInfo, RuleInfo } from './types.ts';

export interface CompiledBundle {
  readonly info: BundleInfo;
  readonly wasm: Uint8Array;
  /** The data documents as one JSON document. */
  readonly data: Uint8Array;
}

/** A rule and the policy that it belongs to: what the engine counts by index. */
export interface BundleRule extends RuleInfo {
  readonly policy: string;
}

export function rulesOf(policies: readonly PolicyInfo[]): BundleRule[] {
  return policies.flatMap(({ policy, rules }) => rules.map((rule) => ({ ...rule, policy })));
}

/**
 * Compiles the folder `dir` with the opa binary `opa`. Throws POLICY_INVALID with file and line for what does not parse
 * or compile, for wrong METADATA, and for built-ins that are not available.
 */
export async function buildBundle(opa: string, dir: string): Promise<CompiledBundle> {
  const sources = readSources(dir);
  const { digest, files } = digestSources(sources);
  const work = mkdtempSync(join(tmpdir(), 'sealgate-build-'));
  try {
    // OPA compiles a copy of exactly the bytes that were digested, and its messages carry paths relative to it.
    const staged = join(work, 'bundle');
    for (const source of sources) stage(staged, source);
    const modules = await parseModules(opa, staged, pathsOf(sources));
    const policies = policiesOf(modules);
    const compiled = await compile(
      opa,
      work,
      rulesOf(policies).map((rule) => rule.entrypoint),
    );
    return { info: { digest, files, policies }, ...compiled };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function stage(dir: string, source: SourceFile): void {
  const file = join(dir, source.path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, source.bytes);
}

function pathsOf(sources: readonly SourceFile[]): string[] {
  return sources.filter((source) => source.kind === 'rego').map((source) => source.path);
}

async function compile(
  opa: string,
  work: string,
  entrypoints: readonly string[],
): Promise<{ wasm: Uint8Array; data: Uint8Array }> {
  const capabilities = await runOpa(opa, ['capabilities', '--current'], work);
  if (!capabilities.ok)
    throw new SealgateError('POLICY_INVALID', `${opa} capabilities failed: ${capabilities.stderr.trim()}`);
  const { json, refused } = supportedCapabilities(capabilities.stdout);
  writeFileSync(join(work, 'capabilities.json'), json);
  const flags = [
    '--target=wasm',
    '--wasm-include-print',
    '--capabilities=../capabilities.json',
    '--output=../bundle.tar.gz',
  ];
  const args = ['build', ...flags, ...entrypoints.map((entrypoint) => `--entrypoint=${entrypoint}`), '--bundle', '.'];
  const built = await runOpa(opa, args, join(work, 'bundle'));
  if (!built.ok) throw new SealgateError('POLICY_INVALID', describeBuild(built.stderr || built.stdout, refused));
  const files = readTar(gunzipSync(readFileSync(join(work, 'bundle.tar.gz'))));
  const wasm = files.get('policy.wasm');
  if (wasm === undefined) throw new SealgateError('POLICY_INVALID', 'opa build gave no Wasm module');
  return { wasm, data: files.get('data.json') ?? Buffer.from('{}') };
}

/** OPA's errors, one a line, with the reason beside a built-in that exists in OPA but not here. */
function describeBuild(output: string, refused: ReadonlySet<string>): string {
  const lines = output
    .split('\n')
    .map((line) => line.trimEnd().replace(/^error: (load error: |bundle [^:]*: )?/, ''))
    .filter((line) => line !== '' && !/^\d+ errors? occurred(?: during loading)?:$/.test(line))
    .map((line) => line.replace(/^1 error occurred: /, ''));
  return lines
    .map((line) => {
      const name = /undefined function (\S+)/.exec(line)?.[1];
      if (name === undefined || !refused.has(name)) return line;
      return line.replace(`undefined function ${name}`, `built-in ${name} is not available: ${refusalReason(name)}`);
    })
    .join('\n');
}
