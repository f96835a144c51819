// The audit stream gets another CA by the commands of docs/install.md, in Secrets of a real API server that begin with what the chart
// made: no batch is refused during the change, and afterwards the old client certificate is.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { register } from '../../src/cli/certificate.ts';
import { openCertificates } from '../../src/kube/certificates.ts';
import { openListener, type TlsListener } from '../../src/server/listener.ts';
import { render } from '../../tools/chart/render.ts';
import { startControlPlane } from '../../tools/cluster/control-plane.ts';
import { toolPath } from '../../tools/tool-path.ts';
import { documented } from '../e2e/documented.ts';
import { runCommandAsync } from '../unit/cli/run-command.ts';
import { call } from '../unit/server/client.ts';

const HOST = 'sealgate-audit.sealgate-system.svc';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

it('changes the CA of the audit stream without a batch that is refused, and refuses the old client afterwards', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-audit-ca-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const plane = await startControlPlane({ dir: join(dir, 'plane') });
  onTestFinished(() => plane.stop());
  const apply = await plane.kubectl(['create', 'namespace', 'sealgate-system']);
  expect(apply.code, apply.stderr).toBe(0);
  const secrets = await plane.kubectl(['apply', '-f', '-'], { input: render('--show-only=templates/secrets.yaml') });
  expect(secrets.code, secrets.stderr).toBe(0);
  /** The files of a Secret. */
  const secretOf = async (name: string): Promise<Record<string, string>> => {
    const { stdout } = await plane.kubectl(['get', 'secret', name, '-n', 'sealgate-system', '-o', 'json']);
    const { data } = JSON.parse(stdout) as { data: Record<string, string> };
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    );
  };
  /** As the kubelet puts the Secret of the listener into a pod. */
  const mount = async () => {
    for (const [name, text] of Object.entries(await secretOf('sealgate-audit-tls')))
      writeFileSync(join(dir, name), text, { mode: 0o600 });
  };
  /** What an API server gets in its kubeconfig. */
  const client = async () => {
    const { 'ca.crt': ca = '', 'tls.crt': cert = '', 'tls.key': key = '' } = await secretOf('sealgate-audit-client');
    return { ca, cert, key };
  };
  const functions = `kubectl() { '${toolPath('kubectl')}' --kubeconfig '${plane.kubeconfig}' "$@"; }
    sealgate() { '${process.execPath}' '${MAIN}' "$@"; }`;
  const [begin, end] = ['sealgate certificate audit', 'entry ca.crt new/ca.crt'].map((part) =>
    documented('docs/install.md', part),
  ) as [string, string];
  const type = (commands: string) => {
    // The second block uses what the first one defined.
    const definitions = begin.split('\n').filter((line) => /^(ns=|[a-z]+\(\))/.test(line));
    const script = ['set -e', functions, ...definitions, commands].join('\n');
    const { status, stderr } = spawnSync('bash', ['-c', script], { cwd: dir, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
  };
  await mount();
  const before = await client();

  let listener: TlsListener | undefined;
  const problems: string[] = [];
  const certificates = await openCertificates({
    ...{ dir: join(dir, 'issued'), name: 'audit', hostnames: [], validityDays: 90, caValidityDays: 900, client: true },
    given: { certFile: join(dir, 'tls.crt'), keyFile: join(dir, 'tls.key'), clientCaFile: join(dir, 'ca.crt') },
    now: () => Date.now(),
    onChange: ({ material }) => listener?.setMaterial(material),
    onProblem: (error) => problems.push(error.message),
  });
  onTestFinished(() => certificates.close());
  listener = await openListener({
    ...{ name: 'audit', host: '127.0.0.1', port: 0, material: certificates.current.material },
    clientCertificates: 'required',
    routes: [
      {
        method: 'POST',
        path: '/v1/audit',
        bodyLimitBytes: 1000,
        handler: async ({ body }) => ({ status: 200, headers: {}, body }),
      },
    ],
    limits: {
      ...{ maxConnections: 100, headersTimeoutMs: 60_000, requestTimeoutMs: 60_000, keepAliveTimeoutMs: 60_000 },
      maxInFlightBytes: 1_000_000,
    },
    metrics: { rejected: () => {}, opened: () => {} },
    log: { error: () => {} },
  });
  onTestFinished(async () => void (await listener?.drain(0)));
  const port = listener.port;
  /** A batch of an API server with this kubeconfig, on a connection of its own. */
  const batch = async (kubeconfig: { ca: string; cert: string; key: string }) =>
    (await call(port, { ...kubeconfig, servername: HOST } as never, { path: '/v1/audit' })).status;

  expect(await batch(before)).toBe(200);
  type(begin);
  const made = join(dir, 'new');
  expect(existsSync(join(made, 'ca.key'))).toBe(false);
  expect(statSync(join(made, 'client.key')).mode & 0o077).toBe(0);
  const after = await client();
  // The replicas have not read the Secret yet: nobody new is let in, nobody shut out.
  expect(await batch(before)).toBe(200);
  await expect(batch(after)).rejects.toThrow();
  // They have: API servers get their new kubeconfig one by one.
  await mount();
  await certificates.check();
  expect([await batch(before), await batch(after)]).toEqual([200, 200]);
  type(end);
  await mount();
  await certificates.check();
  expect(await batch(after)).toBe(200);
  expect(await batch({ ...after, ca: (await client()).ca })).toBe(200);
  await expect(batch({ ...before, ca: after.ca })).rejects.toThrow();
  expect(problems).toEqual([]);

  const args = ['certificate', 'audit', made, '--old', join(dir, 'ca.crt'), '--hostname', HOST];
  const again = await runCommandAsync(register, args);
  expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('is there already') });
  const noDays = await runCommandAsync(register, [...args, '--days', 'ten']);
  expect(noDays).toMatchObject({ status: 2, stderr: expect.stringContaining('--days') });
});
