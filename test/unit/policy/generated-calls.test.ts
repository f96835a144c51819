// Built-ins of the host on generated arguments, right and wrong ones, held to OPA: one process of it answers all calls.
import { afterEach, describe, expect, it } from 'vitest';
import { BuiltinError } from '../../../src/policy/builtins/error.ts';
import { HOST_BUILTINS } from '../../../src/policy/builtins/registry.ts';
import { fromJson, toJson, type Value } from '../../../src/policy/terms.ts';
import { builtinContext } from '../../support/builtin-context.ts';
import { type Pick, picker } from './picker.ts';
import { folder, opaEval, removeFolders } from './support.ts';

afterEach(removeFolders);

const CALLS_OF_EACH = 400;

type Make = (generate: Generate) => unknown[];

/** Small things from which arguments are put together. */
class Generate {
  readonly pick: Pick;

  constructor(pick: Pick) {
    this.pick = pick;
  }

  upTo(most: number): number {
    return this.pick(Array.from({ length: most + 1 }, (_, i) => i));
  }

  list<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.upTo(most) }, make);
  }

  text(most: number, ...parts: readonly string[]): string {
    return this.list(most, () => this.pick(parts)).join('');
  }

  value(depth: number): unknown {
    const nested = [
      () => this.list(3, () => this.value(depth - 1)),
      () => Object.fromEntries(this.list(3, () => [this.text(2, ...'abc/é'), this.value(depth - 1)])),
    ];
    const text = () => this.text(4, ...'abé"\n\t #-01~{[&*!%@`', "'", ': ', 'true', 'null');
    const flat = [null, true, false, this.upTo(4), -1.5, ''].map((item) => () => item);
    return this.pick<() => unknown>([...flat, text, text, ...(depth > 0 ? nested : [])])();
  }

  cidr(): string {
    const { pick } = this;
    const bits = pick([8, 16, 22, 23, 24, 32, 33]);
    return pick([
      `10.0.${this.upTo(3)}.0/${bits}`,
      `10.${this.upTo(2)}.0.7`,
      `2001:db8::${this.upTo(9)}/${bits * 2}`,
      'no',
    ]);
  }

  pattern(): string {
    return this.text(5, 'a', 'b', '(', '|', ')', '*', '+', '?', '.', '[ab]', '^', '$', '\\b', '(?i)', '{2}');
  }

  layout(): string {
    const parts =
      '2006 01 02 15 04 05 .000 .999 Jan January Mon Monday -0700 Z07:00 PM _2 06 1 2 3 002 __2 ,000 x 0'.split(' ');
    return this.text(6, ...parts, ' ', '-', ':');
  }
}

const MOMENTS = [0, 1, -1, 1700000000123456789n, 951782400500000000n, -62135596800000000n].map(Number);
const SCHEMA_VALUES = [
  null,
  true,
  0,
  -1,
  1.5,
  '',
  'a',
  '(',
  [],
  [1],
  ['a'],
  ['a', 'a'],
  [null],
  {},
  { a: 1 },
  { a: {} },
  [{}],
];
const SCHEMA_KEYS =
  `$id id title definitions properties additionalProperties patternProperties propertyNames dependencies items contains
  minItems maxItems uniqueItems multipleOf minimum exclusiveMinimum maxLength pattern format required enum const type allOf
  anyOf oneOf not if then`.split(/\s+/);
const DRAFTS = [
  {},
  ...['04', '06', '07'].map((draft) => ({ $schema: `http://json-schema.org/draft-${draft}/schema#` })),
];

