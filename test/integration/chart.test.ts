// The Helm chart: what it renders is safe by default, a real API server takes every object of it, values that make no sense are
// refused by name, and installing, upgrading and removing it leaves what it should.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { PeerClient } from '../../src/api/peer-client.ts';
import { PEER_PATH } from '../../src/api/peer-protocol.ts';
import { loadSettings } from '../../src/config/loader.ts';
import { openListener } from '../../src/server/listener.ts';
import { plainManifests } from '../../tools/chart/manifests.ts';
import { CHART, helm, render } from '../../tools/chart/render.ts';
import { type ControlPlane, startControlPlane } from '../../tools/cluster/control-plane.ts';

const NAMESPACE = 'sealgate-system';
const CI = readdirSync(join(CHART, 'ci')).filter((file) => file.endsWith('-values.yaml'));
/** Of CustomResourceDefinitions that a bare API server does not have. */
const CUSTOM = /^(cert-manager\.io|monitoring\.coreos\.com)\//;

// biome-ignore lint/suspicious/noExplicitAny: any object of Kubernetes, looked into by the assertions
type Manifest = any;

function objects(yaml: string): Manifest[] {
  return parseAllDocuments(yaml)
    .map((document) => document.toJS() as Manifest)
    .filter((object) => object !== null);
}

function rendered(values: string, ...args: string[]): Manifest[] {
  return objects(render('--values', join(CHART, 'ci', values), ...args));
}

function one(all: Manifest[], kind: string, name?: RegExp): Manifest {
  const found = all.filter((object) => object.kind === kind && (name?.test(object.metadata.name) ?? true));
  expect(
    found.map((object) => object.metadata.name),
    `one ${kind}`,
  ).toHaveLength(1);
  return found[0];
}

