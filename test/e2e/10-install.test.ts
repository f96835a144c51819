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
  prepare,
  queried,
  SOON,
} from './cluster.ts';
import { documented } from './documented.ts';
import { PAUSE_IMAGE } from './images.ts';

let here: Cluster;
beforeAll(async () => {
  here = await cluster();
}, 400_000);

describe('the chart', () => {
  it('is installed by the commands of docs/install.md and becomes ready', async () => {
    const prepared = await prepare(here);
    expect(prepared.code, prepared.stderr).toBe(0);
    const secret = Object.entries(here.storeEnvironment)
      .filter(([name]) => name.startsWith('AWS_'))
      .map(([name, value]) => `--from-literal=${name}=${value}`);
    expect((await here.kubectl('create', 'secret', 'generic', 'bucket', '-n', NAMESPACE, ...secret)).code).toBe(0);
    const installed = await install(here);
    expect(installed.code, `${installed.stderr}\n${await podsAndLogs(here)}`).toBe(0);
  }, 300_000);

  it('fails closed since the API server has had an answer, and nobody is left who may change that', async () => {
    const { stdout } = await here.kubectl('get', 'validatingwebhookconfiguration', 'sealgate', '-o', 'json');
    const { webhooks } = JSON.parse(stdout) as { webhooks: { name: string; failurePolicy: string }[] };
    expect(webhooks).toMatchObject([{ name: 'admission.sealgate.dev', failurePolicy: 'Fail' }]);
    const kinds = 'serviceaccounts,jobs,clusterroles,clusterrolebindings';
    const left = await here.kubectl('get', kinds, '-n', NAMESPACE, '-o', 'name');
    expect(left.stdout).not.toContain('enforcement');
  });

  it('passes its own test', async () => {
    const tested = await here.helm('test', 'sealgate', '--namespace', NAMESPACE, '--logs', '--timeout=3m');
    expect(tested.code, tested.stderr + tested.stdout).toBe(0);
    expect(tested.stdout).toContain('admission: TLS verified');
  }, 200_000);

  it('denies, warns and allows', async () => {
    const [command = ''] = documented('docs/install.md', 'kubectl run bad').split('\n');
    // The API server and kube-proxy take a new webhook and its pods up within a second or so.
    await expect
      .poll(async () => (await here.shell(command)).stderr, SOON)
      .toContain('admission webhook "admission.sealgate.dev" denied the request');
    const warned = await here.kubectl('run', 'warned', `--image=${PAUSE_IMAGE}`);
    expect(warned.code, warned.stderr).toBe(0);
    expect(warned.stderr).toMatch(/^Warning: .*resources\.limits\.memory/m);
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

  it('shows the denial by the commands of docs/install.md', async () => {
    const [forward = '', query = ''] = documented('docs/install.md', 'port-forward').trim().split('\n');
    expect(forward).toMatch(/^kubectl .* port-forward sealgate-0 8080 &$/);
    const shown = async () => {
      const { code, stdout, stderr } = await here.shell(
        `${forward}
        trap "kill $!" EXIT
        until sealgate query --limit 1 >/dev/null 2>&1; do sleep 0.5; done
        ${query}`,
      );
      return `${stdout}${stderr} ${code}`;
    };
    // Whichever replica decided: the one that is asked knows of it as soon as it has found the other.
    await expect.poll(shown, SOON).toMatch(/ pods .*\bbad\b.* 0$/s);
  });

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
