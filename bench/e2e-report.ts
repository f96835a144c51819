// What the end-to-end benchmark says: a line for each load and webhook, and as the last line one JSON object.
import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import { toolVersion } from '../tools/tool-path.ts';
import type { LedgerFigures } from './e2e-ledger.ts';
import { type Latency, median, round } from './numbers.ts';

export type Mode = 'none' | 'sealgate' | 'gatekeeper';

export interface Figures extends Latency {
  /** Processor time of the webhook's process for one pod, in ms: hardly moved by other work on the machine. */
  readonly webhookCpuMs: number;
}

/** Figures by kind of load, then mode; one for each round. */
export type Rounds = Map<string, Map<Mode, Figures[]>>;

export interface Measured {
  readonly rounds: Rounds;
  readonly ledger: LedgerFigures;
  readonly count: number;
  readonly secondsEach: number;
  /** Load averages of the machine, one a round. */
  readonly loads: readonly number[];
  readonly seconds: number;
}

/** At most so much of what Gatekeeper adds, at 16 clients. */
const AIMS = { p50: 0.6, p99: 0.7 };

export function printReport({ rounds, ledger, count, secondsEach, loads, seconds }: Measured): void {
  const figures: Record<string, Record<string, Figures>> = {};
  for (const [what, byMode] of rounds) {
    const ofWhat: Record<string, Figures> = {};
    for (const [mode, all] of byMode) {
      const { p50, p99, perSecond, webhookCpuMs } = medians(all);
      ofWhat[mode] = { p50, p99, perSecond, webhookCpuMs };
      const cpu = Number.isNaN(webhookCpuMs) ? '' : `, ${webhookCpuMs} ms of processor time for each`;
      const [clients = '', ...rest] = what.split(', ');
      const load = [`${clients} ${clients === '1' ? 'client' : 'clients'}`, ...rest].join(', ');
      console.log(
        `${load.padEnd(28)}${mode.padEnd(12)}${`${perSecond} pods/s`.padEnd(14)}p50 ${p50} ms, p99 ${p99} ms${cpu}`,
      );
    }
    figures[what] = ofWhat;
  }
  const ratio = (clients: number, figure: 'p50' | 'p99') => round(addedRatio(`${clients}`, figures, figure));
  const added = { p50: ratio(16, 'p50'), p99: ratio(16, 'p99') };
  const met = added.p50 <= AIMS.p50 && added.p99 <= AIMS.p99 ? 'met' : 'missed';
  console.log(
    `At 16 clients Sealgate adds ${added.p50} of what Gatekeeper adds to the median (aim ${AIMS.p50}), ${added.p99} to the p99 (aim ${AIMS.p99}): ${met}.`,
  );
  console.log(
    `The ledger is whole and has a decision on each of ${ledger.requests} requests (${ledger.decisions} decisions, ${ledger.events} audit events).`,
  );
  console.log(
    JSON.stringify({
      added_p50_ratio: added.p50,
      added_p99_ratio: added.p99,
      added_p50_ratio_1_client: ratio(1, 'p50'),
      added_p99_ratio_1_client: ratio(1, 'p99'),
      added_p50_ratios: roundRatios(rounds, '16', 'p50', count),
      added_p99_ratios: roundRatios(rounds, '16', 'p99', count),
      figures,
      ledger,
      rounds: count,
      seconds_each: secondsEach,
      load_average: { least: round(Math.min(...loads)), most: round(Math.max(...loads)) },
      machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
      versions: {
        node: process.versions.node,
        kubernetes: toolVersion('kube-apiserver'),
        gatekeeper: toolVersion('gatekeeper'),
        commit: commit(),
      },
      seconds: Math.round(seconds),
    }),
  );
}

function medians(all: readonly Figures[]): Figures {
  const of = (pick: (figures: Figures) => number) => round(median(all.map(pick)));
  return {
    p50: of(({ p50 }) => p50),
    p99: of(({ p99 }) => p99),
    perSecond: of(({ perSecond }) => perSecond),
    webhookCpuMs: of(({ webhookCpuMs }) => webhookCpuMs),
  };
}

/**
 * What Sealgate adds over what Gatekeeper adds, by the medians of the rounds: of a single round on a busy machine the difference below
 * the line can be next to nothing.
 */
function addedRatio(what: string, figures: Record<string, Record<string, Latency>>, figure: 'p50' | 'p99'): number {
  const of = (mode: Mode) => figures[what]?.[mode]?.[figure] ?? Number.NaN;
  return (of('sealgate') - of('none')) / (of('gatekeeper') - of('none'));
}

/** The same of each round, to show how far they lie apart. */
function roundRatios(rounds: Rounds, what: string, figure: 'p50' | 'p99', count: number): number[] {
  const at = (i: number) =>
    Object.fromEntries([...(rounds.get(what) ?? [])].flatMap(([mode, all]) => (all[i] ? [[mode, all[i]]] : [])));
  return Array.from({ length: count }, (_, i) => round(addedRatio(what, { [what]: at(i) }, figure)));
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', cwd: import.meta.dirname }).trim();
  } catch {
    return 'unknown';
  }
}
