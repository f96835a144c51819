// The AdmissionReview that a command about policies is given: as the API server sends it, as a recorded entry, or made around
// a plain object as somebody keeps it in a file.
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { readReview } from '../admission/review.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { JsonDocument, jsonName, MAX_DEPTH, skipSpace } from '../lib/json-document.ts';
import type { MatchFacts } from '../policy/types.ts';
import { pluralOf } from '../redact/settings.ts';
import { refusedBySystem, UsageError } from './failure.ts';

export interface GivenReview {
  /** The AdmissionReview as JSON. */
  readonly bytes: Buffer;
  readonly facts: MatchFacts;
}

/** What a plain object does not say of the request that it would come with. */
export interface WrapFlags {
  readonly operation?: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly user?: string;
  readonly userGroup?: readonly string[];
  readonly namespace?: string;
  readonly oldObject?: string;
}

const BODY = jsonName('body');
const REVIEW = jsonName('review');
const LEAF = jsonName('leaf');
const KIND = jsonName('kind');
const API_VERSION = jsonName('apiVersion');
const UID = '00000000-0000-4000-8000-000000000000';

/** Kinds of Kubernetes that are in no namespace; others are taken to be in one. */
const CLUSTER_SCOPED = new Set([
  ...['Namespace', 'Node', 'PersistentVolume', 'ClusterRole', 'ClusterRoleBinding', 'CustomResourceDefinition'],
  ...[
    'StorageClass',
    'PriorityClass',
    'IngressClass',
    'RuntimeClass',
    'CSIDriver',
    'CSINode',
    'VolumeAttachment',
    'APIService',
  ],
  ...['CertificateSigningRequest', 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'],
  ...['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding', 'FlowSchema', 'PriorityLevelConfiguration'],
]);

/** Reads `file` (- for standard input). Throws REQUEST_INVALID for what is none of the three, UsageError for flags that do not fit. */
export function readGiven(file: string, flags: WrapFlags): GivenReview {
  const json = jsonOf(readBytes(file), file);
  const doc = scan(json, file);
  if (doc.text(doc.find(0, KIND)) === 'AdmissionReview') return asReview(noFlags(json, file, flags));
  const review = doc.find(doc.find(0, BODY), REVIEW);
  if (doc.isObject(review)) return asReview(noFlags(Buffer.from(doc.slice(review)), file, flags));
  if (doc.find(0, LEAF) >= 0) throw refused(`${file} is an entry without a review: only decisions have one`);
  return readObject(json, flags, file);
}

/** A plain object's JSON as the request that it would come with. */
export function readObject(json: Buffer, flags: WrapFlags, file = 'the object'): GivenReview {
  const doc = scan(json, file);
  const [apiVersion, kind] = [doc.text(doc.find(0, API_VERSION)), doc.text(doc.find(0, KIND))];
  if (kind === undefined || apiVersion === undefined)
    throw refused(
      `${file} is neither an AdmissionReview, nor a recorded decision, nor an object with apiVersion and kind`,
    );
  return asReview(wrap(json, apiVersion, kind, flags));
}

/** The review with what the pod would go by. Throws REQUEST_INVALID as the pod does. */
export function asReview(bytes: Buffer): GivenReview {
  return { bytes, facts: readReview(bytes, new JsonDocument(), MAX_DEPTH - 4).facts };
}

function noFlags(json: Buffer, file: string, flags: WrapFlags): Buffer {
  const [flag] = Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (flag === undefined) return json;
  const named = flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new UsageError(`--${named} is for a plain object: ${file} is a whole review and says so itself`);
}

/** The object's bytes go in as they are: a number in it may be larger than JavaScript's. */
function wrap(object: Buffer, apiVersion: string, kind: string, flags: WrapFlags): Buffer {
  const operation = flags.operation ?? 'CREATE';
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const { metadata } = JSON.parse(object.toString('utf8')) as { metadata?: { name?: string; namespace?: string } };
  const namespace = metadata?.namespace ?? flags.namespace ?? (CLUSTER_SCOPED.has(kind) ? undefined : 'default');
  const types = { kind: { group, version, kind }, resource: { group, version, resource: pluralOf(kind) } };
  const head = {
    uid: UID,
    ...types,
    requestKind: types.kind,
    requestResource: types.resource,
    ...(metadata?.name === undefined ? {} : { name: metadata.name }),
    ...(namespace === undefined ? {} : { namespace }),
    operation,
    userInfo: { username: flags.user ?? 'author', groups: flags.userGroup ?? ['system:authenticated'] },
    dryRun: false,
    options: null,
  };
  const before = flags.oldObject === undefined ? object : jsonOf(readBytes(flags.oldObject), flags.oldObject);
  const parts = {
    object: operation === 'DELETE' ? 'null' : object.toString('utf8'),
    oldObject: operation === 'CREATE' ? 'null' : before.toString('utf8'),
  };
  const request = `${JSON.stringify(head).slice(0, -1)},"object":${parts.object},"oldObject":${parts.oldObject}}`;
  return Buffer.from(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":${request}}`);
}

function readBytes(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (cause) {
    throw refusedBySystem('REQUEST_INVALID', `${file} cannot be read`, cause);
  }
}

/** JSON as it is, YAML as JSON. */
function jsonOf(bytes: Buffer, file: string): Buffer {
  const first = bytes[skipSpace(bytes, 0)];
  if (first === 0x7b || first === 0x5b) return bytes;
  const documents = parseAllDocuments(bytes.toString('utf8'), { intAsBigInt: true, logLevel: 'silent' });
  const full = Array.isArray(documents) ? documents.filter(({ contents }) => contents !== null) : [];
  const problem = full.flatMap(({ errors }) => errors)[0];
  if (problem !== undefined) throw refused(`${file} is neither JSON nor YAML: ${problem.message.split('\n')[0]}`);
  const [document, second] = full;
  if (document === undefined) throw refused(`${file} is empty`);
  if (second !== undefined) throw refused(`${file} has ${full.length} YAML documents: give one at a time`);
  return Buffer.from(
    JSON.stringify(document.toJS(), (_key, value) => (typeof value === 'bigint' ? exact(value) : value)),
  );
}

/** JSON.rawJSON is in Node and not yet in TypeScript's library. */
const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };

function exact(value: bigint): unknown {
  return rawJSON(String(value));
}

function scan(json: Buffer, file: string): JsonDocument {
  const doc = new JsonDocument();
  try {
    const end = skipSpace(json, doc.scan(json, 0));
    if (end < json.length) throw refused(`it goes on after its end at byte ${end}`);
  } catch (error) {
    throw malformed(file, error);
  }
  if (!doc.isObject(0)) throw refused(`${file} is not an object`);
  return doc;
}

function malformed(file: string, cause: unknown): SealgateError {
  return new SealgateError('REQUEST_INVALID', `${file} cannot be used: ${messageOf(cause)}`, { cause });
}

function refused(message: string): SealgateError {
  return new SealgateError('REQUEST_INVALID', message);
}
