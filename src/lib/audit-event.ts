// Where the parts of an audit event (k8s.io/apiserver/pkg/apis/audit/v1) are in a scanned document: looked up once for all who
// ask, because that happens for every event.
import { type JsonDocument, jsonNames, type Node } from './json-document.ts';

const NAMES = jsonNames([
  'auditID',
  'stage',
  'level',
  'requestReceivedTimestamp',
  'stageTimestamp',
  'verb',
  'objectRef',
  'annotations',
  'requestObject',
  'responseObject',
  'requestURI',
  'responseStatus',
  'user',
  'impersonatedUser',
  'sourceIPs',
]);

/** Index of each part in what `findEvent` fills. */
export const PART = {
  auditID: 0,
  stage: 1,
  level: 2,
  received: 3,
  time: 4,
  verb: 5,
  objectRef: 6,
  annotations: 7,
  requestObject: 8,
  responseObject: 9,
  requestURI: 10,
  responseStatus: 11,
  user: 12,
  impersonatedUser: 13,
  sourceIPs: 14,
} as const;

/** Nodes by PART; NONE for what is not there. */
export type EventNodes = Int32Array;

export function eventNodes(): EventNodes {
  return new Int32Array(NAMES.names.length);
}

/** Fills `found` for the event at this node. */
export function findEvent(doc: JsonDocument, event: Node, found: EventNodes): void {
  doc.findAll(event, NAMES, found);
}
