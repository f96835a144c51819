import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RULES, SEVERITIES } from '../../../src/detect/finding.ts';
import { createMetrics } from '../../../src/server/metrics.ts';
import { type Asked, asked, configuration, watched } from './support.ts';

const SELF = 'system:serviceaccount:sealgate-system:sealgate';
const CONTROLLER = 'system:serviceaccount:kube-system:replicaset-controller';
const OWN = { group: '', resource: 'configmaps', namespace: 'sealgate-system', name: 'c', verb: 'update' };
const OBJECT = { ...OWN, resource: 'pods', namespace: 'shop', name: 'p', verb: 'create' };
const OTHER = { resource: 'mutatingwebhookconfigurations', name: 'injector', verb: 'update' };
const exec = { ...OWN, verb: 'get', resource: 'pods', name: 'sealgate-0', subresource: 'exec', code: 101 };
const labelled = (value: unknown) => ({ metadata: { name: 'p', labels: { 'sealgate.dev/exempt': value } } });
const patch = (...operations: object[]) => ({ requestObject: operations });

/** `rule severity` of what is found in each batch of one event. */
async function foundIn(...requests: Asked[]): Promise<string[][]> {
  const { send, findings } = await watched();
  const found: string[][] = [];
  let seen = 0;
  for (const request of requests) {
    expect(await send(asked(request))).toBe(200);
    const all = findings();
    found.push(all.slice(seen).map(({ rule, severity }) => `${rule} ${severity}`));
    seen = all.length;
  }
  return found;
}

