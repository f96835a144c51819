// A real Kubernetes control plane without containers: etcd and kube-apiserver as plain processes on loopback. For tests,
// for recording fixtures and for `make cluster`. There is no scheduler, controller or node: objects stay as they are created.
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { toolPath } from '../tool-path.ts';
import { type Running, run, waitUntil } from './process.ts';
import { type AuditTarget, auditKubeconfig, kubeconfig, type WebhookTarget, webhookConfiguration } from './webhook.ts';

const REPOSITORY = join(import.meta.dirname, '..', '..');

/** Both processes are up in 5 to 10 s on an idle machine; a busy one gets its time. */
const START_TIMEOUT_MS = 120_000;

/**
 * The user-facing ClusterRoles. `view`, `edit` and `admin` are empty here, because a controller fills them from the
 * `system:aggregate-to-…` roles, so these are bound instead.
 */
const ROLES = {
  view: ['system:aggregate-to-view'],
  edit: ['system:aggregate-to-view', 'system:aggregate-to-edit'],
  admin: ['system:aggregate-to-view', 'system:aggregate-to-edit', 'system:aggregate-to-admin'],
  'cluster-admin': ['cluster-admin'],
} as const;

export type Role = keyof typeof ROLES;

export interface User {
  readonly name: string;
  readonly groups?: readonly string[];
  /** What the user may do in the whole cluster. Default: nothing but what everybody may. */
  readonly role?: Role;
}

export interface ControlPlaneOptions {
  /** Folder for data, keys, kubeconfigs and logs; created if missing. The caller removes it. */
  readonly dir: string;
  /** Attached once the API server is ready; later with installWebhook. */
  readonly webhook?: WebhookTarget;
  readonly auditWebhook?: AuditTarget;
  /** Default: manifests/audit-policy.yaml. */
  readonly auditPolicy?: string;
  /** The API server's own log backend, JSON lines, written without a buffer. */
  readonly auditLogPath?: string;
  /** Besides `admin`, who is in system:masters. */
  readonly users?: readonly User[];
  /** Seconds that the audit webhook gathers a batch. Default 1. */
  readonly auditMaxWaitSeconds?: number;
  /**
   * Keep the ServiceAccount admission plugin: pods then need a service account, which no controller makes here.
   * Default false, so that a plain `kubectl run` works in any namespace.
   */
  readonly serviceAccounts?: boolean;
  /** Address of this machine that the API server listens on and tells the cluster. Default 127.0.0.1. */
  readonly address?: string;
  /** More flags for kube-apiserver; they come last, so they win. */
  readonly extraArgs?: readonly string[];
}

export interface KubectlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
  /** The body as JSON. */
  json(): unknown;
}

export interface ApiCall {
  readonly method?: string;
  readonly body?: unknown;
  /** Default application/json; patches need their own. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default admin. */
  readonly user?: string;
}

export interface ControlPlane {
  /** https://<address>:<port> */
  readonly url: string;
  /** Kubeconfig of `admin`. */
  readonly kubeconfig: string;
  readonly caFile: string;
  readonly apiServer: Running;
  readonly etcd: Running;
  /** Path of a kubeconfig for a user that was named at the start. */
  kubeconfigFor(user: string): string;
  /** Runs kubectl to its end; never rejects because of kubectl's status. */
  kubectl(args: readonly string[], options?: { user?: string; input?: string }): Promise<KubectlResult>;
  /** One call of the API. */
  call(path: string, options?: ApiCall): Promise<ApiAnswer>;
  /** Stops the API server and starts it with more flags; resolves when it is ready. */
  restartApiServer(extraArgs: readonly string[]): Promise<void>;
  installWebhook(target: WebhookTarget): Promise<void>;
  removeWebhook(): Promise<void>;
  /** Ends both processes. Safe to call twice. */
  stop(): Promise<void>;
}

/** Ports of loopback that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      await new Promise((resolve) => server.close(resolve));
      if (address === null || typeof address === 'string') throw new Error('no port');
      return address.port;
    }),
  );
}

/** Between finding a port free and listening on it, somebody else can take it: then others are tried. */
const PORT_ATTEMPTS = 3;

