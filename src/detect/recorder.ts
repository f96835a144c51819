// Gets findings on disk: what waits is written by whoever asks next, in one append, and stays if that fails.
import type { Append, Appended } from '../ledger/entry.ts';
import { type Finding, findingEntry, type Shown } from './finding.ts';

/** The part of the ledger that is used. */
export interface FindingLedger {
  append(lane: 'audit', entries: readonly Append[]): Promise<Appended[]>;
}

export interface RecorderOptions {
  readonly ledger: FindingLedger;
  /** So many events showed it; called once it is on disk. */
  readonly onRecorded: (finding: Finding, events: number) => void;
}

export class Recorder {
  readonly #options: RecorderOptions;
  #waiting: Shown[] = [];
  #writing: Promise<void> | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  add(shown: Shown): void {
    this.#waiting.push(shown);
  }

  /** Resolves when all that was added before is on disk. Rejects as the ledger's append does; then it waits on. */
  async settled(): Promise<void> {
    while (!this.idle) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  async #write(): Promise<void> {
    const waiting = this.#waiting;
    const together = coalesced(waiting);
    await this.#options.ledger.append('audit', together.map(findingEntry));
    this.#waiting = this.#waiting.slice(waiting.length);
    for (const { finding, events } of together) this.#options.onRecorded(finding, events.length);
  }
}

/** While nothing answers every write fails open: what is recorded at the same time shares one entry. */
function coalesced(waiting: readonly Shown[]): Shown[] {
  const open = waiting.filter(({ finding }) => finding.rule === 'failed-open');
  const [first] = open;
  if (first === undefined) return [...waiting];
  const rest = waiting.filter((shown) => !open.includes(shown));
  return [...rest, { finding: first.finding, events: open.flatMap(({ events }) => events) }];
}
