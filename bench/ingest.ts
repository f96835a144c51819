// Ingest against the bare loop, disk, growth to millions of entries, verification and start: one server that grows, and a small
// one beside it, measured in turn.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { type EventSource, eventSource } from './audit-events.ts';
import { bareLoop } from './bare.ts';
import { makeBatches, send, sendAll } from './load.ts';
import { median, round } from './numbers.ts';
import { type Server, startServer } from './server.ts';

export interface Sizes {
  readonly rounds: number;
  /** Events of one measured window. */
  readonly window: number;
  /** Entries of the small and of the large ledger whose speeds are compared. */
  readonly small: number;
  readonly large: number;
  /** How often it is started again. */
  readonly starts: number;
}

export interface IngestFigures {
  readonly eventBytes: number;
  readonly barePerSecond: number;
  readonly perSecond: number;
  readonly ratio: number;
  readonly ratios: readonly number[];
  readonly diskRatio: number;
  readonly disk: { readonly ledger: number; readonly index: number; readonly wal: number };
  readonly scaleRatio: number;
  readonly perSecondLarge: number;
  readonly entries: number;
  /** Resident memory of the server that grows, MiB: while it grew, at most and at the end. */
  readonly rssMib: number;
  readonly rssByEntries: Readonly<Record<string, number>>;
  readonly verifyPerSecond: number;
  readonly verifyRssMib: number;
  readonly startSeconds: number;
}

export async function measureIngest(dir: string, sizes: Sizes, tell: (text: string) => void): Promise<IngestFigures> {
  const small = await startServer(join(dir, 'small'));
  let large = await startServer(join(dir, 'large'));
  const sources = { small: eventSource(1), large: eventSource(2) };
  const memory = new Memory();
  try {
    tell(`${sizes.small} entries each, then in turn against the bare loop`);
    await grow(small, sources.small, sizes.small);
    await grow(large, sources.large, sizes.small);
    const sides = await compare(dir, small, sources.small, sizes);

    tell(`to ${sizes.large} entries`);
    const began = sizes.small;
    const sent = await grow(large, sources.large, sizes.large - began, (entries) => {
      memory.sample(began + entries, large.rssMib());
    });
    const entries = await large.indexed();
    const disk = large.diskBytes();
    const diskRatio = (disk.ledger + disk.index + disk.wal) / (sent.jsonBytes * (sizes.large / sent.events));
    const scale = await compareSizes(small, large, sources, sizes, memory);

    tell('stop, start, verify');
    await large.indexed();
    await large.stop();
    const starts: number[] = [];
    for (let i = 0; i < sizes.starts; i++) {
      large = await startServer(join(dir, 'large'));
      starts.push(large.startSeconds);
      await large.indexed();
      await large.stop();
    }
    const verified = verify(join(dir, 'large'));
    return {
      ...sides,
      eventBytes: Math.round(sent.jsonBytes / sent.events),
      diskRatio: round(diskRatio),
      disk,
      ...scale,
      entries,
      rssMib: Math.round(memory.most),
      rssByEntries: memory.byEntries(),
      verifyPerSecond: Math.round(verified.entries / verified.seconds),
      verifyRssMib: Math.round(verified.rssMib),
      startSeconds: round(median(starts)),
    };
  } finally {
    await Promise.allSettled([small.stop(), large.stop()]);
  }
}

async function compare(dir: string, server: Server, source: EventSource, { rounds, window }: Sizes) {
  const bare: number[] = [];
  const ours: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const batches = makeBatches(source, window);
    bare.push(
      bareLoop(
        join(dir, 'bare'),
        batches.map(({ events }) => events),
      ),
    );
    ours.push(await speed(server, batches));
  }
  const ratios = ours.map((perSecond, i) => round(perSecond / (bare[i] as number)));
  return {
    barePerSecond: Math.round(median(bare)),
    perSecond: Math.round(median(ours)),
    ratio: median(ratios),
    ratios,
  };
}

async function compareSizes(
  small: Server,
  large: Server,
  sources: { small: EventSource; large: EventSource },
  { rounds, window }: Sizes,
  memory: Memory,
) {
  const ratios: number[] = [];
  const speeds: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const few = await speed(small, makeBatches(sources.small, window));
    const many = await speed(large, makeBatches(sources.large, window));
    memory.note(large.rssMib());
    ratios.push(many / few);
    speeds.push(many);
  }
  return { scaleRatio: round(median(ratios)), perSecondLarge: Math.round(median(speeds)) };
}

/** Events a second; returns when the index has them too, so that it takes nothing from what is measured next. */
async function speed(server: Server, batches: Parameters<typeof sendAll>[1]): Promise<number> {
  const { events, seconds } = await sendAll(server.audit, batches);
  await server.indexed();
  return events / seconds;
}

async function grow(server: Server, source: EventSource, events: number, onBatch?: (sent: number) => void) {
  let made = 0;
  const sent = await send(server.audit, () => {
    if (made >= events) return undefined;
    const batch = source.batch();
    made += batch.events.length;
    onBatch?.(made);
    return batch;
  });
  await server.indexed();
  return sent;
}

/** `sealgate verify`'s work in a process of its own: entries, seconds and most memory. */
function verify(dataDir: string): { entries: number; seconds: number; rssMib: number } {
  const program = join(import.meta.dirname, 'verify.ts');
  const output = execFileSync(process.execPath, ['--no-warnings', program, dataDir], { encoding: 'utf8' });
  return JSON.parse(output) as { entries: number; seconds: number; rssMib: number };
}

/** Resident memory over the life of the server that grows. */
class Memory {
  readonly #samples: [entries: number, mib: number][] = [];
  most = 0;

  sample(entries: number, mib: number): void {
    const last = this.#samples.at(-1)?.[0] ?? 0;
    if (entries - last < 20_000) return;
    this.#samples.push([entries, mib]);
    this.note(mib);
  }

  note(mib: number): void {
    this.most = Math.max(this.most, mib);
  }

  /** The most of each fifth of the way, by where it ended. */
  byEntries(): Record<string, number> {
    const fifth = Math.ceil(this.#samples.length / 5);
    const parts = Array.from({ length: 5 }, (_, i) => this.#samples.slice(i * fifth, (i + 1) * fifth));
    return Object.fromEntries(
      parts
        .filter((part) => part.length > 0)
        .map((part) => [part.at(-1)?.[0], Math.round(Math.max(...part.map(([, mib]) => mib)))]),
    );
  }
}
