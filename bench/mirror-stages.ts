// What a mirror is put through: a ledger that is there already, a stream as fast as asked for, a quiet stream, and its way back.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAIN } from '../test/support/sealgate.ts';
import { BATCH, type EventSource } from './audit-events.ts';
import { Connection } from './client.ts';
import type { Server } from './server.ts';
import { threadSeconds } from './threads.ts';

const LOOK_MS = 100;
const IN_FLIGHT = 4;

export interface CatchUp {
  readonly entries: number;
  readonly seconds: number;
  /** Processor time for one entry: of the mirror's thread, and of the helpers that all threads share. */
  readonly threadMicros: number;
  readonly helperMicros: number;
  /** The most resident memory while it went on. */
  readonly rssMib: number;
}

/** Waits until the mirror has what the ledger of `entries` has; call it as soon as the server has started. */
export async function catchUp(server: Server, entries: number): Promise<CatchUp> {
  const began = performance.now() - server.startSeconds * 1000;
  let rssMib = 0;
  for (;;) {
    rssMib = Math.max(rssMib, server.rssMib());
    if ((await server.metric('sealgate_mirror_pushed_size')) >= entries) break;
    await sleep(LOOK_MS);
  }
  const seconds = (performance.now() - began) / 1000;
  const cpu = threadSeconds(server.pid);
  const micros = (name: string) => ((cpu.get(name) ?? Number.NaN) / entries) * 1e6;
  return { entries, seconds, threadMicros: micros('mirror'), helperMicros: micros('node-V8Worker'), rssMib };
}

export interface Stream {
  /** Entries a second that were acknowledged. */
  readonly perSecond: number;
  readonly entries: number;
  /** The most that the mirror was behind, in seconds, while the stream went on. */
  readonly lagSeconds: number;
  /** From the last acknowledgement until the mirror had everything. */
  readonly restSeconds: number;
  /** Of one core, by the mirror's thread, while the stream went on. */
  readonly core: number;
}

/** Sends audit events at most at this rate for so long, and looks at the mirror meanwhile. */
export async function stream(server: Server, source: EventSource, perSecond: number, seconds: number): Promise<Stream> {
  let lagSeconds = 0;
  let going = true;
  const watching = (async () => {
    while (going) {
      lagSeconds = Math.max(lagSeconds, await server.metric('sealgate_mirror_lag_seconds'));
      await sleep(LOOK_MS);
    }
  })();
  const before = threadSeconds(server.pid).get('mirror') ?? Number.NaN;
  const began = performance.now();
  const sent = await sendPaced(server, source, perSecond, seconds);
  const took = (performance.now() - began) / 1000;
  const spent = (threadSeconds(server.pid).get('mirror') ?? Number.NaN) - before;
  going = false;
  await watching;
  const ended = performance.now();
  const size = await server.metric('sealgate_ledger_size');
  while ((await server.metric('sealgate_mirror_pushed_size')) < size) await sleep(LOOK_MS);
  return {
    perSecond: sent / took,
    entries: sent,
    lagSeconds,
    restSeconds: (performance.now() - ended) / 1000,
    core: spent / took,
  };
}

async function sendPaced(server: Server, source: EventSource, perSecond: number, seconds: number): Promise<number> {
  const connections = await Promise.all(Array.from({ length: IN_FLIGHT }, () => Connection.open(server.audit)));
  const began = performance.now();
  let begun = 0;
  await Promise.all(
    connections.map(async (connection) => {
      for (;;) {
        const due = began + (begun / perSecond) * 1000;
        if (due >= began + seconds * 1000 || performance.now() >= began + seconds * 1000) return;
        begun += BATCH;
        await sleep(Math.max(0, due - performance.now()));
        await connection.post(source.batch().list);
      }
    }),
  );
  for (const connection of connections) connection.close();
  return begun;
}

/** `sealgate restore` in a process of its own; returns seconds. */
export function restore(
  url: string,
  dir: string,
  vkeyFile: string,
  env: Record<string, string>,
  flags: string[],
): number {
  const began = performance.now();
  const args = ['--no-warnings', MAIN, 'restore', url, join(dir, 'restored'), '--key', vkeyFile, ...flags];
  execFileSync(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
  return (performance.now() - began) / 1000;
}
