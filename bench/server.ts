// `sealgate serve` as a child process on free ports, with its defaults: redaction, redelivery window and index are on.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAIN, somePorts } from '../test/support/sealgate.ts';
import { toolPath } from '../test/support/tools.ts';
import type { Target } from './client.ts';

/** As the image and the launcher in the checkout start it (docs/performance.md, "Memory"). */
export const NODE_ARGS = ['--max-semi-space-size=4'];
export const MEMORY = { MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '131072' };

const POLICIES = join(import.meta.dirname, '..', 'policies');

export interface Server {
  readonly pid: number;
  readonly dataDir: string;
  /** From its start as a process until it said that it is ready. */
  readonly startSeconds: number;
  readonly audit: Target;
  readonly admission: Target;
  rssMib(): number;
  /** Bytes of ledger and index, with their WALs. */
  diskBytes(): { ledger: number; index: number; wal: number };
  /** The value of a metric without labels; NaN when there is none. */
  metric(name: string): Promise<number>;
  /** Resolves when the index holds every entry; then with the number of entries. */
  indexed(): Promise<number>;
  /** SIGTERM, and waits for the end. Rejects when it was not a clean one. */
  stop(): Promise<void>;
}

export interface ServerExtras {
  /** Further settings, by flag. */
  readonly flags?: Readonly<Record<string, string | number>>;
  readonly env?: Readonly<Record<string, string>>;
  /** In a session of its own: Linux shares a busy machine out by session (sched_autogroup), so rivals must have one each. */
  readonly ownSession?: boolean;
}

/** `under`: a program and its arguments that runs it, such as strace; then `stop` still reaches the server itself. */
export async function startServer(
  dataDir: string,
  under: readonly string[] = [],
  extras: ServerExtras = {},
): Promise<Server> {
  const ports = await somePorts();
  const flags = {
    'data-dir': dataDir,
    'admission-host': '127.0.0.1',
    'admission-port': ports.admission,
    'audit-host': '127.0.0.1',
    'audit-port': ports.audit,
    'api-port': ports.api,
    'metrics-host': '127.0.0.1',
    'metrics-port': ports.metrics,
    'policy-dir': POLICIES,
    'policy-opa': toolPath('opa'),
    'policy-workers': 1,
    'log-level': 'warn',
    ...extras.flags,
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const extra = (process.env['BENCH_NODE_ARGS'] ?? '').split(' ').filter((arg) => arg !== '');
  const command = [...under, process.execPath, '--no-warnings', ...NODE_ARGS, ...extra, MAIN, 'serve', ...args];
  const began = performance.now();
  const child = spawn(command[0] as string, command.slice(1), {
    env: { ...process.env, ...MEMORY, ...extras.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: extras.ownSession === true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-10_000);
    });
  }
  const ended = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal ?? 1)),
  );
  let running = true;
  void ended.then(() => {
    running = false;
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  void ended.then(() => process.removeListener('exit', kill));
  while (!(await isReady(ports.metrics))) {
    if (!running || performance.now() - began > 60_000) throw new Error(`sealgate serve did not start:\n${output}`);
    await sleep(5);
  }
  const startSeconds = (performance.now() - began) / 1000;
  const pid = under.length === 0 ? (child.pid as number) : childOf(child.pid as number);
  const pem = (...path: string[]) => readFileSync(join(dataDir, 'tls', ...path), 'utf8');
  return {
    pid,
    dataDir,
    startSeconds,
    audit: {
      ...{ port: ports.audit, path: '/v1/audit', ca: pem('audit', 'ca.crt') },
      ...{ cert: pem('audit', 'client.crt'), key: pem('audit', 'client.key') },
    },
    admission: { port: ports.admission, path: '/v1/admit?timeout=10s', ca: pem('admission', 'ca.crt') },
    rssMib: () => rssMib(pid),
    diskBytes: () => diskBytes(dataDir),
    metric: async (name) => metricOf(await scrape(ports.metrics), name),
    indexed: () => indexed(ports.metrics),
    stop: async () => {
      process.kill(pid, 'SIGTERM');
      const status = await ended;
      if (status !== 0) throw new Error(`sealgate serve ended with ${status}:\n${output}`);
    },
  };
}

async function isReady(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
  await answer?.body?.cancel();
  return answer?.ok === true;
}

function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}

/** Linux only; elsewhere NaN, which the output shows as null. */
function rssMib(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  } catch {
    return Number.NaN;
  }
}

function diskBytes(dataDir: string): { ledger: number; index: number; wal: number } {
  const sum = { ledger: 0, index: 0, wal: 0 };
  for (const folder of ['ledger', 'index'] as const) {
    for (const name of readdirSync(join(dataDir, folder))) {
      const { size } = statSync(join(dataDir, folder, name));
      if (name.endsWith('-wal')) sum.wal += size;
      else if (name.endsWith('.sqlite')) sum[folder] += size;
    }
  }
  return sum;
}

async function indexed(port: number): Promise<number> {
  for (;;) {
    const text = await scrape(port);
    const [there, size] = [metricOf(text, 'sealgate_index_size'), metricOf(text, 'sealgate_ledger_size')];
    if (there >= size) return size;
    await sleep(100);
  }
}

async function scrape(port: number): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

function metricOf(text: string, name: string): number {
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]);
}
