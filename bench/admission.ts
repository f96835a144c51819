// Decisions over TLS, durably recorded, redaction and index on, against `opa run --server` with the same Rego and reviews, in turn in one
// run: `make bench-admission [ARGS=--quick]`. Each server has one core and the load the other, then everybody has both.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LedgerReader } from '../src/ledger/reader.ts';
import { verifyLedger } from '../src/ledger/verify.ts';
import { writeForOpa, writeManyPolicies, writePolicies, writeWithInventory } from './admission-policies.ts';
import { Reviews, type Size } from './admission-reviews.ts';
import { Connection, type Target } from './client.ts';
import { type Latency, latencyOf, median, round } from './numbers.ts';
import { type OpaServer, startOpa } from './opa-server.ts';
import { type Server, startServer } from './server.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const full = !values.quick;

const CASES: readonly { readonly size: Size; readonly clients: number }[] = full
  ? (['small', '3k', '60k'] as const).flatMap((size) => [1, 16, 64].map((clients) => ({ size, clients })))
  : [1, 16, 64].map((clients) => ({ size: '3k', clients }));
const ROUNDS = full ? 5 : 3;
const SECONDS = full ? 4 : 1;
/** Before anything is measured: both run for weeks. V8 compiles what is hot after ten thousands of requests, OPA was compiled before. */
const WARM_UP_REQUESTS = full ? 60_000 : 30_000;
const OPA_WARM_UP_REQUESTS = full ? 60_000 : 2000;
const COST_SECONDS = full ? 4 : 0.8;
const COST_ROUNDS = full ? 5 : 2;
const MEMORY_REQUESTS = 1_000_000;
const INVENTORY_OBJECTS = 10_000;
const MANY = 40;

