import { afterAll, describe, expect, it } from 'vitest';
import { inputReads } from '../../../src/policy/input-reads.ts';
import { build, removeFolders } from './support.ts';

afterAll(removeFolders);

const ENTRYPOINT = 'admission/p/deny';

/** What the rule reads, by the plan that OPA makes of it: paths in order, `…` for everything below, or why it is everything. */
async function readsOf(rego: string, more: Record<string, string> = {}): Promise<string | readonly string[]> {
  const { reads } = await build({ 'p.rego': `package admission.p\n\n${rego}\n`, ...more });
  const found = reads.get(ENTRYPOINT) ?? 'nothing';
  return typeof found === 'string' ? found : found.paths().sort();
}

/** Of a rule with this body. */
function ofBody(...lines: readonly string[]): Promise<string | readonly string[]> {
  return readsOf(`deny contains "x" if {\n${lines.join('\n')}\n}`);
}

const local = (value: number) => ({ type: 'local', value });
const text = (value: number) => ({ type: 'string_index', value });
/** Statements of plans: the local variable 2 is input.a, and 7 may be set or not. */
const A = { type: 'DotStmt', stmt: { source: local(0), key: text(0), target: 2 } };
const IS_SET = { type: 'IsDefinedStmt', stmt: { source: 7 } };
const assign = (source: number | boolean, target: number) => ({
  type: 'AssignVarStmt',
  stmt: { source: typeof source === 'number' ? local(source) : { type: 'bool', value: source }, target },
});
const result = (value: number) => ({ type: 'ResultSetAddStmt', stmt: { value } });
const back = (source: number) => ({ type: 'ReturnLocalStmt', stmt: { source } });
const jump = (index: number) => ({ type: 'BreakStmt', stmt: { index } });
const negation = (stmts: object[]) => ({ type: 'NotStmt', stmt: { block: { stmts } } });
const replacement = (stmts: object[]) => ({
  type: 'WithStmt',
  stmt: { local: 1, path: null, value: { type: 'bool', value: true }, block: { stmts } },
});
const blocks = (parts: readonly object[][]) => ({
  type: 'BlockStmt',
  stmt: { blocks: parts.map((stmts) => ({ stmts })) },
});
const scan = (source: number, stmts: object[]) => ({
  type: 'ScanStmt',
  stmt: { source, key: 4, value: 5, block: { stmts } },
});

const WHOLE = 'it uses the input as one value';

