// Picks out of the audit stream the few events that a rule may have something to say about, and keeps of each what the rules
// need. Every event passes here: what tells that it is none of them comes first, and nothing is decoded until then.
import { type EventNodes, PART } from '../lib/audit-event.ts';
import { type JsonDocument, jsonName, jsonNames, NONE, type Node } from '../lib/json-document.ts';
import type { Outcome, What, Who } from './finding.ts';
import { type DetectSettings, EXEMPT_LABEL, WEBHOOK_NAME } from './settings.ts';

/** What of an event the rules look at. Plain values: the event's bytes are gone by the time it is recorded. */
export interface Sighting {
  readonly who: Who;
  readonly what: What;
  readonly outcome: Outcome;
  readonly code: number | undefined;
  /** When the request came, and when this stage of it was reached: RFC 3339, by the API server's clock. */
  readonly received: string;
  readonly time: string;
  /** Whether it would change or open something: false when only its annotations count. */
  readonly acts: boolean;
  /** It was admitted because Sealgate's webhook could not be called. */
  readonly failedOpen: boolean;
  /** Sealgate decided on it. */
  readonly decided: boolean;
  /** The object afterwards, as far as the audit level has it, of kinds whose content a rule compares. */
  readonly object: unknown;
  /** Whether the request leaves the object with the exempting label; undefined where it does not say. */
  readonly exempt: boolean | undefined;
}

/** Events that are worth it although nothing in them says so. */
export interface Wanted {
  /** Requests that Sealgate decided on: while it is not known whether it is asked at all. */
  readonly decided: boolean;
  /** Writes to this object. */
  has(what: Pick<What, 'group' | 'resource' | 'namespace' | 'name'>): boolean;
  /** Whether `has` is true of anything. */
  readonly some: boolean;
}

const REF_NAMES = jsonNames(['apiGroup', 'resource', 'subresource', 'namespace', 'name']);
const [GROUP, RESOURCE, SUBRESOURCE, NAMESPACE, NAME] = [0, 1, 2, 3, 4] as const;
/** Used and forgotten within one call. */
const REF_FOUND = new Int32Array(REF_NAMES.names.length);

const COMPLETE = jsonName('ResponseComplete');
const STARTED = jsonName('ResponseStarted');
const PANIC = jsonName('Panic');
const WRITES = ['create', 'update', 'patch', 'delete', 'deletecollection'].map(jsonName);
const ADMISSION_GROUP = jsonName('admissionregistration.k8s.io');
const NAMESPACES = jsonName('namespaces');
const CODE = jsonName('code');
const USERNAME = jsonName('username');
const METADATA = jsonName('metadata');
const LABELS = jsonName('labels');
const KIND = jsonName('kind');
const STATUS_KIND = jsonName('Status');
const LABEL = jsonName(EXEMPT_LABEL);

/** Opened sessions with a container: by GET as well, because a WebSocket begins with one. */
const SESSIONS: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward', 'proxy']);

/** What the API server keeps up itself, all the time, and the cluster's own log, in which Sealgate writes, too. */
const CHATTER: ReadonlySet<string> = new Set(['events', 'leases', 'endpoints', 'endpointslices']);

const FAILED_OPEN = Buffer.from('failed-open.validating.webhook.admission.k8s.io/');
const DECIDED = Buffer.from(`${WEBHOOK_NAME}/d.`);
/** As it is written in the path of a JSON patch (RFC 6901). */
const LABEL_PATH = `/metadata/labels/${EXEMPT_LABEL.replace('/', '~1')}`;
const LABEL_PATH_START = Buffer.from('/metadata/labels');

/** Longest text that is kept of what a client chose. */
const MAX_TEXT = 512;
const MAX_ADDRESSES = 16;

export type Sight = (doc: JsonDocument, event: EventNodes, wanted: Wanted) => Sighting | undefined;

/** A function that looks at an event as scanned. It throws nothing, whatever the event holds. */
export function createSight({ namespace }: Pick<DetectSettings, 'namespace'>): Sight {
  const own = jsonName(namespace);
  return (doc, event, wanted) => {
    const write = isWrite(doc, event[PART.verb] as Node);
    doc.findAll(event[PART.objectRef] as Node, REF_NAMES, REF_FOUND);
    const ours = isText(doc, REF_FOUND[NAMESPACE] as Node, own);
    // Nearly everything that is read ends here.
    if (!write && !(ours && REF_FOUND[SUBRESOURCE] !== NONE)) return undefined;
    const session = ours && SESSIONS.has(doc.text(REF_FOUND[SUBRESOURCE] as Node) ?? '');
    if (!(write || session) || !isOver(doc, event, session)) return undefined;
    const ourNamespace =
      isText(doc, REF_FOUND[RESOURCE] as Node, NAMESPACES) && isText(doc, REF_FOUND[NAME] as Node, own);
    return look(doc, event, { session, place: ours || ourNamespace, wanted });
  };
}

