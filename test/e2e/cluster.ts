// The one cluster of all files in this folder, started by the first that asks: a node, an object store with Object Lock in it, volumes for
// Sealgate. It ends with the namespaces that it runs in.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { S3 } from '@aws-sdk/client-s3';
import { expect, vi } from 'vitest';
import type { ControlPlane, KubectlResult } from '../../tools/cluster/control-plane.ts';
import { NODE_NAME, type NodeCluster, startNode } from '../../tools/cluster/node.ts';
import { toolPath } from '../../tools/tool-path.ts';
import { documented } from './documented.ts';
import { given, OBJECT_STORE_IMAGE, PAUSE_IMAGE, SEALGATE_IMAGE } from './images.ts';

const ROOT = join(import.meta.dirname, '..', '..');
export const NAMESPACE = 'sealgate-system';
/** Of the Service of the object store; a name would do as well, but tests outside of pods use it, too. */
const STORE_ADDRESS = '10.96.0.50';
const STORE_URL = `http://${STORE_ADDRESS}:7070`;
/** By which the offline commands find it. */
export const STORE_FLAGS = ['--endpoint', STORE_URL, '--path-style'];
const STORE_KEYS = { accessKeyId: 'e2e', secretAccessKey: 'e2e-secret' };
export const BUCKET = 'audit';
export const MIRROR = `s3://${BUCKET}/sealgate`;
/** More than replicas: one that was released is not given out again. */
const VOLUMES = 6;

/** For whatever has to happen sooner or later: pulls, starts, elections on a busy machine. */
export const SOON = { timeout: 180_000, interval: 500 };

export interface Cluster {
  readonly dir: string;
  /** The API server's own audit log. */
  readonly auditLog: string;
  readonly plane: ControlPlane;
  readonly processes: NodeCluster['processes'];
  /** The administrator of the bucket. */
  readonly store: S3;
  /** Environment in which `sealgate verify s3://…` may read the bucket, with STORE_FLAGS. */
  readonly storeEnvironment: Readonly<Record<string, string>>;
  kubectl(...args: string[]): Promise<KubectlResult>;
  /** Lines of shell in the repository, up to the first that fails. kubectl, helm and sealgate are on its PATH. */
  shell(script: string): Promise<KubectlResult>;
  /** Applies objects; throws with what kubectl says. */
  apply(...objects: object[]): Promise<void>;
  /** helm to its end. */
  helm(...args: string[]): Promise<KubectlResult>;
  /** `./sealgate …` to its end, outside of the cluster. */
  sealgate(args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<KubectlResult>;
}

let started: Promise<Cluster> | undefined;

export function cluster(): Promise<Cluster> {
  started ??= start();
  return started;
}

/** What the chart is installed with here, besides what docs/install.md says: which image, volumes and bucket. */
export const VALUES = [
  `image.tag=${SEALGATE_IMAGE.split(':')[1]}`,
  'resources.requests.cpu=50m',
  'resources.requests.memory=128Mi',
  'settings.policy.workers=1',
  // The volumes of this test are folders of a machine whose disk may be fuller than any volume.
  'settings.ledger.reserveBytes=1048576',
  'settings.ledger.lowSpaceBytes=1048577',
  `settings.mirror.url=${MIRROR}`,
  'settings.mirror.intervalSeconds=1',
  `settings.mirror.s3.endpoint=${STORE_URL}`,
  'settings.mirror.s3.pathStyle=true',
  'settings.mirror.retention.logDays=1',
  'settings.mirror.retention.bodiesDays=1',
  's3.existingSecret=bucket',
] as const;

async function start(): Promise<Cluster> {
  const { dir, cgroup, images } = given();
  const logs = join(dir, 'logs');
  const auditLog = join(logs, 'audit.log');
  const { plane, processes } = await startNode({
    dir: logs,
    cgroup,
    images,
    auditLogPath: auditLog,
    users: [{ name: 'alice', groups: ['developers'], role: 'edit' }],
  });
  const path = [toolPath('kubectl'), toolPath('helm')].map(dirname).join(':');
  const environment = { PATH: `${path}:${process.env['PATH']}`, HOME: dir, KUBECONFIG: plane.kubeconfig };
  const run = (program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    runToEnd(program, args, { ...environment, ...env });
  const storeEnvironment = {
    AWS_ACCESS_KEY_ID: STORE_KEYS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: STORE_KEYS.secretAccessKey,
  };
  const made: Cluster = {
    dir,
    auditLog,
    plane,
    processes,
    store: new S3({
      endpoint: STORE_URL,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: STORE_KEYS,
    }),
    storeEnvironment,
    kubectl: (...args) => run('kubectl', args),
    shell: (script) => run('sh', ['-euc', script]),
    async apply(...objects) {
      const input = objects.map((object) => JSON.stringify(object)).join('\n---\n');
      const { code, stderr } = await plane.kubectl(['apply', '-f', '-'], { input });
      if (code !== 0) throw new Error(stderr);
    },
    helm: (...args) => run('helm', args),
    sealgate: (args, env) => run(join(ROOT, 'sealgate'), args, env),
  };
  await storage(made);
  await objectStore(made);
  return made;
}

function runToEnd(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<KubectlResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { cwd: ROOT, env, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') reject(error);
        else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
      },
    );
    child.stdin?.end();
  });
}

