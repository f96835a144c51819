// Runs the tests that stand in a policy folder beside the policies, as `opa test` does.
import { type Finding, findingOf, oneLine, parseJson } from './finding.ts';
import { runOpa } from './opa.ts';

export interface TestResults {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Of those that failed. */
  readonly failures: readonly Finding[];
}

interface OpaTest {
  readonly location: { readonly file: string; readonly row: number };
  readonly name: string;
  readonly fail?: boolean;
  readonly skip?: boolean;
  readonly error?: { readonly message: string };
}

/** Names that begin with a dot are left out. POLICY_INVALID when the opa program cannot be run. */
export async function runTests(opa: string, dir: string): Promise<TestResults> {
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
