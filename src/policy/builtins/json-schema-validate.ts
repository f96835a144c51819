// Validates a document by a JSON Schema that was checked, with the errors that OPA's library gives, in its order
// (internal/gojsonschema/validation.go); objects are gone through in the order of their keys.
import { isNumber, RegoObject, typeName, type Value } from '../terms.ts';
import { compareDecimals, type Decimal, decimalOf, isInteger, isMultiple } from './decimal.ts';
import { formatMagnitude } from './go-float.ts';
import { atLeast, entriesOf, type Schema, withoutNumbers } from './json-schema-check.ts';
import { isFormat } from './json-schema-format.ts';

export interface SchemaError {
  /** Path of the value, (Root) for the document. */
  readonly field: string;
  readonly type: string;
  readonly description: string;
}

/** Whether the text matches the expression somewhere. */
export type Matches = (pattern: string, text: string) => boolean;

export function validate(schema: Schema, document: Value, matches: Matches): readonly SchemaError[] {
  return new Validator(schema, matches).validate(schema.root, document, []).errors;
}

type Path = readonly string[];

/** Errors, and how near the value came: of schemas that fail, the nearest one explains why. */
class Result {
  readonly errors: SchemaError[] = [];
  score = 0;

  get valid(): boolean {
    return this.errors.length === 0;
  }

  add(path: Path, type: string, description: string): void {
    this.errors.push({ field: path.length === 0 ? '(Root)' : path.join('.'), type, description });
    this.score -= 2;
  }

  merge(other: Result): void {
    this.errors.push(...other.errors);
    this.score += other.score;
  }
}

class Validator {
  private readonly schema: Schema;
  private readonly matches: Matches;

  constructor(schema: Schema, matches: Matches) {
    this.schema = schema;
    this.matches = matches;
  }

  validate(schema: Value, value: Value, path: Path): Result {
    const result = new Result();
    this.into(result, schema, value, path);
    return result;
  }

  private into(result: Result, schema: Value, value: Value, path: Path): void {
    if (schema === false) result.add(path, 'false', 'False always fails validation');
    if (!(schema instanceof RegoObject)) return;
    const reference = schema.get('$ref');
    if (typeof reference === 'string') {
      this.into(result, this.schema.references.get(reference) ?? true, value, path);
      return;
    }
    if (!hasType(schema, value, result, path)) return;
    this.combined(result, schema, value, path);
    if (Array.isArray(value)) this.array(result, schema, value, path);
    if (value instanceof RegoObject) this.object(result, schema, value, path);
    this.number(result, schema, value, path);
    this.common(result, schema, value, path);
    if (typeof value === 'string') this.text(result, schema, value, path);
    if (value instanceof RegoObject) {
      for (const [name, property] of entriesOf(schema.get('properties'))) {
        const item = value.get(name);
        if (item !== undefined) this.into(result, property, item, [...path, name]);
      }
    }
    result.score++;
  }

  private combined(result: Result, schema: RegoObject, value: Value, path: Path): void {
    const { anyOf, oneOf, allOf } = {
      anyOf: listOf(schema, 'anyOf'),
      oneOf: listOf(schema, 'oneOf'),
      allOf: listOf(schema, 'allOf'),
    };
    if (anyOf.length > 0) {
      const results = anyOf.map((one) => this.validate(one, value, path));
      if (!results.some(({ valid }) => valid)) {
        result.add(path, 'number_any_of', 'Must validate at least one schema (anyOf)');
        result.merge(best(results));
      }
    }
    if (oneOf.length > 0) {
      const results = oneOf.map((one) => this.validate(one, value, path));
      const count = results.filter(({ valid }) => valid).length;
      if (count !== 1) result.add(path, 'number_one_of', 'Must validate one and only one schema (oneOf)');
      if (count === 0) result.merge(best(results));
    }
    const all = allOf.map((one) => this.validate(one, value, path));
    for (const one of all) result.merge(one);
    if (!all.every(({ valid }) => valid)) result.add(path, 'number_all_of', 'Must validate all the schemas (allOf)');
    const not = schema.get('not');
    if (not !== undefined && this.validate(not, value, path).valid)
      result.add(path, 'number_not', 'Must not validate the schema (not)');
    this.dependencies(result, schema, value, path);
    if (atLeast(this.schema.draft, 7)) this.conditions(result, schema, value, path);
    result.score++;
  }

