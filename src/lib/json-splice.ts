// Replaces parts of a JSON text and leaves every other byte as it came.
import type { JsonDocument, Node } from './json-document.ts';
import { type JsonPath, select } from './json-path.ts';

/** Bytes `start` … `end` make way for `bytes`. Offsets count in the text that is edited. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/**
 * Bytes `from` … `to` of a text after the edits, which may come in any order; one inside another, or equal to it, is
 * dropped. The very same bytes (a view, no copy) when there are none.
 */
export function splice(text: Buffer, edits: readonly Edit[], from = 0, to = text.length): Buffer {
  if (edits.length === 0) return from === 0 && to === text.length ? text : text.subarray(from, to);
  const parts: Uint8Array[] = [];
  let at = from;
  // The outer one first where two begin together.
  for (const edit of edits.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    if (edit.start < at) continue;
    parts.push(text.subarray(at, edit.start), edit.bytes);
    at = edit.end;
  }
  parts.push(text.subarray(at, to));
  return Buffer.concat(parts);
}

/** The scanned text with every value at one of the paths replaced, each time a duplicate key repeats it. */
export function replaceAt(doc: JsonDocument, paths: readonly JsonPath[], replacement: Uint8Array): Buffer {
  const edits: Edit[] = [];
  const replace = (node: Node) => {
    edits.push({ start: doc.start(node), end: doc.end(node), bytes: replacement });
  };
  for (const path of paths) select(doc, 0, path, replace);
  return splice(doc.bytes, edits);
}
