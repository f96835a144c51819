// From parsed modules to policies: which rules are evaluated, under which settings. Everything that would make a policy
// silently do nothing is refused here with file and line.
import { SealgateError } from '../lib/errors.ts';
import { nearestName } from '../lib/nearest.ts';
import { checkAnnotation, readSettings, type Settings } from './metadata.ts';
import { type Annotation, type Module, type ModuleRule, ruleName } from './modules.ts';
import type { Action, PolicyInfo, RuleInfo } from './types.ts';
import { parseMetadata, type YamlValue } from './yaml-block.ts';

/** The rules of an admission policy that are asked, and what their members do unless METADATA says otherwise. */
const ENTRY_RULES: Readonly<Record<string, Action>> = { deny: 'deny', violation: 'deny', warn: 'warn' };
const ENTRY_NAMES = Object.keys(ENTRY_RULES);

/** Packages admission.<name> of `modules`, by name. Throws POLICY_INVALID with what is wrong with each module and policy. */
export function policiesOf(modules: readonly Module[]): PolicyInfo[] {
  const problems: string[] = [];
  const packages = new Map<string, Module[]>();
  for (const module of modules) {
    const name = attempt(problems, () => packageOf(module));
    if (name !== undefined) packages.set(name, [...(packages.get(name) ?? []), module]);
  }
  const sorted = [...packages].sort(([a], [b]) => (a < b ? -1 : 1));
  const policies = sorted.flatMap(([name, parts]) => attempt(problems, () => policyOf(name, parts)) ?? []);
  if (problems.length === 0 && policies.length === 0)
    problems.push('no file declares a package admission.<name>: there is nothing to enforce');
  if (problems.length > 0) throw new SealgateError('POLICY_INVALID', problems.join('\n'));
  return policies;
}

/** What is wrong with one is told beside what is wrong with the others. */
function attempt<T>(problems: string[], act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SealgateError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}

/** Name of the policy that the module is part of; undefined for helpers and policies over events. */
function packageOf(module: Module): string | undefined {
  const [stray] = module.strayMetadata;
  if (stray !== undefined)
    refuse(module, stray, 'this is not read as METADATA: write "# METADATA", right above a package or rule');
  for (const annotation of module.annotations) checkAnnotation(blockOf(annotation, module.file));
  if (module.package[0] === 'admission') return admissionName(module);
  checkPackageName(module);
  return undefined;
}

function admissionName(module: Module): string {
  const [, ...rest] = module.package;
  if (rest.length === 0) refuse(module, module.packageRow, 'package admission needs a name: admission.<name>');
  const odd = rest.find((part) => !/^[A-Za-z0-9_-]+$/.test(part));
  if (odd !== undefined) refuse(module, module.packageRow, `"${odd}" in a package name: use letters, digits, _ and -`);
  return module.package.join('.');
}

/** A package named admisson.x, or another whose rules are named like verdicts, would never be asked. */
function checkPackageName(module: Module): void {
  const root = module.package[0] ?? '';
  if (root === 'events') return;
  const name = module.package.join('.');
  const close = root === 'event' || Math.abs(root.length - 'admission'.length) <= 2;
  if (close && nearestName(root, ['admission', 'events']) !== undefined) {
    refuse(module, module.packageRow, `package ${name}: did you mean admission.<name> or events.<name>?`);
  }
  const verdict = module.rules.find((rule) => ENTRY_NAMES.includes(ruleName(rule)));
  if (verdict === undefined) return;
  refuse(
    module,
    verdict.location.row,
    `the rule ${ruleName(verdict)} of package ${name} would not be asked, because only packages admission.<name> are: name the package admission.${module.package.at(-1) ?? 'name'}, or the rule otherwise`,
  );
}

function refuse(module: Module, row: number, problem: string): never {
  throw new SealgateError('POLICY_INVALID', `${module.file}:${row}: ${problem}`);
}

function blockOf(annotation: Annotation, file: string): YamlValue {
  const comment = Buffer.from(annotation.location.text ?? '', 'base64').toString('utf8');
  return parseMetadata(comment, file, annotation.location.row);
}

function policyOf(name: string, modules: readonly Module[]): PolicyInfo {
  const settings = packageSettings(modules);
  const found = new Map<string, { module: Module; rule: ModuleRule }[]>();
  for (const module of modules) {
    for (const rule of module.rules) {
      const called = ruleName(rule);
      if (!ENTRY_NAMES.includes(called)) {
        refuseUnusedSettings(module, rule, called);
        continue;
      }
      checkHead(module, rule, called);
      found.set(called, [...(found.get(called) ?? []), { module, rule }]);
    }
  }
  const [first] = modules;
  if (found.size === 0 && first !== undefined) {
    const slip = misnamedRules(modules)[0];
    const hint =
      slip === undefined ? '' : `; did you mean ${slip.probable} by the rule ${slip.name} at line ${slip.row}?`;
    const problem = `package ${name} has no rule deny, violation or warn: nothing would be enforced${hint}`;
    refuse(first, first.packageRow, problem);
  }
  const rules = ENTRY_NAMES.flatMap((rule) => {
    const definitions = found.get(rule);
    return definitions === undefined
      ? []
      : [ruleOf(name, rule, locationOf(definitions), settings, ruleSettings(rule, definitions))];
  });
  return {
    policy: name,
    ...(settings.title === undefined ? {} : { title: settings.title }),
    ...(settings.description === undefined ? {} : { description: settings.description }),
    files: modules.map((module) => module.file),
    rules,
  };
}

