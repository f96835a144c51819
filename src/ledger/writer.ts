// The writer: takes what waits, commits it, answers. It belongs to the thread on which decisions are made, so that nothing
// has to be handed over between a verdict and its record (docs/decisions/0011-one-thread.md).
import type { Clock } from '../lib/clock.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { shardNumberOf } from './files.ts';
import type { CommittedPart, FromWriter, Head, LedgerNotice, WriterData } from './messages.ts';
import { openAfterBreak } from './open-after-break.ts';
import type { OpenShard } from './open-shard.ts';
import { type Slice, type Waiting, WriterQueue } from './queue.ts';
import { fullBecause, nextShard, RotationPostponed } from './rotate.ts';
import { openKeyed } from './rotate-key.ts';
import { isNoSpace, outcomeOf } from './sqlite-errors.ts';
import type { Committed } from './store.ts';
import { WalKeeper } from './wal-keeper.ts';

export interface WriterPorts {
  post(message: FromWriter): void;
  /** Calls `work` once, after everything that has arrived by then was looked at. */
  later(work: () => void): void;
}

/**
 * A commit costs nearly the same whether it holds one decision or sixteen. So while each look at what has arrived brings more of
 * them, they are waited for, but not longer than this. PostgreSQL's commit_delay and commit_siblings are the same idea.
 */
const GATHER_MS = 1;
/** More than this are not waited for: a commit of them costs little for each. */
const GATHERED = 32;

/** The shard takes entries all the same when there is no space for the next one. */
const ROTATION_RETRY_MS = 5000;

type State = 'open' | 'closing' | 'closed' | 'failed';

export class Writer {
  readonly #ports: WriterPorts;
  readonly #data: WriterData;
  readonly #clock: Clock;
  #opened: OpenShard;
  readonly #wal: WalKeeper;
  readonly #queue = new WriterQueue();
  readonly #checkpointIntervalMs: number;
  #state: State = 'open';
  #stopReason = '';
  /** performance.now() of the last checkpoint. */
  #signedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  /** After a rotation that could not be, performance.now() before which it is not tried again. */
  #rotateAt = 0;
  /** Whether that was told of. */
  #postponed = false;
  /** The checkpoint that a new shard was created with, until a head tells of it. */
  #created: string | undefined;
  #abandoned = false;
  /** Whether a turn is on its way. */
  #scheduled = false;
  /** Decisions that waited at the last turn, which left them for more to come. */
  #gathered = 0;
  /** performance.now() when the first of them was seen. */
  #gatheringSince = 0;

