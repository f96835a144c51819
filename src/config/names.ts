// The names of a setting: its path in a file, its environment variable and its flag, all derived from the schema.
import { settingsSchema } from './schema.ts';

/** What this module reads of a JSON Schema. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly examples?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
}

export interface Setting {
  /** `['admission', 'bodyLimitBytes']` */
  readonly path: readonly string[];
  /** `admission.bodyLimitBytes` */
  readonly name: string;
  /** `SEALGATE_ADMISSION_BODY_LIMIT_BYTES` */
  readonly variable: string;
  /** `--admission-body-limit-bytes` */
  readonly flag: string;
  readonly schema: SchemaNode;
}

export interface Section {
  /** Empty for the settings at the top. */
  readonly name: string;
  readonly description: string;
  readonly settings: readonly Setting[];
}

export const VARIABLE_PREFIX = 'SEALGATE_';

/** The schema as a tree to walk, without its literal types. */
export const root: SchemaNode = settingsSchema;

/** Every section that has settings of its own, in the order of the schema. */
export function allSections(): Section[] {
  const sections: Section[] = [];
  collect(root, [], sections);
  return sections;
}

/** Every setting, in the order of the schema. */
export function allSettings(): Setting[] {
  return allSections().flatMap((section) => section.settings);
}

function collect(node: SchemaNode, path: readonly string[], sections: Section[]): void {
  const children = Object.entries(node.properties ?? {});
  const settings = children.filter(([, child]) => child.properties === undefined);
  if (settings.length > 0) {
    sections.push({
      name: path.join('.'),
      description: node.description ?? '',
      settings: settings.map(([key, schema]) => setting([...path, key], schema)),
    });
  }
  for (const [key, child] of children) {
    if (child.properties !== undefined) collect(child, [...path, key], sections);
  }
}

function setting(path: readonly string[], schema: SchemaNode): Setting {
  const words = path.flatMap(wordsOf);
  return {
    path,
    name: path.join('.'),
    variable: VARIABLE_PREFIX + words.join('_').toUpperCase(),
    flag: `--${words.join('-').toLowerCase()}`,
    schema,
  };
}

/** `bodyLimitBytes` → body, Limit, Bytes; `memoryLimitMiB` → memory, Limit, MiB: a unit is one word. */
function wordsOf(name: string): string[] {
  return name.match(/MiB$|[A-Z]?[a-z0-9]+(?=[A-Z]|$)/g) ?? [name];
}
