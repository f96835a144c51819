// Data at the place of a rule: `opa eval` refuses to load such a folder, while in a compiled module the rule hides the data.
import { type Module, type ModuleRule, ruleName } from './modules.ts';

/** One line for each rule that stands where `data` has a value: `file:line: message (rule name)`. */
export function dataConflicts(modules: readonly Module[], data: Uint8Array): string[] {
  const document: unknown = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8'));
  return modules.flatMap(({ file, package: name, rules }) =>
    rules
      .map((rule) => ({ rule, path: [...name, ...groundPath(rule)] }))
      .filter(({ path }) => holds(document, path))
      .map(({ rule, path }) => {
        const problem = `the data have a value at ${path.join('.')}, where this rule is`;
        return `${file}:${rule.location.row}: ${problem} (rule ${ruleName(rule)})`;
      }),
  );
}

/** The names of the rule's head up to the first that is no constant. */
function groundPath(rule: ModuleRule): string[] {
  const names = [ruleName(rule)];
  for (const { type, value } of rule.head.ref?.slice(1) ?? []) {
    if (type !== 'string') break;
    names.push(String(value));
  }
  return names;
}

/** Whether there is a value at `path`, or one above it that is no object. */
function holds(document: unknown, path: readonly string[]): boolean {
  let value = document;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return true;
    if (!Object.hasOwn(value, name)) return false;
    value = (value as Record<string, unknown>)[name];
  }
  return true;
}
