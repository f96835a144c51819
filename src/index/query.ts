// A query: which entries, in which order, how many. Read from texts in one place, for the API's parameters and the CLI's flags alike.
import { ENTRY_KINDS } from '../ledger/entry.ts';
import { formatMicros, type Micros, parseMicros } from '../lib/clock.ts';
import { SealgateError } from '../lib/errors.ts';
import { nearestName } from '../lib/nearest.ts';
import { type Cursor, decodeCursor, encodeCursor } from './cursor.ts';
import { DAMAGED, type Facts } from './facts.ts';

/** Every kind, and what the index calls an entry that it could not read. */
const KINDS = [...ENTRY_KINDS, DAMAGED] as const;

export const DEFAULT_LIMIT = 100;
export const MAX_LIMIT = 1000;

/** All given conditions must hold. In `user`, `namespace` and `name` a `*` stands for any characters. */
export interface Filter {
  /** At or after. */
  readonly since?: Micros;
  /** Before. */
  readonly until?: Micros;
  readonly kind?: Facts['kind'];
  /** Only decisions have it. */
  readonly allowed?: boolean;
  /** A policy that fired or failed, by its package or by its name without `admission.`. */
  readonly policy?: string;
  /** Who the request acted as, or who really asked. */
  readonly user?: string;
  readonly namespace?: string;
  /** `pods` (with its subresources), `pods/exec`, `deployments.apps`, `deployments.apps/scale`. */
  readonly resource?: string;
  readonly name?: string;
  /** Verb of an event or operation of a decision, lower case. */
  readonly verb?: string;
  /** HTTP status that an event reports. */
  readonly code?: number;
  /** uid of an AdmissionReview. */
  readonly uid?: string;
  readonly auditID?: string;
}

export interface Query {
  readonly filter: Filter;
  /** Oldest first when true; else newest first. */
  readonly ascending: boolean;
  readonly limit: number;
  /** Goes on behind this entry, in the query's order. */
  readonly after?: Cursor;
  /** Not one page but every match from `after` on (without it: from now on), as it comes. */
  readonly follow?: true;
  /** Only this replica's ledger, where there are others. */
  readonly local?: true;
}

/** Every parameter with what it takes, for messages and help. */
export const PARAMETERS = {
  since: 'a time (RFC 3339, or a span before now: 15m, 24h, 7d)',
  until: 'a time (RFC 3339, or a span before now: 15m, 24h, 7d)',
  kind: `one of ${KINDS.join(', ')}`,
  allowed: 'true or false',
  policy: 'the name of a policy',
  user: 'a user name; * stands for any characters',
  namespace: 'a namespace; * stands for any characters',
  resource: 'a resource: pods, pods/exec, deployments.apps',
  name: 'the name of an object; * stands for any characters',
  verb: 'a verb or operation: create, update, patch, delete, connect, …',
  code: 'an HTTP status, 100 to 599',
  uid: 'the uid of an AdmissionReview',
  auditID: 'the auditID of an audit event',
  order: 'newest or oldest',
  limit: `a number from 1 to ${MAX_LIMIT}`,
  cursor: 'the `next` of an earlier answer, or to follow from there, its `tail`',
  follow: '1 to stream what comes, 0 not to',
  local: '1 to ask only this replica, 0 to ask all',
} as const;

export type Parameter = keyof typeof PARAMETERS;

/**
 * Reads a query from its parameters. `now` is what spans count back from. Throws QUERY_INVALID for a parameter that does not
 * exist (naming the one that was probably meant), is given twice, or has a value it cannot have.
 */
