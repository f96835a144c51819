// With the chart's webhook registered and nobody to answer it, a cluster still comes back. An API server may have something to set up, such
// as roles of a newer version: where that is denied, kube-apiserver ends itself. OpenShift's operators start its control plane.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { render } from '../../tools/chart/render.ts';
import { type ControlPlane, startControlPlane } from '../../tools/cluster/control-plane.ts';

const dir = mkdtempSync(join(tmpdir(), 'sealgate-chart-api-server-'));
let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ dir });
});
afterAll(async () => {
  await plane?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** What kube-apiserver makes when it is missing: a start without the first two fails, the third it tries for minutes. */
const OWN = [
  ['clusterrole', 'system:public-info-viewer'],
  ['role', 'system:controller:bootstrap-signer', '--namespace=kube-public'],
  ['flowschema', 'probes'],
];

/** The chart's webhook, whose Service is not there. Resolves when the API server asks for it. */
async function register(...args: string[]): Promise<void> {
  const configuration = parseAllDocuments(render(...args))
    .map((document) => document.toJS() as { kind?: string } | null)
    .find((object) => object?.kind === 'ValidatingWebhookConfiguration');
  const applied = await plane.kubectl(['apply', '-f', '-'], { input: JSON.stringify(configuration) });
  expect(applied.code, applied.stderr).toBe(0);
  await expect.poll(denied).toContain('failed calling webhook');
}

const denied = async () =>
  (await plane.kubectl(['create', 'clusterrole', 'x', '--verb=get', '--resource=pods', '--dry-run=server'])).stderr;

it('an API server that has to set itself up starts while nobody answers the webhook', async () => {
  for (const own of OWN) expect((await plane.kubectl(['delete', ...own])).code).toBe(0);
  await register();

  await plane.restartApiServer([]);
  for (const own of OWN) expect((await plane.kubectl(['get', ...own])).stderr).toBe('');
  // What anybody else does to the same kinds of object waits for Sealgate as before.
  await expect.poll(denied).toContain('failed calling webhook');
  await plane.removeWebhook();
});

it("OpenShift's own namespaces do not wait for it, those of users do", async () => {
  const namespaces = ['openshift-etcd', 'my-openshift-things'];
  for (const namespace of namespaces)
    await expect
      .poll(async () => (await plane.kubectl(['create', 'namespace', namespace])).stderr)
      .toMatch(/^$|AlreadyExists/);
  await register('--set=openshift=true');
  const create = async (namespace = '') =>
    (await plane.kubectl(['create', 'configmap', 'x', '-n', namespace, '--dry-run=server'])).stderr;
  expect(await create(namespaces[0])).toBe('');
  expect(await create(namespaces[1])).toContain('failed calling webhook');
  await plane.removeWebhook();
});

it('network plugins go on giving addresses to pods, and their policies wait', async () => {
  const group = 'crd.projectcalico.org';
  const kinds = { ipamblocks: 'IPAMBlock', globalnetworkpolicies: 'GlobalNetworkPolicy' };
  for (const [plural, kind] of Object.entries(kinds)) {
    const schema = { openAPIV3Schema: { type: 'object' } };
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.${group}` },
      spec: {
        ...{ group, scope: 'Cluster', names: { plural, kind } },
        versions: [{ name: 'v1', served: true, storage: true, schema }],
      },
    };
    await expect
      .poll(async () => (await plane.kubectl(['create', '-f', '-'], { input: JSON.stringify(definition) })).stderr)
      .toMatch(/^$|AlreadyExists/);
    const established = ['wait', `crd/${plural}.${group}`, '--for=condition=Established', '--timeout=60s'];
    expect((await plane.kubectl(established)).code).toBe(0);
  }
  await register();
  const create = async (kind: string) => {
    const object = { apiVersion: `${group}/v1`, kind, metadata: { name: 'x' } };
    return (await plane.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) })).stderr;
  };
  expect(await create(kinds.ipamblocks)).toBe('');
  expect(await create(kinds.globalnetworkpolicies)).toContain('failed calling webhook');
  await plane.removeWebhook();
});
