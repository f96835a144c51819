// What a validating webhook adds to the creation of a pod, through a real kube-apiserver: Sealgate, OPA Gatekeeper with the same
// rules, and none, in turn on one machine: `make bench-e2e [ARGS=--quick]`. Afterwards the ledger must hold a decision on every request.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ControlPlane, startControlPlane } from '../tools/cluster/control-plane.ts';
import { type Creator, creatorOf } from './creations.ts';
import { Cluster } from './e2e-cluster.ts';
import { checkLedger } from './e2e-ledger.ts';
import { type Figures, type Mode, printReport, type Rounds } from './e2e-report.ts';
import { startGatekeeper } from './gatekeeper.ts';
import { CASES } from './pods.ts';
import { startServer } from './server.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
  },
});
const usual = values.quick ? { rounds: 3, seconds: 3 } : { rounds: 7, seconds: 8 };
const ROUNDS = Number(values.rounds ?? usual.rounds);
const MS = Number(values.seconds ?? usual.seconds) * 1000;
const CLIENTS = [1, 16] as const;
/** Before anything counts: V8 compiles what is hot only after some thousand requests. */
const WARM_UP_MS = 10_000;

/** Of /proc: USER_HZ is 100 everywhere. */
const TICK_MS = 10;
const COMPARED: readonly Mode[] = ['none', 'sealgate', 'gatekeeper'];

const tell = (text: string) => console.error(`· ${text}`);
const dir = mkdtempSync(join(tmpdir(), 'sealgate-bench-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** Names of the pods that Sealgate was asked about. */
const asked: string[] = [];
const loads: number[] = [];
const began = performance.now();
const dataDir = join(dir, 'data');
const sealgate = await startServer(dataDir, [], {
  flags: { 'policy-dir': join(import.meta.dirname, 'same-policies', 'sealgate') },
  ownSession: true, // as every other process here has
});
let running = true;
try {
  await measure();
} finally {
  if (running) await sealgate.stop();
}

async function measure(): Promise<void> {
  const rounds: Rounds = new Map();
  await withCluster('plane', false, async (plane) => {
    const gatekeeper = await startGatekeeper(join(dir, 'gatekeeper'), plane);
    const creator = creatorOf(plane);
    try {
      const cluster = new Cluster(plane, creator, sealgate, gatekeeper);
      for (const mode of ['sealgate', 'gatekeeper'] as const) await sameVerdicts(cluster, creator, mode);
      tell(`Sealgate and Gatekeeper agree on ${CASES.length} pods`);
      await playRounds(cluster, creator, COMPARED, rounds, '');
    } finally {
      creator.close();
      await gatekeeper.stop();
    }
  });
  await withCluster('plane-audited', true, async (plane) => {
    const creator = creatorOf(plane);
    try {
      const cluster = new Cluster(plane, creator, sealgate, undefined);
      await playRounds(cluster, creator, ['none', 'sealgate'], rounds, ', audited');
    } finally {
      creator.close();
    }
  });
  await sealgate.indexed();
  running = false;
  await sealgate.stop();
  const ledger = await checkLedger(dataDir, asked);
  const seconds = (performance.now() - began) / 1000;
  printReport({ rounds, ledger, count: ROUNDS, secondsEach: MS / 1000, loads, seconds });
}

async function withCluster(name: string, audited: boolean, use: (plane: ControlPlane) => Promise<void>): Promise<void> {
  const tls = (file: string) => join(dataDir, 'tls', 'audit', file);
  const audit = {
    url: `https://127.0.0.1:${sealgate.audit.port}/v1/audit`,
    ...{ ca: tls('ca.crt'), clientCert: tls('client.crt'), clientKey: tls('client.key') },
  };
  const plane = await startControlPlane({ dir: join(dir, name), ...(audited ? { auditWebhook: audit } : {}) });
  try {
    await use(plane);
  } finally {
    await plane.stop();
  }
}

async function sameVerdicts(cluster: Cluster, creator: Creator, mode: Mode): Promise<void> {
  await cluster.attach(mode);
  for (const { pod: one, denials } of CASES) {
    const { status, text } = await creator.create(one, true);
    const said = status === 201 ? '' : (JSON.parse(text) as { message: string }).message;
    const all = CASES.flatMap((other) => other.denials);
    const wrong = all.filter((denial) => said.includes(denial) !== denials.includes(denial));
    const allowed = status === 201;
    if (allowed !== (denials.length === 0) || wrong.length > 0)
      throw new Error(
        `${mode} on pod ${one.metadata.name}: ${status} ${said}; expected ${denials.join(', ') || 'yes'}`,
      );
  }
}

async function playRounds(
  cluster: Cluster,
  creator: Creator,
  modes: readonly Mode[],
  rounds: Rounds,
  suffix: string,
): Promise<void> {
  let turn = 0;
  const play = async (mode: Mode, clients: number, dryRun: boolean, ms: number) => {
    const names: string[] = [];
    const prefix = `pod${suffix === '' ? '' : '-audited'}-${mode}-${turn++}`;
    const pid = mode === 'sealgate' ? sealgate.pid : mode === 'gatekeeper' ? cluster.gatekeeperPid : undefined;
    const before = cpuMs(pid);
    const latency = await creator.load({ clients, ms, dryRun, prefix, names });
    const figures = { ...latency, webhookCpuMs: (cpuMs(pid) - before) / names.length };
    if (mode === 'sealgate') for (const name of names) asked.push(name);
    return figures;
  };
  for (const mode of modes) {
    await cluster.attach(mode);
    await play(mode, 16, true, WARM_UP_MS);
  }
  for (let at = 0; at < ROUNDS; at++) {
    // Each comes first, second and last in turn.
    const order = modes.map((_, i) => modes[(i + at) % modes.length] as Mode);
    for (const mode of order) {
      await cluster.attach(mode);
      for (const clients of CLIENTS) add(rounds, `${clients}${suffix}`, mode, await play(mode, clients, true, MS));
      add(rounds, `16${suffix}, real`, mode, await play(mode, 16, false, MS / 2));
    }
    loads.push(loadavg()[0] ?? Number.NaN);
    tell(`round ${at + 1} of ${ROUNDS}${suffix}, load average ${loads.at(-1)?.toFixed(1)}`);
  }
}

function add(rounds: Rounds, what: string, mode: Mode, figures: Figures): void {
  const byMode = rounds.get(what) ?? new Map<Mode, Figures[]>();
  rounds.set(what, byMode);
  byMode.set(mode, [...(byMode.get(mode) ?? []), figures]);
}

/** Processor time of a process so far, all threads. Linux only; elsewhere NaN, which the output shows as null. */
function cpuMs(pid: number | undefined): number {
  if (pid === undefined || process.platform !== 'linux') return Number.NaN;
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ').slice(11, 13) ?? [];
  return (Number(user) + Number(system)) * TICK_MS;
}
