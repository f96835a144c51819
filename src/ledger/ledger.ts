// The main thread's handle of the ledger: hands appends to the writer thread and resolves them when they are on disk.
import { MessageChannel, Worker } from 'node:worker_threads';
import { SealgateError } from '../lib/errors.ts';
import { threadFile } from '../lib/thread-file.ts';
import { BodyBuffers, SharedRoom } from './body-buffers.ts';
import type { Append, Appended } from './entry.ts';
import { Gathering } from './gathering.ts';
import type { LedgerKey } from './key.ts';
import { checkExtra } from './leaf.ts';
import type { LedgerBreak } from './link.ts';
import type {
  AppendMessage,
  CommitInfo,
  FromWriter,
  Head,
  Lane,
  LedgerNotice,
  Recovery,
  ShardLimits,
  ToWriter,
  WireError,
  WriterData,
} from './messages.ts';
import { originOf } from './open-shard.ts';
import { freeBytesOn, type SpaceLevel, type SpaceLimits, type SpaceState, SpaceWatch } from './space.ts';

export interface LedgerLimits {
  /** Entries accepted and not yet answered, in each lane. */
  readonly entries: number;
  /** Bytes of their bodies, in each lane. One append alone may exceed it. */
  readonly bytes: number;
  /** Bytes of one body. */
  readonly body: number;
}

export const DEFAULT_LIMITS: LedgerLimits = {
  entries: 20_000,
  bytes: 128 * 1024 * 1024,
  // A review holds the largest object twice, and JSON may escape it; SQLite's own limit is 10^9.
  body: 64 * 1024 * 1024,
};

export const DEFAULT_SHARD_LIMITS: ShardLimits = {
  entries: 10_000_000,
  bytes: 4 * 1024 * 1024 * 1024,
  ageSeconds: 30 * 86_400,
};

export interface LedgerOptions {
  /** The ledger folder; created when it does not exist. */
  readonly dir: string;
  readonly key: LedgerKey;
  /** The key before it: where the newest shard is still signed by that one, opening rotates to `key`. */
  readonly previousKey?: LedgerKey | undefined;
  /** Whether what is here was found to continue what the mirror holds; for the `start` entry. */
  readonly mirror?: Recovery['mirror'];
  /** It does not: the shards here are left as they are, and a new one begins. */
  readonly broken?: LedgerBreak | undefined;
  /** Of Sealgate. */
  readonly version: string;
  readonly settingsDigest: string;
  /** While entries arrive a checkpoint is signed this often. Default 1000. */
  readonly checkpointIntervalMs?: number;
  readonly limits?: Partial<LedgerLimits>;
  /** From when on the next shard is begun. Default DEFAULT_SHARD_LIMITS. */
  readonly shardLimits?: Partial<ShardLimits>;
  /**
   * Size of the WAL from which the checkpointer works (default 4 MiB), from which the writer does (default 64 MiB), and from which the
   * next shard is begun when a reader keeps it from being emptied (default twice that).
   */
  readonly wal?: { readonly softBytes?: number; readonly hardBytes?: number; readonly maxBytes?: number };
  /** From when on space is low, and from when on only decisions are taken. Without it, only a full disk refuses anything. */
  readonly space?: SpaceLimits & { readonly freeBytes?: () => number };
  /** Called when the level of space changes, or free space cannot be measured any more, or can again. */
  onSpace?(state: SpaceState, before: SpaceLevel): void;
  /** Called once, when nothing can be acknowledged any more: the process should end and start again. */
  onFatal(error: SealgateError): void;
  /** Called after each commit. */
  onHead?(head: Head): void;
  onCommit?(info: CommitInfo): void;
  onNotice?(notice: LedgerNotice): void;
}

export interface LedgerStats {
  readonly commits: number;
  readonly entries: number;
  /** Accepted and not yet on disk. */
  readonly queued: Readonly<Record<Lane, { readonly entries: number; readonly bytes: number }>>;
  readonly walBytes: number;
}

export interface Ledger {
  readonly dir: string;
  /** Number of the shard that is written. */
  readonly shard: number;
  readonly origin: string;
  readonly vkey: string;
  /** What was found at start. */
  readonly recovery: Recovery;
  /**
   * Resolves when all entries are on disk, with where they landed. They keep their order, and are consecutive only if they
   * fit one commit. Rejects with LEDGER_OVERLOADED or LEDGER_SPACE_LOW (try later), LEDGER_CLOSED, LEDGER_FULL, or
   * LEDGER_WRITE_FAILED; then some of them may be recorded, but none is acknowledged. The bodies are copied before it returns.
   */
  append(lane: Lane, entries: readonly Append[]): Promise<Appended[]>;
  /**
   * Says that an append to the decision lane is about to come: those before it wait for it, a millisecond at most, so that one commit
   * holds them all. Call what it returns right before that append, or when there will be none.
   */
  expectDecision(): () => void;
  head(): Head;
  stats(): LedgerStats;
  /** As of a measurement that is at most a second old. */
  space(): SpaceState;
  /** Commits what was accepted, then `stop` and a last checkpoint; releases the lock. */
  close(reason: string): Promise<void>;
}

