// Policies by the hundred, from a seed: bodies made at random of the ways in which Rego can look at its input.
import { type Pick, picker } from './picker.ts';

const PATHS = [
  'input.request',
  'input.request.operation',
  'input.request.kind.kind',
  'input.request.name',
  'input.request.userInfo',
  'input.request.userInfo.groups',
  'input.request.object',
  'input.request.object.metadata.annotations',
  'input.request.object.spec',
  'input.request.object.spec.containers',
  'input.request.object.spec.initContainers',
  'input.request.object.spec.volumes',
  'input.request.object.spec.containers[0].resources',
  'input.request.object.rules',
  'input.request.object.subjects',
  'input.request.oldObject',
  'input.request.oldObject.spec.containers',
  'input["request"]["object"]["roleRef"]',
];
const KEYS = [
  'name',
  'spec',
  'image',
  'containers',
  'kind',
  'resources',
  'limits',
  'groups',
  'verbs',
  'metadata',
  'request',
];
/** Of the object and of the one before it. */
const PARTS = ['', '.spec', '.metadata', '.spec.containers', '.spec.containers[_]', '.spec.volumes[_]'];
const TEXTS = ['"web"', '"Pod"', '"CREATE"', '"alice"', 'null', 'true', '1'];
const FUNCTIONS = ['f_member', 'f_else', 'f_two', 'f_pair', 'f_same', 'f_list', 'f_size', 'f_chain', 'f_three'];
const RULES = ['r_object', 'r_first', 'r_default', 'r_chain', 'r_set', 'r_map', 'r_list', 'r_else', 'r_any', 'r_both'];

const LIBRARY = `package lib.g

import data.lib.g

f_member(x) := x.name

f_else(x) := x.name if {
	x.kind
} else := x.spec if {
	x.spec.containers
} else := 7

f_two(x) := x.name if x.image

f_two(x) := x.kind if x.spec

f_pair(x) := {"left": x.name, "right": x.spec}

f_three(x) := x.securityContext if x.image

f_three(x) := x.resources if x.resources

f_same(x) := x

f_list(x) := [y.name | some y in x]

f_size(x) := count(x)

f_chain(x) := f_member(f_same(x))

r_object := input.request.object

r_first := c if c := input.request.object.spec.containers[0]

default r_default := {"name": "nobody"}

r_default := input.request.userInfo if input.request.userInfo.username

r_chain := r_object.spec

r_set contains c.name if some c in r_chain.containers

r_map[c.name] := c if some c in r_chain.containers

r_list := [c | some c in r_chain.containers; c.image]

r_any := c if some c in r_chain.containers

r_both := input.request.object.spec

r_both := input.request.oldObject.spec

r_else := input.request.namespace if {
	input.request.oldObject.spec == r_chain
} else := input.request.oldObject if {
	not input.request.object
}
`;

/** Files of a policy folder with \`count\` policies. */
export function generatedPolicies(count: number, seed: number): Record<string, string> {
  const pick = picker(seed);
  const policies = Array.from({ length: count }, (_, i) => [
    `g${i}.rego`,
    `package admission.g${i}\n\nimport data.lib.g\n\n${rules(pick)}`,
  ]);
  const data = { table: { web: { name: 'w' }, Pod: 'p', alice: ['a'] }, keys: ['spec', 'name', 'metadata', 0] };
  return { ...Object.fromEntries(policies), 'lib/g.rego': LIBRARY, 'data.json': JSON.stringify({ lists: data }) };
}

function rules(pick: Pick): string {
  return Array.from({ length: pick([1, 1, 2]) }, () => `deny contains message if {\n${body(pick)}\n}\n`).join('\n');
}

function body(pick: Pick): string {
  const variables: string[] = [];
  const lines: string[] = [];
  const some = (): string => (variables.length > 0 && pick([true, true, false]) ? pick(variables) : pick(PATHS));
  const bind = (line: (name: string) => string): string => {
    const name = `v${variables.length}`;
    const text = line(name);
    variables.push(name);
    return text;
  };
  for (let left = pick([1, 2, 3, 4]); left > 0; left--) lines.push(statement(pick, some, bind));
  lines.push(
    pick([() => 'message := "x"', () => `message := sprintf("%v", [${some()}])`, () => `message := ${some()}`])(),
  );
  return lines.map((line) => `\t${line}`).join('\n');
}

