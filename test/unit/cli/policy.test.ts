// `sealgate policy` as the author of a policy meets it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decisionEntry } from '../../../src/admission/record.ts';
import { register } from '../../../src/cli/policy.ts';
import { register as registerQuery } from '../../../src/cli/query.ts';
import type { Append } from '../../../src/ledger/entry.ts';
import { digestSources, readSources } from '../../../src/policy/sources.ts';
import { toolPath } from '../../support/tools.ts';
import { folder, removeFolders } from '../policy/support.ts';
import { type Ran, runCommandAsync, sharedLedger } from './run-command.ts';

afterAll(removeFolders);

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

  it('ends with 27 when opa cannot be run, and with 2 for an option that does not exist', async () => {
    const ran = await runCommandAsync(register, ['policy', 'check', '--opa', '/nonexistent/opa', folder({})]);
    expect(ran).toMatchObject({ status: 27, stderr: expect.stringContaining('POLICY_INVALID: cannot run') });
    expect((await policy('check', '--nonsense')).status).toBe(2);
  });
});

const HOST = `# METADATA
# custom:
#   severity: high
#   remediation: Use a Service.
package admission.host

import data.lib.pods

deny contains message if {
	some port in pods.host_ports
	message := sprintf("port %d of %s", [port, input.request.userInfo.username])
	print("seen", port)
}

warn contains "updated" if input.request.oldObject
`;
const LIB = `package lib.pods

host_ports contains port if some port in input.request.object.spec.hostPorts
`;
const dir = folder({ 'host.rego': HOST, 'lib/pods.rego': LIB });
const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { hostPorts: [80, 443] },
};
const files = folder({
  'pod.json': JSON.stringify(POD),
  'pod.yaml': 'apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  hostPorts: [12345678901234567890]\n',
  'good.yaml': 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {}\n',
  'two.yaml': 'kind: A\n---\nkind: B\n',
  'none.json': '{"a": 1}',
  'broken.json': '{"a": ',
  'broken.yaml': 'a: [1\n',
});
const given = (name: string): string => join(files, name);
const evaluate = (...args: string[]): Promise<Ran> => policy('eval', '--policies', dir, ...args);

describe('sealgate policy eval', () => {
  it('wraps a plain object into a request and ends with 16 for a denial: rules, messages, remediation, time, prints', async () => {
    const { status, stdout, stderr } = await evaluate(given('pod.json'), '--user', 'alice');
    expect({ status, stderr }).toEqual({ status: 16, stderr: '' });
    expect(stdout).toMatch(
      /^CREATE pods shop\/web\n {2}admission\.host {2}deny {4}[\d.]+ ms\n {4}deny \(deny, high\): port 443 of alice\n {6}remediation: Use a Service\.\n {4}deny \(deny, high\): port 80 of alice\n/,
    );
    expect(stdout).toContain('\n    print: seen 80\n');
    expect(stdout).toMatch(/\nbundle sha256:[0-9a-f]{64}\nDENIED: 1 policy asked, [\d.]+ ms\n$/);
  });

  it('ends with 0 for what is allowed, warnings or not', async () => {
    expect(await evaluate(given('good.yaml'))).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^CREATE deployments\.apps default\/web\n[\s\S]*\nALLOWED: /),
    });
    const updated = await evaluate(
      given('good.yaml'),
      '--operation',
      'UPDATE',
      '--old-object',
      given('pod.json'),
      '--json',
    );
    expect(updated.status).toBe(0);
    expect(JSON.parse(updated.stdout)).toMatchObject({
      report: 1,
      allowed: true,
      results: [{ rule: 'warn', message: 'updated' }],
      times: [{ policy: 'admission.host', ms: expect.any(Number) }],
    });
  });

  it('takes a review as the API server sent it, and keeps numbers that JavaScript cannot hold', async () => {
    const review = join(import.meta.dirname, '../../fixtures/reviews/04-create-pods-debug.json');
    expect(await evaluate(review)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^CREATE pods \S+\/debug\n/),
    });
    expect((await evaluate(given('pod.yaml'))).stdout).toContain('port 12345678901234567890 of author');
  });

  it('says what is wrong with a file that is none of these, and with flags that do not fit', async () => {
    for (const [name, problem] of [
      ['none.json', 'neither an AdmissionReview, nor a recorded decision, nor an object'],
      ['broken.json', 'broken.json cannot be used: '],
      ['broken.yaml', 'neither JSON nor YAML'],
      ['two.yaml', 'has 2 YAML documents'],
      ['missing.json', 'cannot be read'],
    ] as const) {
      const ran = await evaluate(given(name));
      expect(ran, name).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('REQUEST_INVALID') });
      expect(ran.stderr).toContain(problem);
    }
    const review = join(import.meta.dirname, '../../fixtures/reviews/04-create-pods-debug.json');
    for (const args of [[review, '--user', 'x'], [review, '--seq', '1'], [], [review, '--time-limit', '0']])
      expect((await evaluate(...args)).status, args.join(' ')).toBe(2);
  });
});

const { digest } = digestSources(readSources(dir));
const PEER = { address: '10.0.0.1' } as const;

