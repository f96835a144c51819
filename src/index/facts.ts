// What the index knows of an entry: the few values of its body that people ask for. A pure function of leaf and body.
import type { EntryKind, Leaf } from '../ledger/entry.ts';
import { at, type Picked, pick, text, wanted } from './pick.ts';

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

const UNDELIVERED = wanted({ decision: 'value', shard: 'value' });

/** The facts of an entry. A body that is not what its kind promises gives the leaf's facts alone. */
export function factsOf(leaf: Leaf, body: Buffer): Facts {
  if (leaf.kind === 'decision') return decisionFacts(leaf, pick(body, DECISION));
  if (leaf.kind === 'event') return eventFacts(leaf, pick(body, EVENT));
  if (leaf.kind === 'finding') return findingFacts(leaf, pick(body, FINDING));
  if (leaf.kind === 'undelivered') return { ...leafFacts(leaf), about: decisionOf(pick(body, UNDELIVERED)) };
  return leafFacts(leaf);
}

function decisionOf(body: Picked | undefined): Facts['about'] {
  const shard = at(body, ['shard']);
  const seq = at(body, ['decision']);
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
  const request = at(body, ['review', 'request']);
  const verdict = at(body, ['verdict']);
  // What the client asked for; `resource` differs from it when the webhook was called for an equivalent one.
  const resource = at(request, ['requestResource']) ?? at(request, ['resource']);
  return {
    ...leafFacts(leaf),
    dryRun: at(request, ['dryRun']) === true,
    verb: (text(request, 'operation') ?? '').toLowerCase(),
    group: text(resource, 'group') ?? '',
    resource: text(resource, 'resource') ?? '',
    subresource: text(request, 'requestSubResource') ?? text(request, 'subResource') ?? '',
    policies: fired(at(verdict, ['results']), at(verdict, ['failures'])),
    user: text(request, 'userInfo', 'username') ?? '',
    namespace: text(request, 'namespace') ?? '',
    name: text(request, 'name') || objectName(at(request, ['object'])),
  };
}

function eventFacts(leaf: Leaf, body: Picked | undefined): Facts {
  const event = at(body, ['event']);
  const ref = at(event, ['objectRef']);
  const uri = text(event, 'requestURI') ?? '';
  const real = text(event, 'user', 'username') ?? '';
  const impersonated = text(event, 'impersonatedUser', 'username');
  const code = at(event, ['responseStatus', 'code']);
  const query = uri.indexOf('?');
  // Written out: copying NOTHING and the leaf's facts into it would be a tenth of what an event costs.
  return {
    kind: leaf.kind,
    allowed: undefined,
    dryRun: query >= 0 && isDryRun(uri.slice(query)),
    verb: text(event, 'verb') ?? '',
    group: text(ref, 'apiGroup') ?? '',
    resource: text(ref, 'resource') ?? '',
    subresource: text(ref, 'subresource') ?? '',
    code: typeof code === 'number' && Number.isInteger(code) ? code : undefined,
    stage: text(event, 'stage') ?? '',
    policies: NOTHING.policies,
    user: impersonated ?? real,
    impersonator: impersonated === undefined ? '' : real,
    namespace: text(ref, 'namespace') ?? '',
    name: ref === undefined ? pathOf(uri, query) : text(ref, 'name') || objectName(at(event, ['responseObject'])),
    uid: '',
    auditID: text(event, 'auditID') ?? '',
    claims: claimsOf(at(event, ['annotations'])),
    about: undefined,
  };
}

/** The rule stands where a decision has its policies, with the severity as what it led to. */
function findingFacts(leaf: Leaf, body: Picked | undefined): Facts {
  const what = at(body, ['what']);
  const code = at(body, ['code']);
  const real = text(body, 'who', 'user') ?? '';
  const impersonated = text(body, 'who', 'impersonated');
  const rule = text(body, 'rule');
  return {
    ...leafFacts(leaf),
    verb: text(what, 'verb') ?? '',
    group: text(what, 'group') ?? '',
    resource: text(what, 'resource') ?? '',
    subresource: text(what, 'subresource') ?? '',
    code: typeof code === 'number' && Number.isInteger(code) ? code : undefined,
    policies: rule === undefined ? [] : [{ policy: rule, action: text(body, 'severity') ?? '' }],
    user: impersonated ?? real,
    impersonator: impersonated === undefined ? '' : real,
    namespace: text(what, 'namespace') ?? '',
    name: text(what, 'name') ?? '',
  };
}

function pathOf(uri: string, query: number): string {
  return query < 0 ? uri : uri.slice(0, query);
}

function isDryRun(query: string): boolean {
  // Parsing it is dear, and hardly any query that says so writes the name with escapes.
  return (query.includes('dryRun') || query.includes('%')) && new URLSearchParams(query).has('dryRun', 'All');
}

/** An object created with generateName has no name in the request, but has one by the time it is validated. */
function objectName(object: unknown): string {
  return text(object, 'metadata', 'name') || text(object, 'metadata', 'generateName') || '';
}

function fired(results: unknown, failures: unknown): FiredPolicy[] {
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

function claimsOf(annotations: unknown): readonly Claim[] {
  if (!(annotations instanceof Map) || annotations.size === 0) return NOTHING.claims;
  const claims: Claim[] = [];
  for (const [key, reference] of annotations as ReadonlyMap<string, unknown>) {
    const uid = CLAIM_KEY.exec(key)?.[1];
    if (uid !== undefined && typeof reference === 'string') claims.push({ uid, reference });
  }
  return claims;
}
