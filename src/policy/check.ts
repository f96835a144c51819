// Everything that can be said of a policy folder before it is used: what the pod would refuse, what it would take without a
// word and hardly anybody means, and what the folder's own tests say.
import { SealgateError } from '../lib/errors.ts';
import { type Compiled, describeError } from './build-errors.ts';
import { compile, regoPaths, restrict, type StagedFolder, withStaged } from './bundle.ts';
import { type Finding, findingOf, parseJson } from './finding.ts';
import { type Module, parseModules } from './modules.ts';
import { runOpa } from './opa.ts';
import { misnamedRules, policiesOf } from './policies.ts';
import { runTests, type TestResults } from './run-tests.ts';
import { digestSources } from './sources.ts';
import type { PolicyInfo } from './types.ts';

export interface FolderCheck {
  /** Of the policies and data; absent when the folder cannot be read. */
  readonly digest?: string;
  /** Empty when the folder is refused. */
  readonly policies: readonly PolicyInfo[];
  readonly findings: readonly Finding[];
  /** Absent when the tests were not run. */
  readonly tests?: TestResults;
}

export interface CheckOptions {
  readonly opa: string;
  readonly dir: string;
  /** Whether the folder's own tests are run. */
  readonly tests: boolean;
}

/** Throws POLICY_INVALID only when the opa program cannot be run. */
export async function checkFolder({ opa, dir, tests }: CheckOptions): Promise<FolderCheck> {
  await runOpa(opa, ['version'], '.');
  const found = await refusals(() => withStaged(dir, (staged) => checkStaged(opa, staged)));
  const check: FolderCheck = 'refused' in found ? { policies: [], findings: found.refused } : found.value;
  const sound = check.findings.every(({ level }) => level !== 'error');
  return sound && tests ? { ...check, tests: await runTests(opa, dir) } : check;
}

async function checkStaged(opa: string, staged: StagedFolder): Promise<FolderCheck> {
  const { digest } = digestSources(staged.sources);
  const parsed = await refusals(() => parseModules(opa, staged.dir, regoPaths(staged.sources)));
  if ('refused' in parsed) return { digest, policies: [], findings: parsed.refused };
  const modules = parsed.value;
  const named = await refusals(async () => policiesOf(modules));
  // What does not make a policy is compiled all the same: the compiler's errors are worth having beside ours.
  const policies = 'refused' in named ? [] : named.value;
  const strict = await strictFindings(opa, staged, modules);
  const errors = [
    ...('refused' in named ? named.refused : []),
    ...(policies.length === 0 ? strict.errors : await compileErrors(opa, staged, modules, policies)),
  ];
  const findings = errors.length > 0 ? errors : [...unusual(modules), ...strict.warnings];
  return { digest, policies: errors.length > 0 ? [] : policies, findings };
}

async function compileErrors(
  opa: string,
  staged: StagedFolder,
  modules: readonly Module[],
  policies: readonly PolicyInfo[],
): Promise<readonly Finding[]> {
  const compiled = await refusals(async () => {
    return await compile(opa, staged, { modules, policies, available: await restrict(opa, staged.work) });
  });
  return 'refused' in compiled ? compiled.refused : [];
}

/** What `act` refuses as findings, one a line of the message. */
async function refusals<T>(
  act: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly refused: readonly Finding[] }> {
  try {
    return { value: await act() };
  } catch (error) {
    if (!(error instanceof SealgateError) || error.code !== 'POLICY_INVALID') throw error;
    return { refused: error.message.split('\n').map((line) => findingOf('error', line)) };
  }
}

/** What Rego allows and is most likely a slip. */
function unusual(modules: readonly Module[]): Finding[] {
  const findings: Finding[] = [];
  const packages = Map.groupBy(modules, (module) => module.package.join('.'));
  for (const [name, parts] of packages) {
    if (!name.startsWith('admission.')) continue;
    const [first, ...others] = parts;
    for (const { file, packageRow } of others) {
      const message = `package ${name} is declared in ${first?.file} too: the rules of both are one policy`;
      findings.push({ level: 'warning', file, line: packageRow, message });
    }
    for (const { file, row, name: rule, probable } of misnamedRules(parts)) {
      const message = `the rule ${rule} is not asked, and nothing uses it: did you mean ${probable}?`;
      findings.push({ level: 'warning', file, line: row, rule, message });
    }
  }
  return findings;
}

interface OpaErrors {
  readonly errors?: readonly { readonly message: string; readonly location?: { file: string; row: number } }[];
}

/** What `opa check` finds; that it finds only when it is strict, the pod takes. */
async function strictFindings(
  opa: string,
  { dir, work }: StagedFolder,
  modules: readonly Module[],
): Promise<{ errors: Finding[]; warnings: Finding[] }> {
  const available = await restrict(opa, work);
  const ask = async (...flags: string[]): Promise<Finding[]> => {
    const output = await runOpa(
      opa,
      ['check', '--format=json', '--capabilities=../capabilities.json', ...flags, '.'],
      dir,
    );
    return output.ok ? [] : findingsOf(output.stderr.trim(), { dir, modules, available });
  };
  const errors = await ask();
  const strict = await ask('--strict');
  const known = new Set(errors.map((finding) => JSON.stringify(finding)));
  const warnings = strict.filter((finding) => !known.has(JSON.stringify(finding)));
  return { errors, warnings: warnings.map((finding) => ({ ...finding, level: 'warning' })) };
}

function findingsOf(output: string, compiled: Compiled): Finding[] {
  const parsed = parseJson<OpaErrors>(output);
  if (parsed?.errors === undefined) return [findingOf('error', output)];
  return parsed.errors.map(({ message, location }) => {
    const [text = ''] = message.split('\n');
    return findingOf(
      'error',
      location === undefined ? text : describeError(`${location.file}:${location.row}: ${text}`, compiled),
    );
  });
}
