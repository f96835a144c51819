// object.subset and the casts.
import { compareValues, RegoObject, RegoSet, typeName, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { operand } from './operands.ts';
import type { Builtin } from './types.ts';

export const OBJECTS: Readonly<Record<string, Builtin>> = {
  'object.subset': (args) => subset(operand(args, 1), operand(args, 2)),
  cast_array: ([value]) => (value instanceof RegoSet ? [...value.members] : cast(value, 'array')),
  cast_set: ([value]) => (Array.isArray(value) ? new RegoSet(value) : cast(value, 'set')),
  cast_string: ([value]) => cast(value, 'string'),
  cast_boolean: ([value]) => cast(value, 'boolean'),
  cast_null: ([value]) => cast(value, 'null'),
  cast_object: ([value]) => cast(value, 'object'),
};

function cast(value: Value | undefined, type: string): Value {
  if (value === undefined || typeName(value) !== type) throw new BuiltinError(`operand 1 must be ${type}`);
  return value;
}

function equal(a: Value, b: Value): boolean {
  return compareValues(a, b) === 0;
}

/** OPA v1/topdown/subset.go: objects recurse, a set may be looked for in an array, arrays match a contiguous run. */
function subset(whole: Value, part: Value): boolean {
  if (whole instanceof RegoObject && part instanceof RegoObject) return objectSubset(whole, part);
  if (whole instanceof RegoSet && part instanceof RegoSet) return hasAll(whole.members, part.members);
  if (Array.isArray(whole) && Array.isArray(part)) return arraySubset(whole, part);
  if (Array.isArray(whole) && part instanceof RegoSet) return arrayHasSet(whole, part);
  throw new BuiltinError('both arguments object.subset must be of the same type or array and set');
}

function objectSubset(whole: RegoObject, part: RegoObject): boolean {
  return part.entries.every(([key, wanted]) => {
    const entry = whole.entries.find(([candidate]) => equal(candidate, key));
    if (entry === undefined) return false;
    const [, found] = entry;
    if (equal(found, wanted)) return true;
    const sameKind =
      (found instanceof RegoObject && wanted instanceof RegoObject) ||
      (found instanceof RegoSet && wanted instanceof RegoSet) ||
      (Array.isArray(found) && Array.isArray(wanted));
    return sameKind && subset(found, wanted);
  });
}

function hasAll(members: readonly Value[], wanted: readonly Value[]): boolean {
  return wanted.every((member) => members.some((candidate) => equal(candidate, member)));
}

/**
 * OPA counts members of the array that the set has, repeated ones again, and a set in an empty array is never found.
 */
function arrayHasSet(whole: readonly Value[], part: RegoSet): boolean {
  const found = whole.filter((item) => part.members.some((member) => equal(member, item))).length;
  return whole.length > 0 && found >= part.members.length;
}

function arraySubset(whole: readonly Value[], part: readonly Value[]): boolean {
  return (
    whole.some(
      (_, start) =>
        part.length <= whole.length - start && part.every((item, i) => equal(whole[start + i] ?? null, item)),
    ) || part.length === 0
  );
}
