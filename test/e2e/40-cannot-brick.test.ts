// A cluster without Sealgate: what is exempt goes on, it comes back by itself although its own webhook is registered and nobody answers,
// and there is a way out.
import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, cluster, goodPod, NAMESPACE, podsAndLogs, queried, SOON, upgrade } from './cluster.ts';

let here: Cluster;
beforeAll(async () => {
  here = await cluster();
});

const create = (object: object) => here.plane.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) });
const configMap = (name: string, namespace: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
});

describe('with every replica gone', () => {
  it('what is not exempt is denied, with the reason', async () => {
    await here.kubectl('scale', 'statefulset', 'sealgate', '-n', NAMESPACE, '--replicas=0');
    await expect
      .poll(
        async () =>
          (await here.kubectl('get', 'pods', '-n', NAMESPACE, '-l', 'app.kubernetes.io/name=sealgate', '-o', 'name'))
            .stdout,
        SOON,
      )
      .not.toMatch(/sealgate-\d/);
    const denied = await create(configMap('while-away', 'default'));
    expect(denied.stderr).toContain('failed calling webhook "admission.sealgate.dev"');
  });

  it('exempt namespaces and resources go on: pods of the control plane, leases, nodes', async () => {
    expect((await create(configMap('while-away', 'kube-system'))).stderr).toBe('');
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'away', namespace: 'default' },
    };
    expect((await create(lease)).stderr).toBe('');
    const pod = goodPod('while-away') as { metadata: { namespace: string } };
    pod.metadata.namespace = 'kube-system';
    expect((await create(pod)).stderr).toBe('');
    const running = await here.kubectl(
      'wait',
      'pod/while-away',
      '-n',
      'kube-system',
      '--for=condition=Ready',
      '--timeout=180s',
    );
    expect(running.code, running.stderr).toBe(0);
    const labelled = await here.kubectl('label', 'node', '--all', 'while=away');
    expect(labelled.stderr).toBe('');
  });

  it('comes back although its own webhook is registered and nobody answers it', async () => {
    await here.kubectl('scale', 'statefulset', 'sealgate', '-n', NAMESPACE, '--replicas=2');
    const rolled = await here.kubectl('rollout', 'status', 'statefulset/sealgate', '-n', NAMESPACE, '--timeout=180s');
    expect(rolled.code, await podsAndLogs(here)).toBe(0);
    await expect.poll(async () => (await create(configMap('back', 'default'))).stderr, SOON).toBe('');
  });

  it('is passed by when its webhook configuration is deleted, until helm upgrade puts it back', async () => {
    expect((await here.kubectl('delete', 'validatingwebhookconfiguration', 'sealgate')).code).toBe(0);
    await expect
      .poll(
        async () =>
          (await here.kubectl('run', `unchecked-${Date.now()}`, '--image=nginx', '--privileged', '--dry-run=server'))
            .code,
        SOON,
      )
      .toBe(0);
    // With the job that Helm 3 needs when it uninstalls; it is there from now on.
    const upgraded = await upgrade(here, 'removalHook=true');
    expect(upgraded.code, upgraded.stderr).toBe(0);
    await expect
      .poll(
        async () => (await here.kubectl('run', 'checked', '--image=nginx', '--privileged', '--dry-run=server')).stderr,
        SOON,
      )
      .toContain('denied the request');
    // Who broke the glass, and for how long, is on record; a replica that heard of the deletion alone learns of the end by a request.
    const findings = async () => {
      await create(configMap(`asked-${Date.now()}`, 'default'));
      const of = (rule: string) => queried(here, 'sealgate-0', '--kind', 'finding', '--policy', rule);
      return [(await of('webhook-deleted')).length > 0, (await of('webhook-restored')).length > 0];
    };
    await expect.poll(findings, SOON).toEqual([true, true]);
  });
});
