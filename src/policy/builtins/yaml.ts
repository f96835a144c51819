// yaml.marshal, yaml.unmarshal and yaml.is_valid.
import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  Scalar,
  type YAMLMap,
} from 'yaml';
import { isNumber, numberText, RegoObject, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { resolvePlain } from './go-yaml-scalar.ts';
import { writeYaml } from './go-yaml-write.ts';
import { operand, stringOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const YAML: Readonly<Record<string, Builtin>> = {
  'yaml.marshal': (args) => writeYaml(operand(args, 1)),
  'yaml.unmarshal': (args) => readYaml(stringOperand(args, 1)),
  'yaml.is_valid': ([text]) => typeof text === 'string' && isValid(text),
};

function isValid(text: string): boolean {
  try {
    readYaml(text);
    return true;
  } catch (error) {
    if (error instanceof BuiltinError) return false;
    throw error;
  }
}

/** The first document of the stream; the others must be well formed, too. */
function readYaml(text: string): Value {
  // failsafe: every scalar is its text, and what it means is for resolvePlain to say.
  const documents = parseAllDocuments(text, { schema: 'failsafe', uniqueKeys: false, logLevel: 'silent' });
  if (!Array.isArray(documents)) return null;
  const broken = documents.flatMap((document) => document.errors).at(0);
  if (broken !== undefined) throw new BuiltinError(`yaml: ${broken.message}`);
  // go-yaml reads YAML 1.1 and says so when asked for another.
  if (documents.some(({ directives }) => directives?.yaml.explicit === true && directives.yaml.version !== '1.1'))
    throw new BuiltinError('yaml: found incompatible YAML document');
  const contents = documents[0]?.contents ?? null;
  return contents === null ? null : new Reader(text).value(contents).value;
}

interface Read {
  readonly value: Value;
  /** Nodes in it, those behind aliases counted each time. */
  readonly size: number;
}

/** A few lines of aliases of aliases are more nodes than there is memory for. */
const MAX_NODES = 1_000_000;

class Reader {
  private readonly text: string;
  /** Nodes by the name of their anchor; a later one of the same name takes its place. */
  private readonly anchors = new Map<string, Node>();
  private readonly known = new Map<Node, Read>();

  constructor(text: string) {
    this.text = text;
  }

  value(node: unknown): Read {
    if (isAlias(node)) return this.alias(node);
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return { value: null, size: 1 };
    if (node.anchor !== undefined) this.anchors.set(node.anchor, node);
    const read = isScalar(node)
      ? { value: scalar(node, this.text), size: 1 }
      : isSeq(node)
        ? this.list(node.items)
        : this.map(node);
    if (read.size > MAX_NODES) throw new BuiltinError('yaml: document contains excessive aliasing');
    this.known.set(node, read);
    return read;
  }

  private alias(alias: Alias): Read {
    const target = this.anchors.get(alias.source);
    if (target === undefined) throw new BuiltinError(`yaml: unknown anchor '${alias.source}' referenced`);
    const read = this.known.get(target);
    if (read === undefined) throw new BuiltinError(`yaml: anchor '${alias.source}' value contains itself`);
    return read;
  }

  private list(items: readonly unknown[]): Read {
    const read = items.map((item) => this.value(item));
    return { value: read.map(({ value }) => value), size: sizeOf(read) };
  }

  private map(map: YAMLMap): Read {
    const own = new Map<string, Read>();
    const merged: Read[] = [];
    for (const { key, value } of map.items as Pair[]) {
      if (isMerge(key)) merged.push(this.value(value));
      else own.set(keyText(this.value(key).value), this.value(value));
    }
    const entries = new Map<string, Value>();
    // What stands in the mapping itself comes before what is merged, and earlier merges before later ones.
    for (const { value } of merged.reverse()) for (const [name, item] of mergeEntries(value)) entries.set(name, item);
    for (const [name, { value }] of own) entries.set(name, value);
    return { value: new RegoObject(entries), size: sizeOf([...own.values(), ...merged]) };
  }
}

function sizeOf(read: readonly Read[]): number {
  return read.reduce((sum, { size }) => sum + size, 1);
}

function isMerge(key: unknown): boolean {
  return isScalar(key) && key.type === Scalar.PLAIN && key.tag === undefined && key.source === '<<';
}

function mergeEntries(value: Value): (readonly [string, Value])[] {
  if (Array.isArray(value)) return value.toReversed().flatMap(mergeEntries);
  if (!(value instanceof RegoObject))
    throw new BuiltinError('yaml: map merge requires map or sequence of maps as the value');
  return value.entries.map(([name, item]) => [String(name), item]);
}

const TAG = 'tag:yaml.org,2002:';

function scalar(node: Scalar, source: string): Value {
  if (node.value instanceof Uint8Array) return Buffer.from(node.value).toString('utf8');
  const text = endsOpen(node, source) ? String(node.value).replace(/\n$/, '') : String(node.value ?? '');
  const tag = node.tag?.startsWith(TAG) ? node.tag.slice(TAG.length) : node.tag;
  if (tag === undefined) return node.type === Scalar.PLAIN ? resolvePlain(text) : text;
  if (!['bool', 'int', 'float', 'null'].includes(tag)) return text;
  const value = resolvePlain(text);
  if (!fitsTag(value, tag)) throw new BuiltinError(`yaml: cannot decode ${text} as a !!${tag}`);
  return value;
}

/** A block (| or >) whose last line ends with the source: go-yaml gives it no line break that is not there. */
function endsOpen({ type, range }: Scalar, source: string): boolean {
  const isBlock = type === Scalar.BLOCK_LITERAL || type === Scalar.BLOCK_FOLDED;
  return isBlock && range?.[1] === source.length && !/[\r\n]$/.test(source);
}

function fitsTag(value: Value, tag: string): boolean {
  if (tag === 'bool') return typeof value === 'boolean';
  if (tag === 'null') return value === null;
  return isNumber(value) && (tag === 'float' || /^-?\d+$/.test(numberText(value)));
}

/** JSON has only strings for keys. */
function keyText(key: Value): string {
  if (typeof key === 'string') return key;
  if (typeof key === 'boolean') return String(key);
  if (key !== null && isNumber(key)) return numberText(key);
  throw new BuiltinError('yaml: unsupported map key');
}
