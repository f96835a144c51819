// A finding: what was seen, how bad it is, and which recorded event shows it. docs/findings.md lists the rules; the body of the
// entry is in docs/ledger-format.md.
import type { Append, Appended } from '../ledger/entry.ts';

/** From what is only good to know to what somebody has to be woken for. */
export const SEVERITIES = ['info', 'low', 'medium', 'high', 'critical'] as const;

export type Severity = (typeof SEVERITIES)[number];

/** Every rule of this release: a closed list, so that it can be a label of a metric. */
export const RULES = [
  'webhook-deleted',
  'webhook-changed',
  'webhook-restored',
  'admission-config-changed',
  'object-changed',
  'session',
  'failed-open',
  'exemption-set',
  'exemption-removed',
  'ledger-check',
] as const;

export type RuleName = (typeof RULES)[number];

/** Who asked; the impersonated user as well, where there is one. */
export interface Who {
  readonly user: string;
  readonly impersonated?: string;
  readonly addresses: readonly string[];
}

/** What was asked for. Empty strings stand for what the request does not have. */
export interface What {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
}

/** `unknown`: the API server failed, or the event does not say how it ended. */
export type Outcome = 'done' | 'refused' | 'unknown';

/** A stretch of time, as RFC 3339; `seconds` between the two. */
export interface Stretch {
  readonly since: string;
  readonly until: string;
  readonly seconds: number;
}

export interface Finding {
  readonly rule: RuleName;
  readonly severity: Severity;
  /** One sentence for a person. */
  readonly message: string;
  /** When it happened: RFC 3339, by the clock of whoever says so. */
  readonly time: string;
  readonly who?: Who;
  readonly what?: What;
  readonly outcome?: Outcome;
  /** HTTP status of the answer. */
  readonly code?: number;
  /** What was changed, by the names of the fields. */
  readonly changed?: readonly string[];
  readonly stretch?: Stretch;
  /** What the verifier found, a sentence each. */
  readonly problems?: readonly string[];
}

/** A finding and the entries that show it; none where no event does. */
export interface Shown {
  readonly finding: Finding;
  readonly events: readonly Appended[];
}

/** Places of further events that one entry names. */
const MAX_OTHERS = 1000;

/** The entry of a finding. */
export function findingEntry({ finding, events }: Shown): Append {
  const { rule, severity, message, time, ...rest } = finding;
  const [event, ...others] = events;
  const body = {
    ...{ rule, severity, message, time },
    ...(event === undefined ? {} : { event: placeOf(event) }),
    ...(others.length === 0
      ? {}
      : { count: events.length, others: others.slice(0, MAX_OTHERS).map(({ shard, seq }) => ({ shard, seq })) }),
    ...rest,
  };
  return { kind: 'finding', body: Buffer.from(JSON.stringify(body)) };
}

function placeOf({ shard, seq, leafHash }: Appended): object {
  return { shard, seq, leaf: leafHash };
}
