// Starts a subject and keeps the journal of what it acknowledged, which nothing that happens to the subject can touch.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Recovery } from '../../src/ledger/messages.ts';
import type { Acked, Failure, SubjectPlan } from './plan.ts';
import type { SeededBug } from './seeded-bugs.ts';

const SUBJECT = fileURLToPath(new URL('./subject.ts', import.meta.url));
const BUG_LOADER = new URL('./seeded-bug-loader.ts', import.meta.url).href;

/** What was acknowledged, by place (`<shard>/<seq>`). */
export type Journal = Map<string, Acked>;

/** Enters what a subject says was acknowledged; returns the places that were taken already, which must not be. */
export function enter(journal: Journal, acked: readonly Acked[]): string[] {
  const taken: string[] = [];
  for (const one of acked) {
    const place = `${one[0]}/${one[1]}`;
    if (journal.has(place)) taken.push(place);
    journal.set(place, one);
  }
  return taken;
}

export interface RunOptions {
  readonly journal: Journal;
  /** A command line that runs what follows it. */
  readonly wrap?: readonly string[];
  readonly bug?: SeededBug | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** Preloaded into every thread of the subject. */
  readonly preload?: readonly string[];
  /** A subject that still runs then is killed, and `timedOut` says so. */
  readonly timeoutMs?: number;
  onLine?(word: string, value: unknown): void;
}

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  readonly recovery: Recovery | undefined;
  readonly refused: readonly Failure[];
  readonly fatal: Failure | undefined;
  /** Why it did not open or close. */
  readonly error: Failure | undefined;
  readonly acked: number;
  /** What no subject may say. */
  readonly nonsense: readonly string[];
  readonly stderr: string;
}

export interface Subject {
  readonly ended: Promise<Ended>;
  kill(): void;
}

export function startSubject(plan: SubjectPlan, options: RunOptions): Subject {
  const imports = [...(options.bug === undefined ? [] : [BUG_LOADER]), ...(options.preload ?? [])];
  const node = [process.execPath, '--no-warnings', ...imports.map((url) => `--import=${url}`)];
  const [command = '', ...args] = [...(options.wrap ?? []), ...node, SUBJECT, JSON.stringify(plan)];
  const env = { ...process.env, ...options.env, ...(options.bug === undefined ? {} : { CHAOS_BUG: options.bug.name }) };
  // A process group of its own, so that a tracer and what it traces end together.
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env });
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, options.timeoutMs ?? 30_000);
  const said: { recovery?: Recovery; fatal?: Failure; error?: Failure } = {};
  const refused: Failure[] = [];
  const nonsense: string[] = [];
  let acked = 0;
  const take = (line: string): void => {
    const space = line.indexOf(' ');
    const word = line.slice(0, space);
    const value: unknown = JSON.parse(line.slice(space + 1));
    if (word === 'acked') {
      acked += (value as Acked[]).length;
      const twice = enter(options.journal, value as Acked[]);
      if (twice.length > 0) nonsense.push(`acknowledged twice: entries ${twice.join(', ')}`);
    } else if (word === 'open') said.recovery = value as Recovery;
    else if (word === 'refused') refused.push(value as Failure);
    else if (word === 'fatal') said.fatal = value as Failure;
    else if (word === 'error') said.error = value as Failure;
    options.onLine?.(word, value);
  };
  let rest = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string; // a line that kill -9 cut in two was not acknowledged in full
    lines.forEach(take);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4000);
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      const { recovery, fatal, error } = said;
      resolve({ exitCode, signal, timedOut, recovery, refused, fatal, error, acked, nonsense, stderr });
    });
  });
  return { ended, kill };
}
