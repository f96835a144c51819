// Adds up what a run of .ci/run found: node tools/tally.ts <folder>. Prints what failed, then `N passed, N failed`; the exit
// status says whether all passed. The folder holds vitest's and OPA's JSON reports, the counts of the conformance run, and `checks`, lines
// of `ok name` or `failed name`. Instead of the report of e2e, `skipped-e2e` may say why it could not run.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Counts {
  passed: number;
  failures: string[];
}

interface VitestReport {
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: { status: string; fullName: string }[];
  }[];
}

type OpaReport = { package: string; name: string; fail?: boolean; error?: unknown; skip?: boolean }[];

/** A file that fails before its first test counts as one failure: otherwise it would count as nothing. */
function countVitest(report: VitestReport): Counts {
  const counts: Counts = { passed: 0, failures: [] };
  for (const file of report.testResults) {
    const failed = file.assertionResults.filter((test) => test.status === 'failed');
    counts.passed += file.assertionResults.filter((test) => test.status === 'passed').length;
    counts.failures.push(...failed.map((test) => `${file.name}: ${test.fullName}`));
    if (file.status === 'failed' && failed.length === 0)
      counts.failures.push(`${file.name}: ${file.message ?? 'failed'}`);
  }
  return counts;
}

function countOpa(report: OpaReport): Counts {
  const failed = report.filter((test) => test.fail || test.error !== undefined);
  const passed = report.filter((test) => !failed.includes(test) && !test.skip);
  return { passed: passed.length, failures: failed.map((test) => `${test.package}.${test.name}`) };
}

function countChecks(lines: string): Counts {
  const checks = lines
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '');
  return {
    passed: checks.filter((line) => line.startsWith('ok ')).length,
    failures: checks.filter((line) => line.startsWith('failed ')),
  };
}

function read(dir: string, name: string, count: (text: string) => Counts): Counts {
  const file = join(dir, name);
  if (!existsSync(file)) return { passed: 0, failures: [`${name}: there is no report: it did not run to its end`] };
  try {
    const counts = count(readFileSync(file, 'utf8'));
    return counts.passed + counts.failures.length > 0 ? counts : { passed: 0, failures: [`${name}: nothing ran`] };
  } catch (error) {
    return { passed: 0, failures: [`${name}: not a report: ${error}`] };
  }
}

const [dir] = process.argv.slice(2);
if (dir === undefined) throw new Error('usage: node tools/tally.ts <folder>');
const all = [
  read(dir, 'unit.json', (text) => countVitest(JSON.parse(text) as VitestReport)),
  read(dir, 'integration.json', (text) => countVitest(JSON.parse(text) as VitestReport)),
  ...(existsSync(join(dir, 'skipped-e2e'))
    ? []
    : [read(dir, 'e2e.json', (text) => countVitest(JSON.parse(text) as VitestReport))]),
  read(dir, 'rego-test.json', (text) => countOpa(JSON.parse(text) as OpaReport)),
  read(dir, 'conformance.json', (text) => JSON.parse(text) as Counts),
  read(dir, 'checks', countChecks),
];
const failures = all.flatMap((counts) => counts.failures);
if (existsSync(join(dir, 'skipped-e2e'))) console.log(`SKIPPED e2e: ${readFileSync(join(dir, 'skipped-e2e'), 'utf8')}`);
for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${all.reduce((sum, counts) => sum + counts.passed, 0)} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
