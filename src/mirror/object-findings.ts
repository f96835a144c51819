// Turns what was found under a key into findings: which object, which entries, and whether the history is still whole without it.
import { entriesText, type FindingCode, type Findings } from '../ledger/verify-report.ts';
import type { Interference, Judged } from './judge-object.ts';

export interface ObjectPlace {
  readonly shard: number;
  /** Entries that the object holds or spans, inclusive; absent for checkpoints. */
  readonly entries?: readonly [from: number, to: number];
  /** What it is, for the message: "the entry bundle". */
  readonly what: string;
  /** Whether what a right version would hold was found elsewhere. Without effect when there is a right version. */
  readonly saved: boolean;
  /** For a checkpoint. */
  readonly checkpoint?: number;
}

const CODES: Readonly<Record<Interference, FindingCode>> = {
  missing: 'object-missing',
  hidden: 'object-hidden',
  overwritten: 'object-overwritten',
  squatted: 'object-squatted',
  changed: 'object-changed',
};

/** Reports everything that was wrong under one key. Returns whether what it should hold is lost. */
export function reportObject(findings: Findings, judged: Judged<unknown>, place: ObjectPlace): boolean {
  const { shard, entries, what, checkpoint } = place;
  const whole = judged.value !== undefined || place.saved;
  for (const interference of judged.interference) {
    findings.add({
      code: CODES[interference],
      shard,
      ...(entries === undefined ? {} : { from: entries[0], to: entries[1] }),
      ...(checkpoint === undefined ? {} : { checkpoint }),
      object: judged.key,
      history: whole ? 'whole' : 'lost',
      message: `${what} ${judged.key}${entries === undefined ? '' : ` (${entriesText(...entries)})`} ${happened(interference, judged, whole)}`,
    });
  }
  return !whole;
}

function happened(interference: Interference, judged: Judged<unknown>, whole: boolean): string {
  const because = judged.reason === undefined ? '' : `: ${judged.reason}`;
  const elsewhere = whole ? '; what it should hold is proven by other objects' : '';
  switch (interference) {
    case 'missing':
      return `is not there, in no version${elsewhere}`;
    case 'changed':
      return `was changed${because}; no version of it is what the log signed${elsewhere}`;
    case 'hidden':
      return 'was deleted: a delete marker hides it, the right version is underneath';
    case 'overwritten':
      return `was overwritten${because}; the right version is underneath`;
    case 'squatted':
      return `was occupied by something else before the right version was written${because}`;
  }
}
