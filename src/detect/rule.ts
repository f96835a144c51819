// What a rule is: a function of what was seen and of what is remembered. Rules see events in the order of the ledger.
import { parseMicros } from '../lib/clock.ts';
import type { Finding, Severity, Stretch, What } from './finding.ts';
import type { Party } from './people.ts';
import type { DetectSettings } from './settings.ts';
import type { Sighting } from './sighting.ts';
import type { State } from './state.ts';

export interface Seen extends Sighting {
  readonly party: Party;
}

/** May change the state. */
export type Rule = (seen: Seen, state: State, settings: DetectSettings) => Finding | undefined;

/** Names of changed fields that one entry has at most. */
const MAX_CHANGED = 32;

/** A finding about the request that was seen. */
export function finding(
  seen: Seen,
  about: Pick<Finding, 'rule' | 'severity' | 'message'> & {
    readonly changed?: readonly string[] | undefined;
    readonly stretch?: Stretch;
  },
): Finding {
  const { time, who, what, outcome, code } = seen;
  const { changed, stretch, ...said } = about;
  return {
    ...said,
    ...{ time, who, what, outcome },
    ...(code === undefined ? {} : { code }),
    ...(changed === undefined ? {} : { changed: changed.slice(0, MAX_CHANGED) }),
    ...(stretch === undefined ? {} : { stretch }),
  };
}

/** Somebody tried, and was not let. */
export function attempt(seen: Seen, rule: Finding['rule'], object: string): Finding {
  return finding(seen, { rule, severity: 'low', message: `${object}: ${seen.what.verb} was refused` });
}

/** What the ones who install Sealgate do is of the first severity. */
export function byParty({ party }: Seen, expected: Severity, other: Severity): Severity {
  return party === 'other' || party === 'control-plane' ? other : expected;
}

/** The time between two RFC 3339 times. */
export function stretch(since: string, until: string): Stretch {
  const micros = (parseMicros(until) ?? 0) - (parseMicros(since) ?? 0);
  return { since, until, seconds: Math.max(0, Math.round(micros / 1000) / 1000) };
}

/** `pods/exec sealgate-system/sealgate-0`, for messages. */
export function nameOf({ resource, subresource, namespace, name }: What): string {
  const kind = subresource === '' ? resource : `${resource}/${subresource}`;
  return `${kind} ${[namespace, name].filter((part) => part !== '').join('/')}`.trimEnd();
}
