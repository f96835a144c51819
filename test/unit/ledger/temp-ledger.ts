// Ledgers in temporary folders, opened and removed with the test that asked for them, and child processes that use them.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Append } from '../../../src/ledger/entry.ts';
import { type LedgerKey, loadOrCreateKey } from '../../../src/ledger/key.ts';
import { type Ledger, type LedgerOptions, openLedger } from '../../../src/ledger/ledger.ts';
import type { SealgateError } from '../../../src/lib/errors.ts';

export const LOG_NAME = 'ledger.example/cluster-a/0';

const CHILD = fileURLToPath(new URL('./ledger-child.ts', import.meta.url));

/** A folder that goes when the test ends. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-ledger-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Where the ledger and its key are in a temporary folder. */
export function places(root: string): { dir: string; keyFile: string; shard: string } {
  const dir = join(root, 'ledger');
  return { dir, keyFile: join(root, 'keys', 'ledger.key'), shard: join(dir, 'shard-000000.sqlite') };
}

export function testKey(root: string, name = LOG_NAME): LedgerKey {
  return loadOrCreateKey(places(root).keyFile, name);
}

export interface TestLedger extends Ledger {
  readonly fatal: SealgateError[];
}

/** Opens the ledger of a temporary folder; it is closed when the test ends, if the test did not do that. */
export async function openTestLedger(root: string, options: Partial<LedgerOptions> = {}): Promise<TestLedger> {
  const fatal: SealgateError[] = [];
  const ledger = await openLedger({
    dir: places(root).dir,
    key: testKey(root),
    version: '0.0.0-test',
    settingsDigest: `sha256:${'0'.repeat(64)}`,
    onFatal: (error) => fatal.push(error),
    ...options,
  });
  onTestFinished(() => ledger.close('test over').catch(() => undefined));
  return Object.assign(ledger, { fatal });
}

export function event(content: unknown): Append {
  return { kind: 'event', body: Buffer.from(JSON.stringify({ source: 'test', event: content })) };
}

export function decision(content: unknown, number = 0): Append {
  const uid = `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
  const extra = { uid, bundle: `sha256:${'b'.repeat(64)}`, allowed: number % 2 === 0 };
  return { kind: 'decision', extra, body: Buffer.from(JSON.stringify({ review: content })) };
}

/** What a rejected promise was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<SealgateError> {
  return promise.then(
    () => {
      throw new Error('it was not rejected');
    },
    (error: SealgateError) => error,
  );
}

export interface Child {
  readonly process: ChildProcess;
  /** Lines of standard output so far. */
  readonly lines: string[];
  /** Resolves with the first line that starts with `prefix`; rejects when the child ends without one. */
  line(prefix: string): Promise<string>;
  /** Resolves when it has ended and all its output was read. */
  readonly ended: Promise<void>;
}

/** Runs ledger-child.ts; `wrap` is a command line to put before it. */
export function startChild(root: string, mode: string, args: string[] = [], wrap: string[] = []): Child {
  const command = [...wrap, process.execPath, '--no-warnings', CHILD, mode, root, ...args];
  const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let rest = '';
  let errors = '';
  let over = false;
  const wake = () => {
    for (const check of waiting) check();
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop()!; // a line that kill -9 cut in two was not acknowledged in full
    lines.push(...parts);
    wake();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => {
      over = true;
      wake();
      resolve();
    });
  });
  const line = (prefix: string) =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        const found = lines.find((one) => one.startsWith(prefix));
        if (found !== undefined) resolve(found);
        else if (over) reject(new Error(`the child ended without "${prefix}": ${lines.join('\n')}\n${errors}`));
        else return;
        waiting.delete(check);
      };
      waiting.add(check);
      check();
    });
  return { process: child, lines, line, ended };
}

/** Commands that run what follows them with something mounted, which only that process sees. */
export function withMount(mount: string): string[] {
  return ['unshare', '--mount', '--map-root-user', 'sh', '-c', `${mount} && exec "$@"`, 'sh'];
}

/** Whether this machine lets us mount in a namespace of our own (Linux, as root or with user namespaces). */
export function canMount(): boolean {
  const [command, ...args] = withMount('mount -t tmpfs none /mnt');
  return spawnSync(command!, [...args, 'true']).status === 0;
}
