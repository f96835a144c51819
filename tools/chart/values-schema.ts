// charts/sealgate/values.schema.json: the chart's own values, and under `settings` the schema of the settings without what the
// chart decides itself.
import { root, type SchemaNode } from '../../src/config/names.ts';

/** Settings that the templates set, or that would contradict what they render: addresses, ports, TLS, files. */
export const CHART_OWNED: readonly string[] = [
  'dataDir',
  'identity.replica',
  'admission.host',
  'admission.port',
  'admission.path',
  'admission.tls',
  'audit.host',
  'audit.port',
  'audit.path',
  'audit.tls',
  'api.host',
  'api.port',
  'metrics',
  'peers.host',
  'peers.port',
  'peers.service',
  'peers.addresses',
  'peers.expected',
  'peers.tls',
  'tls',
  'ledger.keyFile',
  'ledger.previousKeyFile',
  // The release's namespace, the pod's own account.
  'mirror.configMap.namespace',
  'mirror.configMap.kubeconfig',
  // The release's own.
  'detect.webhookConfiguration',
  'detect.namespace',
  'detect.kubernetesEvents.kubeconfig',
  'policy.dir',
  'policy.opa',
  // The pod's own account.
  'inventory.kubeconfig',
];

interface Node extends SchemaNode {
  readonly [keyword: string]: unknown;
}

/** The settings that a value of the chart may give. */
function settings(node: SchemaNode, path = ''): Node {
  const { properties, ...rest } = node;
  if (properties === undefined) return node as Node;
  const kept = Object.entries(properties)
    .map(([key, child]) => [key, `${path}${key}`, child] as const)
    .filter(([, name]) => !CHART_OWNED.includes(name))
    .map(([key, name, child]) => [key, settings(child, `${name}.`)] as const);
  return { ...rest, properties: Object.fromEntries(kept) };
}

/** Values of one object, all of which may be left out, and no others. */
function part(properties: Record<string, unknown>) {
  return { type: 'object', additionalProperties: false, properties };
}

const text = { type: 'string', maxLength: 4096 };
const pem = { type: 'string', maxLength: 1_000_000 };
const name = { type: 'string', maxLength: 253, pattern: '^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$' };
const yes = { type: 'boolean' };
const auto = { enum: ['auto', true, false] };
const object = { type: 'object' };
const objects = { type: 'array', items: object };
const texts = { type: 'object', additionalProperties: { type: 'string' } };
const list = (pattern: string) => ({ type: 'array', items: { type: 'string', pattern }, uniqueItems: true });
const policy = { enum: ['Retain', 'Delete'] };
const port = { type: 'integer', minimum: 1, maximum: 65_535 };

const CIDR = '^[0-9a-fA-F.:]+/[0-9]{1,3}$';
const RESOURCE = '^[a-z0-9.-]*/[a-z]+(/[a-z]+)?$';
const NAMESPACE = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$';

const OWN = {
  // Helm gives a chart that is part of another one these two.
  global: object,
  enabled: yes,
  nameOverride: name,
  fullnameOverride: name,
  image: part({
    repository: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[^\\s@]+$' },
    tag: { type: 'string', pattern: '^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$' },
    digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
    pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
  }),
  imagePullSecrets: objects,
  replicas: { type: 'integer', minimum: 1, maximum: 99 },
  settings: { ...settings(root), description: 'Settings of Sealgate (docs/settings.md).' },
  webhook: part({
    enabled: yes,
    failurePolicy: { enum: ['Fail', 'Ignore'] },
    failOnceAnswered: auto,
    timeoutSeconds: { type: 'integer', minimum: 1, maximum: 30 },
    exemptNamespaces: list(NAMESPACE),
    exemptResources: list(RESOURCE),
    exemptLabel: yes,
    matchConditions: {
      type: 'array',
      // The API server takes 64; up to five are the chart's own.
      maxItems: 59,
      items: { ...part({ name: text, expression: text }), required: ['name', 'expression'] },
    },
    // What the API server takes: lower case, as names of its objects are.
    path: { type: 'string', maxLength: 1024, pattern: '^((/[a-z0-9]([-a-z0-9.]*[a-z0-9])?)+)?$' },
    clientCa: pem,
    certificate: part({
      source: { enum: ['generated', 'managed', 'certManager', 'existingSecret'] },
      secretName: name,
      caBundle: pem,
      issuerRef: part({ name, kind: text, group: text }),
    }),
  }),
  audit: part({
    service: part({
      type: { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
      clusterIP: { type: 'string', pattern: '^[0-9a-fA-F.:]*$' },
      nodePort: { anyOf: [{ type: 'null' }, port] },
    }),
    certificate: part({
      source: { enum: ['generated', 'existingSecret'] },
      secretName: name,
      hostnames: list('^[A-Za-z0-9.:-]+$'),
    }),
  }),
  peers: part({
    enabled: yes,
    certificate: part({ source: { enum: ['generated', 'existingSecret'] }, secretName: name }),
  }),
  keys: part({ existingSecret: name }),
  policies: part({ configMap: name }),
  s3: part({ existingSecret: name, accessKeyIdKey: text, secretAccessKeyKey: text }),
  persistence: part({
    storageClass: { type: ['string', 'null'] },
    size: { type: 'string', pattern: '^[0-9]+(Mi|Gi|Ti)$' },
    accessMode: { enum: ['ReadWriteOncePod', 'ReadWriteOnce'] },
    whenDeleted: policy,
    whenScaled: policy,
  }),
  resources: object,
  priorityClassName: name,
  nodeSelector: texts,
  tolerations: objects,
  affinity: object,
  topologySpreadConstraints: objects,
  podDisruptionBudget: part({ enabled: yes }),
  terminationGracePeriodSeconds: { type: 'integer', minimum: 10, maximum: 3600 },
  podAnnotations: texts,
  podLabels: texts,
  extraEnv: objects,
  extraEnvFrom: objects,
  extraVolumes: objects,
  extraVolumeMounts: objects,
  serviceAccount: part({ annotations: texts }),
  openshift: auto,
  networkPolicy: part({
    enabled: yes,
    apiServerCidrs: list(CIDR),
    metricsFrom: objects,
    apiServerPorts: { type: 'array', items: port },
    mirrorPorts: { type: 'array', items: port },
    extraEgress: objects,
  }),
  protection: part({ enabled: yes, allowedUsers: list("^[^\\s']+$") }),
  monitoring: part({
    serviceMonitor: part({ enabled: auto, interval: { type: 'string', pattern: '^[0-9]+(s|m)$' }, labels: texts }),
    prometheusRule: part({
      enabled: auto,
      labels: texts,
      runbookUrl: { type: 'string', pattern: '^(https?://\\S+)?$' },
      auditSilentMinutes: { type: 'integer', minimum: 0, maximum: 1440 },
    }),
    dashboard: part({ enabled: yes, labels: texts }),
  }),
  removalHook: auto,
};

/** The whole schema, as text. */
export function valuesSchema(): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $comment: 'Made by `make generate` from src/config/schema.ts and tools/chart/values-schema.ts: change it there.',
    title: 'Values of the chart sealgate',
    ...part(OWN),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