/** Opens or creates the ledger and starts its threads. Rejects with every LEDGER_… code of opening (docs/errors.md). */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const handle = new LedgerHandle(options);
  await handle.opened;
  return handle;
}

interface Pending {
  readonly lane: Lane;
  readonly entries: number;
  readonly bytes: number;
  readonly landed: Appended[];
  readonly resolve: (landed: Appended[]) => void;
  readonly reject: (error: SealgateError) => void;
}

/** How old a measurement of free space may be when an audit batch arrives, and how often it is measured without one. */
const SPACE_AGE_MS = 100;
const SPACE_INTERVAL_MS = 1000;

/** Bytes of a leaf hash in hex. */
const HASH_CHARS = 64;

class LedgerHandle implements Ledger {
  readonly dir: string;
  readonly vkey: string;
  readonly opened: Promise<void>;
  readonly #options: LedgerOptions;
  readonly #limits: LedgerLimits;
  readonly #writer: Worker;
  readonly #checkpointer: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #queued: Record<Lane, { entries: number; bytes: number }> = {
    decision: { entries: 0, bytes: 0 },
    audit: { entries: 0, bytes: 0 },
  };
  readonly #space: SpaceWatch;
  #spaceTimer: NodeJS.Timeout | undefined;
  readonly #opening = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #phase: 'opening' | 'open' | 'closing' | 'closed' | 'failed' = 'opening';
  #error: SealgateError | undefined;
  #recovery: Recovery | undefined;
  #head: Head | undefined;
  readonly #buffers = new BodyBuffers();
  /** For the bodies of `#decisions`. */
  readonly #room = new SharedRoom(this.#buffers);
  /** Of the decision lane, until they are sent. */
  #decisions: AppendMessage[] = [];
  readonly #gathering = new Gathering(() => this.#sendDecisions());
  #nextId = 0;
  #commits = 0;
  #entries = 0;

  constructor(options: LedgerOptions) {
    this.dir = options.dir;
    this.vkey = options.key.vkey;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.opened = this.#opening.promise;
    const { lowBytes = 0, reserveBytes = 0, freeBytes = () => freeBytesOn(options.dir) } = options.space ?? {};
    const onChange = (state: SpaceState, before: SpaceLevel): void => options.onSpace?.(state, before);
    this.#space = new SpaceWatch({ lowBytes, reserveBytes, freeBytes, onChange });
    const { port1, port2 } = new MessageChannel();
    const walHardBytes = options.wal?.hardBytes ?? 64 * 1024 * 1024;
    const data: WriterData = {
      dir: options.dir,
      logName: options.key.name,
      vkey: options.key.vkey,
      privateKey: options.key.privateKey,
      previousKey: options.previousKey,
      ...(options.mirror === undefined ? {} : { mirror: options.mirror }),
      broken: options.broken,
      version: options.version,
      settingsDigest: options.settingsDigest,
      checkpointIntervalMs: options.checkpointIntervalMs ?? 1000,
      shardLimits: { ...DEFAULT_SHARD_LIMITS, ...options.shardLimits },
      walSoftBytes: options.wal?.softBytes ?? 4 * 1024 * 1024,
      walHardBytes,
      walMaxBytes: options.wal?.maxBytes ?? 2 * walHardBytes,
      checkpointer: port1,
    };
    this.#checkpointer = startThread('checkpointer-thread', { port: port2 }, [port2]);
    this.#writer = startThread('writer-thread', data, [port1]);
    this.#writer.on('message', (message: FromWriter) => this.#receive(message));
    for (const [name, worker] of [
      ['writer', this.#writer],
      ['checkpointer', this.#checkpointer],
    ] as const) {
      worker.on('error', (error) => this.#fail(threadError(name, error)));
      worker.on('exit', () => {
        if (name === 'writer' || this.#phase === 'open') this.#fail(threadError(name, undefined));
      });
    }
  }

  get shard(): number {
    return this.head().shard;
  }

  get origin(): string {
    return originOf(this.#options.key.name, this.shard);
  }

  get recovery(): Recovery {
    if (this.#recovery === undefined) throw new SealgateError('LEDGER_CLOSED', 'the ledger is not open yet');
    return this.#recovery;
  }

  head(): Head {
    if (this.#head === undefined) throw new SealgateError('LEDGER_CLOSED', 'the ledger is not open yet');
    return this.#head;
  }

  stats(): LedgerStats {
    const queued = { decision: { ...this.#queued.decision }, audit: { ...this.#queued.audit } };
    return { commits: this.#commits, entries: this.#entries, queued, walBytes: this.#head?.walBytes ?? 0 };
  }

  append(lane: Lane, entries: readonly Append[]): Promise<Appended[]> {
    if (entries.length === 0) return Promise.resolve([]);
    const refusal = this.#refusal(lane, entries);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#nextId += 1;
    const message = pack(this.#nextId, lane, entries, lane === 'audit' ? this.#buffers : this.#room);
    const { promise, resolve, reject } = Promise.withResolvers<Appended[]>();
    const bytes = message.bodies.length;
    this.#pending.set(message.id, { lane, entries: entries.length, bytes, landed: [], resolve, reject });
    this.#queued[lane].entries += entries.length;
    this.#queued[lane].bytes += bytes;
    if (lane === 'audit') this.#send(message, [message.bodies.buffer]);
    else {
      this.#decisions.push(message);
      this.#gathering.wait();
    }
    return promise;
  }

  expectDecision(): () => void {
    return this.#gathering.announce();
  }

  space(): SpaceState {
    return this.#space.look(performance.now(), SPACE_INTERVAL_MS);
  }

  async close(reason: string): Promise<void> {
    if (this.#phase === 'open') {
      this.#phase = 'closing';
      this.#sendDecisions();
      this.#send({ type: 'close', reason });
    }
    await this.#ended.promise;
    if (this.#phase === 'failed' && this.#error !== undefined) throw this.#error;
  }

  /** Why these entries are not accepted, or undefined. */
  #refusal(lane: Lane, entries: readonly Append[]): SealgateError | undefined {
    if (this.#error !== undefined) return this.#error;
    if (this.#phase !== 'open')
      return new SealgateError('LEDGER_CLOSED', 'the ledger is closing and takes no more entries');
    let bytes = 0;
    for (const { kind, extra, body } of entries) {
      const wrong = checkExtra(kind, extra);
      if (wrong !== undefined) return new SealgateError('LEDGER_WRITE_FAILED', `an entry cannot be written: ${wrong}`);
      if (body.length > this.#limits.body) {
        return new SealgateError(
          'LEDGER_WRITE_FAILED',
          `the body of a ${kind} entry has ${body.length} bytes, more than the ${this.#limits.body} that one may have`,
        );
      }
      bytes += body.length;
    }
    const queued = this.#queued[lane];
    const noSpace = lane === 'audit' ? this.#spaceRefusal(queued.bytes + bytes) : undefined;
    if (noSpace !== undefined) return noSpace;
    if (
      queued.entries > 0 &&
      (queued.entries + entries.length > this.#limits.entries || queued.bytes + bytes > this.#limits.bytes)
    ) {
      return new SealgateError(
        'LEDGER_OVERLOADED',
        `${queued.entries} entries (${queued.bytes} bytes) are waiting to be written in the ${lane} lane: try again when the disk has caught up`,
      );
    }
    return undefined;
  }

  /** Why so many more bytes of the audit stream are not taken: they would come out of what is kept for decisions. */
  #spaceRefusal(bytes: number): SealgateError | undefined {
    const { reserveBytes = 0 } = this.#options.space ?? {};
    const { level, freeBytes } = this.#space.look(performance.now(), SPACE_AGE_MS);
    // What waits counts as if it were on disk, so that no burst gets at the reserve.
    const left = level !== 'reserve' && level !== 'full' && freeBytes - bytes >= reserveBytes;
    if (left || reserveBytes === 0) return undefined;
    return new SealgateError(
      'LEDGER_SPACE_LOW',
      `${freeBytes} bytes are free on the volume of ${this.dir}, and the last ${reserveBytes} (ledger.reserveBytes) are kept for decisions: make room; audit events are taken again by themselves then`,
    );
  }

  /** Sends what waits as one message: the writer is woken once, and commits it together. */
  #sendDecisions(): void {
    const appends = this.#decisions;
    if (appends.length === 0) return;
    this.#decisions = [];
    this.#send({ type: 'appends', appends }, this.#room.release());
  }

  #send(message: ToWriter, transfer: ArrayBuffer[] = []): void {
    this.#writer.postMessage(message, transfer);
  }

  #receive(message: FromWriter): void {
    switch (message.type) {
      case 'ready':
        this.#head = message.head;
        this.#recovery = message.recovery;
        this.#phase = 'open';
        this.#spaceTimer = setInterval(() => this.#space.look(performance.now()), SPACE_INTERVAL_MS).unref();
        this.#space.look(performance.now());
        this.#opening.resolve();
        return;
      case 'committed':
        this.#committed(message);
        return;
      case 'rejected':
        if (message.error.code === 'LEDGER_FULL') this.#space.noRoom(performance.now());
        for (const id of message.ids) this.#settle(id)?.reject(fromWire(message.error));
        return;
      case 'notice':
        this.#options.onNotice?.(message.notice);
        return;
      case 'fatal':
        this.#fail(fromWire(message.error));
        return;
      case 'closed':
        this.#setHead(message.head);
        this.#phase = 'closed';
        clearInterval(this.#spaceTimer);
        this.#ended.resolve();
        return;
    }
  }

  #committed({ parts, first, hashes, head, info, spent }: FromWriter & { type: 'committed' }): void {
    for (const buffer of spent) this.#buffers.give(buffer);
    this.#commits += 1;
    this.#entries += info.entries;
    if (info.entries > 0) this.#space.wrote(performance.now());
    this.#setHead(head);
    for (const part of parts) {
      const pending = this.#pending.get(part.id);
      if (pending === undefined) continue;
      for (let i = part.first; i < part.first + part.count; i++) {
        const leafHash = hashes.slice(i * HASH_CHARS, (i + 1) * HASH_CHARS);
        pending.landed.push({ shard: head.shard, seq: first + i, leafHash });
      }
      if (pending.landed.length === pending.entries) this.#settle(part.id)?.resolve(pending.landed);
    }
    this.#options.onCommit?.(info);
    this.#options.onHead?.(this.head());
  }

  /** The head that came, with the last checkpoint that is known. */
  #setHead(head: Head): void {
    const known = this.#head?.shard === head.shard ? this.#head.checkpoint : undefined;
    const checkpoint = head.checkpoint ?? known;
    this.#head = checkpoint === undefined ? head : { ...head, checkpoint };
  }

  /** Takes an append off the books. */
  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    this.#queued[pending.lane].entries -= pending.entries;
    this.#queued[pending.lane].bytes -= pending.bytes;
    return pending;
  }

  /** Nothing is acknowledged any more. The first reason counts; what follows from it is not reported again. */
  #fail(error: SealgateError): void {
    if (this.#phase === 'failed' || this.#phase === 'closed') return;
    const before = this.#phase;
    this.#phase = 'failed';
    clearInterval(this.#spaceTimer);
    this.#error = error;
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(error);
    this.#opening.reject(error);
    const stopped = Promise.all([this.#writer.terminate(), this.#checkpointer.terminate()]);
    stopped.then(
      () => this.#ended.resolve(),
      () => this.#ended.resolve(),
    );
    if (before !== 'opening') this.#options.onFatal(error);
  }
}

/** Flattens entries for the trip to the writer: one buffer, transferred, so that only this copy is made. */
function pack(
  id: number,
  lane: Lane,
  entries: readonly Append[],
  room: { take(bytes: number): Uint8Array<ArrayBuffer> },
): AppendMessage {
  const sizes = entries.map(({ body }) => body.length);
  const bodies = room.take(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  for (const { body } of entries) {
    bodies.set(body, at);
    at += body.length;
  }
  const [first] = entries;
  const kinds =
    first !== undefined && entries.every(({ kind }) => kind === first.kind)
      ? first.kind
      : entries.map(({ kind }) => kind);
  const extras = entries.some(({ extra }) => extra !== undefined) ? entries.map(({ extra }) => extra) : undefined;
  return { type: 'append', id, lane, kinds, extras, sizes: lane === 'audit' ? Uint32Array.from(sizes) : sizes, bodies };
}

function startThread(name: string, data: unknown, transferList: import('node:worker_threads').MessagePort[]): Worker {
  return new Worker(threadFile(import.meta.url, name), {
    name: `ledger ${name}`,
    workerData: data,
    transferList,
  });
}

function fromWire({ code, message, cause }: WireError): SealgateError {
  return new SealgateError(code, message, cause === undefined ? {} : { cause: new Error(cause) });
}

function threadError(name: string, error: unknown): SealgateError {
  return new SealgateError(
    'LEDGER_WRITE_FAILED',
    `the ledger's ${name} thread ended unexpectedly: nothing more is acknowledged; start again, which recovers`,
    {
      cause: error,
    },
  );
}
