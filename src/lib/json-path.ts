// Paths to values inside JSON, as settings name them: data.password, metadata.annotations["example.com/key"],
// spec.containers[*].env[*].value, data.*
import { SealgateError } from './errors.ts';
import { type JsonDocument, type JsonName, jsonName, type Node } from './json-document.ts';

/** A member of this name, an element of this index, or any member or element. */
export type Step = JsonName | number | '*';
export type JsonPath = readonly Step[];

// One step: .name or name at the beginning, .* or [*], [3], ["any name"].
const STEP = /\.?(?:(\*)|([^.[\]"*\s]+))|\[(?:(\*)|(\d{1,9})|("(?:[^"\\]|\\.)*"))\]/y;

/** Reads a path; throws CONFIG_INVALID saying where it stops making sense. */
export function parseJsonPath(text: string): JsonPath {
  const steps: Step[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const at = STEP.lastIndex;
    const match = STEP.exec(text);
    const dotted = text[at] === '.';
    if (match === null || (steps.length === 0 && dotted) || (steps.length > 0 && !dotted && text[at] !== '[')) {
      throw new SealgateError(
        'CONFIG_INVALID',
        `the path ${JSON.stringify(text)} is malformed at character ${at + 1}: write it like data.password, ` +
          'spec.containers[*].env[*].value or metadata.annotations["example.com/key"]',
      );
    }
    steps.push(stepOf(match));
  }
  if (steps.length === 0) throw new SealgateError('CONFIG_INVALID', 'a path is empty: name the member to redact');
  return steps;
}

function stepOf(match: RegExpExecArray): Step {
  const [, anyMember, name, anyElement, index, quoted] = match;
  if (anyMember !== undefined || anyElement !== undefined) return '*';
  if (index !== undefined) return Number(index);
  return jsonName(quoted === undefined ? (name ?? '') : unquoted(quoted));
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch (cause) {
    // biome-ignore lint/style/useErrorCause: SealgateError takes it third
    throw new SealgateError('CONFIG_INVALID', `the name ${text} in a path is not a JSON string`, { cause });
  }
}

/** Calls `found` with each value at `path` under `node`, duplicate keys included. */
export function select(doc: JsonDocument, node: Node, path: JsonPath, found: (node: Node) => void): void {
  const [step, ...rest] = path;
  if (step === undefined) {
    found(node);
    return;
  }
  const end = doc.after(node);
  if (doc.isObject(node)) {
    for (let key = node + 1; key < end; key = doc.after(key + 1)) {
      if (step === '*' || (typeof step === 'object' && doc.is(key, step))) select(doc, key + 1, rest, found);
    }
  } else if (doc.isArray(node)) {
    let index = 0;
    for (let element = node + 1; element < end; element = doc.after(element)) {
      if (step === '*' || step === index) select(doc, element, rest, found);
      index++;
    }
  }
}

/** Whether a segment of a JSON Pointer (RFC 6901, unescaped) may be this step. */
export function stepMatches(step: Step, segment: string): boolean {
  if (step === '*') return true;
  if (typeof step === 'number') return segment === String(step) || segment === '-';
  return segment === step.text;
}
