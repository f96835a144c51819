// OPA Gatekeeper out of cluster, as its deployment runs it, with the same rules as Sealgate beside it: what is compared with.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type ControlPlane, freePorts } from '../tools/cluster/control-plane.ts';
import { type Running, run, waitUntil } from '../tools/cluster/process.ts';
import { selfSigned } from '../tools/cluster/self-signed.ts';
import { moduleDir, toolPath } from '../tools/tool-path.ts';

const MODULE = 'github.com/open-policy-agent/gatekeeper/v3';
const SAME = join(import.meta.dirname, 'same-policies');
const NEEDED = /^(Namespace|CustomResourceDefinition|ServiceAccount|(Cluster)?Role(Binding)?)$/;
const START_TIMEOUT_MS = 180_000;

export interface WebhookObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly webhooks: { clientConfig: { service?: { path: string }; url?: string; caBundle?: string } }[];
}

export interface Gatekeeper extends Running {
  /** Its own configuration, with a URL in place of its Service. */
  readonly webhook: WebhookObject;
}

/** Starts it with its objects, template and constraint in the cluster; the webhook is the caller's to install. */
export async function startGatekeeper(dir: string, plane: ControlPlane): Promise<Gatekeeper> {
  mkdirSync(dir, { recursive: true });
  const text = readFileSync(join(moduleFolder(), 'deploy', 'gatekeeper.yaml'), 'utf8');
  const objects = parseAllDocuments(text).map((document) => document.toJS() as WebhookObject);
  await apply(plane, ...objects.filter(({ kind }) => NEEDED.test(kind)).map((object) => JSON.stringify(object)));

  const [port, health, nobody] = (await freePorts(3)) as [number, number, number];
  const { certificate, key } = await selfSigned('127.0.0.1');
  writeFileSync(join(dir, 'tls.crt'), certificate);
  writeFileSync(join(dir, 'tls.key'), key, { mode: 0o600 });
  const gatekeeper = run({
    name: 'gatekeeper',
    command: toolPath('gatekeeper'),
    logFile: join(dir, 'gatekeeper.log'),
    args: [
      `--kubeconfig=${plane.kubeconfig}`,
      ...['webhook', 'status', 'generate'].map((operation) => `--operation=${operation}`),
      '--exempt-namespace=gatekeeper-system',
      '--disable-opa-builtin={http.send}',
      '--disable-cert-rotation',
      `--cert-dir=${dir}`,
      '--host=127.0.0.1',
      `--port=${port}`,
      `--health-addr=127.0.0.1:${health}`,
      // Its Prometheus port would be open to the network. Metrics are gathered all the same, and sent to nobody.
      '--metrics-backend=opentelemetry',
      `--otlp-endpoint=127.0.0.1:${nobody}`,
      '--otlp-metric-interval=1h',
      '--debug-use-fake-pod',
      '--shutdown-delay=0',
    ],
    env: {
      PATH: process.env['PATH'],
      HOME: dir,
      POD_NAME: 'gatekeeper-bench',
      POD_NAMESPACE: 'gatekeeper-system',
      NAMESPACE: 'gatekeeper-system',
      CONTAINER_NAME: 'manager',
    },
  });
  try {
    const wait = (what: string, ready: () => Promise<boolean>) =>
      waitUntil(what, ready, [gatekeeper], START_TIMEOUT_MS);
    await wait('Gatekeeper was ready', async () => (await fetch(`http://127.0.0.1:${health}/readyz`)).ok);
    await apply(plane, readFileSync(join(SAME, 'gatekeeper-template.yaml'), 'utf8'));
    const constraints = '/apis/constraints.gatekeeper.sh/v1beta1/benchpods';
    await wait('the template had its kind', async () => (await plane.call(constraints)).status === 200);
    await apply(plane, readFileSync(join(SAME, 'gatekeeper-constraint.yaml'), 'utf8'));
  } catch (error) {
    await gatekeeper.stop();
    throw error;
  }
  const webhook = objects.find(({ kind }) => kind === 'ValidatingWebhookConfiguration');
  if (webhook === undefined) throw new Error('deploy/gatekeeper.yaml has no ValidatingWebhookConfiguration');
  for (const { clientConfig } of webhook.webhooks) {
    clientConfig.url = `https://127.0.0.1:${port}${clientConfig.service?.path ?? ''}`;
    clientConfig.caBundle = Buffer.from(certificate).toString('base64');
    delete clientConfig.service;
  }
  return { ...gatekeeper, webhook };
}

async function apply(plane: ControlPlane, ...documents: string[]): Promise<void> {
  const { code, stderr } = await plane.kubectl(['apply', '--server-side', '-f', '-'], {
    input: documents.join('\n---\n'),
  });
  if (code !== 0) throw new Error(`kubectl apply: ${stderr}`);
}

/** Where Go keeps the sources of the version that is pinned. */
function moduleFolder(): string {
  const args = ['list', '-mod=readonly', '-m', '-f', '{{.Dir}}', MODULE];
  const env = { ...process.env, GOWORK: 'off' };
  const dir = execFileSync('go', args, { cwd: moduleDir('gatekeeper'), encoding: 'utf8', env }).trim();
  if (dir !== '') return dir;
  // Built on another day, and the module cache was emptied since.
  execFileSync('go', ['mod', 'download', MODULE], { cwd: moduleDir('gatekeeper'), env });
  return execFileSync('go', args, { cwd: moduleDir('gatekeeper'), encoding: 'utf8', env }).trim();
}