function changed(part: string, operator: string): string {
  return `input.request.object${part} ${operator} input.request.oldObject${part}`;
}

function statement(pick: Pick, x: () => string, bind: (line: (name: string) => string) => string): string {
  const key = (): string => pick(KEYS);
  return pick<() => string>([
    () => bind((v) => `some ${v} in ${x()}`),
    () => bind((v) => `some ${v} in ${x()}`),
    () => bind((v) => `some k_${v}, ${v} in ${x()}; k_${v} != "a"`),
    () => bind((v) => `${v} := ${x()}`),
    () => bind((v) => `${v} := ${x()}.${key()}`),
    () => bind((v) => `${v} := ${x()}.${key()}`),
    () => bind((v) => `${v} := ${x()}[_]`),
    () => bind((v) => `${v} := ${x()}[${pick(['0', '1', '-1', '1.0', 'null'])}]`),
    () => bind((v) => `some k_${v}; ${v} := ${x()}[k_${v}].${key()}`),
    () => bind((v) => `${v} := ${x()}[data.lists.keys[_]]`),
    () => bind((v) => `${v} := data.lists.table[${x()}]`),
    () => bind((v) => `${v} := ${pick(FUNCTIONS).replace(/^/, 'g.')}(${x()})`),
    () => bind((v) => `${v} := g.${pick(RULES)}`),
    () => bind((v) => `${v} := g.${pick(RULES)}[_]`),
    () => bind((v) => `${v} := object.get(${x()}, "${key()}", ${x()})`),
    () => bind((v) => `${v} := object.get(${x()}, ["${key()}", "${key()}"], "none")`),
    () => bind((v) => `${v} := [y_${v}.${key()} | some y_${v} in ${x()}]`),
    () => bind((v) => `${v} := {y_${v} | y_${v} := ${x()}[_].${key()}}`),
    () => bind((v) => `${v} := {l_${v}: y_${v} | some l_${v}; y_${v} := ${x()}[l_${v}].${key()}}`),
    () => bind((v) => `walk(${x()}, [p_${v}, ${v}]); count(p_${v}) < 3`),
    () => bind((v) => `{"name": ${v}} = ${x()}`),
    () => bind((v) => `[${v}, _] = ${x()}`),
    () => bind((v) => `${v} := object.union({"a": 1}, ${x()})`),
    () => bind((v) => `${v} := g.${pick(RULES)} with input.request.name as ${x()}`),
    () => bind((v) => `${v} := g.${pick(RULES)} with input as ${x()}`),
    () => bind((v) => `y_${v} := "name"; ${v} := data.lists.table[y_${v}] with data.lists.table as ${x()}`),
    () => bind((v) => `${v} := data.lib[_].r_first`),
    () => bind((v) => `${v} := type_name(${x()})`),
    () => bind((v) => `${v} := count(${x()})`),
    () => `count(${x()}) > ${pick(['0', '1', '5'])}`,
    () => `${x()}.${key()} == ${pick(TEXTS)}`,
    () => `${x()}.${key()} != ${pick(TEXTS)}`,
    () => `${x()} ${pick(['==', '!=', '<', '>='])} ${x()}`,
    () => changed(pick(PARTS), pick(['==', '!='])),
    () => `not ${changed(pick(PARTS).replace('_', '0'), '==')}`,
    () => bind((v) => `s_${v} := {y | y := input.request.oldObject.spec.containers[_]}; ${v} := s_${v}[${x()}]`),
    () => bind((v) => `${v} := ${x()}; some w_${v} in ${v}; w_${v}.${key()} == ${v}.${key()}`),
    () =>
      bind(
        (v) =>
          `${v} := input.request.object.spec.volumes[_]; some w_${v} in ${v}; ${v}.hostPath.path; w_${v} == w_${v}`,
      ),
    () => `not ${x()}.${key()}`,
    () => `not ${x()}.${key()} == ${pick(TEXTS)}`,
    () => `not g.f_two(${x()})`,
    () => `every e in ${x()} { e.${key()} }`,
    () => `every l, e in ${x()} { l != e.${key()} }`,
    () => `${pick(TEXTS)} in ${x()}`,
    () => `is_${pick(['object', 'array', 'string', 'null'])}(${x()})`,
    () => `not is_object(${x()}.${key()})`,
    () => `print("seen", ${x()})`,
  ])();
}
