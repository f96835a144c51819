// A new installation stops nothing until the API server has had an answer of Sealgate: the chart's webhook admits until then, and the job
// of the chart makes it fail closed; what it changed is in no later upgrade's way.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { LedgerReader } from '../../src/ledger/reader.ts';
import { CHART, helm, render } from '../../tools/chart/render.ts';
import { type ControlPlane, startControlPlane } from '../../tools/cluster/control-plane.ts';
import { type Sealgate, startSealgate } from '../support/sealgate.ts';

const NAMESPACE = 'sealgate-system';
const ACCOUNT = 'sealgate-enforcement';

// biome-ignore lint/suspicious/noExplicitAny: any object of Kubernetes, looked into by the assertions
type Manifest = any;

const dir = mkdtempSync(join(tmpdir(), 'sealgate-enforcement-'));
let plane: ControlPlane;
let gate: Sealgate;
let job: Manifest;

const helmHere = (...args: string[]) =>
  helm([...args, '--kubeconfig', plane.kubeconfig], { HOME: dir, HELM_NAMESPACE: NAMESPACE });
/** Without hooks: no pod can run here. The job's script is run as it stands in the chart. */
const upgrade = (...values: string[]) =>
  helmHere(
    'upgrade',
    '--install',
    '--reset-values',
    'sealgate',
    CHART,
    '--no-hooks',
    ...values.map((value) => `--set=${value}`),
  );
const configuration = async (): Promise<Manifest> => {
  const answer = await plane.call('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sealgate');
  return answer.json();
};
const policies = async () =>
  ((await configuration()).webhooks as Manifest[]).map(({ name, failurePolicy }) => `${name} ${failurePolicy}`);
const creates = () => plane.kubectl(['create', 'configmap', 'x', '-n', 'default', '--dry-run=server']);
/** Where the webhooks are; with a real Sealgate outside of the cluster, whose Service nothing leads to here. */
const patchClients = async (...clients: object[]) => {
  const patch = clients.map((value, i) => ({ op: 'replace', path: `/webhooks/${i}/clientConfig`, value }));
  const args = ['patch', 'validatingwebhookconfiguration', 'sealgate', '--type=json', '-p', JSON.stringify(patch)];
  const { code, stderr } = await plane.kubectl(args);
  expect(code, stderr).toBe(0);
};

/** A denial is an answer as good as any; the end-to-end test has the other kind. */
const STRICT = `package admission.no_questions

deny contains "nobody asks who they are" if input.request.kind.kind == "SelfSubjectReview"
`;