  /** Opens the ledger and says `ready`. Throws the errors of openKeyed and openAfterBreak. */
  constructor(data: WriterData, clock: Clock, ports: WriterPorts) {
    this.#ports = ports;
    this.#data = data;
    this.#clock = clock;
    this.#checkpointIntervalMs = data.checkpointIntervalMs;
    this.#opened = data.broken === undefined ? openKeyed(data, clock) : openAfterBreak(data, data.broken, clock);
    const { store, shard, path, recovery, unsealed } = this.#opened;
    const limits = { softBytes: data.walSoftBytes, hardBytes: data.walHardBytes, maxBytes: data.walMaxBytes };
    const onSeal = (of: string, sealed: boolean): void =>
      this.#notice({ type: sealed ? 'sealed' : 'unsealed', shard: shardNumberOf(of) ?? 0 });
    this.#wal = new WalKeeper(store, path, data.checkpointer, limits, onSeal);
    this.#wal.seal(unsealed);
    ports.post({ type: 'ready', shard, recovery, head: this.#head(store.checkpoint) });
  }

  /** Bytes in the WAL that a new reader would have to look through; 0 once the ledger is closed or has failed. */
  get walBytes(): number {
    return this.#state === 'open' || this.#state === 'closing' ? this.#wal.bytes() : 0;
  }

  /** Commits these entries soon. */
  push(append: Waiting): void {
    this.#queue.push(append);
    this.#schedule();
  }

  /** Commits what waits, then `stop` and a last checkpoint, and says `closed`. */
  close(reason: string): void {
    this.#stopReason = reason;
    if (this.#state === 'open') this.#state = 'closing';
    this.#schedule();
  }

  /** Gives the files up without another word to them: nothing that is known about them can be relied on. Safe to call twice. */
  abandon(): void {
    if (this.#state === 'closed' || this.#abandoned) return;
    this.#abandoned = true;
    this.#state = 'failed';
    clearTimeout(this.#timer);
    const { store, lock } = this.#opened;
    try {
      store.release();
    } finally {
      lock.release();
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#ports.later(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  /** At most one commit: whoever waits for a decision has the thread between two of them. */
  #turn(): void {
    if (this.#state === 'closed' || this.#state === 'failed') return;
    if (this.#gathers(performance.now())) {
      this.#schedule();
      return;
    }
    if (!this.#queue.empty) this.#commit(this.#queue.take());
    if (!this.#queue.empty) this.#schedule();
    else if (this.#state === 'closing') this.#stop();
    else this.#armTimer();
  }

  /** Whether decisions are still arriving that the next commit should hold. */
  #gathers(now: number): boolean {
    const { decisions } = this.#queue;
    if (this.#gathered === 0) this.#gatheringSince = now;
    const more = decisions > this.#gathered && decisions < GATHERED && now - this.#gatheringSince < GATHER_MS;
    this.#gathered = more && this.#state === 'open' ? decisions : 0;
    return this.#gathered > 0;
  }

  #commit(slice: Slice): void {
    const began = performance.now();
    if (slice.entries.length > 0 && !this.#rotateWhenFull(began)) return;
    let committed: Committed;
    try {
      committed = this.#opened.store.append(slice.entries, began - this.#signedAt >= this.#checkpointIntervalMs);
    } catch (error) {
      if (outcomeOf(error) === 'unknown') this.#fail(error);
      else this.#refuse(slice, error);
      return;
    }
    const now = performance.now();
    if (committed.checkpoint !== undefined) this.#signedAt = now;
    this.#answer(slice, committed, (now - began) / 1000);
    try {
      this.#wal.tend(now, committed.frames);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Before a commit: what it holds goes to the next shard when this one is full. False when nothing may be written any more. */
  #rotateWhenFull(nowMs: number): boolean {
    try {
      if (nowMs < this.#rotateAt) return true;
      const full = this.#opened.store;
      const because = this.#wal.outgrown ? 'wal' : fullBecause(full, this.#data.shardLimits, this.#clock);
      if (because === undefined) return true;
      this.#opened = nextShard(this.#opened, this.#data, this.#clock);
      const { store, path, shard } = this.#opened;
      full.release();
      this.#wal.switchTo(store, path);
      this.#postponed = false;
      this.#notice({ type: 'rotated', shard, because });
      this.#created = store.checkpoint;
      this.#signedAt = nowMs;
      return true;
    } catch (error) {
      if (error instanceof RotationPostponed) {
        this.#rotateAt = nowMs + ROTATION_RETRY_MS;
        const { shard } = this.#opened;
        if (!this.#postponed) this.#notice({ type: 'rotation-postponed', shard, message: messageOf(error) });
        this.#postponed = true;
        return true;
      }
      this.#fail(error);
      return false;
    }
  }

  #answer(slice: Slice, { first, hashes, bytes, checkpoint }: Committed, seconds: number): void {
    const info = { entries: slice.entries.length, bytes, seconds };
    const head = this.#head(checkpoint ?? this.#created);
    this.#created = undefined;
    this.#ports.post({ type: 'committed', parts: slice.parts, first, hashes, head, info });
  }

  /** The transaction was rolled back and left nothing. Where there was no space for all of it there may be for its decisions. */
  #refuse(slice: Slice, error: unknown): void {
    const { entries, parts, decisions } = slice;
    const own = {
      entries: entries.slice(0, decisions),
      parts: parts.filter(({ first }) => first < decisions),
      decisions,
    };
    const rest = parts.filter(({ first }) => first >= decisions);
    const retry = isNoSpace(error) && decisions > 0 && rest.length > 0;
    if (rest.length > 0) this.#reject(rest, 'LEDGER_SPACE_LOW', error);
    if (retry) this.#commit(own);
    else if (decisions > 0) this.#reject(own.parts, 'LEDGER_FULL', error);
    // A checkpoint that could not be written is tried again an interval later.
    if (entries.length === 0) this.#signedAt = performance.now();
  }

  /** What else waits of the same appends is dropped: they have failed. */
  #reject(parts: readonly CommittedPart[], code: 'LEDGER_SPACE_LOW' | 'LEDGER_FULL', error: unknown): void {
    const ids = new Set(parts.map(({ id }) => id));
    this.#queue.drop(ids);
    const why = new SealgateError(
      isNoSpace(error) ? code : 'LEDGER_WRITE_FAILED',
      `the ledger could not be written (${messageOf(error)}): make room on the volume of ${this.#opened.path}; nothing that was acknowledged is affected`,
      { cause: error },
    );
    this.#ports.post({ type: 'rejected', ids: [...ids], error: why });
  }

  /** A checkpoint over a tail that nothing else is going to sign. */
  #sign(): void {
    const { store } = this.#opened;
    if (this.#state !== 'open' || store.signedSize === store.size) return;
    this.#commit({ entries: [], parts: [], decisions: 0 });
    this.#armTimer();
  }

  #armTimer(): void {
    const { store } = this.#opened;
    if (this.#timer !== undefined || this.#state !== 'open' || store.signedSize === store.size) return;
    const wait = Math.max(0, this.#signedAt + this.#checkpointIntervalMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#ports.later(() => this.#sign());
    }, Math.ceil(wait));
  }

  /** The outcome is unknown: nothing is acknowledged from here on. The process ends and finds out when it starts again. */
  #fail(error: unknown): void {
    this.#state = 'failed';
    clearTimeout(this.#timer);
    this.#ports.post({ type: 'fatal', error: fatalError(error, this.#opened.path) });
  }

  #stop(): void {
    this.#state = 'closed';
    clearTimeout(this.#timer);
    const { store, lock } = this.#opened;
    const finish = async (): Promise<void> => {
      const body = Buffer.from(JSON.stringify({ reason: this.#stopReason }), 'utf8');
      store.append([{ kind: 'stop', body }], true);
      const head = this.#head(store.checkpoint);
      await this.#wal.close();
      store.close();
      lock.release();
      this.#ports.post({ type: 'closed', head });
    };
    finish().catch((error: unknown) => this.#fail(error));
  }

  #notice(notice: LedgerNotice): void {
    this.#ports.post({ type: 'notice', notice });
  }

  #head(checkpoint: string | undefined): Head {
    const { store, shard } = this.#opened;
    const head = { shard, size: store.size, signedSize: store.signedSize };
    return checkpoint === undefined ? head : { ...head, checkpoint };
  }
}

function fatalError(error: unknown, path: string): SealgateError {
  if (error instanceof SealgateError) return error;
  return new SealgateError(
    'LEDGER_WRITE_FAILED',
    `a commit to ${path} failed and may or may not be on disk (${messageOf(error)}): nothing more is acknowledged; look at the volume, then start again, which recovers`,
    { cause: error },
  );
}
