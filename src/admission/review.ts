// Accepts or refuses an AdmissionReview (k8s.io/api/admission/v1): only what is needed to decide, record and answer is looked
// at, and everything comes from whoever reached the port.
import { isUtf8 } from 'node:buffer';
import { SealgateError } from '../lib/errors.ts';
import {
  invalid,
  type JsonDocument,
  type JsonName,
  jsonName,
  jsonNames,
  NONE,
  type Node,
  skipSpace,
} from '../lib/json-document.ts';
import type { MatchFacts } from '../policy/types.ts';

/** The envelope around the object, which the API server's own limit for an object does not count. */
const ENVELOPE_DEPTH = 4;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const OPERATIONS: ReadonlySet<string> = new Set(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']);

const API_VERSION = jsonName('apiVersion');
const KIND = jsonName('kind');
const ADMISSION_V1 = jsonName('admission.k8s.io/v1');
const ADMISSION_REVIEW = jsonName('AdmissionReview');
const REQUEST = jsonName('request');
const GROUP = jsonName('group');
const VERSION = jsonName('version');
const RESOURCE = jsonName('resource');
const METADATA = jsonName('metadata');
const LABELS = jsonName('labels');

/** What is looked at of a request; behind the list, the places of its names in what is found. */
const NAMES = jsonNames([
  ...['uid', 'kind', 'resource', 'subResource', 'operation'],
  ...['namespace', 'name', 'object', 'oldObject'],
]);
const UID = 0;
const REQUEST_KIND = 1;
const REQUEST_RESOURCE = 2;
const SUB_RESOURCE = 3;
const OPERATION = 4;
const NAMESPACE = 5;
const NAME = 6;
const OBJECT = 7;
const OLD_OBJECT = 8;
/** Found, used and forgotten within one call. */
const FOUND = new Int32Array(NAMES.names.length);

export interface Review {
  /** As it came: the response has to repeat it. */
  readonly uid: string;
  readonly facts: MatchFacts;
}

/**
 * Scans the body into `doc` and reads it. Throws REQUEST_INVALID or REQUEST_TOO_DEEP with what is wrong and where; messages
 * quote nothing of the request.
 */
export function readReview(body: Buffer, doc: JsonDocument, maxDepth: number): Review {
  if (!isUtf8(body)) throw new SealgateError('REQUEST_INVALID', 'the body is not UTF-8');
  const end = skipSpace(body, doc.scan(body, 0, maxDepth + ENVELOPE_DEPTH));
  if (end < body.length) throw invalid('goes on after its end', end);
  if (!doc.isObject(0)) throw new SealgateError('REQUEST_INVALID', 'the body is not a JSON object');
  expectText(doc, API_VERSION, ADMISSION_V1);
  expectText(doc, KIND, ADMISSION_REVIEW);
  const request = doc.find(0, REQUEST);
  if (!doc.isObject(request)) throw new SealgateError('REQUEST_INVALID', 'the AdmissionReview has no request');
  doc.findAll(request, NAMES, FOUND);
  const uid = doc.text(FOUND[UID] as Node);
  if (uid === undefined) throw new SealgateError('REQUEST_INVALID', 'request.uid is missing');
  if (!UUID.test(uid)) throw new SealgateError('REQUEST_INVALID', 'request.uid is not a UUID');
  return { uid, facts: factsOf(doc) };
}

/** Of the members that are in FOUND. */
function factsOf(doc: JsonDocument): MatchFacts {
  const operation = doc.text(FOUND[OPERATION] as Node) ?? '';
  if (!OPERATIONS.has(operation)) {
    throw new SealgateError('REQUEST_INVALID', 'request.operation is not CREATE, UPDATE, DELETE or CONNECT');
  }
  const kind = FOUND[REQUEST_KIND] as Node;
  const resource = FOUND[REQUEST_RESOURCE] as Node;
  const group = required(doc, doc.find(kind, GROUP), 'request.kind.group');
  const resourceGroup = required(doc, doc.find(resource, GROUP), 'request.resource.group');
  const facts = {
    group,
    version: required(doc, doc.find(kind, VERSION), 'request.kind.version'),
    kind: required(doc, doc.find(kind, KIND), 'request.kind.kind'),
    resource: required(doc, doc.find(resource, RESOURCE), 'request.resource.resource'),
    subresource: optional(doc, FOUND[SUB_RESOURCE] as Node, 'request.subResource'),
    operation,
    namespace: optional(doc, FOUND[NAMESPACE] as Node, 'request.namespace'),
    name: optional(doc, FOUND[NAME] as Node, 'request.name'),
    labels: labelsOf(doc),
  };
  return resourceGroup === group ? facts : { ...facts, resourceGroup };
}

/** Labels of the object; of the old one where there is no new one, as on DELETE. */
function labelsOf(doc: JsonDocument): Record<string, string> {
  const object = FOUND[OBJECT] as Node;
  const subject = doc.isObject(object) ? object : (FOUND[OLD_OBJECT] as Node);
  const labels = doc.find(doc.find(subject, METADATA), LABELS);
  if (!doc.isObject(labels)) return {};
  const entries: [string, string][] = [];
  const end = doc.after(labels);
  for (let key = labels + 1; key < end; key = doc.after(key + 1)) {
    const value = doc.text(key + 1);
    if (value !== undefined) entries.push([doc.text(key) ?? '', value]);
  }
  return Object.fromEntries(entries);
}

function expectText(doc: JsonDocument, name: JsonName, wanted: JsonName): void {
  const node = doc.find(0, name);
  if (doc.isString(node) && doc.is(node, wanted)) return;
  throw new SealgateError('REQUEST_INVALID', `${name.text} is not ${wanted.text}`);
}

function required(doc: JsonDocument, node: Node, place: string): string {
  const text = doc.text(node);
  if (text === undefined) throw new SealgateError('REQUEST_INVALID', `${place} is missing or not a string`);
  return text;
}

function optional(doc: JsonDocument, node: Node, place: string): string {
  return node === NONE || doc.type(node) === 'null' ? '' : required(doc, node, place);
}
