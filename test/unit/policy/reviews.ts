// AdmissionReviews by the thousand, from a seed: built of the values that the shipped policies look at, right and wrong
// ones, so that every rule of the library fires in some and stays silent in others.

import { type Pick, picker } from './picker.ts';

export interface Review {
  readonly apiVersion: string;
  readonly kind: string;
  readonly request: Record<string, unknown>;
}

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const IMAGES = [
  `registry.k8s.io/pause@${DIGEST}`,
  `registry.k8s.io/pause:3.10@${DIGEST}`,
  'registry.k8s.io/pause:3.10',
  'nginx',
  'nginx:1.27',
  'acme/web',
  'localhost/x',
  'localhost:5000/x',
  'r.example:443/a/b/c:v1',
  `evil.example/registry.k8s.io/pause@${DIGEST}`,
  'registry.k8s.io/pause@sha256:abc',
  '',
  'a:b:c',
  7,
  null,
];
const NAMESPACES = ['default', 'kube-system', 'kube-public', 'production', 'shop-prod', 'prod-eu', 'preprod', 'dev'];
const USERS = [
  { username: 'alice', groups: ['dev', 'system:authenticated'] },
  { username: 'bob', groups: ['system:masters'] },
  { username: 'olga', groups: ['sealgate:operators'] },
  { username: 'system:anonymous', groups: ['system:unauthenticated'] },
  { username: 'system:apiserver', groups: ['system:masters'] },
  { username: 'system:node:n1', groups: ['system:nodes'] },
  { username: 'system:node:n1' },
  { username: 'system:kube-scheduler', groups: [] },
  { username: 'system:serviceaccount:kube-system:replicaset-controller', groups: ['system:serviceaccounts'] },
  { username: 'system:serviceaccount:ci:robot', groups: ['system:serviceaccounts'] },
  {},
];
const TEMPLATES = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job'];
/** Groups of the kinds that are not in the core group. */
const GROUPS: Readonly<Record<string, string>> = {
  Deployment: 'apps',
  StatefulSet: 'apps',
  DaemonSet: 'apps',
  ReplicaSet: 'apps',
  Job: 'batch',
  CronJob: 'batch',
};
const VERBS = ['get', 'list', 'create', 'patch', 'delete', '*', 'bind', 'escalate', 'impersonate'];
const RESOURCES = [
  'pods',
  'roles',
  'clusterroles',
  'users',
  'groups',
  'userextras/scopes',
  'secrets',
  '*',
  'pods/exec',
];
const SUBJECTS = [
  { kind: 'User', name: 'alice' },
  { kind: 'User', name: 'system:anonymous' },
  { kind: 'Group', name: 'system:unauthenticated' },
  { kind: 'Group', name: 'system:authenticated' },
  { kind: 'Group', name: 'system:masters' },
  { kind: 'Group', name: 'kubeadm:cluster-admins' },
  { kind: 'ServiceAccount', namespace: 'ci', name: 'robot' },
  { kind: 'ServiceAccount', name: 'nameless-namespace' },
  {},
];

/** `count` reviews of every kind that the library matches. */
export function reviews(count: number, seed = 1): Review[] {
  const pick = picker(seed);
  const makers = [workload, workload, role, binding, connect, secret, token, certificate];
  return Array.from({ length: count }, (_, i) => ({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
      userInfo: pick(USERS),
      ...pick(makers)(pick),
    },
  }));
}

function some<T>(pick: Pick, choices: readonly T[], most: number): T[] {
  return Array.from({ length: pick(Array.from({ length: most + 1 }, (_, i) => i)) }, () => pick(choices));
}

function container(pick: Pick): Record<string, unknown> {
  return {
    name: pick(['web', 'side"car', 'ünï', '']),
    image: pick(IMAGES),
    ...pick<object>([{}, { securityContext: { privileged: pick<unknown>([true, false, 'true', null]) } }]),
    ...pick<object>([
      {},
      { securityContext: { capabilities: { add: some(pick, ['SYS_ADMIN', 'cap_bpf', 'CHOWN', 'ALL'], 2) } } },
    ]),
    ...pick<object>([{}, { securityContext: { windowsOptions: { hostProcess: true } } }]),
    resources: pick<unknown>([
      {},
      null,
      { limits: { memory: '1Gi' } },
      { limits: { memory: '1Gi' }, requests: { cpu: 1 } },
    ]),
  };
}

function podSpec(pick: Pick): Record<string, unknown> {
  const containers = () => some(pick, [0, 0, 0], 2).map(() => container(pick));
  return {
    containers: containers(),
    ...pick<object>([{}, { initContainers: containers() }, { ephemeralContainers: containers() }]),
    ...pick<object>([{}, {}, { hostNetwork: true }, { hostPID: true, hostIPC: false }]),
    ...pick<object>([
      {},
      {
        volumes: [
          { name: 'v', hostPath: pick<unknown>([{ path: '/' }, {}]) },
          { name: 'e', emptyDir: {} },
        ],
      },
    ]),
  };
}

