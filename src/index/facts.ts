// What the index knows of an entry: the few values of its body that people ask for. A pure function of leaf and body.
import type { BodyText, EntryKind, Leaf } from '../ledger/entry.ts';
import { type Picked, pick, slotOf, text, type Wanted, wanted } from './pick.ts';

/** A policy that said something about a request, or failed to (then `failed`), and what that led to. */
export interface FiredPolicy {
  readonly policy: string;
  readonly action: string;
  readonly failed?: true;
}

/** What an audit event claims: that this decision was made about its request. Nothing of it is checked yet. */
export interface Claim {
  readonly uid: string;
  /** `<origin>:<seq>:<leaf hash>`, as found. */
  readonly reference: string;
}

/** Of the index: an entry that is there but cannot be read. */
export const DAMAGED = 'damaged';

/** Empty strings stand for what the entry does not have. */
export interface Facts {
  readonly kind: EntryKind | typeof DAMAGED;
  readonly allowed: boolean | undefined;
  readonly dryRun: boolean;
  /** Verb of an event; lower-case operation of a decision. */
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  /** HTTP status of the response that an event reports. */
  readonly code: number | undefined;
  readonly stage: string;
  readonly policies: readonly FiredPolicy[];
  /** Who the request acted as: the impersonated user where there is one. */
  readonly user: string;
  /** Who really asked, when they impersonated `user`. */
  readonly impersonator: string;
  readonly namespace: string;
  /** Name of the object; the path of a request that is not about a resource. */
  readonly name: string;
  readonly uid: string;
  readonly auditID: string;
  readonly claims: readonly Claim[];
  /** The decision that an `undelivered` entry is about. */
  readonly about: { readonly shard: number; readonly seq: number } | undefined;
}

const OBJECT_NAME = { metadata: { name: 'value', generateName: 'value' } } as const;

const DECISION = wanted({
  verdict: { results: 'value', failures: 'value' },
  review: {
    request: {
      uid: 'value',
      resource: { group: 'value', resource: 'value' },
      requestResource: { group: 'value', resource: 'value' },
      subResource: 'value',
      requestSubResource: 'value',
      name: 'value',
      namespace: 'value',
      operation: 'value',
      userInfo: { username: 'value' },
      dryRun: 'value',
      object: OBJECT_NAME,
    },
  },
});

const REQUEST = ['review', 'request'] as const;
/** Where the members of a decision stand in what is picked. */
const OF_DECISION = {
  results: slotOf(DECISION, 'verdict', 'results'),
  failures: slotOf(DECISION, 'verdict', 'failures'),
  resources: (['requestResource', 'resource'] as const).map((name) => ({
    whole: slotOf(DECISION, ...REQUEST, name),
    group: slotOf(DECISION, ...REQUEST, name, 'group'),
    resource: slotOf(DECISION, ...REQUEST, name, 'resource'),
  })),
  subResource: slotOf(DECISION, ...REQUEST, 'subResource'),
  requestSubResource: slotOf(DECISION, ...REQUEST, 'requestSubResource'),
  name: slotOf(DECISION, ...REQUEST, 'name'),
  namespace: slotOf(DECISION, ...REQUEST, 'namespace'),
  operation: slotOf(DECISION, ...REQUEST, 'operation'),
  username: slotOf(DECISION, ...REQUEST, 'userInfo', 'username'),
  dryRun: slotOf(DECISION, ...REQUEST, 'dryRun'),
  object: objectSlots(DECISION, ...REQUEST, 'object'),
};

/** `<webhook name>/d.<review uid>`: the key that the API server makes of Sealgate's audit annotation. */
const CLAIM_KEY = /\/d\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

const EVENT = wanted({
  event: {
    auditID: 'value',
    stage: 'value',
    verb: 'value',
    requestURI: 'value',
    user: { username: 'value' },
    impersonatedUser: { username: 'value' },
    objectRef: { apiGroup: 'value', resource: 'value', subresource: 'value', namespace: 'value', name: 'value' },
    responseStatus: { code: 'value' },
    responseObject: OBJECT_NAME,
    annotations: CLAIM_KEY,
  },
});

const FINDING = wanted({
  rule: 'value',
  severity: 'value',
  who: { user: 'value', impersonated: 'value' },
  what: { verb: 'value', group: 'value', resource: 'value', subresource: 'value', namespace: 'value', name: 'value' },
  code: 'value',
});

