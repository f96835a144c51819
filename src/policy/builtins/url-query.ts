// urlquery.*: query strings and the objects of their parameters, as Go's url.Values.
import { RegoObject, RegoSet, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { objectOperand, stringOperand } from './operands.ts';
import type { Builtin } from './types.ts';
import { queryEscape, queryUnescape } from './url-escape.ts';

export const URL_QUERY: Readonly<Record<string, Builtin>> = {
  'urlquery.encode': (args) => queryEscape(stringOperand(args, 1)),
  'urlquery.decode': (args) => queryUnescape(stringOperand(args, 1)),
  'urlquery.encode_object': (args) => encodeObject(objectOperand(args, 1)),
  'urlquery.decode_object': (args) => decodeObject(stringOperand(args, 1)),
};

/** Keys in order of their bytes, which is OPA's order of strings. */
function encodeObject(object: RegoObject): string {
  return object.entries
    .flatMap(([key, value]) => texts(value).map((text) => `${queryEscape(textOf(key))}=${queryEscape(text)}`))
    .join('&');
}

function texts(value: Value): readonly string[] {
  if (value instanceof RegoSet) return value.members.map(textOf);
  return Array.isArray(value) ? value.map(textOf) : [textOf(value)];
}

function textOf(value: Value): string {
  if (typeof value !== 'string')
    throw new BuiltinError('operand 1: values must be string, array[string], or set[string]');
  return value;
}

/** url.ParseQuery: a semicolon is no separator but an error. */
function decodeObject(query: string): RegoObject {
  const parameters = new Map<string, string[]>();
  for (const part of query.split('&')) {
    if (part === '') continue;
    if (part.includes(';')) throw new BuiltinError('invalid semicolon separator in query');
    const equals = part.indexOf('=');
    const key = queryUnescape(equals < 0 ? part : part.slice(0, equals));
    const value = equals < 0 ? '' : queryUnescape(part.slice(equals + 1));
    const values = parameters.get(key);
    if (values === undefined) parameters.set(key, [value]);
    else values.push(value);
  }
  return new RegoObject(parameters);
}
