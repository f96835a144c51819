// Whether a string of a JSON text is a time as RFC 3339 writes it, asked of its bytes: two of them are in every event.
import type { JsonDocument, Node } from '../lib/json-document.ts';

/** Its form: whether the 31st of a month exists is not asked. */
const RFC3339 = /^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(?:\.\d{1,9})?(?:Z|[+-][0-2]\d:[0-5]\d)$/;

/** The smallest and the largest byte in each place up to the seconds, as in RFC3339. */
const LOWEST = Buffer.from('0000-00-00T00:00:00');
const HIGHEST = Buffer.from('9999-19-39T29:59:69');

const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const Z = 0x5a;

/** Whether the value at `node` is one. */
export function isTimestamp(doc: JsonDocument, node: Node): boolean {
  if (!doc.isString(node)) return false;
  return isUsual(doc.bytes, doc.start(node) + 1, doc.end(node) - 1) || RFC3339.test(doc.text(node) ?? '');
}

/** Whether the bytes are a time in UTC with a Z and up to nine decimals, as Kubernetes writes it. */
function isUsual(bytes: Buffer, start: number, end: number): boolean {
  if (end - start <= LOWEST.length || bytes[end - 1] !== Z) return false;
  let at = start;
  for (let i = 0; i < LOWEST.length; i++, at++) {
    const byte = bytes[at] as number;
    if (byte < (LOWEST[i] as number) || byte > (HIGHEST[i] as number)) return false;
  }
  const decimals = end - 1 - (at + 1);
  if (decimals === -1) return true;
  if (bytes[at] !== POINT || decimals === 0 || decimals > 9) return false;
  for (at++; at < end - 1; at++) {
    const byte = bytes[at] as number;
    if (byte < ZERO || byte > NINE) return false;
  }
  return true;
}