/** Of an event that changes something, or opens a session. */
function look(
  doc: JsonDocument,
  event: EventNodes,
  { session, place, wanted }: { readonly session: boolean; readonly place: boolean; readonly wanted: Wanted },
): Sighting | undefined {
  const annotations = event[PART.annotations] as Node;
  const failedOpen = hasAnnotation(doc, annotations, FAILED_OPEN, WEBHOOK_NAME);
  const decided = wanted.decided && hasAnnotation(doc, annotations, DECIDED, undefined);
  const content = isText(doc, REF_FOUND[GROUP] as Node, ADMISSION_GROUP);
  const labelled = mentionsLabel(doc, event);
  const telling = content || place || labelled;
  if (!(telling || failedOpen || decided || wanted.some)) return undefined;

  const what = whatOf(doc, event);
  const code = codeOf(doc, event[PART.responseStatus] as Node);
  const known = wanted.some && wanted.has(what);
  const acts = (telling || known) && (session || !isChatter(what)) && !cameToNothing(code) && !isDryRun(doc, event);
  if (!(acts || failedOpen || decided)) return undefined;
  return sightingOf(doc, event, { what, code, acts, failedOpen, decided, content, labelled: labelled || known });
}

/** Whether it says how the request ended; of a session, also that it began. */
function isOver(doc: JsonDocument, event: EventNodes, session: boolean): boolean {
  const stage = event[PART.stage] as Node;
  return isText(doc, stage, COMPLETE) || isText(doc, stage, PANIC) || (session && isText(doc, stage, STARTED));
}

function sightingOf(
  doc: JsonDocument,
  event: EventNodes,
  seen: Pick<Sighting, 'what' | 'code' | 'acts' | 'failedOpen' | 'decided'> & { content: boolean; labelled: boolean },
): Sighting {
  const { content, labelled, ...rest } = seen;
  const { code } = rest;
  return {
    ...rest,
    who: whoOf(doc, event),
    outcome: code === undefined || code >= 500 ? 'unknown' : code >= 400 ? 'refused' : 'done',
    received: textAt(doc, event[PART.received] as Node),
    time: textAt(doc, event[PART.time] as Node),
    object: content ? valueAt(doc, event[PART.responseObject] as Node) : undefined,
    exempt: labelled ? exemptAfter(doc, event, seen.what) : undefined,
  };
}

/** Answers that say why somebody was not let, and no others of the client's fault: those are no news. */
const REFUSALS: ReadonlySet<number> = new Set([401, 403, 422]);

function cameToNothing(code: number | undefined): boolean {
  return code !== undefined && code >= 400 && code < 500 && !REFUSALS.has(code);
}

function isWrite(doc: JsonDocument, verb: Node): boolean {
  if (!doc.isString(verb)) return false;
  for (const name of WRITES) if (doc.is(verb, name)) return true;
  return false;
}

function isText(doc: JsonDocument, node: Node, name: ReturnType<typeof jsonName>): boolean {
  return doc.isString(node) && doc.is(node, name);
}

/** Whether there is an annotation whose key begins so, with this value where one is given. */
function hasAnnotation(doc: JsonDocument, annotations: Node, prefix: Buffer, value: string | undefined): boolean {
  if (!doc.isObject(annotations)) return false;
  const end = doc.after(annotations);
  for (let key = annotations + 1; key < end; key = doc.after(key + 1)) {
    const begins = doc.isEscaped(key)
      ? (doc.text(key) ?? '').startsWith(prefix.toString())
      : startsWith(doc.bytes, doc.start(key) + 1, prefix);
    if (begins && (value === undefined || doc.text(key + 1) === value)) return true;
  }
  return false;
}

function startsWith(bytes: Buffer, at: number, prefix: Buffer): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

/** Looks where the label would be: in the labels of what came back, else in what was sent. */
function mentionsLabel(doc: JsonDocument, event: EventNodes): boolean {
  const labels = doc.find(doc.find(event[PART.responseObject] as Node, METADATA), LABELS);
  if (labels !== NONE) return doc.find(labels, LABEL) !== NONE;
  const request = event[PART.requestObject] as Node;
  if (doc.isArray(request)) return doc.slice(request).includes(LABEL_PATH_START);
  return hasLabel(doc, request);
}

