// With the chart's webhook registered and nobody to answer it, an API server still starts, although it has something to set up: a newer
// version that brings roles of its own, say. Where that is denied, kube-apiserver ends itself, and the cluster stays away.
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

it('an API server that has to set itself up starts while nobody answers the webhook', async () => {
  for (const own of OWN) expect((await plane.kubectl(['delete', ...own])).code).toBe(0);
  const configuration = parseAllDocuments(render())
    .map((document) => document.toJS() as { kind?: string } | null)
    .find((object) => object?.kind === 'ValidatingWebhookConfiguration');
  const applied = await plane.kubectl(['apply', '-f', '-'], { input: JSON.stringify(configuration) });
  expect(applied.code, applied.stderr).toBe(0);
  const denied = () => plane.kubectl(['create', 'clusterrole', 'x', '--verb=get', '--resource=pods']);
  await expect.poll(async () => (await denied()).stderr).toContain('failed calling webhook');

  await plane.restartApiServer([]);
  for (const own of OWN) expect((await plane.kubectl(['get', ...own])).stderr).toBe('');
  // What anybody else does to the same kinds of object waits for Sealgate as before.
  await expect.poll(async () => (await denied()).stderr).toContain('failed calling webhook');
});
