// Accepts or refuses an AdmissionReview (k8s.io/api/admission/v1): only what is needed to decide, record and answer is looked
// at, and everything comes from whoever reached the port.
import { isUtf8 } from 'node:buffer';
import { SealgateError } from '../lib/errors.ts';
import {
  invalid,
  type JsonDocument,
  type JsonName,
  jsonName,
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
const REQUEST = jsonName('request');
const UID = jsonName('uid');
const OPERATION = jsonName('operation');
const GROUP = jsonName('group');
const VERSION = jsonName('version');
const RESOURCE = jsonName('resource');
const SUB_RESOURCE = jsonName('subResource');
const NAMESPACE = jsonName('namespace');
const NAME = jsonName('name');
const OBJECT = jsonName('object');
const OLD_OBJECT = jsonName('oldObject');
const METADATA = jsonName('metadata');
const LABELS = jsonName('labels');

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
  expectText(doc, API_VERSION, 'admission.k8s.io/v1');
  expectText(doc, KIND, 'AdmissionReview');
  const request = doc.find(0, REQUEST);
  if (!doc.isObject(request)) throw new SealgateError('REQUEST_INVALID', 'the AdmissionReview has no request');
  const uid = doc.text(doc.find(request, UID));
  if (uid === undefined) throw new SealgateError('REQUEST_INVALID', 'request.uid is missing');
  if (!UUID.test(uid)) throw new SealgateError('REQUEST_INVALID', 'request.uid is not a UUID');
  return { uid, facts: factsOf(doc, request) };
}

function factsOf(doc: JsonDocument, request: Node): MatchFacts {
  const operation = doc.text(doc.find(request, OPERATION)) ?? '';
  if (!OPERATIONS.has(operation)) {
    throw new SealgateError('REQUEST_INVALID', 'request.operation is not CREATE, UPDATE, DELETE or CONNECT');
  }
  const kind = doc.find(request, KIND);
  const resource = doc.find(request, RESOURCE);
  const group = required(doc, kind, GROUP, 'request.kind.group');
  const resourceGroup = required(doc, resource, GROUP, 'request.resource.group');
  return {
    group,
    version: required(doc, kind, VERSION, 'request.kind.version'),
    kind: required(doc, kind, KIND, 'request.kind.kind'),
    ...(resourceGroup === group ? {} : { resourceGroup }),
    resource: required(doc, resource, RESOURCE, 'request.resource.resource'),
    subresource: optional(doc, request, SUB_RESOURCE, 'request.subResource'),
    operation,
    namespace: optional(doc, request, NAMESPACE, 'request.namespace'),
    name: optional(doc, request, NAME, 'request.name'),
    labels: labelsOf(doc, request),
  };
}

/** Labels of the object; of the old one where there is no new one, as on DELETE. */
function labelsOf(doc: JsonDocument, request: Node): Record<string, string> {
  const object = doc.find(request, OBJECT);
  const subject = doc.isObject(object) ? object : doc.find(request, OLD_OBJECT);
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

function expectText(doc: JsonDocument, name: JsonName, wanted: string): void {
  if (doc.text(doc.find(0, name)) === wanted) return;
  throw new SealgateError('REQUEST_INVALID', `${name.text} is not ${wanted}`);
}

function required(doc: JsonDocument, object: Node, name: JsonName, place: string): string {
  const text = doc.text(doc.find(object, name));
  if (text === undefined) throw new SealgateError('REQUEST_INVALID', `${place} is missing or not a string`);
  return text;
}

function optional(doc: JsonDocument, object: Node, name: JsonName, place: string): string {
  const node = doc.find(object, name);
  if (node === NONE || doc.type(node) === 'null') return '';
  return required(doc, object, name, place);
}
