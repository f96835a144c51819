// The audit stream as the main thread sees it: a thread of its own, whose entries are appended here, whose metrics are counted here,
// and which starts, drains and closes when it is told to.
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { precedenceMemory } from './audit/precedence.ts';
import type { Settings } from './config/schema.ts';
import type { Finding } from './detect/finding.ts';
import { type AuditLane, answerAppend } from './ledger/remote.ts';
import { messageOf, SealgateError } from './lib/errors.ts';
import { threadFile } from './lib/thread-file.ts';
import {
  type AuditSetup,
  type FromAudit,
  LOAD,
  LOAD_BYTES,
  type ToAudit,
  type WireError,
} from './serve-audit-messages.ts';
import type { Metrics } from './server/metrics.ts';

/** Longer than the thread needs for what it is asked; then it is stuck, and the last checkpoint must not wait for it. */
const STUCK_MS = 3000;

export interface AuditThreadOptions {
  readonly settings: Settings;
  readonly ledgerDir: string;
  readonly shard: number;
  /** Where its entries go. */
  readonly ledger: AuditLane;
  readonly metrics: Pick<Metrics, 'audit' | 'listener' | 'certificateExpires'>;
  readonly onRecorded: (finding: Finding, events: number) => void;
  /** It has ended by itself: no batch is taken any more. */
  readonly onFatal: (error: SealgateError) => void;
}

export class AuditThread {
  readonly #options: AuditThreadOptions;
  readonly #worker: Worker;
  readonly #load = new Float64Array(new SharedArrayBuffer(LOAD_BYTES));
  readonly #rejected: ReturnType<Metrics['listener']>;
  readonly #ready = Promise.withResolvers<void>();
  readonly #open = Promise.withResolvers<number>();
  readonly #drained = Promise.withResolvers<number>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #reports = new Map<number, PromiseWithResolvers<void>>();
  #nextReport = 0;
  #closing = false;
  /** Why nothing is answered any more. */
  #over: SealgateError | undefined;
  #ends = new Date(Number.NaN);
  /** Decisions are counted here, so that the thread knows when they wait. */
  readonly precedence = precedenceMemory();

  private constructor(options: AuditThreadOptions) {
    this.#options = options;
    this.#rejected = options.metrics.listener('audit');
    const { settings, ledgerDir, shard } = options;
    const setup: AuditSetup = {
      ...{ settings, ledgerDir, shard, precedence: this.precedence },
      load: this.#load.buffer as SharedArrayBuffer,
    };
    this.#worker = new Worker(threadFile(import.meta.url, 'serve-audit-thread'), { workerData: setup, name: 'audit' });
    this.#worker.on('message', (message: FromAudit) => this.#receive(message));
    this.#worker.on('error', (error) => this.#ended(error));
    this.#worker.on('exit', () => this.#ended(undefined));
    // Whoever waits for one of them hears of it; nobody waits for all.
    for (const { promise } of [this.#ready, this.#open, this.#drained]) promise.catch(() => undefined);
  }

  /** Resolves when it can be told to open. Rejects with what keeps it from starting. */
  static async start(options: AuditThreadOptions): Promise<AuditThread> {
    const thread = new AuditThread(options);
    try {
      await thread.#ready.promise;
      return thread;
    } catch (error) {
      thread.#closing = true;
      await thread.#worker.terminate();
      throw error;
    }
  }

  /** Whether Sealgate's webhook configuration is missed. */
  get webhookMissing(): boolean {
    return this.#load[LOAD.webhookMissing] === 1;
  }

  /** When the listener's certificate ends. */
  get ends(): Date {
    return this.#ends;
  }

  /** Opens the listener and resolves with its port. Rejects with LISTEN_FAILED or CERTIFICATE_INVALID. */
  open(): Promise<number> {
    const load = this.#load;
    this.#rejected.opened({
      get inFlight() {
        return load[LOAD.inFlight] ?? 0;
      },
      get inFlightBytes() {
        return load[LOAD.inFlightBytes] ?? 0;
      },
    });
    this.#send({ type: 'open' });
    return this.#open.promise;
  }

  /** Resolves when a finding that no event shows is recorded. Rejects as the ledger's append does; then the next batch tries again. */
  report(finding: Finding): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const id = this.#nextReport++;
    const reported = Promise.withResolvers<void>();
    this.#reports.set(id, reported);
    this.#send({ type: 'report', id, finding });
    return reported.promise;
  }

  /** From now on each answer ends its connection. */
  retire(): void {
    this.#send({ type: 'retire' });
  }

  /** As a listener's own: resolves with the number of requests that were cut off. A thread that does not answer is not waited for. */
  drain(graceMs: number): Promise<number> {
    this.#send({ type: 'drain', graceMs });
    return Promise.race([this.#drained.promise, sleep(graceMs + STUCK_MS, 0, { ref: false })]);
  }

  /** Before the ledger closes. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#send({ type: 'close' });
    await Promise.race([this.#closed.promise, sleep(STUCK_MS, undefined, { ref: false })]);
    await this.#worker.terminate();
  }

  #send(message: ToAudit, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(message: FromAudit): void {
    const { metrics, ledger, onRecorded } = this.#options;
    switch (message.type) {
      case 'append':
        void answerAppend(ledger, message).then((answer) => this.#send(answer, [answer.room]));
        return;
      case 'acknowledged':
        metrics.audit.acknowledged(message.batch, message.seconds);
        return;
      case 'unacknowledged':
        metrics.audit.refused(message.code);
        return;
      case 'redacted':
        metrics.audit.redacted(message.events);
        return;
      case 'rejected':
        this.#rejected.rejected(message.reason);
        return;
      case 'recorded':
        onRecorded(message.finding, message.events);
        return;
      case 'certificates':
        this.#ends = message.expires;
        metrics.certificateExpires('audit', message.expires, message.caExpires);
        return;
      case 'reported':
        this.#reported(message.id, message.error);
        return;
      case 'ready':
        this.#ready.resolve();
        return;
      case 'open':
        this.#open.resolve(message.port);
        return;
      case 'drained':
        this.#drained.resolve(message.cut);
        return;
      case 'closed':
        this.#closed.resolve();
        return;
      case 'failed':
        this.#fail(fromWire(message.error));
        return;
    }
  }

  #reported(id: number, error: WireError | undefined): void {
    const reported = this.#reports.get(id);
    this.#reports.delete(id);
    if (error === undefined) reported?.resolve();
    else reported?.reject(fromWire(error));
  }

  #ended(error: unknown): void {
    this.#closed.resolve();
    const why = error === undefined ? '' : ` (${messageOf(error)})`;
    const fatal = new SealgateError('INTERNAL', `the thread of the audit stream ended unexpectedly${why}`, {
      cause: error,
    });
    this.#over = fatal;
    this.#fail(fatal);
    if (!this.#closing) this.#options.onFatal(fatal);
  }

  /** Nothing that waits will come. */
  #fail(error: SealgateError): void {
    for (const waits of [this.#ready, this.#open, this.#drained, ...this.#reports.values()]) waits.reject(error);
    this.#reports.clear();
  }
}

function fromWire({ code, message }: WireError): SealgateError {
  return new SealgateError(code, message);
}
