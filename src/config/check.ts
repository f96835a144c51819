// Checks a tree of settings against the schema, and puts what ajv finds into words: what, where, what to do.
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { nearestName } from '../lib/nearest.ts';
import { allSettings, root, type SchemaNode } from './names.ts';
import { at, nameOf, type Source } from './source.ts';
import { fromText } from './text.ts';

/** A check that can be used again and again. */
export interface Checker {
  /** One message for each setting of the source that is unknown or has a value that it cannot have. */
  check(source: Source): string[];
}

export function createChecker(): Checker {
  const ajv = new Ajv2020({ strict: true, allErrors: true, verbose: true });
  const validate = ajv.compile(root);
  return {
    check: (source) => (validate(source.tree) ? [] : (validate.errors ?? []).map((error) => describe(error, source))),
  };
}

function describe(error: ErrorObject, source: Source): string {
  // A key with a slash or a tilde in it is escaped in the pointer (RFC 6901).
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (error.keyword === 'additionalProperties') {
    const { additionalProperty: name } = error.params as { additionalProperty: string };
    return `${source.locate([...path, name])}: there is no such setting${suggestion(schemaOf(error), path, name)}`;
  }
  return `${source.locate(path)}: ${requirement(error)}${given(error, source, path)}`;
}

/** ajv's type for it is any object: it is a part of our own schema. */
function schemaOf(error: ErrorObject): SchemaNode {
  return (error.parentSchema ?? {}) as SchemaNode;
}

function suggestion(parent: SchemaNode, path: readonly string[], name: string): string {
  const sibling = nearestName(name, Object.keys(parent.properties ?? {}));
  if (sibling !== undefined) return `: did you mean ${nameOf([...path, sibling])}?`;
  // Right name, wrong section.
  const elsewhere = allSettings().find((setting) => setting.path.at(-1) === name);
  return elsewhere === undefined ? '; remove it or correct its name' : `: did you mean ${elsewhere.name}?`;
}

function requirement(error: ErrorObject): string {
  const { keyword, params, message } = error;
  const schema = schemaOf(error);
  const example = schema.examples?.[0];
  switch (keyword) {
    case 'type':
      return `must be ${kindOf(schema)}`;
    case 'enum':
      return `must be one of ${(schema.enum ?? []).join(', ')}`;
    case 'minimum':
      return `must be at least ${schema.minimum}`;
    case 'maximum':
      return `must be at most ${schema.maximum}`;
    case 'pattern':
      return `must match ${String(params['pattern'])}${example === undefined ? '' : `, for example ${String(example)}`}`;
    case 'required':
      return `must have ${String(params['missingProperty'])}`;
    default:
      return message ?? 'is not allowed';
  }
}

function kindOf(schema: SchemaNode): string {
  if (schema.properties !== undefined) return 'a mapping of settings';
  if (schema.type === 'array') return schema.items?.type === 'object' ? 'a list of objects (JSON)' : 'a list';
  if (schema.type === 'integer') return 'a whole number';
  return schema.type === 'boolean' ? 'true or false' : 'text';
}

/** What was given, unless it could be long or must not be shown; with the word that was meant where there is a choice. */
function given(error: ErrorObject, source: Source, path: readonly string[]): string {
  const value = at(source.tree, path);
  const schema = schemaOf(error);
  if (schema.writeOnly === true || value === undefined || typeof value === 'object') return '';
  const shown = JSON.stringify(value);
  if (shown.length > 80) return '';
  const quoted = typeof value === 'string' && typeof fromText(schema, value) !== 'string';
  if (quoted && schema.type !== 'array') return `, not the text ${shown}: remove the quotes`;
  const meant =
    error.keyword === 'enum' && typeof value === 'string'
      ? nearestName(value, (schema.enum ?? []).map(String))
      : undefined;
  return `, not ${shown}${meant === undefined ? '' : `: did you mean ${meant}?`}`;
}
