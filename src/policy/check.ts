// Everything that can be said of a policy folder before it is used: what the pod would refuse, what it would take without a
// word and hardly anybody means, and what the folder's own tests say.
import { SealgateError } from '../lib/errors.ts';
import {
  type Available,
  compile,
  regoPaths,
  restrict,
  type StagedFolder,
  withBuiltin,
  withRule,
  withStaged,
} from './bundle.ts';
import { type Module, parseModules } from './modules.ts';
import { runOpa } from './opa.ts';
import { misnamedRules, policiesOf } from './policies.ts';
import { digestSources } from './sources.ts';
import type { PolicyInfo } from './types.ts';

export interface Finding {
  /** The pod refuses a folder with an error; it takes one with warnings. */
  readonly level: 'error' | 'warning';
  /** Relative to the folder; absent where the finding is about the folder. */
  readonly file?: string;
  readonly line?: number;
  /** Name of the rule in the file. */
  readonly rule?: string;
  readonly message: string;
}

export interface TestResults {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Of those that failed. */
  readonly failures: readonly Finding[];
}

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
  const compiled = await refusals(() => compile(opa, staged, modules, policies));
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

/** From `file:line: message (rule name)`. */
function findingOf(level: Finding['level'], text: string): Finding {
  const [, file, line, rest] = /^(.+?):(\d+): (.*)$/.exec(text) ?? [];
  if (file === undefined || rest === undefined) return { level, message: text };
  const [, message, rule] = /^(.*) \(rule (\S+)\)$/.exec(rest) ?? [];
  return { level, file, line: Number(line), ...(rule === undefined ? {} : { rule }), message: message ?? rest };
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
    return output.ok ? [] : findingsOf(output.stderr.trim(), available, modules);
  };
  const errors = await ask();
  const strict = await ask('--strict');
  const known = new Set(errors.map((finding) => JSON.stringify(finding)));
  const warnings = strict.filter((finding) => !known.has(JSON.stringify(finding)));
  return { errors, warnings: warnings.map((finding) => ({ ...finding, level: 'warning' })) };
}

function findingsOf(output: string, available: Available, modules: readonly Module[]): Finding[] {
  const parsed = parseJson<OpaErrors>(output);
  if (parsed?.errors === undefined) return [findingOf('error', output)];
  return parsed.errors.map(({ message, location }) => {
    const text = withBuiltin(message.split('\n')[0] ?? '', available);
    if (location === undefined) return findingOf('error', text);
    return findingOf('error', withRule(`${location.file}:${location.row}: ${text}`, modules));
  });
}

interface OpaTest {
  readonly location: { readonly file: string; readonly row: number };
  readonly name: string;
  readonly fail?: boolean;
  readonly skip?: boolean;
  readonly error?: { readonly message: string };
}

async function runTests(opa: string, dir: string): Promise<TestResults> {
  // What begins with a dot is a mounted ConfigMap's second copy.
  const output = await runOpa(opa, ['test', '--format=json', '--ignore=.*', '.'], dir);
  const results = parseJson<readonly OpaTest[]>(output.stdout);
  if (!Array.isArray(results)) {
    const lines = output.stderr
      .trim()
      .split('\n')
      .filter((line) => /^\S/.test(line));
    const failures = lines.map((line) => findingOf('error', line.replace(/^\d+ errors? occurred[^:]*: ?/, '')));
    const told = failures.filter(({ message }) => message !== '');
    return { passed: 0, failed: Math.max(1, told.length), skipped: 0, failures: told };
  }
  const failed = results.filter((test: OpaTest) => test.fail === true || test.error !== undefined);
  const skipped = results.filter((test: OpaTest) => test.skip === true).length;
  return {
    passed: results.length - failed.length - skipped,
    failed: failed.length,
    skipped,
    failures: failed.map(({ location, name, error }: OpaTest) => ({
      level: 'error',
      file: location.file,
      line: location.row,
      rule: name,
      message: error === undefined ? 'the test fails' : oneLine(error.message),
    })),
  };
}

function parseJson<T>(text: string): T | undefined {
  try {
    return JSON.parse(text);
  } catch {
    // opa wrote words instead: the caller shows them.
    return undefined;
  }
}

/** OPA lists the places of a conflict on lines of their own. */
function oneLine(message: string): string {
  const [first = '', ...rest] = message.split('\n').map((line) => line.trim());
  return rest.length === 0 ? first : `${first} ${rest.join('; ')}`;
}
