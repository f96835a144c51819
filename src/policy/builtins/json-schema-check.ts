// Whether a JSON Schema (drafts 4, 6 and 7) is one, in the order and the words of the library that OPA uses
// (internal/gojsonschema/schema.go), and where its references lead. Nothing is ever fetched.
import { RegoObject, type Value } from '../terms.ts';
import { compareDecimals, decimalOf, isInteger } from './decimal.ts';
import { BuiltinError } from './error.ts';
import { writeJson } from './go-json.ts';
import { childAt } from './json-patch.ts';

/** Hybrid is what a schema is that does not say: everything of every draft. */
export type Draft = 4 | 6 | 7 | 'hybrid';

export interface Schema {
  readonly root: Value;
  readonly draft: Draft;
  /** The schema that a `$ref` of this text leads to. */
  readonly references: ReadonlyMap<string, Value>;
}

export const TYPES = ['array', 'boolean', 'integer', 'number', 'null', 'object', 'string'];

/** Throws a BuiltinError with the reason when it is no schema. `checkPattern` throws one for a bad expression. */
export function checkSchema(root: Value, checkPattern: (pattern: string) => void): Schema {
  if (!isSchema(root)) throw new BuiltinError('schema is invalid');
  const draft = root instanceof RegoObject ? draftOf(root) : 'hybrid';
  const checker = new Checker(root, draft, checkPattern);
  checker.check(root);
  return { root, draft, references: checker.references };
}

function draftOf(root: RegoObject): Draft {
  const name = root.get('$schema');
  if (name === undefined) return 'hybrid';
  if (typeof name !== 'string') throw new BuiltinError('$schema must be of type string');
  const draft = /^https?:\/\/json-schema\.org\/draft-0([467])\/schema#?$/.exec(name)?.[1];
  return draft === undefined ? 'hybrid' : (Number(draft) as Draft);
}

/** Whether keywords of that draft count. */
export function atLeast(draft: Draft, wanted: 6 | 7): boolean {
  return draft === 'hybrid' || draft >= wanted;
}

function isSchema(value: Value): boolean {
  return typeof value === 'boolean' || value instanceof RegoObject;
}

function invalidType(expected: string, given: string): BuiltinError {
  return new BuiltinError(`Invalid type. Expected: ${expected}, given: ${given}`);
}

class Checker {
  readonly references = new Map<string, Value>();
  private readonly root: Value;
  private readonly draft: Draft;
  private readonly checkPattern: (pattern: string) => void;
  private readonly ids = new Map<string, Value>();

  constructor(root: Value, draft: Draft, checkPattern: (pattern: string) => void) {
    this.root = root;
    this.draft = draft;
    this.checkPattern = checkPattern;
    this.collectIds(root);
  }

  check(schema: Value): void {
    if (typeof schema === 'boolean' && atLeast(this.draft, 6)) return;
    if (!(schema instanceof RegoObject)) throw new BuiltinError('Expected: Valid Schema, given: Invalid JSON');
    // Draft 6 renamed id to $id.
    const id = this.draft === 4 || (this.draft === 'hybrid' && schema.get('id') !== undefined) ? 'id' : '$id';
    for (const key of [id, 'title', 'description', '$ref', 'pattern', 'format']) text(schema, key);
    this.schemasIn(schema, 'definitions', () => invalidType('Array Of Schemas', 'definitions'));
    const reference = text(schema, '$ref');
    // What stands beside a reference does not count.
    if (reference !== undefined) {
      this.follow(reference);
      return;
    }
    checkTypes(schema.get('type'));
    this.objectKeywords(schema);
    this.arrayKeywords(schema);
    this.numberKeywords(schema);
    this.limits(schema);
    this.combinations(schema);
  }

  private follow(reference: string): void {
    if (this.references.has(reference)) return;
    const target = this.resolve(reference);
    if (!isSchema(target)) throw new BuiltinError('Valid Schema must be of type object');
    this.references.set(reference, target);
    this.check(target);
  }

