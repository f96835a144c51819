// What is kept of an item that is not an audit event: its beginning, as far as it can be read and has only members that an
// event may have and that hold no body of a request. Nothing more can be vouched for: redaction has to know what it looks at.
import { JsonDocument, type Node } from '../lib/json-document.ts';
import type { Redactor } from '../lib/redaction.ts';

/** Members of an Event (k8s.io/apiserver/pkg/apis/audit/v1) but for requestObject and responseObject. */
const HARMLESS: ReadonlySet<string> = new Set([
  'kind',
  'apiVersion',
  'level',
  'auditID',
  'stage',
  'requestURI',
  'verb',
  'user',
  'impersonatedUser',
  'sourceIPs',
  'userAgent',
  'objectRef',
  'responseStatus',
  'requestReceivedTimestamp',
  'stageTimestamp',
  'annotations',
]);

/**
 * The first members of the item that `doc` holds (wholly, or up to where it could not be read), redacted, at most `limit`
 * bytes before that. Empty for what is not an object.
 */
export function beginningOf(doc: JsonDocument, redactor: Pick<Redactor, 'event'>, limit: number): string {
  if (doc.count === 0 || !doc.isObject(0)) return '';
  const start = doc.start(0);
  const last = doc.complete(0) ? doc.after(0) : doc.count;
  let end = start + 1;
  let all = doc.complete(0);
  for (let key: Node = 1; key < last; key = doc.after(key + 1)) {
    const keep = key + 1 < last && doc.complete(key + 1) && HARMLESS.has(doc.text(key) ?? '');
    if (!keep || doc.end(key + 1) - start > limit) {
      all = false;
      break;
    }
    end = doc.end(key + 1);
  }
  if (end - start > limit) return '';
  const beginning = new JsonDocument();
  beginning.scan(Buffer.from(`${doc.bytes.toString('utf8', start, end)}}`));
  const text = redactor.event(beginning).bytes.toString('utf8');
  // The closing brace stays only where it was.
  return all ? text : text.slice(0, -1);
}