/** A class of local volumes, as a cluster on machines with disks has one. */
async function storage({ dir, apply }: Cluster): Promise<void> {
  const volumes = Array.from({ length: VOLUMES }, (_, i) => {
    const path = join(dir, 'volumes', String(i));
    mkdirSync(path, { recursive: true });
    return {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `local-${i}` },
      spec: {
        capacity: { storage: '20Gi' },
        accessModes: ['ReadWriteOncePod'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: 'local',
        local: { path },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [NODE_NAME] }] },
            ],
          },
        },
      },
    };
  });
  await apply(
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    },
    ...volumes,
  );
}

async function objectStore({ apply, kubectl, store }: Cluster): Promise<void> {
  const labels = { app: 'object-store' };
  const metadata = { name: 'object-store', namespace: 'object-store' };
  await apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'object-store' } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            volumes: [{ name: 'data', emptyDir: {} }],
            containers: [
              {
                name: 'versitygw',
                image: OBJECT_STORE_IMAGE,
                imagePullPolicy: 'Never',
                args: ['--port', ':7070', 'posix', '--versioning-dir', '/data/versions', '/data/objects'],
                env: [
                  { name: 'ROOT_ACCESS_KEY', value: STORE_KEYS.accessKeyId },
                  { name: 'ROOT_SECRET_KEY', value: STORE_KEYS.secretAccessKey },
                ],
                volumeMounts: ['objects', 'versions'].map((name) => ({
                  name: 'data',
                  mountPath: `/data/${name}`,
                  subPath: name,
                })),
                readinessProbe: { tcpSocket: { port: 7070 }, periodSeconds: 1 },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { clusterIP: STORE_ADDRESS, selector: labels, ports: [{ port: 7070 }] },
    },
  );
  const rolled = await kubectl('rollout', 'status', 'deployment/object-store', '-n', 'object-store', '--timeout=180s');
  expect(rolled.code, rolled.stderr + (await kubectl('describe', 'pods', '-n', 'object-store')).stdout).toBe(0);
  await vi.waitFor(() => store.createBucket({ Bucket: BUCKET, ObjectLockEnabledForBucket: true }), SOON);
}

/** What docs/install.md says to do before `helm install`. */
export function prepare({ shell }: Cluster): Promise<KubectlResult> {
  return shell(INSTALLATION.slice(0, INSTALLATION.indexOf('helm install')));
}

/** `helm install` as docs/install.md has it, with VALUES. */
export function install({ shell }: Cluster, ...more: string[]): Promise<KubectlResult> {
  return shell(withValues(INSTALLATION.slice(INSTALLATION.indexOf('helm install')), [...VALUES, ...more]));
}