  private dependencies(result: Result, schema: RegoObject, value: Value, path: Path): void {
    if (!(value instanceof RegoObject)) return;
    for (const [name, dependency] of entriesOf(schema.get('dependencies'))) {
      if (value.get(name) === undefined) continue;
      if (!Array.isArray(dependency)) {
        this.into(result, dependency, value, path);
        continue;
      }
      for (const wanted of dependency.map(String)) {
        if (value.get(wanted) === undefined) result.add(path, 'missing_dependency', `Has a dependency on ${wanted}`);
      }
    }
  }

  private conditions(result: Result, schema: RegoObject, value: Value, path: Path): void {
    const condition = schema.get('if');
    if (condition === undefined) return;
    const holds = this.validate(condition, value, path).valid;
    const branch = schema.get(holds ? 'then' : 'else');
    if (branch === undefined) return;
    const outcome = this.validate(branch, value, path);
    if (outcome.valid) return;
    if (holds) result.add(path, 'condition_then', 'Must validate "then" as "if" was valid');
    else result.add(path, 'condition_else', 'Must validate "else" as "if" was not valid');
    result.merge(outcome);
  }

  private common(result: Result, schema: RegoObject, value: Value, path: Path): void {
    const field = path.length === 0 ? '(Root)' : path.join('.');
    const constant = schema.get('const');
    if (constant !== undefined && atLeast(this.schema.draft, 6)) {
      const allowed = withoutNumbers(constant);
      if (allowed !== withoutNumbers(value)) result.add(path, 'const', `${field} does not match: ${allowed}`);
    }
    const values = schema.get('enum');
    if (Array.isArray(values)) {
      const allowed = values.map(withoutNumbers);
      if (!allowed.includes(withoutNumbers(value)))
        result.add(path, 'enum', `${field} must be one of the following: ${allowed.join(', ')}`);
    }
    const format = schema.get('format');
    if (typeof format === 'string' && typeof value === 'string' && !isFormat(format, value))
      result.add(path, 'format', `Does not match format '${format}'`);
    result.score++;
  }

  private array(result: Result, schema: RegoObject, value: readonly Value[], path: Path): void {
    this.items(result, schema, value, path);
    const [min, max] = [limit(schema, 'minItems'), limit(schema, 'maxItems')];
    if (value.length < (min ?? 0)) result.add(path, 'array_min_items', `Array must have at least ${min} items`);
    if (value.length > (max ?? value.length))
      result.add(path, 'array_max_items', `Array must have at most ${max} items`);
    if (schema.get('uniqueItems') === true) {
      const seen = new Map<string, number>();
      value.forEach((item, j) => {
        const text = withoutNumbers(item);
        const i = seen.get(text);
        if (i !== undefined) result.add(path, 'unique', `array items[${i},${j}] must be unique`);
        seen.set(text, j);
      });
    }
    const contains = schema.get('contains');
    if (contains !== undefined && atLeast(this.schema.draft, 6)) {
      const results = value.map((item, i) => this.validate(contains, item, [...path, String(i)]));
      if (!results.some(({ valid }) => valid)) {
        result.add(path, 'contains', 'At least one of the items must match');
        if (results.length > 0) result.merge(best(results));
      }
    }
    result.score++;
  }

  private items(result: Result, schema: RegoObject, value: readonly Value[], path: Path): void {
    const items = schema.get('items');
    const list = Array.isArray(items) ? items : undefined;
    const rest = schema.get('additionalItems');
    value.forEach((item, i) => {
      const one =
        list === undefined ? items : i < list.length ? list[i] : rest instanceof RegoObject ? rest : undefined;
      if (one !== undefined && (list === undefined || list.length > 0))
        result.merge(this.validate(one, item, [...path, String(i)]));
    });
    if (list !== undefined && list.length > 0 && list.length < value.length && rest === false)
      result.add(path, 'array_no_additional_items', 'No additional items allowed on array');
  }

  private object(result: Result, schema: RegoObject, value: RegoObject, path: Path): void {
    const count = value.entries.length;
    const [min, max] = [limit(schema, 'minProperties'), limit(schema, 'maxProperties')];
    if (count < (min ?? 0)) result.add(path, 'array_min_properties', `Must have at least ${min} properties`);
    if (count > (max ?? count)) result.add(path, 'array_max_properties', `Must have at most ${max} properties`);
    for (const name of listOf(schema, 'required').map(String)) {
      if (value.get(name) === undefined) result.add(path, 'required', `${name} is required`);
      else result.score++;
    }
    for (const [name, item] of entriesOf(value)) this.property(result, schema, { name, item }, path);
    const names = schema.get('propertyNames');
    if (names !== undefined && atLeast(this.schema.draft, 6)) {
      for (const [name] of entriesOf(value)) {
        const outcome = this.validate(names, name, path);
        if (outcome.valid) continue;
        result.add(path, 'invalid_property_name', `Property name of "${name}" does not match`);
        result.merge(outcome);
      }
    }
    result.score++;
  }