/**
 * Whether the object has the label after the request: from the answer where the audit level has it, else from what was asked
 * for. Undefined where neither says.
 */
function exemptAfter(doc: JsonDocument, event: EventNodes, { verb, subresource }: What): boolean | undefined {
  if (verb === 'delete' || verb === 'deletecollection') return false;
  // An answer to a change of the status shows the label, too, and nobody set it then.
  if (subresource !== '') return undefined;
  const response = event[PART.responseObject] as Node;
  if (doc.isObject(response) && !isText(doc, doc.find(response, KIND), STATUS_KIND)) return hasLabel(doc, response);
  const request = event[PART.requestObject] as Node;
  if (doc.isArray(request)) return patchedLabel(valueAt(doc, request));
  if (!doc.isObject(request)) return undefined;
  const labels = doc.find(doc.find(request, METADATA), LABELS);
  const label = doc.find(labels, LABEL);
  // A merge patch that does not name the label leaves it as it is; null takes it away.
  if (label === NONE) return verb === 'patch' ? undefined : false;
  return doc.type(label) !== 'null';
}

function hasLabel(doc: JsonDocument, object: Node): boolean {
  return doc.find(doc.find(doc.find(object, METADATA), LABELS), LABEL) !== NONE;
}

/** What the operations of a JSON patch (RFC 6902) do to the label. */
function patchedLabel(operations: unknown): boolean | undefined {
  let exempt: boolean | undefined;
  if (!Array.isArray(operations)) return undefined;
  for (const operation of operations as unknown[]) {
    if (typeof operation !== 'object' || operation === null) continue;
    const { op, path, value } = operation as { op?: unknown; path?: unknown; value?: unknown };
    const sets = op === 'add' || op === 'replace' || op === 'copy' || op === 'move';
    if (path === LABEL_PATH) exempt = op === 'remove' ? false : sets ? true : exempt;
    else if (path === '/metadata/labels' && sets) {
      exempt = typeof value === 'object' && value !== null && Object.hasOwn(value, EXEMPT_LABEL);
    } else if (path === '/metadata/labels' && op === 'remove') exempt = false;
  }
  return exempt;
}

function isChatter({ resource, subresource }: What): boolean {
  return CHATTER.has(resource) || subresource === 'status';
}

function isDryRun(doc: JsonDocument, event: EventNodes): boolean {
  const uri = doc.text(event[PART.requestURI] as Node) ?? '';
  const query = uri.indexOf('?');
  return query >= 0 && new URLSearchParams(uri.slice(query)).has('dryRun', 'All');
}

function whatOf(doc: JsonDocument, event: EventNodes): What {
  return {
    verb: textAt(doc, event[PART.verb] as Node),
    group: textAt(doc, REF_FOUND[GROUP] as Node),
    resource: textAt(doc, REF_FOUND[RESOURCE] as Node),
    subresource: textAt(doc, REF_FOUND[SUBRESOURCE] as Node),
    namespace: textAt(doc, REF_FOUND[NAMESPACE] as Node),
    name: textAt(doc, REF_FOUND[NAME] as Node),
  };
}

function whoOf(doc: JsonDocument, event: EventNodes): Who {
  const user = textAt(doc, doc.find(event[PART.user] as Node, USERNAME));
  const impersonated = doc.find(event[PART.impersonatedUser] as Node, USERNAME);
  const list = event[PART.sourceIPs] as Node;
  const addresses: string[] = [];
  if (doc.isArray(list)) {
    const end = doc.after(list);
    for (let item = list + 1; item < end && addresses.length < MAX_ADDRESSES; item = doc.after(item)) {
      addresses.push(textAt(doc, item));
    }
  }
  return impersonated === NONE ? { user, addresses } : { user, impersonated: textAt(doc, impersonated), addresses };
}

function codeOf(doc: JsonDocument, status: Node): number | undefined {
  const code = doc.isObject(status) ? valueAt(doc, doc.find(status, CODE)) : undefined;
  return typeof code === 'number' && Number.isInteger(code) ? code : undefined;
}

function textAt(doc: JsonDocument, node: Node): string {
  return (doc.text(node) ?? '').slice(0, MAX_TEXT);
}

function valueAt(doc: JsonDocument, node: Node): unknown {
  return node === NONE ? undefined : JSON.parse(doc.slice(node).toString('utf8'));
}
