// json.patch: RFC 6902 on Rego values, so that paths also lead into sets, by the member itself (OPA v1/topdown/json.go).
import { compareValues, integerOf, RegoObject, RegoSet, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { lookup } from './operands.ts';

type Path = readonly Value[];

/** The document after all operations. Throws a BuiltinError when one of them cannot be done. */
export function patch(document: Value, operations: readonly Value[]): Value {
  // Undefined once the root was removed.
  let current: Value | undefined = document;
  for (const operation of operations) {
    if (!(operation instanceof RegoObject)) throw new BuiltinError('must be an array of JSON-Patch objects');
    current = apply(current, operation);
  }
  if (current === undefined) throw new BuiltinError('the patch removed the document');
  return current;
}

function apply(document: Value | undefined, operation: RegoObject): Value | undefined {
  const path = pathOf(attribute(operation, 'path'));
  const name = attribute(operation, 'op');
  switch (name) {
    case 'add':
      return insert(document, path, attribute(operation, 'value'));
    case 'remove':
      return remove(document, path);
    case 'replace':
      return insert(remove(document, path), path, attribute(operation, 'value'));
    case 'move': {
      const from = pathOf(attribute(operation, 'from'));
      const moved = find(document, from);
      return insert(remove(document, from), path, moved);
    }
    case 'copy':
      return insert(document, path, find(document, pathOf(attribute(operation, 'from'))));
    case 'test':
      if (compareValues(find(document, path), attribute(operation, 'value')) !== 0)
        throw new BuiltinError('the tested value is another');
      return document;
    default:
      throw new BuiltinError(`unrecognized op: ${String(name)}`);
  }
}

function attribute(operation: RegoObject, name: string): Value {
  const value = operation.get(name);
  if (value === undefined) throw new BuiltinError(`missing required attribute '${name}'`);
  return value;
}

/** A JSON pointer, whose first slash may be missing, or an array of keys. */
function pathOf(path: Value): Path {
  if (Array.isArray(path)) return path;
  if (typeof path !== 'string') throw new BuiltinError('a path must be a string or an array');
  if (path === '') return [];
  return path
    .replace(/^\/+/, '')
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function find(document: Value | undefined, path: Path): Value {
  if (document === undefined) throw new BuiltinError('the document was removed');
  let value = document;
  for (const key of path) value = child(value, key);
  return value;
}

function child(value: Value, key: Value): Value {
  const found = childIn(value, key);
  return found === undefined ? missing(key) : found;
}

function childIn(value: Value, key: Value): Value | undefined {
  if (value instanceof RegoObject) return lookup(value, key);
  if (value instanceof RegoSet) return value.members.find((member) => compareValues(member, key) === 0);
  if (Array.isArray(value)) return value[position(key, value.length, value.length - 1)];
  throw new BuiltinError('a path leads through a value that has no members');
}

/** The child of an object or array, undefined where there is none. */
export function childAt(value: Value, key: string): Value | undefined {
  if (value instanceof RegoObject) return value.get(key);
  return Array.isArray(value) && /^(?:0|[1-9]\d*)$/.test(key) ? value[Number(key)] : undefined;
}

function missing(key: Value): never {
  throw new BuiltinError(`there is no ${typeof key === 'string' ? key : 'such member'}`);
}

/** Index in an array, `-` for its end; at most `most`. */
function position(key: Value, length: number, most: number): number {
  if (key === '-') return inside(length, most);
  if (typeof key === 'string') {
    if (!/^-?(0|[1-9]\d*)$/.test(key)) throw new BuiltinError('invalid string for indexing');
    return inside(Number(key), most);
  }
  const index = integerOf(key);
  if (index === undefined) throw new BuiltinError('invalid type for indexing');
  return inside(Number(index), most);
}

function inside(index: number, most: number): number {
  if (index < 0 || index > most) throw new BuiltinError('index for array out of bounds');
  return index;
}

/** `value` with the child at `path` replaced by what `change` makes of its parent and its key. */
function edit(value: Value | undefined, path: Path, change: (parent: Value, key: Value) => Value): Value {
  if (value === undefined) throw new BuiltinError('the document was removed');
  const [key, ...rest] = path as [Value, ...Value[]];
  if (rest.length === 0) return change(value, key);
  const edited = edit(child(value, key), rest, change);
  if (value instanceof RegoObject)
    return new RegoObject(value.entries.map(([name, item]) => [name, compareValues(name, key) === 0 ? edited : item]));
  if (value instanceof RegoSet)
    return new RegoSet(value.members.map((member) => (compareValues(member, key) === 0 ? edited : member)));
  return Array.isArray(value) ? value.with(position(key, value.length, value.length - 1), edited) : missing(key);
}

function insert(document: Value | undefined, path: Path, value: Value): Value {
  if (path.length === 0) return value;
  return edit(document, path, (parent, key) => {
    if (parent instanceof RegoObject)
      return new RegoObject([...parent.entries.filter(([name]) => compareValues(name, key) !== 0), [key, value]]);
    if (parent instanceof RegoSet) {
      if (compareValues(key, value) !== 0) throw new BuiltinError('the key in a set must be the value');
      return new RegoSet([...parent.members, value]);
    }
    if (Array.isArray(parent)) return parent.toSpliced(position(key, parent.length, parent.length), 0, value);
    throw new BuiltinError('a path leads into a value that has no members');
  });
}

function remove(document: Value | undefined, path: Path): Value | undefined {
  if (path.length === 0) {
    if (document === undefined) throw new BuiltinError('the document was removed');
    return undefined;
  }
  return edit(document, path, (parent, key) => {
    // Throws when there is nothing to remove.
    child(parent, key);
    if (parent instanceof RegoObject)
      return new RegoObject(parent.entries.filter(([name]) => compareValues(name, key) !== 0));
    if (parent instanceof RegoSet)
      return new RegoSet(parent.members.filter((member) => compareValues(member, key) !== 0));
    return Array.isArray(parent) ? parent.toSpliced(position(key, parent.length, parent.length - 1), 1) : missing(key);
  });
}
