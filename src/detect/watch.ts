// The audit stream as the rules see it: which events are looked at, in which order the rules are asked, and that what they find
// is on disk before the API server hears that its batch is.
import type { Appended } from '../ledger/entry.ts';
import type { Entry } from '../ledger/reader.ts';
import { type EventNodes, eventNodes, findEvent } from '../lib/audit-event.ts';
import { SealgateError } from '../lib/errors.ts';
import { JsonDocument, jsonName } from '../lib/json-document.ts';
import type { Finding } from './finding.ts';
import { partyOf } from './people.ts';
import { type FindingLedger, Recorder } from './recorder.ts';
import { EVENT_RULES } from './rules.ts';
import type { DetectSettings } from './settings.ts';
import { createSight, type Sight, type Sighting, type Wanted } from './sighting.ts';
import { exemptKey, keptState, loadState, type Mark, type State, saveState } from './state.ts';

export interface WatchOptions {
  readonly settings: DetectSettings;
  readonly ledger: FindingLedger;
  /** Where the rules' memory is kept. */
  readonly file: string;
  readonly onRecorded: (finding: Finding, events: number) => void;
  /** The memory could not be written: a later finding may lack when something began. */
  readonly onProblem: (error: unknown) => void;
}

const EVENT = jsonName('event');

/**
 * How often the file is written, in milliseconds, where nothing but the mark has moved: everybody waits for that. After a crash the
 * events behind an older mark are judged once more, and what the ledger says of them already is not said again.
 */
const MARK_MS = 1000;

export class Watch {
  readonly #options: WatchOptions;
  readonly #sight: Sight;
  readonly #state: State;
  readonly #recorder: Recorder;
  /** The newest event that the rules were asked about. */
  #mark: Mark | undefined;
  /** What the file has of it, what it has beside that, and since when (performance.now). */
  #saved: Mark | undefined;
  #kept = '';
  #savedAt = Number.NEGATIVE_INFINITY;
  /** Events of the ledger that no finding names so far, from before this start; undefined once they are judged. */
  #early: { readonly place: Appended; readonly sighting: Sighting }[] | undefined = [];
  /** Places that the findings of the ledger name. */
  readonly #named = new Set<string>();
  readonly #doc = new JsonDocument();
  readonly #found = eventNodes();
  readonly #wanted: Wanted;

  constructor(options: WatchOptions) {
    const { settings, ledger, file, onRecorded } = options;
    const { state, mark } = loadState(file);
    this.#options = options;
    this.#sight = createSight(settings);
    this.#state = state;
    this.#mark = mark;
    this.#saved = mark;
    this.#recorder = new Recorder({ ledger, onRecorded });
    this.#wanted = {
      get decided() {
        return state.missing !== undefined;
      },
      get some() {
        return state.exempt.size > 0;
      },
      has: (what) => state.exempt.has(exemptKey(what)),
    };
  }

  /** Since when Sealgate's webhook configuration is missed; undefined when it is not. */
  get missingSince(): string | undefined {
    return this.#state.missing?.since;
  }

  /** What is to be done once this event is on disk; undefined for nearly all. `doc` holds it redacted. */
  sight(doc: JsonDocument, event: EventNodes): ((place: Appended) => void) | undefined {
    const sighting = this.#sight(doc, event, this.#wanted);
    return sighting === undefined ? undefined : (place) => this.#judge(sighting, place);
  }

  /** Resolves when everything that was found is on disk. Rejects as the ledger's append does; then the next call tries again. */
  async settled(): Promise<void> {
    if (this.#recorder.idle && this.#mark === this.#saved) return;
    await this.#recorder.settled();
    this.#save();
  }

  /** Records a finding that no event shows. Rejects as the ledger's append does; then it is tried again with the next batch. */
  async report(finding: Finding): Promise<void> {
    this.#recorder.add({ finding, events: [] });
    await this.settled();
  }

  /**
   * Given the newest entries of the ledger before the first batch, in their order: what a crash kept from being found is found
   * by `caughtUp`.
   */
  recorded({ leaf, body, shard, seq, leafHash }: Entry): void {
    if (leaf.kind === 'finding') this.#readFinding(body);
    if (leaf.kind !== 'event' || !this.#isNew({ shard, seq })) return;
    try {
      this.#doc.scan(body);
    } catch (thrown) {
      // Nobody but a damaged disk writes such a body; the verifier says so.
      if (thrown instanceof SealgateError) return;
      throw thrown;
    }
    findEvent(this.#doc, this.#doc.find(0, EVENT), this.#found);
    const sighting = this.#sight(this.#doc, this.#found, this.#wanted);
    if (sighting !== undefined) this.#early?.push({ place: { shard, seq, leafHash }, sighting });
  }

  /** Once those entries are through. Rejects as `settled` does. */
  async caughtUp(): Promise<void> {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const { place, sighting } of early) this.#judge(sighting, place, this.#named.has(nameOf(place)));
    this.#named.clear();
    await this.settled();
  }

  /** `said`: a finding of the ledger names it already. */
  #judge(sighting: Sighting, place: Appended, said = false): void {
    const { settings } = this.#options;
    const seen = { ...sighting, party: partyOf(sighting.who, settings) };
    for (const rule of EVENT_RULES) {
      const finding = rule(seen, this.#state, settings);
      if (finding !== undefined && !said) this.#recorder.add({ finding, events: [place] });
    }
    const { shard, seq } = place;
    if (this.#isNew(place)) this.#mark = { shard, seq };
  }

  #isNew({ shard, seq }: Mark): boolean {
    const mark = this.#mark;
    return mark === undefined || shard > mark.shard || (shard === mark.shard && seq > mark.seq);
  }

  #readFinding(body: Buffer): void {
    const { event, others = [] } = JSON.parse(body.toString('utf8')) as { event?: Mark; others?: readonly Mark[] };
    for (const place of event === undefined ? others : [event, ...others]) this.#named.add(nameOf(place));
  }

  #save(): void {
    const mark = this.#mark;
    if (mark === undefined || mark === this.#saved) return;
    const kept = keptState(this.#state);
    const now = performance.now();
    if (kept === this.#kept && now - this.#savedAt < MARK_MS) return;
    try {
      saveState(this.#options.file, kept, mark);
      this.#saved = mark;
      this.#kept = kept;
      this.#savedAt = now;
    } catch (error) {
      this.#options.onProblem(error);
    }
  }
}

function nameOf({ shard, seq }: Mark): string {
  return `${shard}/${seq}`;
}
