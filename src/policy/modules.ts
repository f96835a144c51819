// What `opa parse` says of one Rego file: its package, its rules, its METADATA blocks. OPA's output is trusted to be
// well formed.
import { SealgateError } from '../lib/errors.ts';
import { runOpa } from './opa.ts';

interface Location {
  readonly file: string;
  readonly row: number;
  /** Base64 of the source text, when it was asked for. */
  readonly text?: string;
}

interface Term {
  readonly type: string;
  readonly value: unknown;
}

export interface RuleHead {
  readonly name?: string;
  readonly args?: readonly Term[];
  readonly key?: Term;
  readonly value?: Term;
  readonly ref?: readonly Term[];
}

export interface Annotation {
  readonly scope: string;
  readonly location: Location;
}

export interface ModuleRule {
  readonly head: RuleHead;
  readonly location: Location;
  readonly annotations?: readonly Annotation[];
  /** As OPA wrote it; only searched for names. */
  readonly body?: unknown;
  readonly else?: unknown;
}

export interface Module {
  readonly file: string;
  /** Without the leading `data`: ['admission', 'images']. */
  readonly package: readonly string[];
  readonly packageRow: number;
  readonly annotations: readonly Annotation[];
  readonly rules: readonly ModuleRule[];
  /** Lines of comments that look like the start of a METADATA block but are not read as one. */
  readonly strayMetadata: readonly number[];
}

interface ParsedModule {
  readonly package: { readonly location: Location; readonly path: readonly Term[] };
  readonly annotations?: readonly Annotation[];
  readonly rules?: readonly ModuleRule[];
  /** Text is base64. */
  readonly comments?: readonly { readonly Text: string; readonly Location: Location }[];
}

interface ParseErrors {
  readonly errors?: readonly {
    readonly message: string;
    readonly location?: { readonly row: number; readonly col: number };
  }[];
}

/** Processes at once; parsing one file takes some 15 ms. */
const PARALLEL = 4;

/** Parses each file of `paths` under `dir`. POLICY_INVALID lists every syntax error with file and line. */
export async function parseModules(opa: string, dir: string, paths: readonly string[]): Promise<Module[]> {
  const modules: Module[] = [];
  const problems: string[] = [];
  const waiting = [...paths];
  const work = async (): Promise<void> => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const parsed = await parseModule(opa, dir, path);
      if (Array.isArray(parsed)) problems.push(...parsed);
      else modules.push(parsed as Module);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  if (problems.length > 0) throw new SealgateError('POLICY_INVALID', problems.sort().join('\n'));
  return modules.sort((a, b) => (a.file < b.file ? -1 : 1));
}

const LOOKS_LIKE_METADATA = /^\s*meta[ -]?dat[ea]?\s*:?\s*$/i;

async function parseModule(opa: string, dir: string, path: string): Promise<Module | string[]> {
  // ./ keeps a file name that begins with a dash from being read as a flag.
  const output = await runOpa(opa, ['parse', '--format=json', '--json-include=locations,comments', `./${path}`], dir);
  if (!output.ok) return describeErrors(output.stdout || output.stderr, path);
  const module: ParsedModule = JSON.parse(output.stdout);
  const blocks = new Set((module.annotations ?? []).map((annotation) => annotation.location.row));
  return {
    file: path,
    package: module.package.path.slice(1).map((term) => String(term.value)),
    packageRow: module.package.location.row,
    annotations: module.annotations ?? [],
    rules: module.rules ?? [],
    strayMetadata: (module.comments ?? [])
      .filter((comment) => LOOKS_LIKE_METADATA.test(Buffer.from(comment.Text, 'base64').toString('utf8')))
      .map((comment) => comment.Location.row)
      .filter((row) => !blocks.has(row)),
  };
}

function describeErrors(output: string, path: string): string[] {
  try {
    const { errors = [] }: ParseErrors = JSON.parse(output);
    if (errors.length > 0) return errors.map((error) => `${path}:${error.location?.row ?? 1}: ${error.message}`);
  } catch {
    // Not JSON: opa failed before it parsed anything; its own words follow.
  }
  return [`${path}:1: ${output.trim() || 'opa parse failed without a message'}`];
}

export function ruleName({ head }: ModuleRule): string {
  return head.name ?? String(head.ref?.[0]?.value ?? '');
}

/** Name of the rule of `file` whose text holds the line `row`, undefined above the first one. */
export function ruleAt(modules: readonly Module[], file: string, row: number): string | undefined {
  const rules = modules.find((module) => module.file === file)?.rules ?? [];
  const before = rules.filter((rule) => rule.location.row <= row);
  const last = before.toSorted((a, b) => a.location.row - b.location.row).at(-1);
  return last === undefined ? undefined : ruleName(last);
}
