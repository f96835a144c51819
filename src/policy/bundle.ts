// Policy folder → Wasm module: read once, checked, compiled by `opa build` with one entrypoint for each rule that is
// asked.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { type Available, buildErrors } from './build-errors.ts';
import { supportedCapabilities } from './capabilities.ts';
import { dataConflicts } from './data-conflicts.ts';
import { type InputReads, inputReads } from './input-reads.ts';
import { type Module, parseModules } from './modules.ts';
import { runOpa } from './opa.ts';
import { policiesOf } from './policies.ts';
import { withReplacedNatives } from './replaced-natives.ts';
import { digestSources, readSources, type SourceFile } from './sources.ts';
import { readTar } from './tar.ts';
import type { BundleInfo, PolicyInfo, RuleInfo } from './types.ts';

export interface CompiledBundle {
  readonly info: BundleInfo;
  readonly wasm: Uint8Array;
  /** The data documents as one JSON document. */
  readonly data: Uint8Array;
  /** By entrypoint, what each rule reads of the input. */
  readonly reads: ReadonlyMap<string, InputReads>;
}

/** A rule and the policy that it belongs to: what the engine counts by index. */
export interface BundleRule extends RuleInfo {
  readonly policy: string;
}

export function rulesOf(policies: readonly PolicyInfo[]): BundleRule[] {
  return policies.flatMap(({ policy, rules }) => rules.map((rule) => ({ ...rule, policy })));
}

/** A copy of exactly the bytes that were digested, in a temporary folder: OPA's messages carry paths relative to it. */
export interface StagedFolder {
  readonly dir: string;
  /** A folder beside it, for what is made of it. */
  readonly work: string;
  readonly sources: readonly SourceFile[];
}

/** Reads the folder and gives a copy of it to `use`; removed afterwards. Throws what readSources throws. */
export async function withStaged<T>(dir: string, use: (staged: StagedFolder) => Promise<T>): Promise<T> {
  return await withSources(readSources(dir), use);
}

/** As withStaged, with files that were read before. */
export async function withSources<T>(
  sources: readonly SourceFile[],
  use: (staged: StagedFolder) => Promise<T>,
): Promise<T> {
  const work = mkdtempSync(join(tmpdir(), 'sealgate-build-'));
  try {
    const staged = join(work, 'bundle');
    for (const source of sources) stage(staged, source);
    return await use({ dir: staged, work, sources });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Compiles the folder `dir` with the opa binary `opa`. Throws POLICY_INVALID with file and line for what does not parse
 * or compile, for wrong METADATA, and for built-ins that are not available.
 */
export async function buildBundle(opa: string, dir: string): Promise<CompiledBundle> {
  return await buildSources(opa, readSources(dir));
}

/** As buildBundle, with files that were read before. */
export function buildSources(opa: string, sources: readonly SourceFile[]): Promise<CompiledBundle> {
  return withSources(sources, async (staged) => {
    const { digest, files } = digestSources(staged.sources);
    const modules = await parseModules(opa, staged.dir, regoPaths(staged.sources));
    const policies = policiesOf(modules);
    const available = await restrict(opa, staged.work);
    const reading = readsOf(opa, staged, policies);
    try {
      const compiled = await compile(opa, staged, { modules, policies, available });
      const usesInventory = staged.sources.some(mayUseInventory);
      return { info: { digest, files, policies, usesInventory }, ...compiled, reads: await reading };
    } finally {
      // What it works on goes after this.
      await reading;
    }
  });
}

/** By its name, or by going through all data; a comment that says so counts, too. */
function mayUseInventory({ kind, bytes }: SourceFile): boolean {
  return kind === 'rego' && /\binventory\b|\bdata\s*\[\s*[^"`\s]/.test(bytes.toString('utf8'));
}

function stage(dir: string, source: SourceFile): void {
  const file = join(dir, source.path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, source.bytes);
}

export function regoPaths(sources: readonly SourceFile[]): string[] {
  return sources.filter((source) => source.kind === 'rego').map((source) => source.path);
}

export interface Compilable {
  readonly modules: readonly Module[];
  readonly policies: readonly PolicyInfo[];
  /** What `restrict` returned for the folder. */
  readonly available: Available;
}

/** `opa build` with one entrypoint for each rule of `policies`. Throws POLICY_INVALID. */
export async function compile(
  opa: string,
  { dir, work }: Pick<StagedFolder, 'dir' | 'work'>,
  { modules, policies, available }: Compilable,
): Promise<{ wasm: Uint8Array; data: Uint8Array }> {
  const built = await runOpa(opa, buildArguments('wasm', policies), dir);
  if (!built.ok) {
    const errors = buildErrors(built.stderr || built.stdout, { dir, modules, available });
    throw new SealgateError('POLICY_INVALID', errors.join('\n'));
  }
  const files = builtFiles(work, 'wasm');
  const wasm = files.get('policy.wasm');
  if (wasm === undefined) throw new SealgateError('POLICY_INVALID', 'opa build gave no Wasm module');
  const data = files.get('data.json') ?? Buffer.from('{}');
  const conflicts = dataConflicts(modules, data);
  if (conflicts.length > 0) throw new SealgateError('POLICY_INVALID', conflicts.join('\n'));
  return { wasm: withReplacedNatives(wasm), data };
}

/** Of both targets alike, so that the plan is the one that the module was made of; print calls are in a plan anyway. */
function buildArguments(target: 'wasm' | 'plan', policies: readonly PolicyInfo[]): string[] {
  const flags = [`--target=${target}`, '--wasm-include-print', '--capabilities=../capabilities.json'];
  const entrypoints = rulesOf(policies).map(({ entrypoint }) => `--entrypoint=${entrypoint}`);
  return ['build', ...flags, `--output=../${target}.tar.gz`, ...entrypoints, '--bundle', '.'];
}

function builtFiles(work: string, target: 'wasm' | 'plan'): Map<string, Uint8Array> {
  return readTar(gunzipSync(readFileSync(join(work, `${target}.tar.gz`))));
}

/** What each rule reads of the input, by OPA's plan. Without one, that is all of it; what is wrong with the folder, `compile` says. */
async function readsOf(
  opa: string,
  { dir, work }: StagedFolder,
  policies: readonly PolicyInfo[],
): Promise<ReadonlyMap<string, InputReads>> {
  const entrypoints = rulesOf(policies).map(({ entrypoint }) => entrypoint);
  try {
    const built = await runOpa(opa, buildArguments('plan', policies), dir);
    const plan = built.ok ? builtFiles(work, 'plan').get('plan.json') : undefined;
    if (plan === undefined) throw new Error('opa build gave none');
    return inputReads(plan, entrypoints);
  } catch (error) {
    return new Map(entrypoints.map((entrypoint) => [entrypoint, `there is no plan of it: ${messageOf(error)}`]));
  }
}

/** Writes the capabilities that OPA has to keep to as capabilities.json in `work`. */
export async function restrict(opa: string, work: string): Promise<Available> {
  const capabilities = await runOpa(opa, ['capabilities', '--current'], work);
  if (!capabilities.ok)
    throw new SealgateError('POLICY_INVALID', `${opa} capabilities failed: ${capabilities.stderr.trim()}`);
  const { json, refused } = supportedCapabilities(capabilities.stdout);
  writeFileSync(join(work, 'capabilities.json'), json);
  const { builtins }: { builtins: readonly { readonly name: string }[] } = JSON.parse(json);
  return { known: builtins.map(({ name }) => name), refused };
}