/** The same of a finding. */
const OF_FINDING = {
  rule: slotOf(FINDING, 'rule'),
  severity: slotOf(FINDING, 'severity'),
  user: slotOf(FINDING, 'who', 'user'),
  impersonated: slotOf(FINDING, 'who', 'impersonated'),
  verb: slotOf(FINDING, 'what', 'verb'),
  group: slotOf(FINDING, 'what', 'group'),
  resource: slotOf(FINDING, 'what', 'resource'),
  subresource: slotOf(FINDING, 'what', 'subresource'),
  namespace: slotOf(FINDING, 'what', 'namespace'),
  name: slotOf(FINDING, 'what', 'name'),
  code: slotOf(FINDING, 'code'),
};

/** The same of an event. */
const OF_EVENT = {
  auditID: slotOf(EVENT, 'event', 'auditID'),
  stage: slotOf(EVENT, 'event', 'stage'),
  verb: slotOf(EVENT, 'event', 'verb'),
  requestURI: slotOf(EVENT, 'event', 'requestURI'),
  username: slotOf(EVENT, 'event', 'user', 'username'),
  impersonated: slotOf(EVENT, 'event', 'impersonatedUser', 'username'),
  ref: slotOf(EVENT, 'event', 'objectRef'),
  group: slotOf(EVENT, 'event', 'objectRef', 'apiGroup'),
  resource: slotOf(EVENT, 'event', 'objectRef', 'resource'),
  subresource: slotOf(EVENT, 'event', 'objectRef', 'subresource'),
  namespace: slotOf(EVENT, 'event', 'objectRef', 'namespace'),
  name: slotOf(EVENT, 'event', 'objectRef', 'name'),
  code: slotOf(EVENT, 'event', 'responseStatus', 'code'),
  object: objectSlots(EVENT, 'event', 'responseObject'),
  annotations: slotOf(EVENT, 'event', 'annotations'),
};

const UNDELIVERED = wanted({ decision: 'value', shard: 'value' });

/** The facts of an entry. A body that is not what its kind promises gives the leaf's facts alone. */
export function factsOf(leaf: Leaf, body: Buffer | BodyText): Facts {
  if (leaf.kind === 'decision') return decisionFacts(leaf, pick(body, DECISION));
  if (leaf.kind === 'event') return eventFacts(leaf, pick(body, EVENT));
  if (leaf.kind === 'finding') return findingFacts(leaf, pick(body, FINDING));
  if (leaf.kind === 'undelivered') return { ...leafFacts(leaf), about: decisionOf(pick(body, UNDELIVERED)) };
  return leafFacts(leaf);
}

const OF_UNDELIVERED = { shard: slotOf(UNDELIVERED, 'shard'), seq: slotOf(UNDELIVERED, 'decision') };

function decisionOf(body: Picked | undefined): Facts['about'] {
  const shard = body?.[OF_UNDELIVERED.shard];
  const seq = body?.[OF_UNDELIVERED.seq];
  return typeof shard === 'number' && typeof seq === 'number' ? { shard, seq } : undefined;
}

/** All that is known of an entry that cannot be read. */
export function damagedFacts(): Facts {
  return { ...NOTHING, kind: DAMAGED };
}

/** The facts that the leaf alone gives. */
export function leafFacts(leaf: Leaf): Facts {
  return { ...NOTHING, kind: leaf.kind, allowed: leaf.allowed, uid: leaf.uid ?? '' };
}

const NOTHING: Omit<Facts, 'kind'> = {
  allowed: undefined,
  dryRun: false,
  verb: '',
  group: '',
  resource: '',
  subresource: '',
  code: undefined,
  stage: '',
  policies: [],
  user: '',
  impersonator: '',
  namespace: '',
  name: '',
  uid: '',
  auditID: '',
  claims: [],
  about: undefined,
};

function decisionFacts(leaf: Leaf, body: Picked | undefined): Facts {
  const of = OF_DECISION;
  // What the client asked for; `resource` differs from it when the webhook was called for an equivalent one.
  const resource = of.resources.find(({ whole }) => body?.[whole] !== undefined);
  // Written out: copying NOTHING and the leaf's facts into it would be a tenth of what a decision costs.
  return {
    kind: leaf.kind,
    allowed: leaf.allowed,
    dryRun: body?.[of.dryRun] === true,
    verb: (text(body, of.operation) ?? '').toLowerCase(),
    group: resource === undefined ? '' : (text(body, resource.group) ?? ''),
    resource: resource === undefined ? '' : (text(body, resource.resource) ?? ''),
    subresource: text(body, of.requestSubResource) ?? text(body, of.subResource) ?? '',
    code: undefined,
    stage: '',
    policies: fired(body?.[of.results], body?.[of.failures]),
    user: text(body, of.username) ?? '',
    impersonator: '',
    namespace: text(body, of.namespace) ?? '',
    name: text(body, of.name) || objectName(body, of.object),
    uid: leaf.uid ?? '',
    auditID: '',
    claims: NOTHING.claims,
    about: undefined,
  };
}

