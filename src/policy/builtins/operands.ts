// Checks of a built-in's arguments, in the words of OPA's own.
import { compareValues, integerOf, isNumber, RegoObject, RegoSet, typeName, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';

function mistyped(position: number, expected: string, value: Value | undefined): BuiltinError {
  const got = value === undefined ? 'nothing' : typeName(value);
  return new BuiltinError(`operand ${position} must be ${expected} but got ${got}`);
}

/** Argument number `position`, counted from 1. */
export function operand(args: readonly Value[], position: number): Value {
  const value = args[position - 1];
  if (value === undefined) throw mistyped(position, 'given', value);
  return value;
}

export function stringOperand(args: readonly Value[], position: number): string {
  const value = args[position - 1];
  if (typeof value !== 'string') throw mistyped(position, 'string', value);
  return value;
}

export function arrayOperand(args: readonly Value[], position: number): readonly Value[] {
  const value = args[position - 1];
  if (!Array.isArray(value)) throw mistyped(position, 'array', value);
  return value;
}

export function objectOperand(args: readonly Value[], position: number): RegoObject {
  const value = args[position - 1];
  if (!(value instanceof RegoObject)) throw mistyped(position, 'object', value);
  return value;
}

/** The members of an array or a set. */
export function membersOperand(args: readonly Value[], position: number): readonly Value[] {
  const value = args[position - 1];
  if (value instanceof RegoSet) return value.members;
  if (!Array.isArray(value)) throw mistyped(position, 'one of {array, set}', value);
  return value;
}

/** The value of a key that may be any value. */
export function lookup(object: RegoObject, key: Value): Value | undefined {
  return object.entries.find(([candidate]) => compareValues(candidate, key) === 0)?.[1];
}

export function integerOperand(args: readonly Value[], position: number): bigint {
  const value = args[position - 1];
  const integer = value === undefined || !isNumber(value) ? undefined : integerOf(value);
  if (integer === undefined) throw mistyped(position, 'integer', value);
  return integer;
}

/** A string, or the strings of an array or set. */
export function stringsOperand(args: readonly Value[], position: number): readonly string[] {
  const value = args[position - 1];
  if (typeof value === 'string') return [value];
  const members = Array.isArray(value) ? value : value instanceof RegoSet ? value.members : undefined;
  if (members === undefined) throw mistyped(position, 'string, set or array', value);
  return members.map((member) => {
    if (typeof member !== 'string') throw mistyped(position, 'a collection of strings', member);
    return member;
  });
}
