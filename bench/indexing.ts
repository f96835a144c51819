// What the index costs: processor time an entry, by how the entries were committed and how many of them one step takes.
// `node bench/indexing.ts [--dir FOLDER] [--entries N] [--rounds N] [--cases decisions-1,…] [--steps 30,…]`; ledgers that are in the folder
// already are used again.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { decisionEntry } from '../src/admission/record.ts';
import { IndexTail } from '../src/index/tail.ts';
import type { Append } from '../src/ledger/entry.ts';
import { loadOrCreateKey } from '../src/ledger/key.ts';
import { openLedger } from '../src/ledger/ledger.ts';
import { LedgerReader } from '../src/ledger/reader.ts';
import type { PolicyResult } from '../src/policy/types.ts';
import { Reviews } from './admission-reviews.ts';
import { eventSource } from './audit-events.ts';
import { median, round } from './numbers.ts';

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    entries: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    cases: { type: 'string', default: 'decisions-1,decisions-16,events-256' },
    steps: { type: 'string', default: '30,120,600' },
  },
});
const dir = values.dir ?? mkdtempSync(join(tmpdir(), 'sealgate-bench-'));
mkdirSync(dir, { recursive: true });
if (values.dir === undefined) process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

const BUNDLE = `sha256:${'b'.repeat(64)}`;
const EVALUATED = ['admission.hostnetwork', 'admission.images', 'admission.privileged'];
const DENIED: PolicyResult = {
  ...{ policy: 'admission.privileged', rule: 'deny', action: 'deny', severity: 'high' },
  ...{ message: 'container main is privileged', controls: [] },
};

/** Decisions of 3 KB as the admission handler records them; one in ten is a denial. */
function decisions(): () => Append {
  const reviews = new Reviews('3k', 1);
  const peer = { address: '10.0.0.1' };
  const took = { receive: 0.123, read: 0.045, policies: 0.067 };
  return () => {
    const { uid, allowed, body } = reviews.next();
    const results = allowed ? [] : [DENIED];
    const verdict = { allowed, results, failures: [], prints: [], evaluated: EVALUATED, bundle: BUNDLE };
    const whole = { bytes: body, changed: false, scrub: (text: string) => text, scrubValue: (value: unknown) => value };
    return decisionEntry(uid, peer, verdict, took, whole);
  };
}

function events(): () => Append {
  const source = eventSource(1);
  const waiting: Append[] = [];
  return () => {
    if (waiting.length === 0) {
      for (const event of source.batch().events)
        waiting.push({ kind: 'event', body: Buffer.from(`{"source":{"address":"10.0.0.1"},"event":${event}}`) });
    }
    return waiting.shift() as Append;
  };
}

const MAKERS = { decisions, events };

/** Name of a case: what is recorded, and how many of it one commit takes. */
async function build(name: string): Promise<void> {
  if (existsSync(join(dir, name))) return;
  const [what, together] = name.split('-') as [keyof typeof MAKERS, string];
  const next = MAKERS[what]();
  const ledger = await openLedger({
    dir: join(dir, name),
    key: loadOrCreateKey(join(dir, `${name}.key`), 'example.org/bench/0'),
    version: 'bench',
    settingsDigest: `sha256:${'0'.repeat(64)}`,
    onFatal: (error) => {
      throw error;
    },
  });
  const lane = what === 'decisions' ? 'decision' : 'audit';
  for (let made = 0; made < Number(values.entries); made += Number(together))
    await ledger.append(lane, Array.from({ length: Number(together) }, next));
  await ledger.close('over');
}

interface Cost {
  readonly own: number;
  /** With what V8 does beside it. */
  readonly all: number;
}

const microseconds = ({ user, system }: NodeJS.CpuUsage) => user + system;

/** Processor time an entry, once a third of them is there. */
function index(name: string, step: number): Cost {
  const temp = mkdtempSync(join(dir, 'index-'));
  const source = LedgerReader.open(join(dir, name));
  const log = { info: () => undefined, warn: console.error, error: console.error };
  const tail = new IndexTail({ file: join(temp, 'index.sqlite'), source, log });
  const entries = source.head(0);
  for (let at = 0; at < entries / 3; at += step) tail.step(step);
  const before = tail.position()?.size ?? 0;
  const [own, all] = [process.threadCpuUsage(), process.cpuUsage()];
  while (tail.step(step) === step);
  const count = entries - before;
  const cost = {
    own: microseconds(process.threadCpuUsage(own)) / count,
    all: microseconds(process.cpuUsage(all)) / count,
  };
  tail.close();
  source.close();
  rmSync(temp, { recursive: true });
  return cost;
}

const cases = values.cases.split(',');
for (const name of cases) await build(name);
const figures = new Map<string, Cost[]>();
for (let i = 0; i <= Number(values.rounds); i++) {
  for (const name of cases) {
    for (const step of values.steps.split(',')) {
      const cost = index(name, Number(step));
      const key = `${name}, steps of ${step}`;
      // The code is new in the first round.
      if (i > 0) figures.set(key, [...(figures.get(key) ?? []), cost]);
    }
  }
}
const text = (all: readonly number[]) => `${round(median(all))} (at least ${round(Math.min(...all))})`;
for (const [key, costs] of figures) {
  const [own, all] = [text(costs.map((cost) => cost.own)), text(costs.map((cost) => cost.all))];
  console.log(`${key.padEnd(28)} ${own} µs an entry of its thread, ${all} with its helpers`);
}