interface Side {
  readonly pid: number;
  readonly target: Target;
  /** What is behind is done before the other side's turn. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

interface Sealgate extends Side {
  readonly server: Server;
}

interface Round {
  readonly sealgate: Latency;
  readonly opa: Latency;
}

const tell = (text: string) => console.error(`· ${text}`);
const dir = mkdtempSync(join(tmpdir(), 'sealgate-bench-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

let runs = 0;
/** Requests that were answered, by the port of who answered. */
const sent = new Map<number, number>();

/** All threads of a process to these cores: `0`, `0,1`. */
function pin(pid: number, cores: string): void {
  execFileSync('taskset', ['--all-tasks', '--pid', '--cpu-list', cores, String(pid)], { stdio: 'ignore' });
}

/** So many clients, each with a connection of its own and one request at a time, each answer checked. */
async function load(
  target: Target,
  size: Size,
  clients: number,
  until: { ms?: number; requests?: number },
): Promise<Latency> {
  const reviews = new Reviews(size, runs++);
  const waits: number[] = [];
  const connections = await Promise.all(Array.from({ length: clients }, () => Connection.open(target)));
  const began = performance.now();
  const ended = () =>
    until.ms === undefined ? waits.length >= (until.requests ?? 0) : performance.now() - began >= until.ms;
  await Promise.all(
    connections.map(async (connection) => {
      while (!ended()) {
        const { uid, allowed, body } = reviews.next();
        const start = performance.now();
        const answer = await connection.post(body);
        waits.push(performance.now() - start);
        if (!answer.includes(uid) || !answer.includes(`"allowed":${allowed}`))
          throw new Error(`a wrong answer to ${uid}, which is ${allowed ? 'good' : 'bad'}: ${answer}`);
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  for (const connection of connections) connection.close();
  sent.set(target.port, (sent.get(target.port) ?? 0) + waits.length);
  return latencyOf(waits, seconds);
}

async function startSealgate(name: string, policies: string, cores: string): Promise<Sealgate> {
  const workers = cores.split(',').length;
  const server = await startServer(join(dir, name), [], {
    flags: { 'policy-dir': policies, 'policy-workers': workers },
  });
  pin(server.pid, cores);
  return {
    server,
    pid: server.pid,
    target: server.admission,
    settle: () => server.indexed().then(() => undefined),
    stop: () => server.stop(),
  };
}

async function startOther(name: string, policies: string, cores: string): Promise<Side> {
  const opa: OpaServer = await startOpa(join(dir, name), policies, cores.split(',').length);
  pin(opa.pid, cores);
  return { pid: opa.pid, target: opa.admission, settle: () => Promise.resolve(), stop: () => opa.stop() };
}

/** Rounds of both sides in turn, and before them a short one that is not counted. */
async function compare(sealgate: Side, opa: Side, size: Size, clients: number): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let i = 0; i <= ROUNDS; i++) {
    const ms = (i === 0 ? 0.25 : 1) * SECONDS * 1000;
    const one = await load(sealgate.target, size, clients, { ms });
    await sealgate.settle();
    const other = await load(opa.target, size, clients, { ms });
    if (i > 0) rounds.push({ sealgate: one, opa: other });
  }
  return rounds;
}

function ratios(rounds: readonly Round[]): { rps: number; p99: number } {
  const of = (pick: (latency: Latency) => number) =>
    round(median(rounds.map(({ sealgate, opa }) => pick(sealgate) / pick(opa))));
  return { rps: of(({ perSecond }) => perSecond), p99: of(({ p99 }) => p99) };
}

function medians(latencies: readonly Latency[]): Latency {
  const of = (pick: (latency: Latency) => number) => round(median(latencies.map(pick)));
  return { p50: of(({ p50 }) => p50), p99: of(({ p99 }) => p99), perSecond: of(({ perSecond }) => perSecond) };
}

/** Stops it; its ledger must be whole and have a decision for each request. Gives how many there were. */
async function stopAndCheck({ server, target, stop }: Sealgate): Promise<number> {
  await stop();
  const requests = sent.get(target.port) ?? 0;
  const ledger = join(server.dataDir, 'ledger');
  const reader = LedgerReader.open(ledger);
  let decisions = 0;
  for (const { number } of reader.shards())
    for (const { leaf } of reader.entries(number, 0)) if (leaf.kind === 'decision') decisions++;
  reader.close();
  if (decisions !== requests)
    throw new Error(`${requests} requests were answered, ${decisions} decisions are on record`);
  const vkey = readFileSync(join(server.dataDir, 'keys', 'ledger.vkey'), 'utf8').trim();
  const { status, findings } = verifyLedger(ledger, { keys: [vkey] });
  if (status !== 'whole') throw new Error(`the ledger is ${status}: ${JSON.stringify(findings)}`);
  return requests;
}

type Figures = Record<string, unknown>;

async function against(cores: string, cases: typeof CASES, suffix: string): Promise<Figures> {
  const sealgate = await startSealgate(`sealgate${suffix}`, writePolicies(join(dir, `policies${suffix}`)), cores);
  const opa = await startOther(`opa${suffix}`, writeForOpa(join(dir, `for-opa${suffix}`)), cores);
  const figures: Figures = {};
  tell(`${WARM_UP_REQUESTS} and ${OPA_WARM_UP_REQUESTS} requests, to warm both up`);
  await load(sealgate.target, '3k', 16, { requests: WARM_UP_REQUESTS });
  await load(opa.target, '3k', 16, { requests: OPA_WARM_UP_REQUESTS });
  await sealgate.settle();
  for (const { size, clients } of cases) {
    tell(`${size}, ${clients} at once${suffix === '' ? '' : ', two cores each'}`);
    const rounds = await compare(sealgate, opa, size, clients);
    const { rps, p99 } = ratios(rounds);
    const name = `${clients}_${size}${suffix}`;
    figures[`rps_ratio_${name}`] = rps;
    figures[`p99_ratio_${name}`] = p99;
    figures[`latency_${name}`] = {
      sealgate: medians(rounds.map((each) => each.sealgate)),
      opa: medians(rounds.map((each) => each.opa)),
      rps_ratios: rounds.map((each) => round(each.sealgate.perSecond / each.opa.perSecond)),
    };
  }
  await opa.stop();
  await stopAndCheck(sealgate);
  return figures;
}

/** What one request takes with the first policies, over what it takes with the second: medians of rounds in turn. */
async function cost(name: string, first: string, second: string): Promise<number> {
  const [a, b] = [await startSealgate(`${name}-a`, first, '0'), await startSealgate(`${name}-b`, second, '0')];
  const found: number[] = [];
  for (let i = 0; i <= COST_ROUNDS; i++) {
    const perSecond: number[] = [];
    for (const side of [a, b]) {
      perSecond.push((await load(side.target, '3k', 16, { ms: (i === 0 ? 0.5 : 1) * COST_SECONDS * 1000 })).perSecond);
      await side.settle();
    }
    if (i > 0) found.push((perSecond[1] as number) / (perSecond[0] as number));
  }
  await stopAndCheck(a);
  await stopAndCheck(b);
  return round(median(found));
}

/** Small and large inputs mixed: resident memory after a third, and at the end. */
async function memory(): Promise<Figures> {
  const side = await startSealgate('memory', writePolicies(join(dir, 'policies-memory')), '0,1');
  const chunks = 20;
  const rss: number[] = [];
  for (let i = 0; i < chunks; i++) {
    const size = (['small', '3k', 'small', '60k'] as const)[i % 4] as Size;
    await load(side.target, size, 16, { requests: MEMORY_REQUESTS / chunks });
    rss.push(Math.round(side.server.rssMib()));
  }
  await side.settle();
  const evaluations = await stopAndCheck(side);
  const third = rss[Math.ceil(chunks / 3)] as number;
  return {
    rss_mib: Math.max(...rss),
    rss_growth: round(Math.max(...rss.slice(-4)) / third),
    rss_mib_by_time: rss,
    evaluations,
  };
}

const leftOut = full
  ? []
  : [
      'reviews of 1 KB and 60 KB',
      `${ROUNDS} rounds of ${SECONDS} s instead of 5 of 4 s`,
      'memory over a million evaluations',
      'two cores against two cores',
    ];
const began = performance.now();
pin(process.pid, '1');
const loadBefore = round(loadavg()[0] ?? Number.NaN);
const wants = (part: string) => values.only === undefined || values.only === part;
const figures: Figures = {
  ...(wants('opa') ? await against('0', CASES, '') : {}),
};
if (wants('policies')) {
  tell(`${MANY} policies about one kind, and one`);
  figures['forty_policies_ratio'] = await cost(
    'many',
    writeManyPolicies(join(dir, 'forty'), MANY),
    writeManyPolicies(join(dir, 'one'), 1),
  );
}
if (wants('inventory')) {
  tell(`an inventory of ${INVENTORY_OBJECTS} objects, and none`);
  figures['inventory_ratio'] = await cost(
    'inventory',
    writeWithInventory(join(dir, 'full'), INVENTORY_OBJECTS),
    writePolicies(join(dir, 'empty')),
  );
}
if (full && wants('memory')) {
  tell('memory');
  Object.assign(figures, await memory());
}
if (full && wants('two') && availableParallelism() > 1) {
  pin(process.pid, '0,1');
  Object.assign(
    figures,
    await against(
      '0,1',
      CASES.filter(({ size }) => size === '3k'),
      '_two_cores',
    ),
  );
}
const [cpu] = cpus();
console.log(
  JSON.stringify({
    ...figures,
    left_out: leftOut,
    seconds: Math.round((performance.now() - began) / 1000),
    load_before: loadBefore,
    machine: `${cpus().length} × ${cpu?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    versions: { node: process.versions.node },
  }),
);
