// What docs/install.md promises in ten minutes: installed, ready, a denial and its record on the screen, the audit stream joined.
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  auditFiles,
  type Cluster,
  cluster,
  goodPod,
  install,
  NAMESPACE,
  podsAndLogs,
  queried,
  SOON,
} from './cluster.ts';

let here: Cluster;
beforeAll(async () => {
  here = await cluster();
}, 400_000);

describe('the chart', () => {
  it('installs in one command and becomes ready', async () => {
    await here.kubectl('create', 'namespace', NAMESPACE);
    const labelled = await here.kubectl(
      'label',
      'namespace',
      NAMESPACE,
      'pod-security.kubernetes.io/enforce=restricted',
    );
    expect(labelled.code).toBe(0);
    const secret = Object.entries(here.storeEnvironment)
      .filter(([name]) => name.startsWith('AWS_'))
      .map(([name, value]) => `--from-literal=${name}=${value}`);
    expect((await here.kubectl('create', 'secret', 'generic', 'bucket', '-n', NAMESPACE, ...secret)).code).toBe(0);
    const installed = await install(here);
    expect(installed.code, `${installed.stderr}\n${await podsAndLogs(here)}`).toBe(0);
  }, 300_000);

  it('passes its own test', async () => {
    const tested = await here.helm('test', 'sealgate', '--namespace', NAMESPACE, '--logs', '--timeout=3m');
    expect(tested.code, tested.stderr + tested.stdout).toBe(0);
    expect(tested.stdout).toContain('admission: TLS verified');
  }, 200_000);

  it('denies, warns and allows', async () => {
    const denied = await here.kubectl('run', 'bad', '--image=nginx', '--privileged');
    expect(denied.stderr).toContain('admission webhook "admission.sealgate.dev" denied the request');
    await expect
      .poll(async () => {
        const { code, stderr } = await here.plane.kubectl(['create', '-f', '-'], {
          input: JSON.stringify(goodPod('good')),
        });
        return code === 0 ? 'created' : stderr;
      }, SOON)
      .toBe('created');
    const running = await here.kubectl('wait', 'pod/good', '--for=condition=Ready', '--timeout=120s');
    expect(running.code, running.stderr).toBe(0);
  }, 200_000);

  it('gets the audit stream by the files that docs/install.md makes', async () => {
    const folder = await auditFiles(here);
    await here.plane.restartApiServer([
      `--audit-policy-file=${join(folder, 'audit-policy.yaml')}`,
      `--audit-webhook-config-file=${join(folder, 'audit-webhook.kubeconfig')}`,
      '--audit-webhook-batch-max-wait=1s',
    ]);
    await expect.poll(async () => (await here.kubectl('get', '--raw', '/readyz')).stdout, SOON).toBe('ok');
  }, 200_000);

  it('shows a denial joined with its audit event through kubectl port-forward to any replica, whoever has which', async () => {
    const denied = await here.kubectl('run', 'worse', '--image=nginx', '--privileged');
    expect(denied.stderr).toContain('denied the request');
    for (const pod of ['sealgate-0', 'sealgate-1']) {
      const joined = async () => {
        const found = await queried(here, pod, '--name', 'worse');
        const decision = found.find(({ kind }) => kind === 'decision');
        const event = found.find(({ kind }) => kind === 'event');
        return { decision, event };
      };
      await expect.poll(joined, SOON).toMatchObject({
        decision: {
          allowed: false,
          namespace: 'default',
          user: 'admin',
          verb: 'create',
          links: [{ state: 'verified' }],
        },
        event: { code: 403, namespace: 'default', user: 'admin', links: [{ state: 'verified' }] },
      });
    }
  });
});