export interface MisnamedRule {
  readonly file: string;
  readonly row: number;
  readonly name: string;
  /** The rule that is asked and has a name like it. */
  readonly probable: string;
}

/** Sets of one policy that are named almost like a rule that is asked, and that nothing in it uses. */
export function misnamedRules(modules: readonly Module[]): MisnamedRule[] {
  return modules.flatMap(({ file, rules }) =>
    rules.flatMap((rule): MisnamedRule[] => {
      const name = ruleName(rule);
      const isSet = rule.head.key !== undefined || /^deny|warn|violat/i.test(name);
      const probable = isSet && !ENTRY_NAMES.includes(name) ? nearestName(name, ENTRY_NAMES) : undefined;
      if (probable === undefined || isUsed(name, modules)) return [];
      return [{ file, row: rule.location.row, name, probable }];
    }),
  );
}

function isUsed(name: string, modules: readonly Module[]): boolean {
  const term = `"value":${JSON.stringify(name)}`;
  return modules.some((module) =>
    module.rules.some(({ head, body, else: otherwise }) =>
      JSON.stringify([head.key, head.value, head.args, body, otherwise]).includes(term),
    ),
  );
}

/** The package's block; OPA would let each file of the package have its own, and then none would be the truth. */
function packageSettings(modules: readonly Module[]): Settings {
  let settings: Settings | undefined;
  for (const module of modules) {
    for (const annotation of module.annotations) {
      if (annotation.scope !== 'package' && annotation.scope !== 'subpackages') continue;
      if (annotation.scope === 'subpackages')
        refuse(module, annotation.location.row, 'scope subpackages is not supported: use package');
      if (settings !== undefined) {
        refuse(
          module,
          annotation.location.row,
          `package ${module.package.join('.')} has METADATA twice: keep one block`,
        );
      }
      settings = readSettings(blockOf(annotation, module.file));
    }
  }
  return settings ?? {};
}

function ruleSettings(name: string, definitions: readonly { module: Module; rule: ModuleRule }[]): Settings {
  let merged: Settings = {};
  const seen = new Set<string>();
  for (const { module, rule } of definitions) {
    for (const annotation of rule.annotations ?? []) {
      const { row } = annotation.location;
      const key = `${module.file}:${row}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const { title: _title, description: _description, ...settings } = readSettings(blockOf(annotation, module.file));
      if (Object.keys(settings).length === 0) continue;
      if (annotation.scope !== 'document' && definitions.length > 1) {
        refuse(
          module,
          row,
          `METADATA custom on one of several ${name} rules: all of them are one verdict, so write "scope: document"`,
        );
      }
      if (Object.keys(merged).length > 0) refuse(module, row, `METADATA custom for ${name} twice: keep one block`);
      merged = settings;
    }
  }
  return merged;
}

const OUR_KEYS = ['action', 'severity', 'match', 'controls', 'remediation', 'onError'];

/** Settings above a helper rule do nothing; most likely they were meant for the rule below or the package. */
function refuseUnusedSettings(module: Module, rule: ModuleRule, name: string): void {
  for (const annotation of rule.annotations ?? []) {
    const custom = blockOf(annotation, module.file).entries().get('custom');
    if (custom === undefined || !custom.isMap()) continue;
    for (const [key, value] of custom.entries()) {
      if (OUR_KEYS.includes(key))
        value.fail(
          `custom.${key} on rule ${name} has no effect: put it on the package or on ${ENTRY_NAMES.join(', ')}`,
        );
    }
  }
}

/** Refuses the shapes of a rule that cannot be a set of messages. */
function checkHead(module: Module, rule: ModuleRule, name: string): void {
  const { head, location } = rule;
  const write = `write "${name} contains message if { … }"`;
  if ((head.args?.length ?? 0) > 0) refuse(module, location.row, `${name} is a function: ${write}`);
  if ((head.ref?.length ?? 1) > 1) refuse(module, location.row, `${name}[…] defines an object: ${write}`);
  if (
    head.key === undefined &&
    !['set', 'setcomprehension', 'ref', 'var', 'call'].includes(head.value?.type ?? 'boolean')
  ) {
    refuse(module, location.row, `${name} is ${head.value?.type ?? 'boolean'}, not a set of messages: ${write}`);
  }
}

function locationOf([first]: readonly { module: Module; rule: ModuleRule }[]): string {
  return first === undefined ? '' : `${first.module.file}:${first.rule.location.row}`;
}

function ruleOf(policy: string, rule: string, location: string, base: Settings, own: Settings): RuleInfo {
  const settings = { ...base, ...own };
  // A package's `action: audit` speaks for its rules, but a warn rule never becomes a deny by it.
  const fallback = ENTRY_RULES[rule] ?? 'deny';
  const action = own.action ?? (base.action === 'deny' ? fallback : (base.action ?? fallback));
  return {
    rule,
    location,
    entrypoint: `${policy.replaceAll('.', '/')}/${rule}`,
    action,
    severity: settings.severity ?? 'medium',
    match: settings.match ?? {},
    controls: settings.controls ?? [],
    ...(settings.remediation === undefined ? {} : { remediation: settings.remediation }),
    // A rule that could never have refused the request does not refuse it by failing.
    onError: settings.onError ?? (action === 'deny' ? 'deny' : 'allow'),
  };
}
