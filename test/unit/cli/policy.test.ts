// `sealgate policy` as the author of a policy meets it.
import { afterEach, describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/policy.ts';
import { toolPath } from '../../support/tools.ts';
import { folder, removeFolders } from '../policy/support.ts';
import { type Ran, runCommandAsync } from './run-command.ts';

afterEach(removeFolders);

const policy = (command: string, ...args: string[]): Promise<Ran> =>
  runCommandAsync(register, ['policy', command, '--opa', toolPath('opa'), ...args]);

const DENY = 'package admission.a\n\ndeny contains "no" if input.request.object.spec.hostNetwork\n';
const TEST = 'package admission.a_test\n\nimport data.admission.a\n\ntest_a if count(a.deny) == 0 with input as {}\n';

describe('sealgate policy check', () => {
  it('prints the policies, the digest and a verdict as the last line, and ends with 0', async () => {
    const { status, stdout, stderr } = await policy('check', folder({ 'a.rego': DENY, 'a_test.rego': TEST }));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(
      /^admission\.a {2}deny \(deny, medium\)\n\nbundle sha256:[0-9a-f]{64}\nSOUND: 1 policy, 0 errors, 0 warnings, 1 of 1 test passed\n$/,
    );
  });

  it('ends with 15 for an error, for a test that fails, and for a warning when it is strict', async () => {
    const broken = folder({ 'a.rego': `${DENY}\nwarn contains upper(3)\n` });
    const error = await policy('check', broken);
    expect(error).toMatchObject({ status: 15, stdout: expect.stringContaining('a.rego:5: error: warn: ') });
    const failing = folder({ 'a.rego': DENY, 'a_test.rego': TEST.replace('== 0', '== 1') });
    expect((await policy('check', failing)).stdout).toContain('a_test.rego:5: error: test_a: the test fails\n');
    expect((await policy('check', failing)).status).toBe(15);
    expect((await policy('check', failing, '--no-test')).status).toBe(0);
    const odd = folder({ 'a.rego': DENY, 'b.rego': 'package admission.a\n\nwarn contains "w" if input.y\n' });
    expect((await policy('check', odd)).stdout).toContain('b.rego:1: warning: package admission.a is declared');
    expect([(await policy('check', odd)).status, (await policy('check', odd, '--strict')).status]).toEqual([0, 15]);
  });

  it('prints the findings as JSON, and lets no file name reach the terminal as it is', async () => {
    const dir = folder({ 'a\u001b[2J.rego': 'package admission.a\n\ndeny contains {\n' });
    const { status, stdout } = await policy('check', dir, '--json');
    expect({ status, report: JSON.parse(stdout) }).toMatchObject({
      status: 15,
      report: {
        report: 1,
        sound: false,
        policies: [],
        findings: expect.arrayContaining([expect.objectContaining({ file: 'a\u001b[2J.rego' })]),
      },
    });
    expect((await policy('check', dir)).stdout).toContain('a\\u001b[2J.rego:');
  });

  it('ends with 1 when opa cannot be run, and with 2 for an option that does not exist', async () => {
    const ran = await runCommandAsync(register, ['policy', 'check', '--opa', '/nonexistent/opa', folder({})]);
    expect(ran).toMatchObject({ status: 1, stderr: expect.stringContaining('POLICY_INVALID: cannot run') });
    expect((await policy('check', '--nonsense')).status).toBe(2);
  });
});
