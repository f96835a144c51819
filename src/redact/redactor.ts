// Removes from an AdmissionReview or an audit event what must never be recorded, before anything is hashed, stored or logged.
// docs/redaction.md lists what that is.
import { type EventNodes, eventNodes, findEvent, PART } from '../lib/audit-event.ts';
import { type JsonDocument, type JsonName, jsonName, jsonNames, NONE, type Node } from '../lib/json-document.ts';
import { splice } from '../lib/json-splice.ts';
import type { Redacted, Redactor } from '../lib/redaction.ts';
import { createCommandSearch } from './command.ts';
import { RemovedValues, type Scrubber } from './scrub.ts';
import { type FieldRule, fieldRules, type RedactSettings } from './settings.ts';
import { createSuspicion } from './suspicion.ts';
import { hasTellingParameter, isSession, pathOf } from './uri.ts';
import { type Hint, NO_HINT, type Rules, Walk } from './walk.ts';

const REQUEST = jsonName('request');
const OBJECT = jsonName('object');
const OLD_OBJECT = jsonName('oldObject');
const RESOURCE = jsonName('resource');
const SECRETS = jsonName('secrets');
const GROUP = jsonName('group');
const REQUEST_OBJECT = jsonName('requestObject');
const RESPONSE_OBJECT = jsonName('responseObject');
const REQUEST_URI = jsonName('requestURI');
const ANNOTATIONS = jsonName('annotations');

/** What tells whether an event has to be walked, beside parts of it; behind the list, the places of its names in what is found. */
const REF_NAMES = jsonNames(['apiGroup', 'resource', 'subresource', 'namespace', 'name']);
const REF_GROUP = 0;
const REF_RESOURCE = 1;
const REF_SUBRESOURCE = 2;
const REF_NAMESPACE = 3;
const REF_NAME = 4;
/** What a review says of the resource that it is about, and of the one that was asked for. */
const REVIEW_NAMES = jsonNames([
  ...['resource', 'subResource', 'requestResource', 'requestSubResource'],
  ...['namespace', 'name'],
]);
const REVIEW_RESOURCE = 0;
const REVIEW_SUB_RESOURCE = 1;
const REVIEW_REQUEST_RESOURCE = 2;
const REVIEW_REQUEST_SUB_RESOURCE = 3;
const REVIEW_NAMESPACE = 4;
const REVIEW_NAME = 5;
/** What is found, used and forgotten within one call: new ones for each event would be a quarter of its garbage. */
const EVENT_FOUND = eventNodes();
const REVIEW_FOUND = new Int32Array(REVIEW_NAMES.names.length);
const REF_FOUND = new Int32Array(REF_NAMES.names.length);

/** An event without objectRef: what its URI says. */
const SECRETS_URI = /^\/api\/v1\/(?:watch\/)?(?:namespaces\/[^/]+\/)?secrets(?:\/|$)/;

/** Throws CONFIG_INVALID when a path or a pattern makes no sense. */
export function createRedactor(settings: RedactSettings): Redactor {
  const fields = fieldRules(settings);
  const rules: Rules = {
    fields,
    resources: [...new Set([SECRETS.text, ...fields.map(({ resource }) => resource)])].map(jsonName),
    manifestAnnotations: new Set(settings.manifestAnnotations),
    search: createCommandSearch(settings.patterns),
  };
  const suspicious = createSuspicion(rules);
  const onReviews = rules.fields.filter((rule) => rule.kind === 'AdmissionReview');
  const onEvents = rules.fields.filter((rule) => rule.kind === 'Event' && rule.group === 'audit.k8s.io');
  return {
    review: (doc) => redactReview(doc, rules, onReviews, suspicious),
    event: (doc, found) => redactEvent(doc, found ?? look(doc), rules, onEvents, suspicious),
  };
}

type Suspicious = (doc: JsonDocument) => boolean;

function redactReview(doc: JsonDocument, rules: Rules, own: readonly FieldRule[], suspicious: Suspicious): Redacted {
  const request = doc.find(0, REQUEST);
  const hint = reviewHint(doc, request, rules);
  if (hint === NO_HINT && own.length === 0 && !suspicious(doc)) return unchanged(doc);
  const removed = new RemovedValues(known(hint));
  const walk = new Walk(doc, rules, removed);
  // Another `request` under the same name is not one that was read; it is looked at all the same.
  walk.fields(0, own);
  each(doc, 0, (key, value) => {
    if (!doc.is(key, REQUEST) || !doc.isObject(value)) walk.member(key, value, 1);
    else {
      each(doc, value, (name, inner) => {
        if (doc.is(name, OBJECT) || doc.is(name, OLD_OBJECT)) walk.object(inner, hint);
        else walk.member(name, inner, 1);
      });
    }
  });
  return finish(doc, walk, removed);
}

function look(doc: JsonDocument): EventNodes {
  findEvent(doc, 0, EVENT_FOUND);
  return EVENT_FOUND;
}