describe('the rendered chart', () => {
  it.each(CI)('%s passes helm lint', (values) => {
    const { code, stdout } = helm(['lint', '--strict', CHART, '--values', join(CHART, 'ci', values)]);
    expect(code, stdout).toBe(0);
  });

  it.each(CI)(
    '%s: every pod meets the restricted Pod Security Standard and reads no token it does not need',
    (values) => {
      const all = rendered(values);
      for (const object of all) {
        const pod = object.kind === 'Pod' ? object.spec : object.spec?.template?.spec;
        if (pod === undefined) continue;
        expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
        // The pod of the StatefulSet where its account has a role (inventory, Kubernetes Events, checkpoints), and the job that removes the webhook.
        const role = all.some(({ kind, subjects = [] }: Manifest) => {
          return kind.endsWith('RoleBinding') && subjects.some(({ name }: Manifest) => name === pod.serviceAccountName);
        });
        expect(pod.automountServiceAccountToken).toBe(role);
        for (const container of pod.containers) {
          expect(container.securityContext).toEqual({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          expect(container.resources.limits.memory).toBeDefined();
        }
      }
    },
  );

  it('keeps one volume a replica, its own log name, and the volumes when it is uninstalled', () => {
    const { spec } = one(rendered('default-values.yaml'), 'StatefulSet');
    expect(spec.replicas).toBe(2);
    expect(spec.persistentVolumeClaimRetentionPolicy).toEqual({ whenDeleted: 'Retain', whenScaled: 'Retain' });
    expect(spec.volumeClaimTemplates[0].spec.accessModes).toEqual(['ReadWriteOncePod']);
    const pod = spec.template.spec;
    expect(pod.securityContext).toMatchObject({
      runAsUser: 65532,
      fsGroup: 65532,
      fsGroupChangePolicy: 'OnRootMismatch',
    });
    expect(pod.containers[0].env).toContainEqual({ name: 'SEALGATE_IDENTITY_REPLICA', value: '$(POD_NAME)' });
    expect(pod.enableServiceLinks).toBe(false);
    expect(pod.topologySpreadConstraints.map((each: Manifest) => each.topologyKey)).toEqual([
      'kubernetes.io/hostname',
      'topology.kubernetes.io/zone',
    ]);
  });

  it('leaves the user to OpenShift where the values say so', () => {
    const { spec } = one(rendered('minimal-values.yaml'), 'StatefulSet').spec.template;
    expect(spec.securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  });

  it('fails closed, but never for its own namespace, the control plane or what a cluster needs to come back', () => {
    const [webhook] = one(rendered('default-values.yaml'), 'ValidatingWebhookConfiguration').webhooks;
    expect(webhook).toMatchObject({
      name: 'admission.sealgate.dev',
      failurePolicy: 'Fail',
      sideEffects: 'NoneOnDryRun',
    });
    expect(webhook.namespaceSelector.matchExpressions).toEqual([
      {
        key: 'kubernetes.io/metadata.name',
        operator: 'NotIn',
        values: ['kube-system', 'kube-node-lease', NAMESPACE],
      },
    ]);
    expect(webhook.objectSelector).toBeUndefined();
    const { expression } = webhook.matchConditions.find(({ name }: Manifest) => name === 'not-exempt-resource');
    for (const resource of [
      '/nodes',
      'coordination.k8s.io/leases',
      'storage.k8s.io/volumeattachments',
      '/persistentvolumes',
    ])
      expect(expression).toContain(`'${resource}'`);
  });

  it('gives the pod the path and the certificate that the webhook configuration has', () => {
    const all = rendered('default-values.yaml');
    const [{ clientConfig }] = one(all, 'ValidatingWebhookConfiguration').webhooks;
    const text = (base64: string) => Buffer.from(base64, 'base64').toString();
    expect(text(one(all, 'Secret', /-webhook-path$/).data.path)).toBe(clientConfig.service.path);
    expect(clientConfig.service.path).toMatch(/^\/v1\/admit\/[a-z0-9]{40}$/);
    expect(one(all, 'Secret', /-webhook-tls$/).data['ca.crt']).toBe(clientConfig.caBundle);
    expect(clientConfig.service.name).toBe(one(all, 'Service', /-admission$/).metadata.name);
  });

  it('gives replicas a pair that is good for both ends, and lets nobody but them to that port', async () => {
    const all = rendered('default-values.yaml');
    const text = (name: string) => Buffer.from(one(all, 'Secret', /-peers-tls$/).data[name], 'base64').toString();
    const { env } = one(all, 'StatefulSet').spec.template.spec.containers[0];
    const of = (name: string) => env.find((variable: Manifest) => variable.name === `SEALGATE_PEERS_${name}`).value;
    const service = one(all, 'Service', /-replicas$/);
    expect(of('SERVICE')).toBe(`${service.metadata.name}.${NAMESPACE}.svc`);
    expect(service.spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
    expect(of('EXPECTED')).toBe('sealgate-0,sealgate-1');
    const handled = Promise.withResolvers<string>();
    const listener = await openListener({
      ...{ name: 'peers', host: '127.0.0.1', port: 0, log: { error: () => undefined } },
      material: { cert: text('tls.crt'), key: text('tls.key'), clientCa: text('ca.crt') },
      clientCertificates: 'required',
      routes: [
        {
          ...{ method: 'POST', path: PEER_PATH, bodyLimitBytes: 1024 },
          handler: async ({ peer }) => {
            handled.resolve(peer.certificate?.commonName ?? '');
            return { status: 500 };
          },
        },
      ],
      limits: {
        ...{ maxConnections: 9, headersTimeoutMs: 60_000, requestTimeoutMs: 60_000, keepAliveTimeoutMs: 60_000 },
        maxInFlightBytes: 2 ** 20,
      },
      metrics: { rejected: (reason) => handled.reject(new Error(reason)), opened: () => undefined },
    });
    const client = new PeerClient({ cert: text('tls.crt'), key: text('tls.key'), ca: text('ca.crt') }, of('SERVICE'));
    const question = { protocol: 1, instance: 'x', cluster: 'y', ask: { type: 'name' } } as const;
    const asked = client.ask(`127.0.0.1:${listener.port}`, question, { timeoutMs: 60_000, maxBytes: 1024 });
    await expect(asked).rejects.toThrow('status 500');
    expect(await handled.promise).toBe(of('SERVICE'));
    client.close();
    await listener.drain(0);

    const { ingress, egress } = one(all, 'NetworkPolicy').spec;
    const pods = one(all, 'StatefulSet').spec.selector;
    const only = (rules: Manifest[]) =>
      rules.filter(({ ports }) => ports.some(({ port }: Manifest) => port === 'peers'));
    expect(only(ingress)).toEqual([{ ports: [{ port: 'peers' }], from: [{ podSelector: pods }] }]);
    expect(only(egress)).toEqual([{ ports: [{ port: 'peers' }], to: [{ podSelector: pods }] }]);
  });

  const given = (part: string) => [`${part}.certificate.source=existingSecret`, `${part}.certificate.secretName=given`];
  it.each([
    [[]],
    [['webhook.certificate.source=managed']],
    [['webhook.certificate.source=managed', 'webhook.enabled=false']],
    [['webhook.enabled=false']],
    [['webhook.certificate.source=certManager']],
    [[...given('webhook'), 'webhook.certificate.caBundle=x']],
    [[...given('audit'), ...given('peers'), 'keys.existingSecret=given', 's3.existingSecret=given']],
    [['peers.enabled=false', 'policies.configMap=given']],
  ])('gives pods only volumes that there are: %s', (values: readonly string[]) => {
    const all = objects(render(...values.map((value) => `--set=${value}`)));
    const there = all.flatMap(({ kind, metadata: { name }, spec }: Manifest) =>
      kind === 'Certificate' ? [`Secret ${spec.secretName}`] : [`${kind} ${name}`],
    );
    // The replicas make the one that they keep.
    if (values.includes('webhook.certificate.source=managed') && !values.includes('webhook.enabled=false'))
      there.push('Secret sealgate-webhook-ca');
    for (const object of all) {
      const pod = object.kind === 'Pod' ? object.spec : object.spec?.template?.spec;
      for (const { secret, configMap } of pod?.volumes ?? []) {
        const needed = secret === undefined ? `ConfigMap ${configMap?.name}` : `Secret ${secret.secretName}`;
        // A given pair of the webhook has no ca.crt that the chart may rely on.
        if (needed.endsWith(' given')) expect(secret?.items).toBeUndefined();
        else if (secret ?? configMap) expect(there, object.metadata.name).toContain(needed);
      }
    }
  });

  it("lets pods reach OpenShift's DNS where it is", () => {
    const ports = (...args: string[]) =>
      one(objects(render(...args)), 'NetworkPolicy').spec.egress[0].ports.map(({ port }: Manifest) => port);
    expect(ports()).toEqual([53, 53]);
    expect(ports('--set=openshift=true')).toEqual([53, 53, 5353, 5353]);
  });

  it('lets its own test to what is limited to others', () => {
    const { ingress } = one(rendered('full-values.yaml'), 'NetworkPolicy').spec;
    const { labels } = one(rendered('full-values.yaml'), 'Pod').metadata;
    for (const port of ['admission', 'metrics']) {
      const rule = ingress.find(({ ports }: Manifest) => ports.some((each: Manifest) => each.port === port));
      const own = rule.from.filter(({ podSelector }: Manifest) => podSelector !== undefined);
      expect(own, port).toHaveLength(1);
      expect(labels).toMatchObject(own[0].podSelector.matchLabels);
    }
  });

  it('knows no peers where they are switched off', () => {
    const yaml = render('--set=peers.enabled=false');
    expect(yaml).not.toMatch(/peers|8445|SEALGATE_PEERS/);
  });

  it.each(CI)('%s: the settings and variables that the pod gets are ones that it takes', (values) => {
    const all = rendered(values);
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-chart-settings-'));
    const file = join(dir, 'sealgate.yaml');
    writeFileSync(file, one(all, 'ConfigMap', /^sealgate$/).data['sealgate.yaml']);
    const env: { name: string; value?: string }[] = one(all, 'StatefulSet').spec.template.spec.containers[0].env;
    const environment = Object.fromEntries(
      env.map(({ name, value }) => [name, (value ?? '/a/path').replace('$(POD_NAME)', 'sealgate-0')]),
    );
    const { settings } = loadSettings({ environment: { ...environment, SEALGATE_CONFIG: file } });
    rmSync(dir, { recursive: true });
    expect(settings.identity.replica).toBe('sealgate-0');
    expect(settings.policy.workers).toBe(2);
    // Its own account is known by itself: as an expected user its daily work would make findings, and what it never does, lesser ones.
    expect(settings.detect.expectedUsers.filter((user) => user.includes(NAMESPACE))).toEqual([]);
  });

  it.each([
    ['settings.admision.maxDepth=100', /settings.*admision/s],
    ['settings.admission.port=9443', /settings.admission.*port/s],
    ['settings.mirror.configMap.namespace=x', /settings.mirror.configMap.*namespace/s],
    ['settings.ledger.reserveBytes=-1', /reserveBytes/],
    ['replicas=0', /replicas/],
    ['webhook.failurePolicy=Maybe', /failurePolicy/],
    ['webhook.timeoutSeconds=60', /timeoutSeconds/],
    ['webook.enabled=false', /webook/],
    ['webhook.exemptNamespaces={Kube System}', /exemptNamespaces/],
    ['persistence.size=much', /persistence.*size/s],
    ['networkPolicy.apiServerCidrs={10.0.0.1}', /apiServerCidrs/],
  ])('refuses %s, naming the value', (value, message) => {
    expect(() => render(`--set=${value}`)).toThrow(message);
  });

  it.each([
    [['fullnameOverride=a-name-that-is-so-long-that-nothing-fits-behind-it'], /too long/],
    [['webhook.certificate.source=existingSecret'], /webhook\.certificate\.secretName/],
    [['peers.certificate.source=existingSecret'], /peers\.certificate\.secretName/],
    [['audit.certificate.source=existingSecret'], /audit\.certificate\.secretName/],
    [['webhook.exemptLabel=true', 'protection.enabled=false'], /protection\.enabled/],
    [['audit.service.nodePort=30844'], /NodePort/],
    [['settings.mirror.configMap.name=newest'], /settings\.mirror\.url/],
    [['settings.mirror.url=file:///mirror', 'settings.mirror.configMap.name=sealgate'], /another name/],
    [['terminationGracePeriodSeconds=30'], /terminationGracePeriodSeconds \(30 s\)/],
  ])('refuses %s together, saying what is missing', (values, message) => {
    expect(() => render(...values.map((value) => `--set=${value}`))).toThrow(message);
  });

  it('refuses a Kubernetes that is too old, saying which it needs', () => {
    expect(() => render('--kube-version=1.29.9')).toThrow(/kubeVersion: >=1\.30\.0/);
  });

  it('alerts and draws by metrics that exist, and links to sections of the runbook', () => {
    const page = (name: string) => readFileSync(join(CHART, '..', '..', 'docs', name), 'utf8');
    const all = rendered('full-values.yaml');
    const { rules } = one(all, 'PrometheusRule').spec.groups[0];
    expect(rules.length).toBeGreaterThan(14);
    const dashboard = JSON.parse(one(all, 'ConfigMap', /-dashboard$/).data['sealgate.json']);
    const drawn = dashboard.panels.flatMap((panel: Manifest) => panel.targets.map(({ expr }: Manifest) => expr));
    for (const expression of [...drawn, ...rules.map(({ expr }: Manifest) => expr)]) {
      for (const [name] of expression.matchAll(/sealgate_[a-z_]+/g))
        expect(page('metrics.md'), expression).toContain(`| \`${name.replace(/_bucket$/, '')}\` |`);
    }
    const sections = [...page('runbook.md').matchAll(/^## (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const { alert, annotations } of rules) {
      const [url, section] = annotations.runbook_url.split('#');
      expect(url).toBe('https://docs.example.com/sealgate/runbook.md');
      expect(sections, alert).toContain(section);
    }
    const silent = rules.find(({ alert }: Manifest) => alert === 'SealgateAuditSilent');
    expect(silent.expr).toContain('[15m]');
    const names = (...args: string[]) => rendered('full-values.yaml', ...args).map(({ kind }) => kind);
    expect(names('--set=monitoring.prometheusRule.enabled=auto')).not.toContain('PrometheusRule');
  });

  it('lets no private key into the manifests for everybody', () => {
    const kinds = objects(plainManifests()).map((object) => `${object.kind} ${object.metadata.name}`);
    expect(kinds.filter((kind) => kind.startsWith('Secret'))).toEqual(['Secret sealgate-webhook-path']);
    expect(readFileSync(join(CHART, '..', '..', 'manifests', 'install.yaml'), 'utf8')).toBe(plainManifests());
  });
});

describe('a real API server', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-chart-'));
  let plane: ControlPlane;
  const helmHere = (...args: string[]) =>
    helm([...args, '--kubeconfig', plane.kubeconfig], { HOME: dir, HELM_NAMESPACE: NAMESPACE });

  beforeAll(async () => {
    plane = await startControlPlane({ dir, users: [{ name: 'alice', role: 'edit' }] });
    await plane.kubectl(['create', 'namespace', NAMESPACE]);
  });
  afterAll(async () => {
    await plane?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it.each(CI)('takes every object of %s', async (values) => {
    const all = rendered(values).filter((object) => !CUSTOM.test(object.apiVersion));
    const input = all.map((object) => JSON.stringify(object)).join('\n---\n');
    const { code, stdout, stderr } = await plane.kubectl(
      ['apply', '--dry-run=server', '--validate=strict', '--server-side', '-f', '-'],
      { input },
    );
    expect(code, stderr).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(all.length);
    expect(stderr).not.toMatch(/PodSecurity|expression/);
  });

  it('is installed, keeps on upgrade what it made, and when removed leaves the audit certificates and no webhook', async () => {
    const install = [
      'sealgate',
      CHART,
      '--set=webhook.exemptLabel=true',
      '--set=removalHook=false',
      // Nothing can answer here (chart-enforcement.test.ts has the other way).
      '--set=webhook.failOnceAnswered=false',
      '--set=webhook.timeoutSeconds=1',
    ];
    // Alice provisions namespaces, which is no right to switch admission off.
    for (const what of [
      ['clusterrole', 'namespaces', '--verb=delete,patch,get', '--resource=namespaces'],
      ['clusterrolebinding', 'namespaces', '--clusterrole=namespaces', '--user=alice'],
    ])
      expect((await plane.kubectl(['create', ...what])).stderr).toBe('');
    const installed = helmHere('install', ...install);
    expect(installed.code, installed.stderr).toBe(0);
    expect(installed.stdout).toContain('rollout status statefulset/sealgate');
    const snapshot = async () => {
      const { stdout } = await plane.kubectl(['get', 'secrets', '-n', NAMESPACE, '-o', 'json']);
      const { items } = JSON.parse(stdout) as { items: Manifest[] };
      const webhook = await plane.call(
        '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sealgate',
      );
      const { metadata, webhooks } = webhook.json() as Manifest;
      return {
        secrets: items
          .filter(({ type }) => !type.startsWith('helm'))
          .map(({ metadata: { name }, data }) => ({ name, data })),
        owner: metadata.ownerReferences[0].kind,
        client: webhooks[0].clientConfig,
      };
    };
    const before = await snapshot();
    expect(before.owner).toBe('Namespace');
    expect(before.secrets).toHaveLength(5);

    // Nothing answers the webhook here: what is exempt goes through, the rest is denied.
    const run = (args: string[], user = 'admin') => plane.kubectl(args, { user });
    await expect
      .poll(async () => (await run(['create', 'configmap', 'x', '-n', 'default'])).stderr)
      .toContain('failed calling webhook');
    expect((await run(['create', 'configmap', 'x', '-n', NAMESPACE])).code).toBe(0);
    expect((await run(['create', 'configmap', 'x', '-n', 'kube-system'])).code).toBe(0);
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'x', namespace: 'default' },
    };
    expect((await plane.kubectl(['create', '-f', '-'], { input: JSON.stringify(lease) })).code).toBe(0);

    // An editor of the cluster may change neither Sealgate's own objects nor exempt anything.
    await expect
      .poll(async () => (await run(['delete', 'configmap', 'x', '-n', NAMESPACE, '--dry-run=server'], 'alice')).stderr)
      .toContain('this belongs to Sealgate');
    // Nor take the namespace away, and the webhook with it; nor have controllers make a pod that answers in place of a replica; nor a
    // token of Sealgate's account; nor keep its pods from coming back.
    for (const attempt of [
      ['delete', 'namespace', NAMESPACE, '--dry-run=server', '--wait=false'],
      ['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=privileged', '--dry-run=server'],
      ['create', 'deployment', 'x', '--image=x', '-n', NAMESPACE],
      ['create', 'job', 'x', '--image=x', '-n', NAMESPACE],
      ['create', 'token', 'sealgate', '-n', NAMESPACE],
      ['scale', 'statefulset', 'sealgate', '--replicas=0', '-n', NAMESPACE],
    ])
      expect((await run(attempt, 'alice')).stderr, attempt.join(' ')).toContain('this belongs to Sealgate');
    expect((await run(['label', 'namespace', 'default', 'a=b', '--dry-run=server'], 'alice')).stderr).not.toContain(
      'this belongs to Sealgate',
    );
    const labelled = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'y', namespace: 'kube-system', labels: { 'sealgate.dev/exempt': '' } },
    };
    const create = (user: string) => plane.kubectl(['create', '-f', '-'], { user, input: JSON.stringify(labelled) });
    await expect.poll(async () => (await create('alice')).stderr).toContain('passes by every policy');
    expect((await create('admin')).code).toBe(0);

    // The label passes by for the object that has it: not for a session with it, which cannot have labels, and not for what a client
    // sends to a subresource.
    const exempt = { name: 'exempt', namespace: 'default', labels: { 'sealgate.dev/exempt': '' } };
    const make = (object: object) => plane.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) });
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...exempt, name: 'default' } };
    expect((await make(account)).code).toBe(0);
    const containers = [{ name: 'pause', image: 'pause' }];
    expect((await make({ apiVersion: 'v1', kind: 'Pod', metadata: exempt, spec: { containers } })).code).toBe(0);
    expect((await run(['label', 'pod', 'exempt', '-n', 'default', 'more=1'])).code).toBe(0);
    expect((await run(['label', 'pod', 'exempt', '-n', 'default', 'sealgate.dev/exempt-'])).stderr).toContain(
      'failed calling webhook',
    );
    const post = async (path: string, body?: object) =>
      (await plane.call(`/api/v1/namespaces/default/${path}`, { method: 'POST', body })).text;
    expect(await post('pods/exempt/exec?command=id&stdout=true')).toContain('failed calling webhook');
    const token = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: exempt, spec: {} };
    expect(
      await post('serviceaccounts/default/token', { ...token, metadata: { ...exempt, name: 'default' } }),
    ).toContain('failed calling webhook');
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: exempt };
    expect(await post('pods/exempt/eviction', eviction)).toContain('failed calling webhook');
    expect((await run(['delete', 'pod', 'exempt', '-n', 'default', '--force'])).code).toBe(0);

    const second = helmHere('install', 'other', CHART, '--dry-run=server');
    expect(second.stderr).toContain('has a webhook of Sealgate already');

    const upgraded = helmHere('upgrade', ...install, '--set=replicas=3');
    expect(upgraded.code, upgraded.stderr).toBe(0);
    expect(await snapshot()).toEqual(before);

    const removed = helmHere('uninstall', 'sealgate');
    expect(removed.code, removed.stderr).toBe(0);
    const gone = await plane.call('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sealgate');
    expect(gone.status).toBe(404);
    const left = await run(['get', 'secrets', '-n', NAMESPACE, '-o', 'name']);
    expect(left.stdout.trim().split('\n')).toEqual(['secret/sealgate-audit-client', 'secret/sealgate-audit-tls']);
  });

  it.each([
    [['keys.existingSecret=given', 'replicas=2'], 'sealgate-0.key', 'sealgate-1.key'],
    [['s3.existingSecret=given'], 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
    [['s3.existingSecret=given', 's3.accessKeyIdKey=id', 's3.secretAccessKeyKey=secret'], 'id', 'secret'],
    [['audit.certificate.source=existingSecret', 'audit.certificate.secretName=given'], 'tls.crt', 'tls.key'],
    [
      [
        'webhook.certificate.source=existingSecret',
        'webhook.certificate.secretName=given',
        'webhook.certificate.caBundle=x',
      ],
      'tls.crt',
      'tls.key',
    ],
  ])('refuses a Secret without a key that it needs: %s', async (values, has, lacks) => {
    await plane.kubectl(['delete', 'secret', 'given', '-n', NAMESPACE, '--ignore-not-found']);
    const created = await plane.kubectl([
      'create',
      'secret',
      'generic',
      'given',
      '-n',
      NAMESPACE,
      `--from-literal=${has}=x`,
    ]);
    expect(created.code, created.stderr).toBe(0);
    const { code, stderr } = helmHere(
      'install',
      'sealgate',
      CHART,
      '--dry-run=server',
      ...values.map((each) => `--set=${each}`),
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain(`names the Secret given, which has no key ${lacks} (it has: ${has})`);
  });

  it.each(['serviceMonitor', 'prometheusRule'])(
    'says what a %s needs that the cluster has not, and makes nothing',
    async (part) => {
      const { code, stderr } = helmHere('install', 'sealgate', CHART, `--set=monitoring.${part}.enabled=true`);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(
        /no matches for kind "(ServiceMonitor|PrometheusRule)" in version "monitoring\.coreos\.com\/v1"/,
      );
      expect(stderr).toContain('ensure CRDs are installed first');
      const made = await plane.kubectl(['get', 'statefulset,validatingwebhookconfiguration', '-A', '-o', 'name']);
      expect(made.stdout).toBe('');
      helmHere('uninstall', 'sealgate', '--ignore-not-found');
    },
  );

  it('says that volumes will wait where nothing gives them a StorageClass', async () => {
    const notes = (...args: string[]) => helmHere('install', 'sealgate', CHART, '--dry-run=server', ...args).stdout;
    expect(notes()).toContain('no default StorageClass');
    expect(notes('--set=persistence.storageClass=local')).not.toContain('no default StorageClass');
    const standard = {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'example.com/none',
    };
    const created = await plane.kubectl(['create', '-f', '-'], { input: JSON.stringify(standard) });
    expect(created.code, created.stderr).toBe(0);
    expect(notes()).not.toContain('no default StorageClass');
    await plane.kubectl(['delete', 'storageclass', 'standard']);
  });

  it('names the namespaces that bring up network and storage of nodes and are not exempt', async () => {
    const daemonSet = (namespace: string, path: string) => ({
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'node', namespace },
      spec: {
        selector: { matchLabels: { app: 'node' } },
        template: {
          metadata: { labels: { app: 'node' } },
          spec: {
            containers: [{ name: 'node', image: 'node' }],
            volumes: [{ name: 'host', hostPath: { path } }],
          },
        },
      },
    });
    for (const [namespace, path] of [
      ['calico-system', '/opt/cni/bin'],
      ['longhorn-system', '/var/lib/kubelet/plugins/driver.longhorn.io'],
      ['kube-system', '/etc/cni/net.d'],
      ['monitoring', '/proc'],
    ] as const) {
      await plane.kubectl(['create', 'namespace', namespace]);
      const made = await plane.kubectl(['create', '-f', '-'], { input: JSON.stringify(daemonSet(namespace, path)) });
      expect(made.code, made.stderr).toBe(0);
    }
    const notes = (...args: string[]) => helmHere('install', 'sealgate', CHART, '--dry-run=server', ...args).stdout;
    expect(notes()).toContain('not exempt: calico-system,longhorn-system.');
    expect(notes()).toContain(
      "--set 'webhook.exemptNamespaces={kube-system,kube-node-lease,calico-system,longhorn-system}'",
    );
    const exempt = '--set=webhook.exemptNamespaces={kube-system,calico-system,longhorn-system}';
    expect(notes(exempt)).not.toContain('not exempt');
  });

  it('loses its webhook to the removal job, whose account may do nothing else', async () => {
    const all = rendered('full-values.yaml');
    const job = one(all, 'Job', /-removal$/);
    expect(job.metadata.annotations['helm.sh/hook']).toBe('pre-delete');
    const own = all.filter(({ kind, metadata }) => /-removal$/.test(metadata.name) && kind !== 'Job');
    expect(own.every(({ metadata }) => metadata.annotations === undefined)).toBe(true);
    const input = [...own, one(all, 'ValidatingWebhookConfiguration')]
      .map((each) => JSON.stringify(each))
      .join('\n---\n');
    const applied = await plane.kubectl(['apply', '-f', '-'], { input });
    expect(applied.code, applied.stderr).toBe(0);
    const account = `system:serviceaccount:${NAMESPACE}:sealgate-removal`;
    const may = (...what: string[]) => plane.kubectl(['auth', 'can-i', ...what, '--as', account]);
    expect((await may('list', 'secrets', '-A')).code).toBe(1);
    expect((await may('delete', 'validatingwebhookconfigurations/others')).code).toBe(1);

    const secrets = join(dir, 'token');
    mkdirSync(secrets);
    const token = await plane.kubectl(['create', 'token', 'sealgate-removal', '-n', NAMESPACE]);
    writeFileSync(join(secrets, 'token'), token.stdout);
    writeFileSync(join(secrets, 'ca.crt'), readFileSync(plane.caFile));
    const { port } = new URL(plane.url);
    const [container] = job.spec.template.spec.containers;
    const env = { TOKEN_DIR: secrets, KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: port };
    const removal = (name: string) =>
      spawnSync(process.execPath, [...container.command.slice(1), container.args[0], name], { env, encoding: 'utf8' });
    const ran = removal(container.args[1]);
    expect(ran.status, ran.stdout + ran.stderr).toBe(0);
    expect(ran.stdout).toContain('HTTP 200');
    expect(removal(container.args[1]).status).toBe(0);
    expect(removal('others').status).toBe(1);
  });
});