export function parseQuery(parameters: Iterable<readonly [string, string]>, now: Micros): Query {
  const given = new Map<Parameter, string>();
  for (const [name, value] of parameters) {
    if (!Object.hasOwn(PARAMETERS, name)) {
      const meant = nearestName(name, Object.keys(PARAMETERS));
      const hint =
        meant === undefined ? `these exist: ${Object.keys(PARAMETERS).join(', ')}` : `did you mean ${meant}?`;
      throw new SealgateError('QUERY_INVALID', `there is no query parameter ${quote(name)}; ${hint}`);
    }
    if (given.has(name as Parameter))
      throw new SealgateError('QUERY_INVALID', `${name} is given more than once; give it once`);
    if (value === '') throw invalid(name as Parameter, value);
    given.set(name as Parameter, value);
  }
  const read = <T>(name: Parameter, parse: (value: string) => T | undefined): T | undefined => {
    const value = given.get(name);
    if (value === undefined) return undefined;
    const parsed = parse(value);
    if (parsed === undefined) throw invalid(name, value);
    return parsed;
  };
  const time = (value: string): Micros | undefined => parseTime(value, now);
  const literal = (value: string): string => value;
  const filter = {
    since: read('since', time),
    until: read('until', time),
    kind: read('kind', (value) => KINDS.find((kind) => kind === value)),
    allowed: read('allowed', (value) => (value === 'true' ? true : value === 'false' ? false : undefined)),
    policy: read('policy', literal),
    user: read('user', literal),
    namespace: read('namespace', literal),
    resource: read('resource', (value) => (parseResource(value) === undefined ? undefined : value)),
    name: read('name', literal),
    verb: read('verb', (value) => value.toLowerCase()),
    code: read('code', (value) => (/^[1-5]\d\d$/.test(value) ? Number(value) : undefined)),
    uid: read('uid', (value) => value.toLowerCase()),
    auditID: read('auditID', literal),
  };
  const after = read('cursor', decodeCursor);
  const follow = read('follow', flag) ?? false;
  const local = read('local', flag) ?? false;
  for (const name of ['order', 'limit'] as const) {
    if (!follow || !given.has(name)) continue;
    throw new SealgateError(
      'QUERY_INVALID',
      `${name} and follow exclude one another: what is followed comes oldest first, without end`,
    );
  }
  const order = read('order', (value) => (value === 'newest' || value === 'oldest' ? value : undefined));
  return {
    filter: defined(filter),
    ascending: follow || order === 'oldest',
    limit: read('limit', (value) => (/^\d{1,4}$/.test(value) ? inLimits(Number(value)) : undefined)) ?? DEFAULT_LIMIT,
    ...(after === undefined ? {} : { after }),
    ...(follow ? { follow } : {}),
    ...(local ? { local } : {}),
  };
}

function flag(value: string): boolean | undefined {
  return value === '1' ? true : value === '0' ? false : undefined;
}

/** The last instant that RFC 3339 can write. */
const LAST_MICROS = Date.UTC(10_000, 0, 1) * 1000 - 1;

/** The parameters that give this page again, at any time: spans became times. `follow` and `local` are not among them. */
export function pageParameters({ filter, ascending, limit, after }: Query): URLSearchParams {
  const { since, until, ...texts } = filter;
  const times = { since, until };
  const all = new Map<Parameter, string>([
    ['order', ascending ? 'oldest' : 'newest'],
    ['limit', String(limit)],
  ]);
  for (const [name, value] of Object.entries(texts)) all.set(name as Parameter, String(value));
  for (const [name, value] of Object.entries(times)) {
    if (value !== undefined) all.set(name as Parameter, formatMicros(Math.min(Math.max(value, 0), LAST_MICROS)));
  }
  if (after !== undefined) all.set('cursor', encodeCursor(after));
  return new URLSearchParams([...all]);
}

const SPAN = /^(\d{1,9})(s|m|h|d|w)$/;
const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** An RFC 3339 time, a date (its first instant in UTC), or a span before `now`. */
export function parseTime(value: string, now: Micros): Micros | undefined {
  const span = SPAN.exec(value);
  if (span !== null) return now - Number(span[1]) * (UNIT_SECONDS[span[2] ?? ''] ?? 0) * 1_000_000;
  return parseMicros(/^\d{4}-\d{2}-\d{2}$/.test(value) ? `${value}T00:00:00Z` : value);
}

/** A resource as asked for; what is undefined was not asked for. */
export interface ResourceFilter {
  readonly resource: string;
  readonly group?: string;
  readonly subresource?: string;
}

/** `pods`, `pods/exec`, `deployments.apps`, `deployments.apps/scale`. */
export function parseResource(value: string): ResourceFilter | undefined {
  const match = /^([^./]+)(?:\.([^/]+))?(?:\/([^/]+(?:\/[^/]+)*))?$/.exec(value);
  const [, resource, group, subresource] = match ?? [];
  if (resource === undefined) return undefined;
  return { resource, ...(group === undefined ? {} : { group }), ...(subresource === undefined ? {} : { subresource }) };
}

function inLimits(limit: number): number | undefined {
  return limit >= 1 && limit <= MAX_LIMIT ? limit : undefined;
}

function invalid(name: Parameter, value: string): SealgateError {
  const meant = name === 'kind' ? nearestName(value, KINDS) : undefined;
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  return new SealgateError('QUERY_INVALID', `${name} must be ${PARAMETERS[name]}, not ${quote(value)}${hint}`);
}

function quote(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>;
}
