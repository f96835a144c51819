// A METADATA comment as YAML whose nodes still know their line in the Rego file, so that a wrong key is refused where
// it stands.
import { isMap, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from 'yaml';
import { SealgateError } from '../lib/errors.ts';
import { nearestName } from '../lib/nearest.ts';

/** One value of the block. */
export class YamlValue {
  private readonly node: Node | null;
  private readonly lineOf: (node: Node | null) => number;
  readonly file: string;
  /** How messages call it, for example `custom.match.kinds`. */
  readonly name: string;

  constructor(node: Node | null, name: string, file: string, lineOf: (node: Node | null) => number) {
    this.node = node;
    this.name = name;
    this.file = file;
    this.lineOf = lineOf;
  }

  get line(): number {
    return this.lineOf(this.node);
  }

  fail(problem: string): never {
    throw new SealgateError('POLICY_INVALID', `${this.file}:${this.line}: ${problem}`);
  }

  /** The entries of a map whose keys must be among `known`; `what` is how the message calls such a key. */
  fields(known: readonly string[], what: string): Map<string, YamlValue> {
    const fields = this.entries();
    for (const key of fields.keys()) {
      if (known.includes(key)) continue;
      const probable = nearestName(key, known);
      const hint = probable === undefined ? `known: ${known.join(', ')}` : `did you mean "${probable}"?`;
      this.keyValue(key).fail(`unknown ${what} "${key}"; ${hint}`);
    }
    return fields;
  }

  entries(): Map<string, YamlValue> {
    const node = this.node;
    if (!isMap(node)) this.fail(`${this.name} must be a map`);
    const entries = new Map<string, YamlValue>();
    for (const { key, value } of node.items) {
      if (!isScalar(key)) this.fail(`${this.name} has a key that is not a word`);
      const keyName = String(key.value);
      // A value that is missing altogether stands on its key's line.
      entries.set(keyName, new YamlValue((value ?? key) as Node, this.child(keyName), this.file, this.lineOf));
    }
    return entries;
  }

  private keyValue(key: string): YamlValue {
    const pair = isMap(this.node)
      ? this.node.items.find((item) => isScalar(item.key) && String(item.key.value) === key)
      : undefined;
    return new YamlValue((pair?.key ?? this.node) as Node | null, key, this.file, this.lineOf);
  }

  private child(key: string): string {
    return this.name === '' ? key : `${this.name}.${key}`;
  }

  isMap(): boolean {
    return isMap(this.node);
  }

  items(): YamlValue[] {
    const node = this.node;
    if (!isSeq(node)) this.fail(`${this.name} must be a list`);
    if (node.items.length === 0) this.fail(`${this.name} is empty: leave it out to match everything`);
    return node.items.map((item) => new YamlValue(item as Node, this.name, this.file, this.lineOf));
  }

  text(): string {
    const value = isScalar(this.node) ? this.node.value : undefined;
    if (typeof value !== 'string') this.fail(`${this.name} must be text`);
    return value;
  }

  /** A list of texts, or one text that stands for a list of one. */
  texts(): string[] {
    return isScalar(this.node) ? [this.text()] : this.items().map((item) => item.text());
  }

  oneOf<T extends string>(allowed: readonly T[]): T {
    const value = this.text();
    const found = allowed.find((candidate) => candidate === value);
    if (found !== undefined) return found;
    const probable = nearestName(value, allowed);
    this.fail(
      `${this.name} is "${value}"; ${probable === undefined ? '' : `did you mean "${probable}"? `}allowed: ${allowed.join(', ')}`,
    );
  }
}

/** Parses the comment lines of a METADATA block; `row` is the line of `# METADATA`. */
export function parseMetadata(comment: string, file: string, row: number): YamlValue {
  const yaml = comment
    .split('\n')
    .slice(1)
    .map((line) => line.trimStart().replace(/^#/, ''))
    .join('\n');
  const counter = new LineCounter();
  const document = parseDocument<ParsedNode>(yaml, { lineCounter: counter, uniqueKeys: true });
  const lineOf = (node: Node | null): number => {
    const offset = node?.range?.[0];
    return offset === undefined ? row : row + counter.linePos(offset).line;
  };
  const [problem] = document.errors;
  if (problem !== undefined) {
    const line = row + counter.linePos(problem.pos[0]).line;
    throw new SealgateError(
      'POLICY_INVALID',
      `${file}:${line}: METADATA is not YAML: ${problem.message.split('\n')[0]}`,
    );
  }
  return new YamlValue(document.contents, '', file, lineOf);
}