/** A decision as the pod records it. */
function decision(bundle: string, user: string, message: string): Append {
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '00000000-0000-4000-8000-000000000001',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      ...{ operation: 'CREATE', namespace: 'shop', name: 'web', userInfo: { username: user } },
      object: { ...POD, spec: { hostPorts: [80] } },
    },
  };
  const result = {
    policy: 'admission.host',
    rule: 'deny',
    action: 'deny',
    severity: 'high',
    message,
    controls: [],
  } as const;
  const verdict = {
    allowed: false,
    results: [result],
    failures: [],
    prints: [],
    evaluated: ['admission.host'],
    bundle,
  };
  const took = { receive: 0, read: 0, policies: 1 };
  return decisionEntry(review.request.uid, PEER, verdict, took, {
    bytes: Buffer.from(JSON.stringify(review)),
    changed: user.startsWith('['),
    scrub: (text) => text,
    scrubValue: (value) => value,
  });
}

const ledger = sharedLedger([
  decision(digest, 'alice', 'port 80 of alice'),
  decision(`sha256:${'b'.repeat(64)}`, 'alice', 'port 80 of alice'),
  decision(digest, '[redacted]', 'port 80 of [removed]'),
]);
const explain = (entry: string, ...args: string[]): Promise<Ran> =>
  policy('explain', entry, '--data-dir', ledger.data, '--policies', dir, ...args);

describe('sealgate policy explain', () => {
  it('shows the record, and which rules and helpers held with which values, by the policies that decided', async () => {
    const { status, stdout, stderr } = await explain('0/1');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(
      /^Decision 0\/1 of ledger\.example\/cluster-a\/0\/0 at 20.*: DENIED\nCREATE pods shop\/web\n/,
    );
    expect(stdout).toContain('denied, and the same rules say the same.\n');
    expect(stdout).toContain('  host.rego:9  deny\n      port = 80\n      message = "port 80 of alice"\n');
    expect(stdout).toContain('  lib/pods.rego:3  host_ports\n      port = 80\n');
    expect(stdout).not.toContain('redacted');
    const { recorded, again } = JSON.parse((await explain('1', '--json')).stdout);
    expect(recorded).toMatchObject({ seq: 1, bundle: digest, verdict: { allowed: false }, request: { kind: 'Pod' } });
    expect(again).toMatchObject({ allowed: false, same: true });
    expect(again.firings).toContainEqual({
      rule: 'deny',
      file: 'host.rego',
      line: 9,
      values: [
        { name: 'port', value: '80' },
        { name: 'message', value: '"port 80 of alice"' },
      ],
    });
  });

  it('does not evaluate with policies other than those that decided, and says so', async () => {
    const { status, stdout } = await explain('2');
    expect(status).toBe(0);
    expect(stdout).toContain('    deny (deny, high): port 80 of alice\n');
    expect(stdout).toContain(
      `does not hold the policies that decided.\n  on record sha256:${'b'.repeat(64)}\n  in folder ${digest}\n`,
    );
    expect(JSON.parse((await explain('2', '--json')).stdout).again).toBeNull();
  });

  it('says plainly that a removed value may change the outcome', async () => {
    const { stdout } = await explain('3');
    expect(stdout).toContain('denied, but not with the same messages.');
    expect(stdout).toMatch(/\nValues were removed from this review before it was recorded .*may decide otherwise\.\n$/);
  });

  it('refuses what is no decision, no entry, or no place of one', async () => {
    expect(await explain('0')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('no decision but of kind start'),
    });
    expect(await explain('0/99')).toMatchObject({ status: 1, stderr: expect.stringContaining('ENTRY_NOT_FOUND') });
    expect(await explain('7/1')).toMatchObject({ status: 1, stderr: expect.stringContaining('ENTRY_NOT_FOUND') });
    expect((await explain('first')).status).toBe(2);
  });

  it('is of the entry that eval takes as well, from the ledger or from sealgate query', async () => {
    const recorded = await evaluate('--seq', '0/1', '--data-dir', ledger.data);
    expect(recorded).toMatchObject({ status: 16, stdout: expect.stringContaining('port 80 of alice') });
    const { stdout } = await runCommandAsync(registerQuery, ['query', '0/1', '--ledger', ledger.data, '-o', 'json']);
    const file = join(ledger.data, 'entry.json');
    writeFileSync(file, stdout);
    expect(await evaluate(file)).toMatchObject({ status: 16, stdout: expect.stringContaining('port 80 of alice') });
  });
});

describe('sealgate policy bench', () => {
  const bench = (...args: string[]): Promise<Ran> => policy('bench', '--policies', dir, '--time', '20', ...args);

  it('measures all policies together and each on the reviews that it looks at', async () => {
    const reviews = join(import.meta.dirname, '../../fixtures/reviews');
    const { status, stdout } = await bench('--reviews', reviews, '--json');
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ report: 1, bundle: digest, reviews: 36 });
    expect(report.speeds.map(({ policy: name }: { policy: string }) => name)).toEqual(['all', 'admission.host']);
    for (const speed of report.speeds) {
      expect(speed).toMatchObject({ reviews: 36, failed: 0 });
      expect(speed.evaluations).toBeGreaterThan(0);
      expect(speed.p50).toBeLessThanOrEqual(speed.p99);
    }
  });

  it('takes a sample pod where no reviews are given, and prints a table', async () => {
    const { status, stdout } = await bench();
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^policy {10}reviews {2}per second .*\nall .*\nadmission\.host {8}1 .*\n\n1 review of \d+ bytes/,
    );
  });

  it('says what is wrong with reviews that cannot be used', async () => {
    for (const path of [given('missing'), given('none.json'), folder({})]) {
      expect(await bench('--reviews', path)).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('REQUEST_INVALID'),
      });
    }
  });
});
