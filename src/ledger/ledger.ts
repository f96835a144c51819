// The handle of the ledger: checks appends, gives them to the writer and resolves them when they are on disk.
import { MessageChannel, Worker } from 'node:worker_threads';
import { systemClock } from '../lib/clock.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { threadFile } from '../lib/thread-file.ts';
import type { Append, Appended } from './entry.ts';
import type { LedgerKey } from './key.ts';
import { checkExtra } from './leaf.ts';
import type { LedgerBreak } from './link.ts';
import type {
  CommitInfo,
  FromWriter,
  Head,
  Lane,
  LedgerNotice,
  Recovery,
  ShardLimits,
  WriterData,
} from './messages.ts';
import { originOf } from './open-shard.ts';
import { freeBytesOn, type SpaceLevel, type SpaceLimits, type SpaceState, SpaceWatch } from './space.ts';
import { Writer } from './writer.ts';

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
   * LEDGER_WRITE_FAILED; then some of them may be recorded, but none is acknowledged. The bodies must stay as they are until then.
   */
  append(lane: Lane, entries: readonly Append[]): Promise<Appended[]>;
  head(): Head;
  stats(): LedgerStats;
  /** As of a measurement that is at most a second old. */
  space(): SpaceState;
  /** Commits what was accepted, then `stop` and a last checkpoint; releases the lock. */
  close(reason: string): Promise<void>;
}

/**
 * Opens or creates the ledger, to be written on this thread, and starts the one that empties its WAL. Rejects with every LEDGER_…
 * code of opening (docs/errors.md).
 */
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
  /** Undefined when it could not be opened. */
  readonly #writer: Writer | undefined;
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
    this.#checkpointer = new Worker(threadFile(import.meta.url, 'checkpointer-thread'), {
      name: 'ledger checkpointer-thread',
      workerData: { port: port2 },
      transferList: [port2],
    });
    this.#checkpointer.on('error', (error) => this.#fail(checkpointerError(error)));
    this.#checkpointer.on('exit', () => {
      if (this.#phase === 'open') this.#fail(checkpointerError(undefined));
    });
    this.#writer = this.#open(data);
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
    return { commits: this.#commits, entries: this.#entries, queued, walBytes: this.#writer?.walBytes ?? 0 };
  }

  append(lane: Lane, entries: readonly Append[]): Promise<Appended[]> {
    if (entries.length === 0) return Promise.resolve([]);
    const refusal = this.#refusal(lane, entries);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#nextId += 1;
    const id = this.#nextId;
    const { promise, resolve, reject } = Promise.withResolvers<Appended[]>();
    const bytes = entries.reduce((sum, { body }) => sum + body.length, 0);
    this.#pending.set(id, { lane, entries: entries.length, bytes, landed: [], resolve, reject });
    this.#queued[lane].entries += entries.length;
    this.#queued[lane].bytes += bytes;
    this.#writer?.push({ id, lane, entries });
    return promise;
  }

  space(): SpaceState {
    return this.#space.look(performance.now(), SPACE_INTERVAL_MS);
  }

  async close(reason: string): Promise<void> {
    if (this.#phase === 'open') {
      this.#phase = 'closing';
      this.#writer?.close(reason);
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

  #open(data: WriterData): Writer | undefined {
    try {
      return new Writer(data, systemClock(), {
        post: (message) => this.#receive(message),
        later: (work) => void setImmediate(() => this.#guarded(work)),
      });
    } catch (error) {
      this.#fail(fatal(error, 'the ledger could not be opened'));
      return undefined;
    }
  }

  /** Work of the writer: what it throws is a mistake in it, after which nothing it says can be relied on. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(
        fatal(error, 'the writer of the ledger failed: nothing more is acknowledged; start again, which recovers'),
      );
    }
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
        for (const id of message.ids) this.#settle(id)?.reject(message.error);
        return;
      case 'notice':
        this.#options.onNotice?.(message.notice);
        return;
      case 'fatal':
        this.#fail(message.error);
        return;
      case 'closed':
        this.#setHead(message.head);
        this.#phase = 'closed';
        clearInterval(this.#spaceTimer);
        this.#ended.resolve();
        return;
    }
  }

  #committed({ parts, first, hashes, head, info }: FromWriter & { type: 'committed' }): void {
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
    this.#writer?.abandon();
    this.#checkpointer.terminate().then(
      () => this.#ended.resolve(),
      () => this.#ended.resolve(),
    );
    if (before !== 'opening') this.#options.onFatal(error);
  }
}

function fatal(error: unknown, what: string): SealgateError {
  if (error instanceof SealgateError) return error;
  return new SealgateError('LEDGER_WRITE_FAILED', `${what} (${messageOf(error)})`, { cause: error });
}

function checkpointerError(error: unknown): SealgateError {
  return new SealgateError(
    'LEDGER_WRITE_FAILED',
    "the ledger's checkpointer thread ended unexpectedly: nothing more is acknowledged; start again, which recovers",
    { cause: error },
  );
}
