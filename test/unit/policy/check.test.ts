// What an author is told about a folder before anybody uses it.
import { afterEach, describe, expect, it } from 'vitest';
import { checkFolder, type FolderCheck } from '../../../src/policy/check.ts';
import { toolPath } from '../../support/tools.ts';
import { folder, removeFolders } from './support.ts';

afterEach(removeFolders);

const DENY = 'package admission.a\n\ndeny contains "no" if input.x\n';

function check(files: Record<string, string>, tests = false): Promise<FolderCheck> {
  return checkFolder({ opa: toolPath('opa'), dir: folder(files), tests });
}

describe('checking a policy folder', () => {
  it('finds nothing in one that is sound, and gives its policies and its digest', async () => {
    expect(await check({ 'a.rego': DENY })).toEqual({
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      policies: [expect.objectContaining({ policy: 'admission.a' })],
      findings: [],
    });
  });

  it('tells the mistakes of all files at once, METADATA and compiler, each with file, line and rule', async () => {
    const { policies, findings } = await check({
      'a.rego': `# METADATA\n# custom:\n#   severty: high\n${DENY}`,
      'b.rego': '# METADATA\n# custom:\n#   match: {kind: [Pod]}\npackage admission.b\n\ndeny contains "no"\n',
      'c.rego': 'package admission.c\n\ndeny contains "no" if {\n\tinput.x\n\tupper(3)\n}\n',
    });
    expect(policies).toEqual([]);
    expect(findings).toMatchObject([
      { level: 'error', file: 'a.rego', line: 3, message: expect.stringContaining('did you mean "severity"?') },
      { level: 'error', file: 'b.rego', line: 3, message: expect.stringContaining('did you mean "kinds"?') },
      { level: 'error', file: 'c.rego', line: 5, rule: 'deny', message: expect.stringContaining('invalid argument') },
    ]);
  });

  it('names the rule of a refused built-in and the right name of a misspelled one', async () => {
    const { findings } = await check({
      'a.rego':
        'package admission.a\n\ndeny contains "no" if fetched\n\nfetched if {\n\thttp.send({}).body\n}\n\nwarn contains "w" if startwith(input.x, "y")\n',
    });
    expect(findings).toMatchObject([
      { file: 'a.rego', line: 6, rule: 'fetched', message: expect.stringContaining('must not reach the network') },
      { file: 'a.rego', line: 9, rule: 'warn', message: expect.stringContaining('did you mean startswith?') },
    ]);
  });

  it('refuses two default values for one rule, and more than one arity of a function', async () => {
    const twice = 'default limit := 1\n\ndefault limit := 2\n';
    expect((await check({ 'a.rego': `${DENY}\n${twice}` })).findings).toMatchObject([
      { level: 'error', message: expect.stringMatching(/multiple default rules .*a\.rego:5, a\.rego:7/) },
    ]);
    const arity = 'f(x) := x\n\nf(x, y) := x + y\n';
    expect((await check({ 'a.rego': `${DENY}\n${arity}` })).findings).toMatchObject([
      { level: 'error', message: expect.stringContaining('conflicting rules data.admission.a.f found') },
    ]);
  });

  it('warns of what the pod takes and hardly anybody means', async () => {
    const { policies, findings } = await check({
      'a.rego': `${DENY}\nwran contains "w" if input.y\n`,
      'b.rego': 'package admission.a\n\nimport data.lib.x\n\nwarn contains "b" if {\n\ty := 1\n\tinput.y\n}\n',
    });
    expect(policies).toHaveLength(1);
    expect(findings).toMatchObject([
      { level: 'warning', file: 'b.rego', line: 1, message: expect.stringContaining('declared in a.rego too') },
      {
        level: 'warning',
        file: 'a.rego',
        line: 5,
        rule: 'wran',
        message: expect.stringContaining('did you mean warn?'),
      },
      { level: 'warning', file: 'b.rego', line: 3, message: expect.stringContaining('unused') },
      { level: 'warning', file: 'b.rego', line: 6, rule: 'warn', message: 'assigned var y unused' },
    ]);
  });

  it('takes a helper for what it is where a rule uses it', async () => {
    const files = {
      'a.rego': 'package admission.a\n\ndeny contains m if some m in denied\n\ndenied contains "m" if input.x\n',
    };
    expect((await check(files)).findings).toEqual([]);
  });

  it('names the rule that was meant when no rule of a policy would be asked', async () => {
    expect(
      (await check({ 'a.rego': 'package admission.a\n\ndenny contains "m" if input.x\n' })).findings,
    ).toMatchObject([
      {
        level: 'error',
        file: 'a.rego',
        line: 1,
        message: expect.stringContaining('did you mean deny by the rule denny at line 3?'),
      },
    ]);
  });

  it('runs the tests of the folder and says which fail, where and why', async () => {
    const tests = [
      'package admission.a_test',
      'import data.admission.a',
      'test_denies if count(a.deny) == 1 with input as {"x": true}',
      'test_wrong if count(a.deny) == 2 with input as {"x": true}',
      'test_conflict if a.value == 1 with input as {"x": true}',
      'todo_test_later if true',
    ].join('\n\n');
    const values = 'value := 1 if input.x\n\nvalue := 2 if input.x\n';
    const { findings, tests: results } = await check({ 'a.rego': `${DENY}\n${values}`, 'a_test.rego': tests }, true);
    expect(findings).toEqual([]);
    expect(results).toEqual({
      passed: 1,
      failed: 2,
      skipped: 1,
      failures: expect.arrayContaining([
        { level: 'error', file: 'a_test.rego', line: 7, rule: 'test_wrong', message: 'the test fails' },
        {
          level: 'error',
          file: 'a_test.rego',
          line: 9,
          rule: 'test_conflict',
          message: expect.stringContaining('conflicting values: 1 at a.rego:5; 2 at a.rego:7'),
        },
      ]),
    });
  });

  it('counts tests that do not parse as failed', async () => {
    const { tests } = await check({ 'a.rego': DENY, 'a_test.rego': 'package a_test\n\ntest_a if {\n' }, true);
    expect(tests).toMatchObject({
      passed: 0,
      failed: 1,
      failures: [{ file: 'a_test.rego', message: expect.stringContaining('rego_parse_error') }],
    });
  });

  it('says that the folder cannot be read, and cannot run without the opa program', async () => {
    const missing = await checkFolder({ opa: toolPath('opa'), dir: '/nonexistent/policies', tests: true });
    expect(missing).toMatchObject({
      policies: [],
      findings: [{ level: 'error', message: expect.stringContaining('cannot read') }],
    });
    expect(missing).not.toHaveProperty('tests');
    await expect(
      checkFolder({ opa: '/nonexistent/opa', dir: folder({ 'a.rego': DENY }), tests: false }),
    ).rejects.toThrow('cannot run /nonexistent/opa');
  });
});