function metadata(pick: Pick): Record<string, unknown> {
  const approved = { 'sealgate.dev/approved-by': pick(['alice', 'bob', ' ', 'carol']) };
  const change = { 'sealgate.dev/change': pick(['CHG-1', 'CHG-2', '']) };
  return { annotations: pick<unknown>([{}, null, approved, change, { ...approved, ...change }]) };
}

function workloadObject(pick: Pick, kind: string, spec: unknown): Record<string, unknown> {
  const meta = metadata(pick);
  if (kind === 'Pod') return { metadata: meta, spec };
  const template = { template: { spec } };
  return { metadata: meta, spec: kind === 'CronJob' ? { jobTemplate: { spec: template } } : template };
}

function workload(pick: Pick): Record<string, unknown> {
  const kind = pick(['Pod', 'Pod', 'CronJob', ...TEMPLATES]);
  const group = GROUPS[kind] ?? '';
  const spec = podSpec(pick);
  const operation = pick(['CREATE', 'CREATE', 'UPDATE']);
  const before = workloadObject(pick, kind, pick([spec, podSpec(pick)]));
  return {
    operation,
    kind: { group, version: 'v1', kind },
    resource: { group, version: 'v1', resource: `${kind.toLowerCase()}s` },
    namespace: pick(NAMESPACES),
    name: 'web',
    object: workloadObject(pick, kind, spec),
    oldObject: operation === 'UPDATE' ? before : null,
  };
}

function rule(pick: Pick): Record<string, unknown> {
  return pick<Record<string, unknown>>([
    { apiGroups: some(pick, ['', 'apps', '*'], 2), resources: some(pick, RESOURCES, 3), verbs: some(pick, VERBS, 3) },
    { nonResourceURLs: some(pick, ['/healthz', '*'], 1), verbs: some(pick, VERBS, 2) },
  ]);
}

function rbac(pick: Pick, kinds: readonly string[], object: () => unknown): Record<string, unknown> {
  const kind = pick(kinds);
  return {
    operation: pick(['CREATE', 'UPDATE']),
    kind: { group: 'rbac.authorization.k8s.io', version: 'v1', kind },
    resource: { group: 'rbac.authorization.k8s.io', version: 'v1', resource: `${kind.toLowerCase()}s` },
    namespace: pick(['', 'default']),
    name: 'r',
    object: object(),
    oldObject: pick([null, object()]),
  };
}

function role(pick: Pick): Record<string, unknown> {
  const known = rule(pick);
  return rbac(pick, ['Role', 'ClusterRole'], () => ({
    rules: pick<unknown>([null, [known], [known, rule(pick)], [rule(pick)]]),
  }));
}

function binding(pick: Pick): Record<string, unknown> {
  return rbac(pick, ['RoleBinding', 'ClusterRoleBinding'], () => ({
    roleRef: { kind: pick(['ClusterRole', 'Role']), name: pick(['cluster-admin', 'view']) },
    subjects: pick<unknown>([null, some(pick, SUBJECTS, 3)]),
  }));
}

function connect(pick: Pick): Record<string, unknown> {
  return {
    operation: 'CONNECT',
    kind: { group: '', version: 'v1', kind: 'PodExecOptions' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    subResource: pick(['exec', 'attach', 'portforward', 'proxy']),
    namespace: pick(NAMESPACES),
    name: 'web',
    object: { kind: 'PodExecOptions', command: ['sh'] },
  };
}

function secret(pick: Pick): Record<string, unknown> {
  const annotations = pick<unknown>([{}, { 'kubernetes.io/service-account.name': 'job-controller' }]);
  return {
    operation: pick(['CREATE', 'UPDATE', 'DELETE']),
    kind: { group: '', version: 'v1', kind: 'Secret' },
    resource: { group: '', version: 'v1', resource: 'secrets' },
    namespace: pick(NAMESPACES),
    name: 's',
    object: pick<unknown>([
      null,
      { type: pick(['Opaque', 'kubernetes.io/service-account-token']), metadata: { annotations } },
    ]),
  };
}

function token(pick: Pick): Record<string, unknown> {
  return {
    operation: 'CREATE',
    kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
    resource: { group: '', version: 'v1', resource: 'serviceaccounts' },
    subResource: 'token',
    namespace: pick(NAMESPACES),
    name: 'default',
    object: { spec: { audiences: [] } },
  };
}

function certificate(pick: Pick): Record<string, unknown> {
  const conditions = () =>
    pick<unknown>([{}, { conditions: some(pick, [{ type: 'Approved' }, { type: 'Denied' }], 2) }]);
  const spec = { username: pick(['alice', 'system:node:n1']) };
  return {
    operation: 'UPDATE',
    kind: { group: 'certificates.k8s.io', version: 'v1', kind: 'CertificateSigningRequest' },
    resource: { group: 'certificates.k8s.io', version: 'v1', resource: 'certificatesigningrequests' },
    subResource: 'approval',
    name: 'csr-1',
    object: { spec, status: conditions() },
    oldObject: { spec, status: conditions() },
  };
}