  /** A name that some schema in the document has, then a JSON pointer. */
  private resolve(reference: string): Value {
    const named = this.ids.get(reference);
    if (named !== undefined) return named;
    const [base = '', pointer = ''] = reference.split('#');
    const start = base === '' ? this.root : (this.ids.get(base) ?? this.ids.get(`${base}#`));
    if (start === undefined) throw new BuiltinError(`reference ${reference}: remote schemas are not fetched`);
    if (pointer === '') return start;
    if (!pointer.startsWith('/')) throw new BuiltinError(`reference ${reference} leads nowhere`);
    const keys = pointer.slice(1).split('/');
    return keys.reduce<Value>((value, key) => {
      const name = decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~');
      const child = childAt(value, name);
      if (child === undefined) throw new BuiltinError(`Object has no key '${name}'`);
      return child;
    }, start);
  }

  private collectIds(value: Value): void {
    if (Array.isArray(value)) for (const item of value) this.collectIds(item);
    if (!(value instanceof RegoObject)) return;
    const id = value.get('id') ?? value.get('$id');
    if (typeof id === 'string' && id !== '') this.ids.set(id, value);
    for (const [, item] of value.entries) this.collectIds(item);
  }

  /** An object of schemas. */
  private schemasIn(schema: RegoObject, key: string, wrong: () => BuiltinError): void {
    const value = schema.get(key);
    if (value === undefined) return;
    if (!(value instanceof RegoObject)) throw wrong();
    for (const [, item] of value.entries) {
      if (key === 'definitions' && !isSchema(item)) throw wrong();
      this.check(item);
    }
  }

  private objectKeywords(schema: RegoObject): void {
    this.schemasIn(schema, 'properties', () => new BuiltinError('Properties must be of type object'));
    this.flagOrSchema(schema, 'additionalProperties');
    this.schemasIn(schema, 'patternProperties', () => invalidType('Valid Schema', 'patternProperties'));
    for (const [pattern] of entriesOf(schema.get('patternProperties'))) {
      this.pattern(pattern, `Invalid regex pattern '${pattern}'`);
    }
    const names = schema.get('propertyNames');
    if (names !== undefined && atLeast(this.draft, 6)) {
      if (!isSchema(names)) throw invalidType('Valid Schema', 'patternProperties');
      this.check(names);
    }
    const dependencies = schema.get('dependencies');
    if (dependencies === undefined) return;
    if (!(dependencies instanceof RegoObject)) throw new BuiltinError('dependencies must be of type object');
    for (const [, item] of dependencies.entries) {
      const isNames = Array.isArray(item) && item.every((name) => typeof name === 'string');
      if (!isNames && !isSchema(item)) throw new BuiltinError('Dependency must be of type Schema Or Array Of Strings');
      if (!isNames) this.check(item);
    }
  }

  private flagOrSchema(schema: RegoObject, key: string): void {
    const value = schema.get(key);
    if (value === undefined || typeof value === 'boolean') return;
    if (!(value instanceof RegoObject)) throw invalidType('boolean/Valid Schema', key);
    this.check(value);
  }

  private arrayKeywords(schema: RegoObject): void {
    const items = schema.get('items');
    if (items !== undefined) {
      const list = Array.isArray(items) ? items : [items];
      if (!list.every(isSchema)) throw invalidType('Valid Schema/Array Of Schemas', 'items');
      for (const item of list) this.check(item);
    }
    this.flagOrSchema(schema, 'additionalItems');
    const unique = schema.get('uniqueItems');
    if (unique !== undefined && typeof unique !== 'boolean') throw new BuiltinError('uniqueItems must be of a boolean');
    const contains = schema.get('contains');
    if (contains !== undefined && atLeast(this.draft, 6)) this.check(contains);
  }

  private numberKeywords(schema: RegoObject): void {
    const multiple = schema.get('multipleOf');
    if (multiple !== undefined) {
      const value = decimalOf(multiple);
      if (value === undefined) throw invalidType('Number', 'multipleOf');
      if (value.digits <= 0n) throw new BuiltinError('multipleOf must be strictly greater than 0');
    }
    for (const [bound, exclusive] of [
      ['minimum', 'exclusiveMinimum'],
      ['maximum', 'exclusiveMaximum'],
    ] as const) {
      const value = schema.get(bound);
      if (value !== undefined && decimalOf(value) === undefined) throw new BuiltinError(`${bound} must be of a Number`);
      this.exclusive(schema.get(exclusive), exclusive, value === undefined ? bound : undefined);
    }
  }

