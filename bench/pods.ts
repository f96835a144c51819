// Pods to create: an ordinary one that every rule allows, and some for each rule that is broken.

interface Container {
  readonly name: string;
  readonly image: string;
  readonly [field: string]: unknown;
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly [field: string]: unknown;
}

export interface Pod {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: PodSpec;
}

const WEB: Container = {
  name: 'web',
  image: 'registry.example.com/shop/web:1.27.3',
  ports: [{ containerPort: 8080, name: 'http' }],
  env: [
    { name: 'LISTEN', value: ':8080' },
    { name: 'UPSTREAM', value: 'http://orders.shop.svc:8080' },
  ],
  resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
  readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
  securityContext: { allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: { drop: ['ALL'] } },
};
const SETUP: Container = { name: 'setup', image: 'registry.example.com/shop/setup:4.1' };
const BY_DIGEST = `registry.example.com:5000/shop/web@sha256:${'1f'.repeat(32)}`;

export function pod(name: string, spec: Partial<PodSpec> = {}): Pod {
  const labels = { 'app.kubernetes.io/name': 'web', 'app.kubernetes.io/part-of': 'shop' };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec: { containers: [WEB], ...spec } };
}

export interface Case {
  readonly pod: Pod;
  /** What each webhook must say; none: allowed. */
  readonly denials: readonly string[];
}

const privileged = { securityContext: { privileged: true } };

/** Broken in each way that a rule knows, and close to it. */
export const CASES: readonly Case[] = [
  { pod: pod('good'), denials: [] },
  { pod: pod('good-by-digest', { containers: [{ ...WEB, image: BY_DIGEST }] }), denials: [] },
  { pod: pod('good-init', { initContainers: [SETUP], hostNetwork: false }), denials: [] },
  { pod: pod('privileged', { containers: [{ ...SETUP, ...privileged }] }), denials: ['container setup is privileged'] },
  {
    pod: pod('privileged-init', { initContainers: [{ ...SETUP, ...privileged }] }),
    denials: ['container setup is privileged'],
  },
  { pod: pod('host-network', { hostNetwork: true, containers: [SETUP] }), denials: ['the pod asks for hostNetwork'] },
  { pod: pod('host-pid', { hostPID: true }), denials: ['the pod asks for hostPID'] },
  { pod: pod('host-ipc', { hostIPC: true }), denials: ['the pod asks for hostIPC'] },
  {
    pod: pod('latest', { containers: [{ ...WEB, image: 'nginx:latest' }] }),
    denials: ['container web runs nginx:latest'],
  },
  {
    pod: pod('untagged', { containers: [{ ...WEB, image: 'localhost:5000/nginx' }] }),
    denials: ['container web runs localhost:5000/nginx'],
  },
  {
    pod: pod('everything', { hostPID: true, containers: [WEB, { ...SETUP, image: 'busybox', ...privileged }] }),
    denials: ['the pod asks for hostPID', 'container setup is privileged', 'container setup runs busybox'],
  },
];