function eventFacts(leaf: Leaf, body: Picked | undefined): Facts {
  const of = OF_EVENT;
  const uri = text(body, of.requestURI) ?? '';
  const real = text(body, of.username) ?? '';
  const impersonated = text(body, of.impersonated);
  const code = body?.[of.code];
  const query = uri.indexOf('?');
  const aboutObject = body?.[of.ref] !== undefined;
  // Written out, as above.
  return {
    kind: leaf.kind,
    allowed: undefined,
    dryRun: query >= 0 && isDryRun(uri.slice(query)),
    verb: text(body, of.verb) ?? '',
    group: text(body, of.group) ?? '',
    resource: text(body, of.resource) ?? '',
    subresource: text(body, of.subresource) ?? '',
    code: typeof code === 'number' && Number.isInteger(code) ? code : undefined,
    stage: text(body, of.stage) ?? '',
    policies: NOTHING.policies,
    user: impersonated ?? real,
    impersonator: impersonated === undefined ? '' : real,
    namespace: text(body, of.namespace) ?? '',
    name: aboutObject ? text(body, of.name) || objectName(body, of.object) : pathOf(uri, query),
    uid: '',
    auditID: text(body, of.auditID) ?? '',
    claims: claimsOf(body?.[of.annotations]),
    about: undefined,
  };
}

/** The rule stands where a decision has its policies, with the severity as what it led to. */
function findingFacts(leaf: Leaf, body: Picked | undefined): Facts {
  const of = OF_FINDING;
  const code = body?.[of.code];
  const real = text(body, of.user) ?? '';
  const impersonated = text(body, of.impersonated);
  const rule = text(body, of.rule);
  return {
    ...leafFacts(leaf),
    verb: text(body, of.verb) ?? '',
    group: text(body, of.group) ?? '',
    resource: text(body, of.resource) ?? '',
    subresource: text(body, of.subresource) ?? '',
    code: typeof code === 'number' && Number.isInteger(code) ? code : undefined,
    policies: rule === undefined ? [] : [{ policy: rule, action: text(body, of.severity) ?? '' }],
    user: impersonated ?? real,
    impersonator: impersonated === undefined ? '' : real,
    namespace: text(body, of.namespace) ?? '',
    name: text(body, of.name) ?? '',
  };
}

function pathOf(uri: string, query: number): string {
  return query < 0 ? uri : uri.slice(0, query);
}

function isDryRun(query: string): boolean {
  // Parsing it is dear, and hardly any query that says so writes the name with escapes.
  return (query.includes('dryRun') || query.includes('%')) && new URLSearchParams(query).has('dryRun', 'All');
}

interface ObjectSlots {
  readonly name: number;
  readonly generateName: number;
}

function objectSlots(want: Wanted, ...path: readonly string[]): ObjectSlots {
  const slot = (name: string) => slotOf(want, ...path, 'metadata', name);
  return { name: slot('name'), generateName: slot('generateName') };
}

/** An object created with generateName has no name in the request, but has one by the time it is validated. */
function objectName(body: Picked | undefined, { name, generateName }: ObjectSlots): string {
  return text(body, name) || text(body, generateName) || '';
}

function fired(results: unknown, failures: unknown): readonly FiredPolicy[] {
  if (isEmpty(results) && isEmpty(failures)) return NOTHING.policies;
  const found = new Map<string, FiredPolicy>();
  const add = (list: unknown, failed: boolean): void => {
    if (!Array.isArray(list)) return;
    for (const item of list as unknown[]) {
      if (typeof item !== 'object' || item === null) continue;
      const { policy, action } = item as { policy?: unknown; action?: unknown };
      if (typeof policy !== 'string' || typeof action !== 'string') continue;
      found.set(`${policy} ${action} ${failed}`, failed ? { policy, action, failed } : { policy, action });
    }
  };
  add(results, false);
  add(failures, true);
  return [...found.keys()].sort().flatMap((key) => found.get(key) ?? []);
}

function isEmpty(list: unknown): boolean {
  return !Array.isArray(list) || list.length === 0;
}

function claimsOf(annotations: unknown): readonly Claim[] {
  if (!(annotations instanceof Map) || annotations.size === 0) return NOTHING.claims;
  const claims: Claim[] = [];
  for (const [key, reference] of annotations as ReadonlyMap<string, unknown>) {
    const uid = CLAIM_KEY.exec(key)?.[1];
    if (uid !== undefined && typeof reference === 'string') claims.push({ uid, reference });
  }
  return claims;
}
