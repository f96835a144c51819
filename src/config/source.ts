// Settings as one source gives them (a file, the environment, flags) before they are checked, and how to say where one stands.

export interface Tree {
  [key: string]: unknown;
}

export interface Source {
  /** What was given, in the shape of the schema; only what was given. */
  readonly tree: Tree;
  /** How a message calls the place of a value: `sealgate.yaml:12: admission.port`, `SEALGATE_ADMISSION_PORT`, `--admission-port`. */
  readonly locate: (path: readonly string[]) => string;
  /** What could not even be read, each a whole message. */
  readonly problems: readonly string[];
}

/** Puts a value at a path of the tree, making what is above it. */
export function put(tree: Tree, path: readonly string[], value: unknown): void {
  let node = tree;
  for (const key of path.slice(0, -1)) {
    const below = node[key];
    const next = isTree(below) ? below : {};
    node[key] = next;
    node = next;
  }
  const last = path.at(-1);
  if (last !== undefined) node[last] = value;
}

/** The value at a path, or undefined. A number in the path is an index into a list. */
export function at(tree: unknown, path: readonly string[]): unknown {
  let node = tree;
  for (const key of path) {
    if (Array.isArray(node)) node = node[Number(key)] as unknown;
    else if (isTree(node) && Object.hasOwn(node, key)) node = node[key];
    else return undefined;
  }
  return node;
}

/** `['redact', 'fields', '0', 'paths']` → `redact.fields[0].paths` */
export function nameOf(path: readonly string[]): string {
  return path.map((key, i) => (/^\d+$/.test(key) ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