function redactEvent(
  doc: JsonDocument,
  found: EventNodes,
  rules: Rules,
  own: readonly FieldRule[],
  suspicious: Suspicious,
): Redacted {
  const uri = doc.text(found[PART.requestURI] as Node) ?? '';
  const session = isSession(uri);
  const hint = eventHint(doc, found[PART.objectRef] as Node, uri, rules);
  const body = found[PART.requestObject] as Node;
  // A patch may be a list of operations, or a text.
  const plain = (body === NONE || doc.isObject(body)) && own.length === 0 && !session;
  // A hint is about the objects: at level Metadata there are none.
  const hinted = hint !== NO_HINT && (body !== NONE || found[PART.responseObject] !== NONE);
  if (!hinted && plain && !hasTellingParameter(uri) && !suspicious(doc)) return unchanged(doc);
  const removed = new RemovedValues(known(hint));
  const walk = new Walk(doc, rules, removed);
  walk.fields(0, own);
  each(doc, 0, (key, value) => {
    if (doc.is(key, REQUEST_OBJECT) || doc.is(key, RESPONSE_OBJECT)) walk.object(value, hint);
    else if (doc.is(key, REQUEST_URI)) walk.uri(value, session);
    else {
      if (session && doc.is(key, ANNOTATIONS)) each(doc, value, (_, text) => walk.commandText(text));
      walk.member(key, value, 1);
    }
  });
  return finish(doc, walk, removed);
}

function finish(doc: JsonDocument, walk: Walk, removed: RemovedValues): Redacted {
  walk.scrubProse();
  if (walk.edits.length === 0 && removed.empty) return unchanged(doc);
  let scrubber: Scrubber | undefined;
  const lazily = () => {
    scrubber ??= removed.scrubber();
    return scrubber;
  };
  return {
    bytes: splice(doc.bytes, walk.edits, doc.start(0), doc.end(0)),
    changed: walk.edits.length > 0,
    scrub: (text) => lazily().text(text),
    scrubValue: (value) => lazily().value(value),
  };
}

function unchanged(doc: JsonDocument): Redacted {
  const whole = doc.start(0) === 0 && doc.end(0) === doc.bytes.length;
  // A view takes longer to make than to fill for some hundred bytes.
  return { bytes: whole ? doc.bytes : doc.slice(0), changed: false, scrub: asItIs, scrubValue: asItIs };
}

function asItIs<T>(value: T): T {
  return value;
}

function reviewHint(doc: JsonDocument, request: Node, rules: Rules): Hint {
  const found = REVIEW_FOUND;
  doc.findAll(request, REVIEW_NAMES, found);
  const resource = found[REVIEW_RESOURCE] as Node;
  const original = found[REVIEW_REQUEST_RESOURCE] as Node;
  if (!mayTell(doc, resource, rules) && !mayTell(doc, original, rules)) return NO_HINT;
  const fields = union(
    reviewRules(doc, rules, resource, found[REVIEW_SUB_RESOURCE] as Node),
    reviewRules(doc, rules, original, found[REVIEW_REQUEST_SUB_RESOURCE] as Node),
  );
  const secret = isSecrets(doc, resource) || isSecrets(doc, original);
  if (!secret && fields.length === 0) return NO_HINT;
  return {
    secret,
    fields,
    namespace: doc.text(found[REVIEW_NAMESPACE] as Node),
    name: doc.text(found[REVIEW_NAME] as Node),
  };
}

/** Whether a resource may be one that something is known about; of nearly all their bytes say that they are none. */
function mayTell(doc: JsonDocument, resource: Node, { resources }: Rules): boolean {
  const name = doc.find(resource, RESOURCE);
  if (!doc.isString(name)) return true;
  for (const known of resources) if (doc.is(name, known)) return true;
  return false;
}

function isSecrets(doc: JsonDocument, resource: Node): boolean {
  return isText(doc, doc.find(resource, RESOURCE), SECRETS) && (doc.text(doc.find(resource, GROUP)) ?? '') === '';
}

function isText(doc: JsonDocument, node: Node, text: JsonName): boolean {
  return doc.isString(node) && doc.is(node, text);
}

function reviewRules(doc: JsonDocument, rules: Rules, resource: Node, subresource: Node): readonly FieldRule[] {
  const name = doc.text(doc.find(resource, RESOURCE)) ?? '';
  if (!rules.fields.some((rule) => rule.resource === name)) return NO_HINT.fields;
  return rulesFor(rules, doc.text(doc.find(resource, GROUP)) ?? '', name, doc.text(subresource) ?? '');
}

function eventHint(doc: JsonDocument, ref: Node, uri: string, rules: Rules): Hint {
  if (!doc.isObject(ref)) return SECRETS_URI.test(pathOf(uri)) ? { ...NO_HINT, secret: true } : NO_HINT;
  const found = REF_FOUND;
  doc.findAll(ref, REF_NAMES, found);
  const text = (which: number) => doc.text(found[which] as Node);
  const resource = text(REF_RESOURCE) ?? '';
  if (resource !== 'secrets' && !rules.fields.some((rule) => rule.resource === resource)) return NO_HINT;
  const group = text(REF_GROUP) ?? '';
  const secret = group === '' && resource === 'secrets';
  const fields = rulesFor(rules, group, resource, text(REF_SUBRESOURCE) ?? '');
  if (!secret && fields.length === 0) return NO_HINT;
  return { secret, fields, namespace: text(REF_NAMESPACE), name: text(REF_NAME) };
}

function rulesFor(rules: Rules, group: string, resource: string, subresource: string): readonly FieldRule[] {
  return rules.fields.filter(
    (rule) =>
      rule.resource === resource &&
      rule.subresource === subresource &&
      (rule.resourceGroup === undefined || rule.resourceGroup === group),
  );
}

function union(a: readonly FieldRule[], b: readonly FieldRule[]): readonly FieldRule[] {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a;
  return [...new Set([...a, ...b])];
}

function known({ namespace, name }: Hint): string[] {
  return [namespace, name].filter((text) => text !== undefined && text !== '') as string[];
}

function each(doc: JsonDocument, object: Node, visit: (key: Node, value: Node) => void): void {
  if (!doc.isObject(object)) return;
  const end = doc.after(object);
  for (let key = object + 1; key < end; key = doc.after(key + 1)) visit(key, key + 1);
}
