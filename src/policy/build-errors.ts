// What `opa build` and `opa check` complain of, one error a line, as `file:line: message (rule name)` wherever a place is known.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../lib/errors.ts';
import { nearestName } from '../lib/nearest.ts';
import { refusalReason } from './capabilities.ts';
import { oneLine } from './finding.ts';
import { type Module, ruleAt } from './modules.ts';

/** The built-ins that a policy may use, and those of OPA that it may not. */
export interface Available {
  readonly known: readonly string[];
  readonly refused: ReadonlySet<string>;
}

/** The folder `dir` that was compiled, and what is known of it. */
export interface Compiled {
  readonly dir: string;
  readonly modules: readonly Module[];
  readonly available: Available;
}

/** The errors in the output of `opa build`. */
export function buildErrors(output: string, compiled: Compiled): string[] {
  return (
    output
      .trimEnd()
      // What an error continues with is indented.
      .split(/\n(?!\s)/)
      .map((text) => oneLine(text).replace(/^error: (load error: )?(bundle [^:]*: )?/, ''))
      .filter((text) => text !== '' && !/^\d+ errors? occurred(?: during loading)?:$/.test(text))
      .map((text) => describeError(text.replace(/^1 error occurred: /, ''), compiled))
  );
}

/** One error with the rule that its line is part of, and the reason or the likely name beside a built-in that is not there. */
export function describeError(text: string, { dir, modules, available }: Compiled): string {
  const message = placedInData(text, dir);
  const [, file, row] = /^(.+?\.rego):(\d+): /.exec(message) ?? [];
  const source = file === undefined ? '' : (readFileSync(join(dir, file), 'utf8').split('\n')[Number(row) - 1] ?? '');
  const rule = file === undefined ? undefined : ruleAt(modules, file, Number(row));
  const named = withBuiltin(message, source, available);
  return rule === undefined ? named : `${named} (rule ${rule})`;
}

const WITH_NOTHING = 'with keyword target must reference existing input, data, or a function';

/** OPA does not name what `with` replaces: it is looked for in the line of the error. */
function withBuiltin(message: string, source: string, { known, refused }: Available): string {
  const unavailable = (name: string): string => `built-in ${name} is not available: ${refusalReason(name)}`;
  if (message.includes(WITH_NOTHING)) {
    const replaced = [...source.matchAll(/\bwith\s+([\w.]+)/g)].map(([, name = '']) => name);
    const name = replaced.find((target) => refused.has(target));
    return name === undefined ? message : message.replace(WITH_NOTHING, unavailable(name));
  }
  const name = /undefined function (\S+)/.exec(message)?.[1];
  if (name === undefined) return message;
  if (refused.has(name)) return message.replace(`undefined function ${name}`, unavailable(name));
  const probable = nearestName(name, known);
  return probable === undefined ? message : `${message}; did you mean ${probable}?`;
}

/** OPA names a data file that it cannot load, and a line only of YAML. */
function placedInData(text: string, dir: string): string {
  const [, file, row, problem = ''] =
    /^bundle load failed on \/?(.+?\.(?:json|ya?ml)): (?:yaml: line (\d+): )?(.*)$/.exec(text) ?? [];
  if (file === undefined) return text;
  const said = problem.startsWith('failed to insert data file from path')
    ? 'another data file has the same path, or a value above it'
    : problem;
  return `${file}:${row ?? (file.endsWith('.json') ? jsonRow(join(dir, file)) : 1)}: ${said}`;
}

/** Line of the first mistake in a JSON file. */
function jsonRow(path: string): number {
  try {
    JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    return Number(/\(line (\d+) /.exec(messageOf(error))?.[1] ?? 1);
  }
  return 1;
}
