// How fast the ledger takes, keeps and checks events, both sides in turn in one run. `make bench-ledger [ARGS=--quick]`;
// `--only decisions|fsync|ingest` runs one part of it and prints that as it is; `--entries N` is the size of the large ledger.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureDecisions } from './decisions.ts';
import { measureIngest, type Sizes } from './ingest.ts';
import { type Figures, json, table } from './report.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, entries: { type: 'string' } },
});

const FULL: Sizes = { rounds: 7, window: 40_000, small: 100_000, large: 5_000_000, starts: 3 };
const QUICK: Sizes = { rounds: 3, window: 8_000, small: 20_000, large: 120_000, starts: 1 };
const usual = values.quick ? QUICK : FULL;
const sizes = { ...usual, large: Number(values.entries ?? usual.large) };
const decisionRounds = values.quick ? { rounds: 1, seconds: 2 } : { rounds: 5, seconds: 5 };
const slowRounds = values.quick ? { rounds: 1, seconds: 1 } : decisionRounds;

/** Each sync takes 3 ms longer, as on a cloud volume; seccomp lets every other call go by untouched. */
const SLOW_FSYNC = [
  ...['strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync,fsync'],
  ...['-e', 'inject=fdatasync,fsync:delay_exit=3000'],
];

function canSlowFsync(): boolean {
  try {
    execFileSync(SLOW_FSYNC[0] as string, [...SLOW_FSYNC.slice(1), 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const leftOut: string[] = [];
if (values.quick) {
  leftOut.push(`${sizes.large} entries against ${QUICK.small} instead of ${FULL.large} against ${FULL.small}`);
  leftOut.push(`${QUICK.rounds} rounds of ${QUICK.window} events instead of ${FULL.rounds} of ${FULL.window}`);
  leftOut.push('1 round of 2 s of decisions, of 1 s with a slower fsync, instead of 5 of 5 s');
  leftOut.push('1 start instead of 3');
}
if (!values.quick && sizes.large !== FULL.large) leftOut.push(`${sizes.large} entries instead of ${FULL.large}`);
const tell = (text: string) => console.error(`· ${text}`);
const dir = mkdtempSync(join(tmpdir(), 'sealgate-bench-'));
const clean = () => rmSync(dir, { recursive: true, force: true });
process.once('exit', clean);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const began = performance.now();
const decide = () => {
  tell('decisions, alone and beside an audit stream');
  return measureDecisions({ dir: join(dir, 'a'), ...decisionRounds });
};
const decideSlowly = () => {
  if (!canSlowFsync()) {
    leftOut.push('decisions with 3 ms more for each fsync: strace is missing or may not trace here');
    return Promise.resolve(undefined);
  }
  tell('the same with 3 ms more for each fsync');
  return measureDecisions({ dir: join(dir, 'b'), ...slowRounds, under: SLOW_FSYNC });
};
const ingest = () => {
  tell('ingest');
  return measureIngest(join(dir, 'c'), sizes, tell);
};

if (values.only !== undefined) {
  const parts: Record<string, () => Promise<unknown>> = { decisions: decide, fsync: decideSlowly, ingest };
  console.log(JSON.stringify(await parts[values.only]?.(), null, 2));
} else {
  const measured = { decisions: await decide(), slowFsync: await decideSlowly(), ingest: await ingest() };
  const figures: Figures = { ...measured, leftOut, seconds: (performance.now() - began) / 1000 };
  console.log(table(figures));
  if (leftOut.length > 0) console.log(`\nLeft out: ${leftOut.join('; ')}.`);
  console.log(json(figures));
}