  /** A flag beside the bound in draft 4, a bound of its own since draft 6. */
  private exclusive(value: Value | undefined, key: string, missing: string | undefined): void {
    if (value === undefined) return;
    const isFlag = typeof value === 'boolean' && (this.draft === 4 || this.draft === 'hybrid');
    const isBound = decimalOf(value) !== undefined && this.draft !== 4;
    if (!isFlag && !isBound) {
      throw invalidType(this.draft === 4 ? 'boolean' : this.draft === 'hybrid' ? 'boolean/number' : 'number', key);
    }
    if (isFlag && missing !== undefined) throw new BuiltinError(`${key} cannot be used without ${missing}`);
  }

  private limits(schema: RegoObject): void {
    for (const kind of ['Length', 'Properties', 'Items']) {
      const [min, max] = [`min${kind}`, `max${kind}`].map((key) => count(schema.get(key), key));
      if (min === undefined || max === undefined || compareDecimals(min, max) <= 0) continue;
      if (kind !== 'Items') throw new BuiltinError(`min${kind} cannot be greater than max${kind}`);
    }
    const pattern = text(schema, 'pattern');
    if (pattern !== undefined) this.pattern(pattern, 'pattern must be a valid regex');
    const required = list(schema, 'required');
    if (!required.every((name) => typeof name === 'string')) throw invalidType('string', 'required');
    if (new Set(required).size < required.length) throw new BuiltinError('required items must be unique');
  }

  private pattern(pattern: string, wrong: string): void {
    try {
      this.checkPattern(pattern);
    } catch (error) {
      throw new BuiltinError(wrong, { cause: error });
    }
  }

  private combinations(schema: RegoObject): void {
    const values = list(schema, 'enum').map(withoutNumbers);
    if (new Set(values).size < values.length) throw new BuiltinError('enum items must be unique');
    for (const key of ['oneOf', 'anyOf', 'allOf']) for (const item of list(schema, key)) this.check(item);
    const keys = atLeast(this.draft, 7) ? ['not', 'if', 'then', 'else'] : ['not'];
    for (const key of keys) {
      const value = schema.get(key);
      if (value === undefined) continue;
      if (!isSchema(value)) throw new BuiltinError(`${key} must be of an object`);
      this.check(value);
    }
  }
}

function text(schema: RegoObject, key: string): string | undefined {
  const value = schema.get(key);
  if (value !== undefined && typeof value !== 'string') throw invalidType('string', key);
  return value;
}

function list(schema: RegoObject, key: string): readonly Value[] {
  const value = schema.get(key);
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new BuiltinError(`${key} must be of an array`);
  return value;
}

function count(value: Value | undefined, key: string): ReturnType<typeof decimalOf> {
  if (value === undefined) return undefined;
  const number = decimalOf(value);
  if (number === undefined || !isInteger(number)) throw new BuiltinError(`${key} must be of an integer`);
  if (number.digits < 0n) throw new BuiltinError(`${key} must be greater than or equal to 0`);
  return number;
}

function checkTypes(type: Value | undefined): void {
  if (type === undefined) return;
  if (typeof type !== 'string' && !Array.isArray(type)) throw invalidType('type', 'string/Array Of Strings');
  const seen = new Set<Value>();
  for (const name of Array.isArray(type) ? type : [type]) {
    if (typeof name !== 'string') throw invalidType('type', 'string/Array Of Strings');
    if (!TYPES.includes(name))
      throw new BuiltinError(
        `has a primitive type that is NOT VALID -- given: /${name}/ Expected valid values are:[${TYPES.join(' ')}]`,
      );
    if (seen.has(name)) throw new BuiltinError(`${name} type is duplicated`);
    seen.add(name);
  }
}

/** Members of an object by their names. */
export function entriesOf(value: Value | undefined): [string, Value][] {
  return value instanceof RegoObject ? value.entries.map(([key, item]) => [String(key), item]) : [];
}

/** JSON with every number as a float64 prints: values that are equal have the same. */
export function withoutNumbers(value: Value): string {
  return writeJson(normal(value));
}

function normal(value: Value): Value {
  if (Array.isArray(value)) return value.map(normal);
  if (value instanceof RegoObject) return new RegoObject(value.entries.map(([key, item]) => [key, normal(item)]));
  const number = decimalOf(value);
  return number === undefined ? value : Number(`${number.digits}e${number.exponent}`);
}
