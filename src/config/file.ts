// The settings file: YAML 1.2, of which JSON is a part. Keeps the line of every value, so that a message can name it.
import { isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { isTree, nameOf, type Source } from './source.ts';

/** Reads the text of a settings file; `name` is how messages call it. Never throws: what is wrong is in `problems`. */
export function readFileSource(name: string, text: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const line = (offset: number) => lines.linePos(offset).line;
  const locate = (path: readonly string[]) => {
    const offset = offsetOf(document.contents, path);
    return `${name}${offset === undefined ? '' : `:${line(offset)}`}: ${nameOf(path) || 'the whole file'}`;
  };
  const broken = [...document.errors, ...document.warnings].map(
    (error) => `${name}:${line(error.pos[0])}: not valid YAML: ${error.message}`,
  );
  if (broken.length > 0) return { tree: {}, locate, problems: broken };
  let tree: unknown;
  try {
    tree = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch {
    return { tree: {}, locate, problems: [`${name}: has too many aliases`] };
  }
  if (!isTree(tree)) {
    return {
      tree: {},
      locate,
      problems: [`${name}: holds no settings; it must be a mapping such as \`admission: {port: 8443}\``],
    };
  }
  return { tree: withoutEmpty(tree), locate, problems: [] };
}

/** Offset of the key at the end of the path, or of the deepest one that the file has. */
function offsetOf(contents: Node | null, path: readonly string[]): number | undefined {
  let node: unknown = contents;
  let offset: number | undefined;
  for (const key of path) {
    if (isSeq(node)) {
      node = node.items[Number(key)];
      if (isNode(node)) offset = node.range?.[0] ?? offset;
      continue;
    }
    if (!isMap(node)) break;
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
    if (pair === undefined || !isScalar(pair.key)) break;
    offset = pair.key.range?.[0] ?? offset;
    node = pair.value;
  }
  return offset;
}

/** `admission:` with nothing behind it is a section left empty, or a setting left as it is: neither says anything. */
function withoutEmpty(tree: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(tree).filter(([, value]) => value !== null);
  return Object.fromEntries(kept.map(([key, value]) => [key, isTree(value) ? withoutEmpty(value) : value]));
}