/** `helm upgrade` of the same, with one more value. */
export function upgrade({ shell }: Cluster, more: string): Promise<KubectlResult> {
  const script = INSTALLATION.slice(INSTALLATION.indexOf('helm install')).replace('helm install', 'helm upgrade');
  return shell(withValues(script, [...VALUES, more]));
}

const INSTALLATION = documented('docs/install.md', 'kubectl create namespace sealgate-system\nkubectl label');

function withValues(script: string, values: readonly string[]): string {
  return script.replace('--wait', `--wait --timeout=4m ${values.map((value) => `'--set=${value}'`).join(' ')}`);
}

/** What somebody would look at when it does not become ready. */
export async function podsAndLogs({ kubectl }: Cluster): Promise<string> {
  const { stdout } = await kubectl('describe', 'pods', '-n', NAMESPACE);
  const logs = await kubectl('logs', '-n', NAMESPACE, '-l', 'app.kubernetes.io/name=sealgate', '--prefix', '--tail=20');
  return `${stdout}\n${logs.stdout}`;
}

export interface Queried {
  readonly kind: string;
  readonly shard: number;
  readonly seq: number;
  readonly [key: string]: unknown;
}

/** `sealgate query` through `kubectl port-forward` to one replica. */
export async function queried({ sealgate, dir, plane }: Cluster, pod: string, ...args: string[]): Promise<Queried[]> {
  const forward = spawn(toolPath('kubectl'), ['-n', NAMESPACE, 'port-forward', pod, ':8080'], {
    env: { PATH: dirname(toolPath('kubectl')), HOME: dir, KUBECONFIG: plane.kubeconfig },
  });
  try {
    const ended = once(forward, 'exit').then(() => {
      throw new Error(`kubectl port-forward ${pod} ended`);
    });
    const [line] = (await Promise.race([once(forward.stdout, 'data'), ended])) as [Buffer];
    const port = /127\.0\.0\.1:(\d+)/.exec(line.toString())?.[1];
    const { code, stdout, stderr } = await sealgate([
      ...['query', '--server', `http://127.0.0.1:${port}`, '-o', 'json', ...args],
    ]);
    if (code !== 0) throw new Error(stderr);
    return stdout
      .split('\n')
      .filter((text) => text !== '')
      .map((text) => JSON.parse(text) as Queried);
  } finally {
    forward.kill();
  }
}

/** Runs the commands of docs/install.md that make the files for the audit stream, word for word; gives their folder. */
export async function auditFiles({ dir, plane }: Cluster): Promise<string> {
  const script = documented('docs/install.md', 'audit-webhook.kubeconfig <<EOF');
  const folder = join(dir, 'logs', 'audit');
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(ROOT, 'manifests'), join(folder, 'manifests'));
  const shell = spawn('sh', ['-eu'], {
    cwd: folder,
    env: { PATH: `${dirname(toolPath('kubectl'))}:${process.env['PATH']}`, HOME: dir, KUBECONFIG: plane.kubeconfig },
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  shell.stdin.end(script);
  const code = await new Promise((resolve) => shell.once('close', resolve));
  expect(code).toBe(0);
  return folder;
}

/** A pod that nothing is wrong with. */
export function goodPod(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'main',
          image: PAUSE_IMAGE,
          imagePullPolicy: 'Never',
          resources: { requests: { cpu: '1m', memory: '8Mi' }, limits: { memory: '16Mi' } },
        },
      ],
    },
  };
}

/** The public key of a replica, from the first line that it logs about its ledger, as docs/install.md says. */
export async function vkeyOf({ kubectl }: Cluster, pod: string): Promise<string> {
  const { stdout } = await kubectl('logs', '-n', NAMESPACE, pod);
  const line = stdout.split('\n').find((text) => text.includes('the ledger is open'));
  const vkey = (JSON.parse(line ?? '{}') as { vkey?: string }).vkey;
  if (vkey === undefined) throw new Error(`${pod} has not said its key:\n${stdout.slice(0, 2000)}`);
  return vkey;
}