  /** What patternProperties and additionalProperties say of one property. */
  private property(
    result: Result,
    schema: RegoObject,
    { name, item }: { readonly name: string; readonly item: Value },
    path: Path,
  ): void {
    const patterns = entriesOf(schema.get('patternProperties')).filter(([pattern]) => this.matches(pattern, name));
    for (const [, one] of patterns) result.merge(this.validate(one, item, [...path, name]));
    if (patterns.length > 0) result.score++;
    if (patterns.length > 0 || entriesOf(schema.get('properties')).some(([known]) => known === name)) return;
    const rest = schema.get('additionalProperties');
    if (rest === false)
      result.add(path, 'additional_property_not_allowed', `Additional property ${name} is not allowed`);
    else if (rest !== undefined) result.merge(this.validate(rest, item, [...path, name]));
  }

  private text(result: Result, schema: RegoObject, value: string, path: Path): void {
    const length = [...value].length;
    const [min, max] = [limit(schema, 'minLength'), limit(schema, 'maxLength')];
    if (length < (min ?? 0)) result.add(path, 'string_gte', `String length must be greater than or equal to ${min}`);
    if (length > (max ?? length)) result.add(path, 'string_lte', `String length must be less than or equal to ${max}`);
    const pattern = schema.get('pattern');
    if (typeof pattern === 'string' && !this.matches(pattern, value))
      result.add(path, 'pattern', `Does not match pattern '${pattern}'`);
    result.score++;
  }

  private number(result: Result, schema: RegoObject, value: Value, path: Path): void {
    const number = decimalOf(value);
    if (number === undefined) return;
    const multiple = boundOf(schema, 'multipleOf');
    if (multiple !== undefined && !isMultiple(number, multiple))
      result.add(path, 'multiple_of', `Must be a multiple of ${print(multiple)}`);
    for (const { key, exclusive, sign, names } of BOUNDS) {
      const bound = boundOf(schema, key);
      const isExclusive = schema.get(exclusive) === true;
      if (bound !== undefined && !isExclusive && compareDecimals(number, bound) * sign > 0)
        result.add(path, names.inclusive, `Must be ${names.word} than or equal to ${print(bound)}`);
      const strict = isExclusive ? bound : boundOf(schema, exclusive);
      if (strict !== undefined && compareDecimals(number, strict) * sign >= 0)
        result.add(path, names.exclusive, `Must be ${names.word} than ${print(strict)}`);
    }
    result.score++;
  }
}

const BOUNDS = [
  {
    key: 'maximum',
    exclusive: 'exclusiveMaximum',
    sign: 1,
    names: { inclusive: 'number_lte', exclusive: 'number_lt', word: 'less' },
  },
  {
    key: 'minimum',
    exclusive: 'exclusiveMinimum',
    sign: -1,
    names: { inclusive: 'number_gte', exclusive: 'number_gt', word: 'greater' },
  },
] as const;

function hasType(schema: RegoObject, value: Value, result: Result, path: Path): boolean {
  const type = schema.get('type');
  if (type === undefined) return true;
  const types = Array.isArray(type) ? type : [type];
  const number = decimalOf(value);
  const given = number === undefined ? typeName(value) : isInteger(number) ? 'integer' : 'number';
  if (types.length === 0 || types.includes(given) || (isNumber(value) && types.includes('number'))) return true;
  const expected = types.length > 1 ? `[${types.join(',')}]` : String(types[0]);
  result.add(path, 'invalid_type', `Invalid type. Expected: ${expected}, given: ${given}`);
  return false;
}

function best(results: readonly Result[]): Result {
  return results.reduce((nearest, one) => (one.score > nearest.score ? one : nearest));
}

function listOf(schema: RegoObject, key: string): readonly Value[] {
  const value = schema.get(key);
  return Array.isArray(value) ? value : [];
}

function limit(schema: RegoObject, key: string): number | undefined {
  const number = decimalOf(schema.get(key) ?? null);
  return number === undefined ? undefined : Number(`${number.digits}e${number.exponent}`);
}

function boundOf(schema: RegoObject, key: string): Decimal | undefined {
  return decimalOf(schema.get(key) ?? null);
}

/** As Go prints a big.Float. */
function print(value: Decimal): string {
  const float = Number(`${value.digits}e${value.exponent}`);
  return (float < 0 ? '-' : '') + formatMagnitude(float, 'g', -1);
}
