// Verifies the ledger in the pod, again and again: all of it once a day, what is new more often. What it finds is recorded in that
// same ledger, whose next checkpoint then says so wherever it is kept.
import { Worker } from 'node:worker_threads';
import { formatMicros } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { threadFile } from '../lib/thread-file.ts';
import type { CheckData, CheckResult } from './check-protocol.ts';
import type { Finding } from './finding.ts';

export interface CheckSettings {
  /** Hours between two checks of everything; 0: never. */
  readonly intervalHours: number;
  /** Minutes between two checks of what is new; 0: never. */
  readonly newEntriesMinutes: number;
  readonly cpuPercent: number;
}

export interface LedgerCheckOptions {
  readonly settings: CheckSettings;
  readonly ledgerDir: string;
  readonly vkey: string;
  readonly head: () => { readonly shard: number; readonly size: number; readonly checkpoint?: string };
  /** Microseconds by the wall clock. */
  readonly wall: () => number;
  /** Records a finding. Rejects as the ledger does. */
  readonly report: (finding: Finding) => Promise<void>;
  readonly onChecked: (pass: Pass, result: CheckResult) => void;
  readonly log: (level: 'info' | 'error', fields: object, message: string) => void;
}

/** Of everything, or of what is new. */
export type Pass = 'full' | 'new';

export interface CheckStatus {
  /** When everything was last found whole, in milliseconds since the epoch; undefined before. */
  readonly wholeAt: number | undefined;
  /** What the last check found; empty when it was whole. */
  readonly problems: readonly string[];
}

/** The first check waits for a start to be over, and for a crash loop to come to an end. */
const FIRST_MS = 10 * 60_000;
const THREAD_MB = 256;

export class LedgerCheck {
  readonly #options: LedgerCheckOptions;
  readonly #timers = new Map<Pass, NodeJS.Timeout>();
  #worker: Worker | undefined;
  /** Checks go one after another. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;
  /** From here on entries are new. */
  #next: { readonly shard: number; readonly size: number };
  #wholeAt: number | undefined;
  readonly #problems: Record<Pass, readonly string[]> = { full: [], new: [] };
  /** What the last finding said. */
  #said = '';

  constructor(options: LedgerCheckOptions) {
    this.#options = options;
    const { shard } = options.head();
    this.#next = { shard, size: 0 };
    const { intervalHours, newEntriesMinutes } = options.settings;
    const fullMs = intervalHours * 3_600_000;
    if (fullMs > 0) this.#arm('full', Math.min(FIRST_MS, fullMs), fullMs);
    const newMs = newEntriesMinutes * 60_000;
    if (newMs > 0) this.#arm('new', newMs, newMs);
  }

  status(): CheckStatus {
    return { wholeAt: this.#wholeAt, problems: [...this.#problems.full, ...this.#problems.new] };
  }

  /** Checks now, after what is being checked. Never rejects. */
  run(pass: Pass): Promise<void> {
    this.#turn = this.#turn
      .then(() => this.#run(pass))
      .catch((error: unknown) => {
        if (!this.#closed) this.#options.log('error', { error: messageOf(error) }, 'the ledger could not be checked');
      });
    return this.#turn;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#worker?.terminate();
    await this.#turn;
  }

  #arm(pass: Pass, firstMs: number, everyMs: number): void {
    const timer = setTimeout(() => {
      void this.run(pass).then(() => {
        if (!this.#closed) this.#arm(pass, everyMs, everyMs);
      });
    }, firstMs);
    this.#timers.set(pass, timer.unref());
  }

  async #run(pass: Pass): Promise<void> {
    if (this.#closed) return;
    const head = this.#options.head();
    const parts = pass === 'full' ? [undefined] : this.#newParts(head);
    if (parts.length === 0) return;
    let result = await this.#checkAll(parts, head.checkpoint);
    // A shard that was removed or sealed at the same moment reads like one that was taken away: whatever is wrong is so twice.
    if (result.problems.length > 0 && !this.#closed) result = await this.#checkAll(parts, head.checkpoint);
    if (this.#closed) return;
    this.#next = head;
    this.#problems[pass] = result.problems;
    if (pass === 'full') {
      this.#problems.new = [];
      if (result.problems.length === 0) this.#wholeAt = this.#options.wall() / 1000;
    }
    this.#options.onChecked(pass, result);
    if (result.problems.length === 0) this.#said = '';
    else await this.#tell(pass, result);
  }

  /** Shards with entries that no check has seen, and from which entry on. */
  #newParts({ shard, size }: { readonly shard: number; readonly size: number }): { shard: number; from: number }[] {
    const { shard: first, size: from } = this.#next;
    if (first === shard) return size > from ? [{ shard, from }] : [];
    const whole = Array.from({ length: shard - first }, (_, i) => ({ shard: first + 1 + i, from: 0 }));
    return [{ shard: first, from }, ...whole];
  }

  async #checkAll(
    parts: readonly ({ readonly shard: number; readonly from: number } | undefined)[],
    checkpoint: string | undefined,
  ): Promise<CheckResult> {
    let sum: CheckResult = { entries: 0, problems: [], problemCount: 0 };
    for (const part of parts) {
      const one = await this.#check(part, checkpoint);
      sum = {
        entries: sum.entries + one.entries,
        problems: [...sum.problems, ...one.problems],
        problemCount: sum.problemCount + one.problemCount,
      };
    }
    return sum;
  }

  /** One thread's work. Rejects when it ended without a result. */
  #check(
    part: { readonly shard: number; readonly from: number } | undefined,
    checkpoint: string | undefined,
  ): Promise<CheckResult> {
    const { ledgerDir, vkey, settings } = this.#options;
    const data: CheckData = {
      ...{ ledgerDir, vkey, checkpoints: checkpoint === undefined ? [] : [checkpoint] },
      ...{ shard: part?.shard, from: part?.from ?? 0, cpuPercent: settings.cpuPercent },
    };
    const worker = new Worker(threadFile(import.meta.url, 'check-thread'), {
      name: 'ledger check',
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: THREAD_MB },
    });
    this.#worker = worker;
    return new Promise<CheckResult>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('its thread ended before it was through')));
    }).finally(() => {
      this.#worker = undefined;
    });
  }

  async #tell(pass: Pass, { problems, problemCount }: CheckResult): Promise<void> {
    const { log, report, wall } = this.#options;
    log(
      'error',
      { problems: problems.slice(0, 3), problemCount },
      'the ledger is not whole: sealgate verify says more',
    );
    // The same again is said once a day, by the check of everything.
    const said = problems.join('\n');
    if (pass === 'new' && said === this.#said) return;
    this.#said = said;
    const message = `the ledger's check of itself found ${problemCount} ${problemCount === 1 ? 'problem' : 'problems'}`;
    await report({ rule: 'ledger-check', severity: 'critical', message, time: formatMicros(wall()), problems });
  }
}
