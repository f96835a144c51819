// `make cluster`: a real etcd and kube-apiserver with Sealgate attached as validating webhook and audit backend, for a person to
// try. Stays up until interrupted, then stops everything. Arguments are handed to `sealgate serve`.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { toolPath, toolVersion } from '../tool-path.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { type Running, run, waitUntil } from './process.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const DIR = join(ROOT, '.tmp', 'cluster');
const DATA = process.env.SEALGATE_DATA_DIR ?? join(ROOT, 'sealgate-data');
const READY_TIMEOUT_MS = 60_000;

/** Nobody else on the network has anything to do with a cluster for trying things out. */
const LOOPBACK = ['admission', 'audit', 'metrics'].flatMap((listener) => [`--${listener}-host`, '127.0.0.1']);

/** Otherwise the defaults of the settings hold, so that `./sealgate query` needs no flags. */
function startSealgate(): Running {
  const flags = ['--data-dir', DATA, '--policy-dir', join(ROOT, 'policies'), '--policy-opa', toolPath('opa')];
  return run({
    name: 'sealgate',
    command: process.execPath,
    args: [join(ROOT, 'src', 'cli', 'main.ts'), 'serve', ...LOOPBACK, ...flags, ...process.argv.slice(2)],
    logFile: join(DATA, 'sealgate.log'),
  });
}

async function isReady(): Promise<boolean> {
  const answer = await fetch('http://127.0.0.1:9090/readyz');
  return answer.ok;
}

function help(plane: ControlPlane): string {
  const shown = (path: string) => relative(process.cwd(), path) || '.';
  return `
Kubernetes ${toolVersion('kube-apiserver')} is up at ${plane.url}, with Sealgate in front of it.
Data and log of Sealgate: ${shown(DATA)}/. Logs and kubeconfigs of the cluster: ${shown(DIR)}/.

In another terminal:
  export KUBECONFIG=${plane.kubeconfig} PATH=${dirname(toolPath('kubectl'))}:$PATH

  kubectl run bad --image=nginx --privileged         denied, with the policy's message
  ./sealgate query --namespace default --name bad    the decision and its audit event
  kubectl create clusterrolebinding mine --clusterrole=cluster-admin --user=me
  ./sealgate query --denied
  ./sealgate verify ${shown(DATA)} --key ${shown(join(DATA, 'keys', 'ledger.vkey'))}

As a developer without admin rights: KUBECONFIG=${plane.kubeconfigFor('alice')}
There are no nodes and no controllers: pods stay Pending, and deleted namespaces stay.

Interrupt (Ctrl-C) to stop everything.`;
}

// Before anything of it is touched: what answers here would be taken for our own, and the folder of a running cluster for an old one.
if (await isReady().catch(() => false)) {
  console.error(
    'A Sealgate is running on these ports already (make run or make cluster, perhaps in another checkout): stop it first.',
  );
  process.exit(1);
}
mkdirSync(DATA, { recursive: true });
const sealgate = startSealgate();
let plane: ControlPlane | undefined;
let interrupted = false;

/** The API server first: it hands its last audit events over while it stops. */
async function stopAll(): Promise<void> {
  await plane?.stop();
  await sealgate.stop();
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted) process.exit(130); // a second time: at once; the watchdogs end what still runs
    interrupted = true;
    console.log('\nStopping …');
    void stopAll().then(() => process.exit(0));
  });
}

try {
  await waitUntil('Sealgate was ready', isReady, [sealgate], READY_TIMEOUT_MS);
  // Only now: a second one that was started at the same time has already failed on the first one's ports or ledger.
  rmSync(DIR, { recursive: true, force: true });
  const tls = (...path: string[]) => join(DATA, 'tls', ...path);
  plane = await startControlPlane({
    dir: DIR,
    users: [{ name: 'alice', groups: ['developers'], role: 'edit' }],
    webhook: { url: 'https://127.0.0.1:8443/v1/admit', caBundle: readFileSync(tls('admission', 'ca.crt'), 'utf8') },
    auditWebhook: {
      url: 'https://127.0.0.1:8444/v1/audit',
      ca: tls('audit', 'ca.crt'),
      clientCert: tls('audit', 'client.crt'),
      clientKey: tls('audit', 'client.key'),
    },
    auditLogPath: join(DIR, 'audit.log'),
  });
  console.log(help(plane));
  const ended = await Promise.race(
    [sealgate, plane.apiServer, plane.etcd].map((process) => process.ended.then(() => process)),
  );
  if (!interrupted) throw new Error(`${ended.name} ${ended.outcome()}; end of ${ended.logFile}:\n${ended.tail()}`);
} catch (error) {
  if (!interrupted) {
    console.error(error instanceof Error ? error.message : error);
    await stopAll();
    process.exit(1);
  }
}