const CALLS: Record<string, Make> = {
  'object.subset': (g) => [g.value(3), g.value(2)],
  'net.cidr_contains_matches': (g) => [g.list(3, () => g.cidr()), g.list(3, () => g.cidr())],
  'uri.parse': ({ pick }) => [
    pick(['http', 'HTTP', 'a+b', '', '1x']) +
      pick(['://', ':', ':///', '//', '']) +
      pick(['', 'u@', 'u:p%40@', '%']) +
      pick(['h.example', '[::1]', '[fe80::1%25en0]', 'h:80', 'h:x', '', ' ', 'ü']) +
      pick(['', '/', '/a%2Fb', '/%zz', '/a b', '//x']) +
      pick(['', '?', '?a=1&b=2&a=3', '?%zz', '?=']) +
      pick(['', '#', '#f', '#%zz']),
  ],
  'urlquery.decode_object': (g) => [g.text(8, 'a', '=', '&', '%20', '%', '+', 'b', ';', 'é', '%zz')],
  'regex.replace': (g) => [g.text(6, 'a', 'b', 'é'), g.pattern(), g.text(3, '$1', '$0', '$', 'x', '$a', '$$')],
  'regex.split': (g) => [g.pattern(), g.text(6, 'a', 'b', 'é', '😀')],
  'regex.find_n': (g) => [g.pattern(), g.text(6, 'a', 'b', 'é', '😀'), g.pick([-1, 0, 1, 2, -2])],
  'regex.globs_match': (g) => [g.text(4, ...'ab.*+?', '[a-c]', '\\.'), g.text(4, ...'ab.*+-', '[b-z]', '\\*')],
  'regex.template_match': (g) => [
    g.text(6, 'a', '{', '}', '.*', '[a-b]+', ':'),
    g.text(5, 'a', 'b', ':', '{'),
    g.pick(['{', '<', '', '{{']),
    g.pick(['}', '>', '', '{']),
  ],
  'yaml.marshal': (g) => [g.value(3)],
  'yaml.unmarshal': (g) => [
    `${g.pick(['', 'a: ', '- '])}${g.pick(['|', '>', '|-', '>+', '|+', '|2'])}\n${g.text(4, '  x', '\n', '  y z', '   ')}  w${g.pick(['', '\n', '\n\n'])}`,
  ],
  'json.match_schema': (g) => [
    g.pick([null, 1, 'a', [], [1], {}, { a: 1 }]),
    { ...g.pick(DRAFTS), [g.pick(SCHEMA_KEYS)]: g.pick(SCHEMA_VALUES) },
  ],
  'json.verify_schema': (g) => [{ ...g.pick(DRAFTS), [g.pick(SCHEMA_KEYS)]: g.pick(SCHEMA_VALUES) }],
  'json.marshal_with_options': (g) => [
    g.value(3),
    g.pick([{}, { pretty: true }, { indent: '  ' }, { prefix: '>' }, { pretty: false, indent: ' ' }, { x: 1 }]),
  ],
  'units.parse': (g) => [g.text(5, ...'10.-+eEmkK i"_Q', 'Mi', 'Gi')],
  'units.parse_bytes': (g) => [g.text(5, ...'10.-+eEmkKBb _', 'Mi', 'GiB')],
  'semver.compare': (g) => [g.text(5, ...'10.-+av', 'rc', '1.2.3'), '1.2.3'],
  'time.parse_duration_ns': (g) => [g.text(6, ...'10.-+hmsdwy', 'ms', 'us', 'µs', 'ns')],
  'time.format': (g) => [[g.pick(MOMENTS), g.pick(['UTC', 'Europe/Berlin', 'Asia/Kolkata', '']), g.layout()]],
  'uuid.parse': (g) => [
    `${g.pick(['', '{', 'urn:uuid:'])}${g.pick(['00000000', 'ca7c8f4e', 'g'])}-${g.pick(['0000', '1c9f', ''])}-${g.pick(['1000', '11e9', '4000', '21ff'])}-8d8c-0242ac120002${g.pick(['', '}'])}`,
  ],
  sprintf: (g) => [
    g.text(4, ...'%d %s %v %q %x %5d %-5s %t %.2f %e %c %U %% % %[1]v %*d %+v %#v %T %08.3f é'.split(' ')),
    g.list(3, () => g.value(2)),
  ],
  'strings.split_n': (g) => [g.text(8, 'a', 'b', ',', 'é'), g.pick(['', ',', 'a', 'é']), g.pick([0, 1, 2, -1, -2, 9])],
  indexof_n: (g) => [g.text(8, 'a', 'b', 'é', '😀'), g.text(2, 'a', 'b', 'é', '😀')],
};

function ours(name: string, args: readonly unknown[]): unknown {
  try {
    const value = HOST_BUILTINS.get(name)?.(fromJson(args) as Value[], builtinContext());
    return value === undefined ? undefined : toJson(value);
  } catch (error) {
    if (error instanceof BuiltinError) return undefined;
    throw error;
  }
}

/** Go gives members of an object and errors of a schema in any order. */
function unordered(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map(unordered).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unordered(item)]));
}

describe('the built-ins of the host on generated arguments', () => {
  it('give what opa eval gives, on thousands of calls', () => {
    const generate = new Generate(picker(1));
    const calls = Object.fromEntries(
      Object.entries(CALLS).map(([name, make]) => [name, Array.from({ length: CALLS_OF_EACH }, () => make(generate))]),
    );
    const rules = Object.entries(calls).map(([name, [first = []]]) => {
      const call = `${name}(${first.map((_, i) => `c[${i}]`).join(', ')})`;
      return `r[${JSON.stringify(name)}] := {i: v | some i, c in input[${JSON.stringify(name)}]; v := ${call}}`;
    });
    const dir = folder({ 'a.rego': `package a\n\n${rules.join('\n\n')}\n` });
    const theirs = opaEval(dir, 'data.a.r', JSON.stringify(calls)) as Record<string, Record<string, unknown>>;
    for (const [name, list] of Object.entries(calls)) {
      const defined = Object.keys(theirs[name] ?? {}).length;
      expect(defined, name).toBeGreaterThan(5);
      const different = list.flatMap((args, i) => {
        const got = unordered(ours(name, args));
        const wanted = unordered(theirs[name]?.[i]);
        return JSON.stringify(got) === JSON.stringify(wanted) ? [] : [{ call: [name, ...args], got, wanted }];
      });
      expect(different).toEqual([]);
    }
  });
});
