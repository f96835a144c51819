// json.remove and json.filter: OPA's module stops at a path of no segments, which OPA itself skips (v1/topdown/json.go).
import { integerOf, isNumber, numberText, RegoObject, RegoSet, typeName, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { membersOperand, objectOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const JSON_PATHS: Readonly<Record<string, Builtin>> = {
  'json.remove': (args) => without(objectOperand(args, 1), pathsOf(args)) ?? new RegoObject([]),
  'json.filter': (args) => only(objectOperand(args, 1), pathsOf(args)),
};

/** Below a key of a path: further keys, or `ends` where the path ends. */
type Below = Paths | 'ends';

/** Paths by their first segment. */
class Paths {
  readonly #below = new Map<string, Below>();

  get(segment: Value): Below | undefined {
    return this.#below.get(keyOf(segment));
  }

  /** What is below a path that ended earlier is dropped, whichever came first. */
  add(path: readonly Value[]): void {
    const last = path.at(-1);
    if (last === undefined) return;
    let node: Paths = this;
    for (const segment of path.slice(0, -1)) {
      const below = node.get(segment);
      if (below === 'ends') return;
      const next = below ?? new Paths();
      if (below === undefined) node.#below.set(keyOf(segment), next);
      node = next;
    }
    node.#below.set(keyOf(last), 'ends');
  }
}

/** The same for values that are equal, and only for them: any value may be a segment. */
function keyOf(value: Value): string {
  if (typeof value === 'string') return `"${value}`;
  if (value === null || typeof value === 'boolean') return String(value);
  if (isNumber(value)) return `#${integerOf(value) ?? Number(numberText(value))}`;
  const [mark, items] = Array.isArray(value)
    ? ['[', value]
    : value instanceof RegoSet
      ? ['{', value.members]
      : ['(', value.entries.flat()];
  const keys = items.map(keyOf);
  return mark + keys.map((key) => `${key.length}:${key}`).join('');
}

function pathsOf(args: readonly Value[]): Paths {
  const paths = new Paths();
  for (const path of membersOperand(args, 2)) paths.add(segmentsOf(path));
  return paths;
}

/** A path is a list of segments, or a text that parts them as a JSON pointer does. */
function segmentsOf(path: Value): readonly Value[] {
  if (Array.isArray(path)) return path;
  if (typeof path !== 'string') {
    throw new BuiltinError(
      `operand 2 must be one of {set, array} containing string paths or array of path segments but got ${typeName(path)}`,
    );
  }
  if (path === '') return [];
  const parts = path.replace(/^\/+/, '').split('/');
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The value without what the paths lead to; undefined when one ends here. Items of arrays move up. */
function without(value: Value, paths: Below | undefined): Value | undefined {
  if (paths === undefined) return value;
  if (paths === 'ends') return undefined;
  if (Array.isArray(value)) return kept(value, (item, i) => without(item, paths.get(String(i))));
  if (value instanceof RegoSet) return new RegoSet(kept(value.members, (item) => without(item, paths.get(item))));
  if (!(value instanceof RegoObject)) return value;
  return members(value, (key, item) => without(item, paths.get(key)));
}

/** Only what the paths lead to. */
function only(value: Value, paths: Below): Value {
  if (paths === 'ends') return value;
  const below = (item: Value, key: Value): Value | undefined => {
    const further = paths.get(key);
    return further === undefined ? undefined : only(item, further);
  };
  if (Array.isArray(value)) return kept(value, (item, i) => below(item, String(i)));
  if (value instanceof RegoSet) return new RegoSet(kept(value.members, (item) => below(item, item)));
  if (!(value instanceof RegoObject)) return value;
  return members(value, (key, item) => below(item, key));
}

function kept(items: readonly Value[], keep: (item: Value, index: number) => Value | undefined): Value[] {
  return items.map(keep).filter((item) => item !== undefined);
}

function members(object: RegoObject, keep: (key: Value, item: Value) => Value | undefined): RegoObject {
  return new RegoObject(
    object.entries.flatMap(([key, item]) => {
      const left = keep(key, item);
      return left === undefined ? [] : [[key, left] as const];
    }),
  );
}
