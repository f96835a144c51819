// Policies that look at other objects of a real cluster: a host that is taken is refused once its Ingress exists, and free again once
// that is gone; policies that change while requests arrive.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LedgerReader } from '../../src/ledger/reader.ts';
import { type ControlPlane, startControlPlane } from '../../tools/cluster/control-plane.ts';
import { type Sealgate, startSealgate } from '../support/sealgate.ts';

const POLICY = `# METADATA
# custom:
#   match:
#     kinds: [Ingress]
#     operations: [CREATE, UPDATE]
package admission.ingress_hosts

deny contains message if {
	some rule in input.request.object.spec.rules
	some namespace, by_version in data.inventory.namespace
	some name, other in by_version["networking.k8s.io/v1"].Ingress
	[namespace, name] != [input.request.namespace, input.request.name]
	some taken in other.spec.rules
	taken.host == rule.host
	message := sprintf("host %s belongs to %s/%s", [rule.host, namespace, name])
}
`;

const RESOURCES = [
  { group: 'networking.k8s.io', version: 'v1', resource: 'ingresses' },
  { version: 'v1', resource: 'namespaces' },
];
const WAIT = { timeout: 60_000, interval: 50 };

interface Decision {
  readonly verdict: { readonly data?: { revision: number; time: string; resourceVersions: Record<string, string> } };
  readonly review: { readonly request: { readonly name?: string; readonly dryRun?: boolean } };
}

describe('an inventory of a real cluster', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-inventory-'));
  const policies = join(dir, 'policies');
  const dataDir = join(dir, 'data');
  let gate: Sealgate;
  let plane: ControlPlane;

  beforeAll(async () => {
    mkdirSync(policies);
    writeFileSync(join(policies, 'hosts.rego'), POLICY);
    plane = await startControlPlane({
      dir: join(dir, 'plane'),
      users: [{ name: 'reader', groups: ['sealgate'] }],
    });
    gate = await startSealgate({
      ...{ dataDir, policyDir: policies },
      args: [
        ...[
          '--inventory-kubeconfig',
          plane.kubeconfigFor('reader'),
          '--inventory-resources',
          JSON.stringify(RESOURCES),
        ],
        ...['--policy-reload-seconds', '1'],
      ],
      wait: false,
    });
  }, 180_000);

  afterAll(async () => {
    await plane?.stop();
    await gate?.stop();
    rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  const readyz = async (): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${gate.ports.metrics}/readyz?verbose`).catch(() => undefined);
    return (await answer?.text()) ?? '';
  };
  const ingress = (name: string, host: string, ...more: string[]) =>
    plane.kubectl(['create', 'ingress', name, `--rule=${host}/*=web:80`, ...more]);
  const decisions = (): Decision[] => {
    const reader = LedgerReader.open(join(dataDir, 'ledger'));
    try {
      return [...reader.entries(0, 0)]
        .filter(({ leaf }) => leaf.kind === 'decision')
        .map(({ body }) => JSON.parse(body.toString()) as Decision);
    } finally {
      reader.close();
    }
  };

  it('is not ready, and says which permission is missing, until it may be read', async () => {
    await expect
      .poll(readyz, WAIT)
      .toMatch(/\[-\]inventory failed: .*ingresses.* is forbidden: User "reader" cannot list/);
    const rule = ['--verb=list,watch', '--resource=ingresses.networking.k8s.io,namespaces'];
    expect(await plane.kubectl(['create', 'clusterrole', 'inventory', ...rule])).toMatchObject({ code: 0 });
    const binding = ['create', 'clusterrolebinding', 'inventory', '--clusterrole=inventory', '--user=reader'];
    expect(await plane.kubectl(binding)).toMatchObject({ code: 0 });
    await expect
      .poll(readyz, { ...WAIT, timeout: 120_000 })
      .toMatch(/\[\+\]inventory ok.*\n(.*\n)*readyz check passed/);
  }, 180_000);

  it('makes a host that is taken refused, and free again when its Ingress is gone', async () => {
    await plane.installWebhook({
      url: `https://127.0.0.1:${gate.ports.admission}/v1/admit`,
      caBundle: gate.tls('admission', 'ca.crt'),
    });
    await expect
      .poll(async () => {
        await plane.kubectl(['create', 'configmap', 'probe', '--dry-run=server']);
        return decisions().length;
      }, WAIT)
      .toBeGreaterThan(0);
    expect(await ingress('first', 'shop.example.com')).toMatchObject({ code: 0 });
    const refused = async (): Promise<string> =>
      (await ingress('second', 'shop.example.com', '--dry-run=server')).stderr;
    await expect.poll(refused, WAIT).toContain('host shop.example.com belongs to default/first');
    expect(await ingress('second', 'other.example.com', '--dry-run=server')).toMatchObject({ code: 0 });

    const { verdict } = decisions().findLast(({ review }) => review.request.name === 'second') ?? {};
    expect(verdict?.data).toMatchObject({ revision: expect.any(Number), time: expect.stringMatching(/^20.*Z$/) });
    const version = await plane.kubectl(['get', 'ingress', 'first', '-o', 'jsonpath={.metadata.resourceVersion}']);
    const seen = Number(verdict?.data?.resourceVersions['networking.k8s.io/v1/ingresses']);
    expect(seen).toBeGreaterThanOrEqual(Number(version.stdout));

    expect(await plane.kubectl(['delete', 'ingress', 'first'])).toMatchObject({ code: 0 });
    await expect.poll(refused, WAIT).toBe('');
  }, 180_000);

  it('stays, and the policies change, while it runs', async () => {
    expect(await ingress('third', 'third.example.com')).toMatchObject({ code: 0 });
    writeFileSync(join(policies, 'hosts.rego'), POLICY.replace('belongs to', 'is held by'));
    const refused = async (): Promise<string> =>
      (await ingress('fourth', 'third.example.com', '--dry-run=server')).stderr;
    await expect.poll(refused, WAIT).toContain('host third.example.com is held by default/third');
    writeFileSync(join(policies, 'hosts.rego'), `${POLICY}\nbroken if`);
    await expect.poll(readyz, WAIT).toMatch(/\[\+\]policies ok: .*not in use: hosts\.rego/);
    expect(await refused()).toContain('is held by');
  }, 180_000);
});
