import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const TALLY = join(import.meta.dirname, '..', '..', '..', 'tools', 'tally.ts');

const file = (...statuses: string[]) => ({
  name: 'some.test.ts',
  status: statuses.includes('failed') ? 'failed' : 'passed',
  assertionResults: statuses.map((status) => ({ status, fullName: 'a promise' })),
});

describe('tally', () => {
  let dir: string;

  const put = (name: string, content: unknown) =>
    writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));

  const tally = () => {
    const { stdout, status } = spawnSync(process.execPath, [TALLY, dir], { encoding: 'utf8' });
    return { last: stdout.trimEnd().split('\n').at(-1), stdout, status };
  };

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sealgate-tally-'));
    put('unit.json', { testResults: [file('passed', 'passed')] });
    put('integration.json', { testResults: [file('passed')] });
    put('e2e.json', { testResults: [file('passed')] });
    put('rego-test.json', [{ package: 'p', name: 'test_a' }]);
    put('conformance.json', { passed: 3, failures: [] });
    put('checks', 'ok make test\nok lint\n');
  });

  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('adds up every report', () => {
    expect(tally()).toMatchObject({ last: '10 passed, 0 failed', status: 0 });
  });

  it.each([
    ['a failed test', 'unit.json', { testResults: [file('passed', 'failed')] }, '9 passed, 1 failed'],
    [
      'a file that failed before its tests',
      'unit.json',
      { testResults: [{ ...file(), status: 'failed' }] },
      '8 passed, 1 failed',
    ],
    ['a report without a test', 'integration.json', { testResults: [] }, '9 passed, 1 failed'],
    ['a report cut short', 'integration.json', '{"testRes', '9 passed, 1 failed'],
    ['a failed Rego test', 'rego-test.json', [{ package: 'p', name: 'test_a', fail: true }], '9 passed, 1 failed'],
    [
      'a Rego test with an error',
      'rego-test.json',
      [{ package: 'p', name: 'test_a', error: {} }],
      '9 passed, 1 failed',
    ],
    ['a failed conformance case', 'conformance.json', { passed: 2, failures: ['a case'] }, '9 passed, 1 failed'],
    ['a failed check', 'checks', 'ok make test\nfailed lint\n', '9 passed, 1 failed'],
  ])('counts %s as a failure', (_, name, content, last) => {
    put(name, content);
    expect(tally()).toMatchObject({ last, status: 1 });
  });

  it('counts what could not run here as nothing, and says why', () => {
    rmSync(join(dir, 'e2e.json'));
    put('skipped-e2e', 'a node needs root');
    put('checks', 'ok make test\nskipped e2e\nok lint\n');
    expect(tally()).toMatchObject({ last: '9 passed, 0 failed', status: 0 });
    expect(tally().stdout).toContain('SKIPPED e2e: a node needs root');
  });

  it('counts a missing report as a failure: what did not run did not pass', () => {
    rmSync(join(dir, 'integration.json'));
    expect(tally()).toMatchObject({ last: '9 passed, 1 failed', status: 1 });
  });
});