describe('a request', () => {
  const of = (changes: object, webhook?: string) => ({ responseObject: configuration(changes, webhook) });
  it.each<[string, Asked, string[]]>([
    ['that deletes the webhook configuration', {}, ['webhook-deleted critical']],
    ['of an expected user that does', { user: 'helm' }, ['webhook-deleted high']],
    ['that deletes all of them', { verb: 'deletecollection', name: '' }, ['webhook-deleted critical']],
    [
      'that deletes some of them, not ours',
      { verb: 'deletecollection', name: '', rest: { responseObject: { items: [{ metadata: { name: 'x' } }] } } },
      ['admission-config-changed low'],
    ],
    ['that takes the webhook out of it', { verb: 'patch', rest: of({}, 'x') }, ['webhook-deleted critical']],
    ['that was not let delete it', { code: 403 }, ['webhook-changed low']],
    ['that did not find it', { code: 404 }, []],
    ['whose outcome nobody knows', { code: 504 }, ['webhook-deleted critical']],
    ['that only tries', { rest: { requestURI: '/apis/x?dryRun=All' } }, []],
    ['that reads it', { verb: 'get' }, []],
    ['that creates it', { verb: 'create', rest: of({}) }, ['webhook-changed medium']],
    ['that changes it, at level Metadata', { verb: 'patch' }, ['webhook-changed high']],
    ['of Sealgate itself, which renews its CA', { verb: 'patch', user: SELF }, ['webhook-changed low']],
    [
      'of one who impersonates Sealgate',
      { rest: { impersonatedUser: { username: SELF } } },
      ['webhook-deleted critical'],
    ],
    ['that changes another webhook', { ...OTHER }, ['admission-config-changed low']],
    [
      'that changes what protects Sealgate',
      { resource: 'validatingadmissionpolicies', name: 'sealgate-objects' },
      ['admission-config-changed high'],
    ],
    ['that changes an object of ours', OWN, ['object-changed medium']],
    ['of an expected user that does', { ...OWN, user: 'helm' }, ['object-changed low']],
    ['of Sealgate itself that does its work', { ...OWN, user: SELF }, []],
    ['of Sealgate itself that keeps its certificate', { ...OWN, user: SELF, resource: 'secrets' }, []],
    [
      'of Sealgate itself that never should',
      { ...OWN, user: SELF, resource: 'statefulsets' },
      ['object-changed medium'],
    ],
    ['of a controller', { ...OWN, user: CONTROLLER, resource: 'pods', verb: 'delete' }, []],
    ['that deletes a volume', { ...OWN, resource: 'persistentvolumeclaims', verb: 'delete' }, ['object-changed high']],
    [
      'that scales the StatefulSet',
      { ...OWN, group: 'apps', resource: 'statefulsets', subresource: 'scale' },
      ['object-changed medium'],
    ],
    [
      'that deletes the namespace',
      { ...OWN, resource: 'namespaces', name: 'sealgate-system', verb: 'delete' },
      ['object-changed high'],
    ],
    [
      'that drains a node',
      { ...OWN, resource: 'pods', subresource: 'eviction', verb: 'create' },
      ['object-changed low'],
    ],
    ['that writes an Event, as Sealgate does', { ...OWN, resource: 'events', verb: 'create' }, []],
    ['that renews a lease', { ...OWN, group: 'coordination.k8s.io', resource: 'leases' }, []],
    ['that reads an object of ours', { ...OWN, verb: 'list' }, []],
    ['that changes another namespace', { ...OWN, namespace: 'shop' }, []],
    ['that runs a command in a pod of ours', exec, ['session high']],
    ['that was not let', { ...exec, code: 403 }, ['session low']],
    ['that runs one in a pod of others', { ...exec, namespace: 'shop' }, []],
    [
      'that puts a container into a pod of ours',
      { ...exec, verb: 'patch', subresource: 'ephemeralcontainers' },
      ['session high'],
    ],
    ['that forwards a port, as a query does', { ...exec, subresource: 'portforward' }, ['session low']],
    ['that reads the log of a pod', { ...exec, subresource: 'log' }, []],
    ['that creates an exempt object', { ...OBJECT, rest: { requestObject: labelled('') } }, ['exemption-set high']],
    [
      'of a controller that does',
      { ...OBJECT, user: CONTROLLER, rest: { requestObject: labelled('') } },
      ['exemption-set low'],
    ],
    [
      'whose answer has the label',
      { ...OBJECT, verb: 'patch', rest: { responseObject: labelled('y') } },
      ['exemption-set high'],
    ],
    ['that was not let', { ...OBJECT, code: 422, rest: { requestObject: labelled('') } }, ['exemption-set low']],
    [
      'that sets the label by a JSON patch',
      {
        ...OBJECT,
        verb: 'patch',
        rest: patch({ op: 'add', path: '/metadata/labels/sealgate.dev~1exempt', value: '' }),
      },
      ['exemption-set high'],
    ],
    [
      'that sets all labels by a JSON patch',
      {
        ...OBJECT,
        verb: 'patch',
        rest: patch({ op: 'add', path: '/metadata/labels', value: { 'sealgate.dev/exempt': '' } }),
      },
      ['exemption-set high'],
    ],
    [
      'about a template with the label, which exempts nothing itself',
      { ...OBJECT, rest: { requestObject: { metadata: {}, spec: { template: labelled('') } } } },
      [],
    ],
    [
      'that changes the status of an exempt object',
      { ...OBJECT, subresource: 'status', rest: { responseObject: labelled('') } },
      [],
    ],
  ])('%s', async (_, request, expected) => {
    expect(await foundIn(request)).toEqual([expected]);
  });

  it('that changes the configuration is told by what it changed, and back again by how long that was', async () => {
    const { send, findings } = await watched();
    const change = (at: number, changes: object, user = 'alice') =>
      send(asked({ verb: 'update', user, at, rest: of(changes) }));
    await change(0, {}, 'helm');
    await change(1, { clientConfig: { url: 'https://127.0.0.1/x', caBundle: 'Qg==' } });
    await change(2, {});
    await change(60, { failurePolicy: 'Ignore', timeoutSeconds: 1 });
    await change(120, { failurePolicy: 'Ignore' });
    await change(180, {});
    expect(
      findings().map(({ rule, severity, changed, stretch }) => [rule, severity, changed, stretch?.seconds]),
    ).toEqual([
      ['webhook-changed', 'low', undefined, undefined],
      ['webhook-changed', 'info', ['admission.sealgate.dev.clientConfig.caBundle'], undefined],
      ['webhook-changed', 'info', ['admission.sealgate.dev.clientConfig.caBundle'], undefined],
      [
        ...['webhook-changed', 'high'],
        ['admission.sealgate.dev.failurePolicy', 'admission.sealgate.dev.timeoutSeconds'],
        undefined,
      ],
      ['webhook-changed', 'high', ['admission.sealgate.dev.timeoutSeconds'], undefined],
      ['webhook-restored', 'info', ['admission.sealgate.dev.failurePolicy'], 120],
    ]);
  });

  it('that only renews the CA of another webhook, or changes nothing, is no news', async () => {
    const content = (caBundle: string, rest = {}) => ({
      responseObject: { kind: 'x', webhooks: [{ name: 'a', clientConfig: { caBundle }, ...rest }] },
    });
    expect(
      await foundIn(
        { ...OTHER, rest: content('A') },
        { ...OTHER, rest: content('B') },
        { ...OTHER, rest: content('B') },
        { ...OTHER, rest: content('B', { failurePolicy: 'Fail' }) },
        { ...OTHER, verb: 'delete' },
      ),
    ).toEqual([
      ['admission-config-changed low'],
      [],
      [],
      ['admission-config-changed low'],
      ['admission-config-changed low'],
    ]);
  });

  it('that opens a session is one finding, though its beginning and its end are two events', async () => {
    const begun = { ...exec, at: 7, rest: { stage: 'ResponseStarted' } };
    expect(await foundIn(begun, { ...exec, at: 7 }, { ...exec, at: 8 })).toEqual([
      ['session high'],
      [],
      ['session high'],
    ]);
  });

  it('that exempts an object is found once, until it loses the label', async () => {
    const { send, findings } = await watched();
    const set = { ...OBJECT, verb: 'update', rest: { requestObject: labelled('') } };
    await send(asked({ ...set, at: 1 }));
    await send(asked({ ...set, at: 2 }));
    await send(asked({ ...OBJECT, verb: 'patch', at: 3, rest: { requestObject: { spec: {} } } }));
    await send(asked({ ...OBJECT, verb: 'patch', at: 4, rest: { requestObject: labelled(null) } }));
    await send(asked({ ...set, at: 5 }));
    await send(asked({ ...OBJECT, verb: 'delete', at: 9 }));
    expect(findings().map(({ rule, stretch }) => [rule, stretch?.seconds])).toEqual([
      ['exemption-set', undefined],
      ['exemption-removed', 3],
      ['exemption-set', undefined],
      ['exemption-removed', 4],
    ]);
  });
});

describe('the rules', () => {
  it('are each in docs/findings.md and, with every severity that occurs, in the metrics', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/findings.md'), 'utf8');
    const documented = [...page.matchAll(/^\| `([a-z-]+)` \| ([a-z, ]+) \|/gm)];
    expect(documented.map(([, rule]) => rule)).toEqual([...RULES]);
    const { registry } = createMetrics('0');
    const metrics = await registry.getSingleMetricAsString('sealgate_findings_total');
    for (const [, rule, severities = ''] of documented) {
      const counted = [...metrics.matchAll(/rule="([a-z-]+)",severity="([a-z]+)"/g)].filter(([, of]) => of === rule);
      expect(counted.map(([, , severity]) => severity)).toEqual(severities.split(', '));
      for (const severity of severities.split(', ')) expect(SEVERITIES).toContain(severity);
    }
  });
});
