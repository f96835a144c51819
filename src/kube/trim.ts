// An object of the cluster as policies get it: without what the API server keeps for itself, and without what must not be recorded,
// because what policies say is.
import { SealgateError } from '../lib/errors.ts';
import type { JsonDocument } from '../lib/json-document.ts';
import type { Redacted } from '../lib/redaction.ts';
import type { KubeObject, Resource } from './follow.ts';

/** Throws REQUEST_INVALID for a Secret, by whatever name it comes, and for what is nested too deeply to be read. */
export function trimmed(
  object: KubeObject,
  resource: Resource,
  /** Used for the time of the call. */
  doc: JsonDocument,
  redact: (doc: JsonDocument) => Redacted,
): Uint8Array {
  const { group, version } = resource;
  const { managedFields: _, ...metadata } = object.metadata;
  if (object.kind === 'Secret') throw new SealgateError('REQUEST_INVALID', 'Secrets are not for policies to see');
  // As a review of it, because that is what the redaction reads.
  const request = {
    resource: { group, version, resource: resource.resource },
    name: metadata.name,
    namespace: metadata.namespace,
    object: { ...object, metadata },
  };
  const review = Buffer.from(JSON.stringify({ request }));
  doc.scan(review);
  const { bytes, changed } = redact(doc);
  if (!changed) return Buffer.from(JSON.stringify(request.object));
  const redacted: { request: { object: unknown } } = JSON.parse(bytes.toString('utf8'));
  return Buffer.from(JSON.stringify(redacted.request.object));
}
