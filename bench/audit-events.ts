// Audit events as kube-apiserver writes them, about 1.5 KB each and no two alike, from a seeded generator.

/** A source of 32-bit numbers that is the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const RESOURCES = ['pods', 'configmaps', 'leases', 'endpointslices', 'deployments', 'replicasets', 'secrets', 'events'];
const VERBS = ['create', 'update', 'patch', 'get', 'list', 'delete'];
const USERS = [
  'kube-scheduler',
  'kube-controller-manager',
  'serviceaccount:kube-system:replicaset-controller',
  'node:worker-17',
];

/** The JSON of one audit.k8s.io/v1 event at level Request. `at` is in milliseconds since the epoch. */
export function auditEvent(next: () => number, at: number): string {
  const hex = (digits: number): string => {
    let text = '';
    while (text.length < digits) text += next().toString(16).padStart(8, '0');
    return text.slice(0, digits);
  };
  const uuid = (): string => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`;
  const pick = (list: readonly string[]): string => list[next() % list.length] as string;
  const resource = pick(RESOURCES);
  const namespace = `team-${next() % 50}`;
  const name = `${resource.slice(0, -1)}-${hex(10)}-${hex(5)}`;
  const time = new Date(at).toISOString();
  return JSON.stringify({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Request',
    auditID: uuid(),
    stage: 'ResponseComplete',
    requestURI: `/api/v1/namespaces/${namespace}/${resource}/${name}?timeout=10s`,
    verb: pick(VERBS),
    user: {
      username: `system:${pick(USERS)}`,
      uid: uuid(),
      groups: ['system:serviceaccounts', 'system:authenticated'],
    },
    sourceIPs: [`10.${next() % 256}.${next() % 256}.${next() % 256}`],
    userAgent: 'kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/0123456/leader-election',
    objectRef: {
      resource,
      namespace,
      name,
      uid: uuid(),
      apiVersion: 'v1',
      resourceVersion: String(next() % 10_000_000),
    },
    responseStatus: { metadata: {}, code: 200 },
    requestObject: {
      metadata: { name, namespace, labels: { app: `app-${next() % 200}`, 'pod-template-hash': hex(10) } },
      spec: {
        holderIdentity: `${hex(12)}_${uuid()}`,
        leaseDurationSeconds: 15,
        acquireTime: time,
        leaseTransitions: next() % 100,
      },
    },
    requestReceivedTimestamp: time.replace('Z', `${String(next() % 1000).padStart(3, '0')}Z`),
    stageTimestamp: time.replace('Z', `${String(next() % 1000).padStart(3, '0')}Z`),
    annotations: {
      'authorization.k8s.io/decision': 'allow',
      'authorization.k8s.io/reason': `RBAC: allowed by ClusterRoleBinding "system:controller:${pick(USERS)}" of ClusterRole "system:controller:${pick(USERS)}" to User`,
    },
  });
}