describe('what a rule reads of its input', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ['a member that is there', ['input.request.name'], ['input.request.name']],
    ['a member that is a text', ['input.request.name == "web"'], ['input.request.name']],
    ['a member under a variable', ['x := input.request', 'x.name == "web"'], ['input.request.name']],
    ['a member given to a built-in', ['startswith(input.request.name, "w")'], ['input.request.name…']],
    ['a member under a name with dots', ['input.labels["a.b/c"] == 1'], ['input.labels.a.b/c']],
    ['a member of each element', ['some c in input.list', 'c.name == "web"'], ['input.list.*.name']],
    ['a member of each member', ['some k, c in input.map', 'k != "a"', 'c.name'], ['input.map.*.name']],
    ['the elements alone', ['input.list[_]'], ['input.list.*']],
    ['one element', ['input.list[0].name'], ['input.list.*.name']],
    ['any member', ['some k', 'input.map[k].name == 1'], ['input.map.*.name']],
    ['a member whose name is in the input', ['input.map[input.key].name'], ['input.key…', 'input.map.*.name']],
    ['a member of the data named in the input', ['data.names[input.key]'], ['input.key…']],
    ['how many there are', ['count(input.list) > 1'], ['input.list.*']],
    ['a type', ['is_object(input.a)', 'type_name(input.b) == "null"'], ['input.a', 'input.b']],
    ['a negation', ['not input.a.b', 'not input.a.c == 1'], ['input.a.b', 'input.a.c']],
    ['a comparison of two members', ['input.a.b == input.c.d'], ['input.a.b…', 'input.c.d…']],
    ['an order of two members', ['input.a < input.b'], ['input.a…', 'input.b…']],
    ['a comparison with a number', ['input.a != 1', 'input.b >= 2'], ['input.a', 'input.b']],
    ['a comparison with an array', ['input.a == [1]'], ['input.a.*']],
    ['a comparison with data', ['input.a == data.x'], ['input.a…']],
    ['membership', ['"a" in input.list'], ['input.list…']],
    ['every element', ['every c in input.list { c.name == "web" }'], ['input.list.*.name']],
    [
      'a comprehension',
      ['x := [c.name | some c in input.list; c.on]', 'count(x) > 1'],
      ['input.list.*.name…', 'input.list.*.on'],
    ],
    ['a comprehension of an object', ['x := {k: c.v | some k, c in input.map}', 'x.a'], ['input.map.*.v…']],
    ['a walk', ['walk(input.a, [_, v])', 'v == 1'], ['input.a…']],
    ['a member or another value', ['object.get(input.a, "b", input.c).d'], ['input.a.b.d', 'input.c.d']],
    ['a member at a path', ['object.get(input.a, ["b", "c"], 1) == 1'], ['input.a…']],
    [
      'a pattern of an object',
      ['{"name": x, "kind": 1} = input.a', 'x.y'],
      ['input.a.*', 'input.a.kind', 'input.a.name.y'],
    ],
    ['a pattern of an array', ['[x, _] = input.a', 'x.y'], ['input.a.*.y']],
    ['what becomes part of another value', ['x := {"a": input.a}', 'x.a.b'], ['input.a…']],
    ['what is printed', ['input.a.b', 'print(input.a.c)'], ['input.a.b', 'input.a.c…']],
    ['a member where the data are replaced', ['data.x.y with data.x as input.a', 'input.b'], ['input.a…', 'input.b']],
    ['a name that Unicode has no text for', ['input.a["\ufffd"]'], ['input.a…']],
    [
      'a comparison with a key of a set',
      ['s := {c | some c in input.list}', 'some k, _ in s', 'k == input.a'],
      ['input.a…', 'input.list.*…'],
    ],
    ['nothing', ['1 == 1'], ['input']],
  ])('%s', async (_, body, paths) => {
    expect(await ofBody(...body)).toEqual(paths);
  });

  it.each<[string, string, readonly string[]]>([
    [
      'another rule',
      'object := input.request.object\n\ndeny contains "x" if object.spec.on',
      ['input.request.object.spec.on'],
    ],
    ['a function', 'f(x) := x.spec\n\ndeny contains "x" if f(input.a).on', ['input.a.spec.on']],
    [
      'a function called with two parts',
      'f(x) := x.a.b\n\ndeny contains "x" if f(input.c) == f(input.d)',
      ['input.c.a.b…', 'input.d.a.b…'],
    ],
    [
      'a function with two bodies, whose values have to be the same',
      'f(x) := x.a if x.on\n\nf(x) := x.b\n\ndeny contains "x" if f(input).c',
      ['input.a…', 'input.b…', 'input.on'],
    ],
    [
      'else',
      'r := input.a if input.on == 1 else := input.b\n\ndeny contains "x" if r.c',
      ['input.a…', 'input.b…', 'input.on'],
    ],
    ['a rule with a default', 'default r := false\n\nr := input.a\n\ndeny contains "x" if r.b', ['input.a.b']],
    ['a rule of one of many', 'r := c if some c in input.list\n\ndeny contains "x" if r.b', ['input.list.*…']],
    [
      'a partial set',
      'names contains c.name if some c in input.list\n\ndeny contains "x" if "a" in names',
      ['input.list.*.name…'],
    ],
    [
      'a partial object',
      'm[c.name] := c.value if some c in input.list\n\ndeny contains "x" if m.a',
      ['input.list.*.name…', 'input.list.*.value…'],
    ],
    ['a value that the message is made of', 'deny contains input.a.b', ['input.a.b…']],
    [
      'a chain',
      'a := input.request\n\nb := a.object\n\nc(x) := b[x]\n\ndeny contains "x" if c("spec").on',
      ['input.request.object.*.on'],
    ],
  ])('through %s', async (_, rego, paths) => {
    expect(await readsOf(rego)).toEqual(paths);
  });

  it('through libraries in other packages and files', async () => {
    const library = 'package lib.pods\n\nimport data.lib.base\n\nspec := base.object.spec\n\nof(x) := x.containers\n';
    const base = 'package lib.base\n\nobject := input.request.object\n';
    const rego = 'import data.lib.pods\n\ndeny contains "x" if some c in pods.of(pods.spec); c.name == "web"';
    expect(
      await readsOf(rego.replace('if some', 'if {\nsome').concat('\n}'), { 'l.rego': library, 'b.rego': base }),
    ).toEqual(['input.request.object.spec.containers.*.name']);
  });

  it.each<[string, string]>([
    ['given to a built-in', 'deny contains "x" if json.marshal(input) != ""'],
    ['compared', 'deny contains "x" if input == data.x'],
    ['returned into a message', 'deny contains sprintf("%v", [input])'],
    ['searched by a path', 'deny contains "x" if object.get(input, ["a", "b"], 1) == 1'],
    ['walked', 'deny contains "x" if { walk(input, [_, v]); v == 1 }'],
  ])('is all of it where the input is %s', async (_, rego) => {
    expect(await readsOf(rego)).toBe(WHOLE);
  });

  it.each<[string, string, RegExp]>([
    ['it is replaced', 'r := input.a\n\ndeny contains "x" if r with input as {"a": 1}', /replaces the input/],
    ['a part of it is replaced', 'r := input.a\n\ndeny contains "x" if r with input.a as 1', /replaces the input/],
    ['a rule is looked for by its name', 'deny contains "x" if data.lib[input.name].r', /works out which rule/],
  ])('is all of it where %s, and it is said why', async (_, rego, why) => {
    expect(await readsOf(rego, { 'l.rego': 'package lib.l\n\nr := input.b\n' })).toMatch(why);
  });

  it('is all of it where functions call one another for longer than anybody would wait to find out', async () => {
    const chain = Array.from({ length: 40 }, (_, i) => `f${i + 1}(x) := y if { f${i}(x.a); y := f${i}(x.b) }`).join(
      '\n\n',
    );
    expect(await readsOf(`f0(x) := x.c\n\n${chain}\n\ndeny contains "x" if f40(input)`)).toMatch(
      /takes too long|one value/,
    );
  });

  // OPA makes none of these today: they are about where control may go.
  it.each<[string, readonly object[][]]>([
    ['behind a negation', [[A, negation([assign(2, 3)])], [result(3)]]],
    ['behind replaced data', [[A, replacement([assign(2, 3), IS_SET, assign(true, 3)])], [result(3)]]],
    ['behind nested blocks', [[A, blocks([[blocks([[assign(2, 3), jump(1)]]), assign(true, 3)]]), result(3)]]],
    ['in the next round of a loop', [[A, scan(2, [[blocks([[IS_SET, result(6)]]), assign(2, 6)]].flat())]]],
    ['out of a loop', [[A, scan(2, [assign(2, 6), jump(1), assign(true, 6)]), result(6)]]],
  ])('is followed %s', (_, parts) => {
    const reads = inputReads(Buffer.from(JSON.stringify(planOf(blocks(parts)))), [ENTRYPOINT]).get(ENTRYPOINT);
    expect(typeof reads === 'object' && reads.paths()).toEqual(['input.a…']);
  });

  it('is what any of the returns of a function gives', () => {
    const get = (key: number, target: number) => ({ ...A, stmt: { ...A.stmt, key: text(key), target } });
    const func = {
      name: 'f',
      params: [0, 1],
      blocks: [{ stmts: [get(0, 3), IS_SET, back(3)] }, { stmts: [get(1, 4), back(4)] }],
    };
    const call = { type: 'CallStmt', stmt: { func: 'f', args: [local(0), local(1)], result: 2 } };
    const plan = { ...planOf(blocks([[call, result(2)]])), funcs: { funcs: [func] } };
    const reads = inputReads(Buffer.from(JSON.stringify(plan)), [ENTRYPOINT]).get(ENTRYPOINT);
    expect(typeof reads === 'object' && reads.paths()).toEqual(['input.a…', 'input.b…']);
  });

  it.each<[string, unknown, RegExp]>([
    ['no JSON', undefined, /cannot be read: .*JSON/],
    ['no plan', {}, /cannot be read: the plan has something else/],
    ['no such entrypoint', { static: {}, plans: { plans: [] }, funcs: null }, /does not have it/],
    ['an unknown statement', planOf({ type: 'NewStmt', stmt: {} }), /has a NewStmt, which is not known/],
    [
      'an unknown operand',
      planOf({ type: 'DotStmt', stmt: { source: { type: 'new', value: 1 } } }),
      /operand is of type new/,
    ],
    ['a jump to nowhere', planOf({ type: 'BreakStmt', stmt: { index: 7 } }), /jumps further/],
  ])('is all of it where there is %s', (_, plan, why) => {
    const json = plan === undefined ? Buffer.from('{') : Buffer.from(JSON.stringify(plan));
    expect(inputReads(json, [ENTRYPOINT]).get(ENTRYPOINT)).toMatch(why);
  });
});

/** A plan of one statement. */
function planOf(statement: object): object {
  const plans = [{ name: ENTRYPOINT, blocks: [{ stmts: [statement] }] }];
  return { static: { strings: [{ value: 'a' }, { value: 'b' }] }, plans: { plans }, funcs: null };
}