/** Starts both processes and waits until the API server is ready and has made the first namespaces. Throws with the end of the logs. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options);
    } catch (error) {
      const portTaken = error instanceof Error && /address already in use/.test(error.message);
      if (!portTaken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function startOnce(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { dir } = options;
  mkdirSync(dir, { recursive: true });
  const users: User[] = [{ name: 'admin', groups: ['system:masters'] }, ...(options.users ?? [])];
  const tokens = new Map(users.map((user) => [user.name, randomBytes(24).toString('hex')]));
  const [etcdPort, peerPort, apiPort] = (await freePorts(3)) as [number, number, number];
  const url = `https://${options.address ?? '127.0.0.1'}:${apiPort}`;
  const caFile = join(dir, 'certs', 'apiserver.crt');

  const kubeconfigFor = (user: string): string => {
    if (!tokens.has(user)) throw new Error(`the control plane was started without a user ${user}`);
    return join(dir, `${user}.kubeconfig`);
  };
  for (const [user, token] of tokens) {
    writeFileSync(kubeconfigFor(user), kubeconfig({ server: url, ca: caFile, user: { token } }), { mode: 0o600 });
  }

  const etcd = run({
    name: 'etcd',
    command: toolPath('etcd'),
    logFile: join(dir, 'etcd.log'),
    args: [
      `--data-dir=${join(dir, 'etcd')}`,
      `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
      `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      '--unsafe-no-fsync', // what is stored here is gone with the folder anyway
      '--log-level=warn',
    ],
  });
  let started: Running | undefined;
  const stop = async () => {
    await started?.stop();
    await etcd.stop();
  };

  try {
    const flags = apiServerFlags(options, users, tokens, { etcdPort, apiPort });
    const call = caller(url, caFile, tokens);
    const startApiServer = async (args: readonly string[]): Promise<Running> => {
      const process = run({
        name: 'kube-apiserver',
        command: toolPath('kube-apiserver'),
        logFile: join(dir, 'kube-apiserver.log'),
        args,
      });
      started = process;
      await waitUntil(
        'the API server was ready',
        async () => existsSync(caFile) && (await call('/readyz')).status === 200,
        [etcd, process],
        START_TIMEOUT_MS,
      );
      return process;
    };
    let apiServer = await startApiServer(flags);
    await waitUntil(
      'the first namespaces were there',
      async () => (await call('/api/v1/namespaces/default')).status === 200,
      [etcd, apiServer],
      START_TIMEOUT_MS,
    );
    for (const { name, role } of users) {
      if (role === undefined) continue;
      for (const clusterRole of ROLES[role]) await create(call, RBAC, binding(name, clusterRole));
      const allowed = async () => (await call('/api/v1/namespaces/default/pods', { user: name })).status === 200;
      await waitUntil(`${name} had the role ${role}`, allowed, [etcd, apiServer], START_TIMEOUT_MS);
    }
    const installWebhook = async (target: WebhookTarget) => {
      const body = webhookConfiguration(target);
      const answer = await call(WEBHOOKS, { method: 'POST', body });
      if (answer.status === 201) return;
      if (answer.status !== 409) throw new Error(`POST ${WEBHOOKS}: ${answer.status} ${answer.text}`);
      await call(`${WEBHOOKS}/sealgate`, { method: 'DELETE' });
      await create(call, WEBHOOKS, body);
    };
    if (options.webhook !== undefined) await installWebhook(options.webhook);
    return {
      url,
      kubeconfig: kubeconfigFor('admin'),
      caFile,
      get apiServer() {
        return apiServer;
      },
      etcd,
      kubeconfigFor,
      kubectl: (args, { user = 'admin', input } = {}) => kubectl(kubeconfigFor(user), args, input),
      call,
      restartApiServer: async (extraArgs) => {
        await apiServer.stop();
        apiServer = await startApiServer([...flags, ...extraArgs]);
      },
      installWebhook,
      removeWebhook: async () => void (await call(`${WEBHOOKS}/sealgate`, { method: 'DELETE' })),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
const RBAC = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';

function apiServerFlags(
  options: ControlPlaneOptions,
  users: readonly User[],
  tokens: ReadonlyMap<string, string>,
  ports: { etcdPort: number; apiPort: number },
): string[] {
  const { dir } = options;
  const inDir = (name: string) => join(dir, name);
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  writeFileSync(inDir('service-account.key'), privateKey, { mode: 0o600 });
  writeFileSync(inDir('service-account.pub'), publicKey);
  const rows = users.map((u) =>
    [tokens.get(u.name), u.name, `uid-${u.name}`, `"${(u.groups ?? []).join(',')}"`].join(','),
  );
  writeFileSync(inDir('tokens.csv'), `${rows.join('\n')}\n`, { mode: 0o600 });
  const flags = [
    `--etcd-servers=http://127.0.0.1:${ports.etcdPort}`,
    `--bind-address=${options.address ?? '127.0.0.1'}`,
    `--advertise-address=${options.address ?? '127.0.0.1'}`,
    `--secure-port=${ports.apiPort}`,
    `--cert-dir=${inDir('certs')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-signing-key-file=${inDir('service-account.key')}`,
    `--service-account-key-file=${inDir('service-account.pub')}`,
    `--token-auth-file=${inDir('tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.0.0.0/24',
    '--endpoint-reconciler-type=none',
    '--allow-privileged=true', // or the API server itself refuses privileged pods, before any webhook
    `--audit-policy-file=${options.auditPolicy ?? join(REPOSITORY, 'manifests', 'audit-policy.yaml')}`,
  ];
  if (options.serviceAccounts !== true) flags.push('--disable-admission-plugins=ServiceAccount');
  if (options.auditLogPath !== undefined)
    flags.push(`--audit-log-path=${options.auditLogPath}`, '--audit-log-mode=blocking');
  if (options.auditWebhook !== undefined) {
    const file = inDir('audit-webhook.kubeconfig');
    writeFileSync(file, auditKubeconfig(options.auditWebhook));
    chmodSync(file, 0o600);
    flags.push(
      `--audit-webhook-config-file=${file}`,
      `--audit-webhook-batch-max-wait=${options.auditMaxWaitSeconds ?? 1}s`,
    );
  }
  return [...flags, ...(options.extraArgs ?? [])];
}

function binding(user: string, role: string): object {
  return {
    metadata: { name: `${user}:${role}` },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  };
}

type Call = (path: string, options?: ApiCall) => Promise<ApiAnswer>;

async function create(call: Call, path: string, body: object): Promise<void> {
  const answer = await call(path, { method: 'POST', body });
  if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.status} ${answer.text}`);
}

function caller(url: string, caFile: string, tokens: ReadonlyMap<string, string>): Call {
  return (path, { method = 'GET', body, contentType = 'application/json', headers = {}, user = 'admin' } = {}) =>
    new Promise((resolve, reject) => {
      const authorization = `Bearer ${tokens.get(user)}`;
      const type = body === undefined ? {} : { 'content-type': contentType };
      const call = request(`${url}${path}`, {
        method,
        ca: readFileSync(caFile),
        agent: false,
        headers: { authorization, accept: 'application/json', ...type, ...headers },
      });
      call.once('error', reject);
      call.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, text, json: () => JSON.parse(text) as unknown });
        });
      });
      call.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
    });
}

function kubectl(kubeconfigFile: string, args: readonly string[], input?: string): Promise<KubectlResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(toolPath('kubectl'), ['--kubeconfig', kubeconfigFile, ...args], {
      // Without KUBECONFIG or a home, nothing of the person's own kubectl settings or caches takes part.
      env: { PATH: process.env.PATH, HOME: join(kubeconfigFile, '..') },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, stdout, stderr }));
    child.stdin.on('error', () => {
      // kubectl may end without reading its input
    });
    child.stdin.end(input);
  });
}
