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
  const kept: Edit[] = [];
  let at = from;
  let size = to - from;
  // The outer one first where two begin together.
  for (const edit of inOrder(edits) ? edits : edits.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    if (edit.start < at) continue;
    kept.push(edit);
    size += edit.bytes.length - (edit.end - edit.start);
    at = edit.end;
  }
  const result = Buffer.allocUnsafe(size);
  let written = 0;
  at = from;
  for (const { start, end, bytes } of kept) {
    written += text.copy(result, written, at, start);
    result.set(bytes, written);
    written += bytes.length;
    at = end;
  }
  text.copy(result, written, at, to);
  return result;
}

/** Whether every edit begins behind the one before it: as they do that were found by walking the text. */
function inOrder(edits: readonly Edit[]): boolean {
  let last = -1;
  for (const { start } of edits) {
    if (start <= last) return false;
    last = start;
  }
  return true;
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
