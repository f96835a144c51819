// Nearly everything that is recorded holds nothing secret. One look at the strings of a document tells which ones have to be
// walked: it may be wrong in one direction only.
import { ANY_BYTE, type JsonDocument, type JsonName, jsonName, type Node } from '../lib/json-document.ts';
import { KIND, type Rules } from './walk.ts';

/** Kinds whose name ends so have a command or a path. */
const SESSION_KIND = /(?:Exec|Proxy)Options$/;
const OPTIONS = Buffer.from('Options"');
/** A longer string has no use as a kind or as the key of an annotation, however it is escaped. */
const MAX_ESCAPED = 6 * 300;

/** Whether a document may hold something to redact that neither its resource nor its URI tells. */
export function createSuspicion(rules: Rules): (doc: JsonDocument) => boolean {
  const kinds = new Set(['Secret', ...rules.fields.map(({ kind }) => kind)].flatMap((kind) => [kind, `${kind}List`]));
  const annotations = [...rules.manifestAnnotations].map(jsonName);
  const names = new Set(annotations.map(({ text }) => text));
  const kindSize = sizeOf(KIND);
  const firstBytes = firstBytesOf([KIND, ...annotations]);

  const kindNames: JsonName[][] = [];
  for (const name of [...kinds].map(jsonName)) {
    kindNames[name.bytes.length] = [...(kindNames[name.bytes.length] ?? []), name];
  }
  const isSuspiciousKind = (doc: JsonDocument, node: Node): boolean => {
    // Of nearly every kind its bytes say that it is none: nothing is decoded then.
    if (node < doc.count && !doc.isEscaped(node) && !endsWith(doc, node, OPTIONS)) {
      return doc.isString(node) && isOneOf(doc, node, kindNames[doc.end(node) - doc.start(node) - 2] ?? []);
    }
    const kind = node < doc.count ? doc.text(node) : undefined;
    return kind !== undefined && (kinds.has(kind) || SESSION_KIND.test(kind));
  };

  const isSuspicious = (doc: JsonDocument, node: Node): boolean => {
    const size = doc.end(node) - doc.start(node);
    if (doc.isEscaped(node)) {
      const text = size > MAX_ESCAPED ? '' : (doc.text(node) ?? '');
      return names.has(text) || (text === KIND.text && isSuspiciousKind(doc, node + 1));
    }
    if (size === kindSize && doc.is(node, KIND)) return isSuspiciousKind(doc, node + 1);
    return isOneOf(doc, node, annotations);
  };

  return (doc) => doc.someString(firstBytes, (node) => isSuspicious(doc, node));
}

/** Bytes of a name with its quotes. */
function sizeOf({ bytes }: JsonName): number {
  return bytes.length + 2;
}

/** By their sizes, what strings begin with that may be one of these names. */
function firstBytesOf(names: readonly JsonName[]): Uint8Array {
  const firstBytes = new Uint8Array(Math.max(...names.map(sizeOf)) + 1);
  for (const name of names) {
    const [first = ANY_BYTE] = name.bytes;
    const size = sizeOf(name);
    const before = firstBytes[size];
    firstBytes[size] = before === 0 || before === first ? first : ANY_BYTE;
  }
  return firstBytes;
}

/** Not by `some`: this is asked of every `name` in a document, and the functions for it were 4 KB of garbage for a review of 3 KB. */
function isOneOf(doc: JsonDocument, node: Node, names: readonly JsonName[]): boolean {
  for (const name of names) if (doc.is(node, name)) return true;
  return false;
}

function endsWith(doc: JsonDocument, node: Node, end: Uint8Array): boolean {
  const at = doc.end(node) - end.length;
  for (let i = 0; i < end.length; i++) if (doc.bytes[at + i] !== end[i]) return false;
  return true;
}
