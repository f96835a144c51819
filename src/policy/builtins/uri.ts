// uri.parse and uri.is_valid: what Go's net/url makes of a text.
import { RegoObject, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { parseUrl } from './go-url.ts';
import { stringOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const URI: Readonly<Record<string, Builtin>> = {
  'uri.parse': (args) => parts(stringOperand(args, 1)),
  'uri.is_valid': ([text]) => typeof text === 'string' && text !== '' && isValid(text),
};

function isValid(text: string): boolean {
  try {
    parseUrl(text);
    return true;
  } catch (error) {
    if (error instanceof BuiltinError) return false;
    throw error;
  }
}

/** The parts that are not empty. */
function parts(text: string): RegoObject {
  const url = parseUrl(text);
  const found: [string, Value][] = [
    ['scheme', url.scheme],
    ['hostname', url.hostname],
    ['port', url.port],
    ['path', url.path],
    // The path as it came, where that says more than the decoded one.
    ['raw_path', url.rawPath || url.path],
    ['raw_query', url.rawQuery],
    ['fragment', url.fragment],
  ];
  return new RegoObject(found.filter(([, value]) => value !== ''));
}