beforeAll(async () => {
  const policyDir = join(dir, 'policies');
  mkdirSync(policyDir);
  writeFileSync(join(policyDir, 'strict.rego'), STRICT);
  [plane, gate] = await Promise.all([
    startControlPlane({ dir: join(dir, 'plane'), users: [{ name: 'carol', role: 'view' }] }),
    startSealgate({ dataDir: join(dir, 'data'), policyDir }),
  ]);
  await plane.kubectl(['create', 'namespace', NAMESPACE]);
  const roles = ['clusterrole', 'roles', '--verb=create', '--resource=clusterroles.rbac.authorization.k8s.io'];
  for (const what of [roles, ['clusterrolebinding', 'roles', '--clusterrole=roles', '--user=carol']])
    expect((await plane.kubectl(['create', ...what])).stderr).toBe('');
});
afterAll(async () => {
  await plane?.stop();
  await gate?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** The job, to its end, as its account. */
async function runJob(seconds: number): Promise<{ readonly code: number; readonly output: string }> {
  const secrets = join(dir, 'token');
  mkdirSync(secrets, { recursive: true });
  const token = await plane.kubectl(['create', 'token', ACCOUNT, '-n', NAMESPACE]);
  expect(token.code, token.stderr).toBe(0);
  writeFileSync(join(secrets, 'token'), token.stdout);
  writeFileSync(join(secrets, 'ca.crt'), readFileSync(plane.caFile));
  const [{ command, args }] = job.spec.template.spec.containers;
  const [script, , ...names] = args as string[];
  const child = spawn(process.execPath, [...command.slice(1), script, String(seconds), ...names], {
    env: { TOKEN_DIR: secrets, KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: new URL(plane.url).port },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? 1)));
  return { code, output };
}

describe('a new installation', () => {
  it('admits what nobody answers, and says so when the job gives up', async () => {
    const installed = upgrade();
    expect(installed.code, installed.stderr).toBe(0);
    expect(installed.stdout).toContain('The webhook began with failurePolicy Ignore');
    expect(await policies()).toEqual(['admission.sealgate.dev Ignore', 'answers.sealgate.dev Fail']);

    const hooks = parseAllDocuments(helmHere('get', 'hooks', 'sealgate').stdout)
      .map((document) => document.toJS() as Manifest)
      .filter((object) => object?.metadata.name === ACCOUNT);
    job = hooks.find(({ kind }) => kind === 'Job');
    for (const { kind, metadata } of hooks) {
      expect(metadata.annotations['helm.sh/hook'], kind).toBe('post-install,post-upgrade,post-rollback');
      expect(metadata.annotations['helm.sh/hook-delete-policy'], kind).toContain('hook-succeeded');
    }
    const input = hooks
      .filter(({ kind }) => kind !== 'Job')
      .map((each) => JSON.stringify(each))
      .join('\n---\n');
    expect((await plane.kubectl(['create', '-f', '-'], { input })).stderr).toBe('');
    const may = (...what: string[]) =>
      plane.kubectl(['auth', 'can-i', ...what, '--as', `system:serviceaccount:${NAMESPACE}:${ACCOUNT}`]);
    expect((await may('patch', 'validatingwebhookconfigurations/others')).code).toBe(1);
    expect((await may('get', 'secrets', '-A')).code).toBe(1);

    // The API server asks about the job's own question, and lets everybody else pass.
    const { code, output } = await runJob(1);
    expect(code).toBe(1);
    expect(output).toContain('failed calling webhook "answers.sealgate.dev"');
    expect((await creates()).code).toBe(0);
    expect(await policies()).toEqual(['admission.sealgate.dev Ignore', 'answers.sealgate.dev Fail']);
  });

  it('fails closed when the job has seen an answer, which is on record', async () => {
    const client = {
      url: `https://127.0.0.1:${gate.ports.admission}/v1/admit`,
      caBundle: Buffer.from(gate.tls('admission', 'ca.crt')).toString('base64'),
    };
    const before = (await configuration()).webhooks.map(({ clientConfig }: Manifest) => clientConfig);
    await patchClients(client, client);
    const { code, output } = await runJob(60);
    expect(code, output).toBe(0);
    expect(output).toContain('fails closed from now on');
    expect(await policies()).toEqual(['admission.sealgate.dev Fail']);
    const reader = LedgerReader.open(join(gate.dataDir, 'ledger'));
    const decisions = [...reader.entries(0, 0)].filter(({ leaf }) => leaf.kind === 'decision');
    expect(decisions.some(({ body }) => body.includes('SelfSubjectReview') && body.includes(ACCOUNT))).toBe(true);
    expect(decisions.every(({ leaf }) => leaf.allowed === false)).toBe(true);
    reader.close();
    await patchClients(before[0]);
    await expect.poll(async () => (await creates()).stderr).toContain('failed calling webhook');
  });

  it('stays so over upgrades that see it, and none is refused for what the job changed', async () => {
    const fields = (await configuration()).metadata.managedFields.map(({ manager }: Manifest) => manager);
    expect(fields).not.toContain(ACCOUNT);
    for (const values of [[], ['replicas=3']]) {
      const upgraded = upgrade(...values);
      expect(upgraded.code, upgraded.stderr).toBe(0);
      expect(upgraded.stdout).not.toContain('failurePolicy Ignore');
      expect(await policies()).toEqual(['admission.sealgate.dev Fail']);
      expect(helmHere('get', 'hooks', 'sealgate').stdout).not.toContain(ACCOUNT);
    }
    const open = upgrade('webhook.failurePolicy=Ignore');
    expect(open.code, open.stderr).toBe(0);
    expect(await policies()).toEqual(['admission.sealgate.dev Ignore']);
    // From there the way back to Fail is by an answer again.
    const back = upgrade();
    expect(back.code, back.stderr).toBe(0);
    expect(await policies()).toEqual(['admission.sealgate.dev Ignore', 'answers.sealgate.dev Fail']);
  });

  it('lets helm upgrade pass while nobody answers: it may be what mends Sealgate', async () => {
    const values = ['webhook.failOnceAnswered=false', 'webhook.certificate.source=managed', 'removalHook=true'];
    const resource = 'settings.inventory.resources[0]';
    const inventory = ['version=v1', 'resource=pods'].map((value) => `${resource}.${value}`);
    expect(upgrade(...values).code).toBe(0);
    await expect.poll(async () => (await creates()).stderr).toContain('failed calling webhook');
    const mended = upgrade(...values, ...inventory, 'replicas=2');
    expect(mended.code, mended.stderr).toBe(0);
    // Nobody else may make use of those names.
    const role = ['create', 'clusterrole', 'sealgate-enforcement', '--verb=get', '--resource=pods'];
    await expect
      .poll(async () => (await plane.kubectl(role, { user: 'carol' })).stderr)
      .toContain('this belongs to Sealgate');
  });

  it('can be put back after the glass was broken, by a deletion or by a patch', async () => {
    const object = ['validatingwebhookconfiguration', 'sealgate'];
    await plane.kubectl(['delete', ...object]);
    const open = JSON.stringify([{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }]);
    for (const glass of [
      ['delete', ...object],
      ['patch', ...object, '--type=json', '-p', open],
    ]) {
      const closed = upgrade('webhook.failOnceAnswered=false');
      expect(closed.code, closed.stderr).toBe(0);
      expect(await policies()).toEqual(['admission.sealgate.dev Fail']);
      const broken = await plane.kubectl(glass);
      expect(broken.code, broken.stderr).toBe(0);
      const back = upgrade();
      expect(back.code, back.stderr).toBe(0);
      expect(await policies()).toEqual(['admission.sealgate.dev Ignore', 'answers.sealgate.dev Fail']);
    }
  });

  it('fails closed at once where the values say so, and where nothing of the cluster can be seen', async () => {
    await plane.kubectl(['delete', 'validatingwebhookconfiguration', 'sealgate']);
    const closed = upgrade('webhook.failOnceAnswered=false');
    expect(closed.code, closed.stderr).toBe(0);
    expect(await policies()).toEqual(['admission.sealgate.dev Fail']);
    expect(render()).toContain('failurePolicy: Fail');
    expect(render()).not.toMatch(/failurePolicy: Ignore|component: enforcement|answers\.sealgate\.dev/);
  });
});
