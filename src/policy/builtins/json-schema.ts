// json.match_schema and json.verify_schema.
import { RegoObject, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { readJson } from './go-json.ts';
import { checkSchema, type Schema } from './json-schema-check.ts';
import { validate } from './json-schema-validate.ts';
import { operand } from './operands.ts';
import { compile } from './regex.ts';
import type { Builtin, BuiltinContext } from './types.ts';
import { record } from './x509-record.ts';

export const JSON_SCHEMA: Readonly<Record<string, Builtin>> = {
  'json.match_schema': (args, context) => match(operand(args, 1), operand(args, 2), context),
  'json.verify_schema': (args, context) => verify(operand(args, 1), context),
};

/** JSON in a string, or an object or array as it is. */
function load(value: Value): Value {
  if (typeof value === 'string') return readJson(value, 'invalid JSON string');
  if (value instanceof RegoObject || Array.isArray(value)) return value;
  throw new BuiltinError('wrong type, expected string or object');
}

function schemaOf(value: Value, context: BuiltinContext): Schema {
  return checkSchema(load(value), (pattern) => compile(pattern, context));
}

/** [whether it is a schema, why not]. */
function verify(value: Value, context: BuiltinContext): Value {
  try {
    schemaOf(value, context);
    return [true, null];
  } catch (error) {
    if (error instanceof BuiltinError) return [false, `jsonschema: ${error.message}`];
    throw error;
  }
}

/** [whether the document matches, its errors]. */
function match(document: Value, value: Value, context: BuiltinContext): Value {
  const loaded = load(document);
  const schema = schemaOf(value, context);
  const errors = validate(schema, loaded, (pattern, text) => compile(pattern, context).matcher(text).find());
  const described = errors.map(({ field, type, description }) =>
    record({ error: `${field}: ${description}`, type, field, desc: description }),
  );
  return [errors.length === 0, described];
}
