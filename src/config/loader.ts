// From flags, environment and file to the effective settings: flags win over the environment, that over the file, that over the
// defaults. Everything that is wrong is reported at once.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { createChecker } from './check.ts';
import { checkTogether } from './check-together.ts';
import { CONFIG_VARIABLE, readEnvironmentSource } from './environment.ts';
import { readFileSource } from './file.ts';
import { readFlagSource } from './flags.ts';
import { allSettings } from './names.ts';
import type { Settings } from './schema.ts';
import { at, put, type Source, type Tree } from './source.ts';

export interface SettingsInput {
  /** `command.opts()` of a command with addSettingOptions; its `config` names the settings file. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** process.env; SEALGATE_CONFIG names the settings file unless a flag does. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** SHA-256 of the effective settings as canonical JSON (keys sorted, no white space): `sha256:` and lowercase hex. */
  readonly digest: string;
  /** The settings file, when there was one. */
  readonly file?: string;
}

/** Throws CONFIG_INVALID with one line for each thing that is wrong. */
export function loadSettings({ flags = {}, environment = {} }: SettingsInput): LoadedSettings {
  const file = typeof flags['config'] === 'string' ? flags['config'] : environment[CONFIG_VARIABLE] || undefined;
  // The strongest first.
  const sources = [
    readFlagSource(flags),
    readEnvironmentSource(environment),
    ...(file === undefined ? [] : [readFile(file)]),
  ];
  const checker = createChecker();
  const problems = sources.flatMap((source) => [...source.problems, ...checker.check(source)]);
  if (problems.length > 0) throw refusal(problems);

  const { tree, locate } = merge(sources);
  const wrong = checker.check({ tree, locate, problems: [] });
  if (wrong.length > 0) throw refusal(wrong);
  const settings = tree as unknown as Settings; // the check above is what makes it so
  const together = checkTogether(settings, locate);
  if (together.length > 0) throw refusal(together);
  return { settings, digest: digestOf(settings), ...(file === undefined ? {} : { file }) };
}

/** SHA-256 of canonical JSON. */
export function digestOf(settings: Settings): string {
  return `sha256:${createHash('sha256').update(canonical(settings)).digest('hex')}`;
}

function readFile(path: string): Source {
  try {
    return readFileSource(path, readFileSync(path, 'utf8'));
  } catch (error) {
    const problem = `the settings file ${path} cannot be read: ${messageOf(error)}`;
    return { tree: {}, locate: (setting) => setting.join('.'), problems: [problem] };
  }
}

/** Setting by setting, the first source that has it; where none has, the default. */
function merge(sources: readonly Source[]): { tree: Tree; locate: Source['locate'] } {
  const tree: Tree = {};
  const origins = new Map<string, Source>();
  for (const { path, name, schema } of allSettings()) {
    const source = sources.find((candidate) => at(candidate.tree, path) !== undefined);
    const value = source === undefined ? structuredClone(schema.default) : at(source.tree, path);
    put(tree, path.slice(0, -1), at(tree, path.slice(0, -1)) ?? {});
    if (value !== undefined) put(tree, path, value);
    if (source !== undefined) origins.set(name, source);
  }
  const locate = (path: readonly string[]) => {
    const name = path.join('.');
    return origins.get(name)?.locate(path) ?? `${name} (default)`;
  };
  return { tree, locate };
}

function refusal(problems: readonly string[]): SealgateError {
  const [first = ''] = problems;
  if (problems.length === 1) return new SealgateError('CONFIG_INVALID', first);
  const list = [...new Set(problems)].map((problem) => `\n  ${problem}`).join('');
  return new SealgateError('CONFIG_INVALID', `${problems.length} settings cannot be used:${list}`);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`;
}
