import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { COMPILED_AWAY, NATIVE_BUILTINS } from '../../../src/policy/builtins/native.ts';
import { HOST_BUILTINS } from '../../../src/policy/builtins/registry.ts';
import { isRefused, supportedCapabilities } from '../../../src/policy/capabilities.ts';
import { RegoNumber, toJson, type Value } from '../../../src/policy/terms.ts';
import { builtinContext } from '../../support/builtin-context.ts';
import { toolPath } from '../../support/tools.ts';
import { build, folder, instanceOf, opaEval, removeFolders } from './support.ts';

afterEach(removeFolders);

/** Modules of package q; the keys of their rule r are lists of calls. */
const CASE_FILES = join(import.meta.dirname, 'cases');

const CAPABILITIES = execFileSync(toolPath('opa'), ['capabilities', '--current'], {
  encoding: 'utf8',
  maxBuffer: 1 << 24,
});

interface Builtin {
  readonly name: string;
  readonly decl: { readonly args?: readonly unknown[] };
  readonly deprecated?: boolean;
}

const ALL: readonly Builtin[] = JSON.parse(CAPABILITIES).builtins;

/** The value that our host and that `opa eval` give to the object `r` of package q. */
async function both(rego: string): Promise<{ ours: Record<string, unknown>; theirs: Record<string, unknown> }> {
  const files = { 'q.rego': rego, 'a.rego': 'package admission.a\n\ndeny contains data.q.r\n' };
  const instance = await instanceOf(await build(files));
  instance.setInput(Buffer.from('{}'));
  // Certificates are judged by the time: opa eval takes the real one.
  const now = BigInt(Date.now()) * 1_000_000n;
  const value = instance.evaluate('admission/a/deny', builtinContext({ now }));
  const [ours] = toJson(value as Value) as [Record<string, unknown>];
  return { ours, theirs: opaEval(folder(files), 'data.q.r') as Record<string, unknown> };
}

/** A comprehension over argument lists: what is undefined is missing from the result, in both. */
const over = (call: string, args: string) => `[[i, v] | some i, [a, b, c] in [${args}]; v := ${call}]`;

const CASES: Record<string, string> = {
  'units.parse': `[[i, v] | some i, a in ["100m", "1.5Gi", "2k", "-1.5m", "1e3", "1e3Ki", "0.0001m", "\\"3\\"", "1E", "2Ei", "+.5k", "1.k", "1 k", "k", "1x", "1e9999999"]; v := units.parse(a)]`,
  'units.parse_bytes': `[[i, v] | some i, a in ["100mb", "1.5GiB", "2k", "1e3", "1b", "0.5", "10", "5mi", "1KB", ""]; v := units.parse_bytes(a)]`,
  'semver.compare': over(
    'semver.compare(a, b)',
    '["1.0.0", "1.0.0-a", 0], ["v1.2.3", "1.2.3+x", 0], ["1.0.0-alpha.1", "1.0.0-alpha.beta", 0], ["1.0.0-2", "1.0.0-10", 0], ["1.0.0-a", "1.0.0-a.1", 0], ["1.0.0-A", "1.0.0-a", 0], ["1", "2", 0]',
  ),
  'semver.is_valid':
    '[semver.is_valid(x) | some x in ["1.0.0", "v1.0.0", "01.0.0", "1.0", "1.0.0-01", "1.0.0-", "1.0.0+a.b", 3]]',
  'regex.replace': over(
    'regex.replace(a, b, c)',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Go's own placeholder
    '["foobar", "o+", "<$0>"], ["abc", "", "-"], ["aab", "a*", "x"], ["john smith", "(?P<f>\\\\w+) (?P<l>\\\\w+)", "${l} $f $$ $1x $"], ["é😀a", "(?s).", "[$0]"], ["foo", "^[a-z]", "F"], ["aXbX", "X|$", "_"], ["a", "(", "b"]',
  ),
  'regex.split': over(
    'regex.split(a, b)',
    '["a*", "baac", 0], ["", "", 0], ["", "abc", 0], ["/", "a/b//c/", 0], ["x", "", 0], [",+", ",a,,b", 0], ["^", "abc", 0]',
  ),
  'regex.find_n': over(
    'regex.find_n(a, b, c)',
    '["a+", "aabaaac", -1], ["a+", "aabaaac", 1], ["a*", "baac", -1], ["a", "b", -1], ["a", "aaa", 0]',
  ),
  'time.parse_rfc3339_ns': `[[i, v] | some i, a in ["2024-02-29T12:34:56.123456789Z", "1970-01-01T00:00:00+01:30", "2024-02-30T00:00:00Z", "2024-01-01 00:00:00Z", "2024-01-01T24:00:00Z", "2262-04-11T23:47:16.854775807Z", "2300-01-01T00:00:00Z", "2024-01-01T1:02:03Z", "2024-01-01T01:02:03,5Z", "0001-01-01T00:00:00Z"]; v := time.parse_rfc3339_ns(a)]`,
  'time.parse_duration_ns': `[[i, v] | some i, a in ["1h2m3.5s", "-1.5h", "1d", "1.5w", "0", "1y2d3h", "100", "1h-2m", ".5s", "1us", "1µs", "", "300y", "1.000000001s", "0.9999999999ns"]; v := time.parse_duration_ns(a)]`,
  'time.date, clock and weekday': `[[i, v] | some i, a in [0, 1700000000000000001, -1, [1700000000000000000, "Europe/Berlin"], [1700000000000000000, "Nowhere"], [1700000000000000000, "America/New_York"], [0, ""], 1e30]; v := [time.date(a), time.clock(a), time.weekday(a)]]`,
  strings: over(
    '[strings.any_prefix_match(a, b), strings.any_suffix_match(a, b)]',
    '["foo", "f", 0], [["a", "b"], {"x", "b"}, 0], [[], "a", 0], ["abc", ["bc"], 0], ["x", 3, 0]',
  ),
  'strings.count, indexof_n, glob.quote_meta':
    '[strings.count("aaaa", "aa"), strings.count("héé", ""), indexof_n("aXaXa", "a"), indexof_n("éaéa", "éa"), glob.quote_meta("*.go[a]{b}?\\\\!,-")]',
  'strings.split_n': over(
    'strings.split_n(a, b, c)',
    '["a,b,c", ",", 2], ["a,b,c", ",", -2], ["a,b,c", ",", 0], ["abc", "", 2], ["a,b", ",", 9], ["a,b", ",", -9]',
  ),
  'object.subset': over(
    'object.subset(a, b)',
    '[{"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, 0], [{1, 2, 3}, {2}, 0], [[1, 2, 3], [2, 3], 0], [[1, 2, 3], [1, 3], 0], [[1, 1], {1, 2}, 0], [[1], set(), 0], [[], set(), 0], [[], [], 0], [[1], [], 0], [{"a": [1, 2]}, {"a": [2]}, 0], [{"a": [1, 2]}, {"a": {2}}, 0], [{"a": 1}, {"b": 1}, 0], [1, 2, 0]',
  ),
  encodings:
    '[hex.encode("hé"), hex.decode("68c3a9"), base64url.encode_no_pad("a?>~ü"), urlquery.encode("a b&é~!\'()*/"), urlquery.decode("a+b%26%C3%A9")]',
  digests:
    '[crypto.md5("x"), crypto.sha1("x"), crypto.sha256("é"), crypto.hmac.sha256("a", "k"), crypto.hmac.sha512("a", "k"), crypto.hmac.md5("a", "k"), crypto.hmac.sha1("a", "k"), crypto.hmac.equal("a", "a"), crypto.hmac.equal("a", "b")]',
  'net.cidr_is_valid':
    '[net.cidr_is_valid(x) | some x in ["10.0.0.0/8", "10.0.0.1/33", "::1/128", "10.0.0.0", "fe80::%1/64", "1.2.3.4/08", "1.2.3.4/8/8", 3]]',
  'numbers.range_step': '[numbers.range_step(1, 10, 3), numbers.range_step(10, 1, 4), numbers.range_step(0, 0, 1)]',
};

describe('the built-ins of the host', () => {
  it('give what opa eval gives', async () => {
    const body = Object.entries(CASES).map(([name, rego]) => `${JSON.stringify(name)}: ${rego}`);
    const { ours, theirs } = await both(`package q\n\nr := {\n${body.join(',\n')},\n}\n`);
    expect(Object.keys(theirs)).toHaveLength(Object.keys(CASES).length);
    for (const name of Object.keys(CASES)) expect({ [name]: ours[name] }).toEqual({ [name]: theirs[name] });
  });

  it.each(readdirSync(CASE_FILES))('give what opa eval gives on %s', async (file) => {
    const { ours, theirs } = await both(readFileSync(join(CASE_FILES, file), 'utf8'));
    expect(Object.keys(theirs).length).toBeGreaterThan(0);
    for (const name of Object.keys(theirs)) expect({ [name]: ours[name] }).toEqual({ [name]: theirs[name] });
  });

  it('are asked for by a module only when they are in the table, and never for what is native', async () => {
    for (const name of NATIVE_BUILTINS) expect(HOST_BUILTINS.has(name), name).toBe(false);
    const callable = ALL.filter(
      ({ name, deprecated }) => !deprecated && !name.startsWith('internal.') && !COMPILED_AWAY.has(name),
    );
    const supported = callable.filter(({ name }) => NATIVE_BUILTINS.has(name) || HOST_BUILTINS.has(name));
    expect(supported.length).toBeGreaterThan(110);
    const calls = supported.map(({ name, decl }) => {
      const args = (decl.args ?? []).map((_, i) => `input.a${i}`).join(', ');
      return `v := ${name}(${args})`;
    });
    // The instance itself refuses a module that needs what the table lacks.
    const rules = calls.map((call) => `deny contains sprintf("%v", [v]) if ${call}\n`).join('\n');
    await instanceOf(await build({ 'a.rego': `package admission.a\n\n${rules}` }));
  });

  it('name only what OPA has, and together with the native ones leave every other built-in refused', () => {
    const names = new Set(ALL.map((builtin) => builtin.name));
    for (const name of [...NATIVE_BUILTINS, ...HOST_BUILTINS.keys(), ...COMPILED_AWAY])
      expect(names.has(name), name).toBe(true);
    const { json, refused } = supportedCapabilities(CAPABILITIES);
    const kept: readonly Builtin[] = JSON.parse(json).builtins;
    expect(kept.length + refused.size).toBe(names.size);
    // What is neither there nor left out on purpose is new in this version of OPA.
    expect([...refused].filter((name) => !isRefused(name))).toEqual([]);
    expect(kept.filter(({ name }) => isRefused(name))).toEqual([]);
  });
});

describe('the built-ins that OPA compiles in and the host corrects', () => {
  it('come to an end, and fail where the result would be too large', () => {
    const call = (name: string, ...args: Value[]) => HOST_BUILTINS.get(name)?.(args, builtinContext());
    expect(call('replace', 'x'.repeat(1_000_000), '', '-')).toHaveLength(2_000_001);
    expect(() => call('replace', 'x'.repeat(1_000_000), 'x', 'y'.repeat(100))).toThrow(/^replace: the text is longer/);
    expect(() => call('format_int', new RegoNumber('9'.repeat(100_000)), 2)).toThrow(/^format_int: .*10000 digits$/);
  });
});

const VERBS = ['v', 's', 'd', 'q', 'x', 'X', 't', 'T', 'f', 'F', 'e', 'E', 'g', 'G', 'b', 'o', 'O', 'c', 'U', 'z'];
const MODIFIERS = [
  '',
  '+',
  '#',
  ' ',
  '0',
  '-',
  '8',
  '-8',
  '08',
  '+08',
  '.2',
  '8.2',
  '-8.2',
  '08.3',
  '.0',
  '#8.3',
  '# ',
  '25',
  '025',
  '.10',
  '.',
];
const VALUES = `["abc", "hé\\u2028\\"\`\\n", "", 0, 1, -7, 255, 1000000, 9007199254740993, -9223372036854775808,
  9223372036854775807, 9223372036854775808, 123456789012345678901234567890, 1.5, -0.25, 1e6, 1e-7, 123456789.125, 1e21,
  2.5, 0.5, 1e300, 1.0, true, null, [1, "a", {2}], {"a": {"b": [null]}}, {1, "x", [2]}, set(), 128512, 34, 39, 1e400]`;
const ODD = [
  '%',
  '%!',
  '%d',
  '%d %d',
  '%[2]d %[1]d',
  '%[3]d',
  '%[x]d',
  '%[2',
  '%*d',
  '%-*d|',
  '%.*f',
  '%[2]*[1]d',
  '%[1]*d',
  '%.[2]*[1]f',
  '%d%%%d',
  '%[1]d %d',
  '%6.2f%%',
  '%20000001d',
  '%é',
  '%[0]d',
  '%.-3d',
  '%+q',
  '%#q',
  '%# X',
  '%v %v %v %v',
  '%[2]3d',
  '%[2].3d',
  '%3[2]d',
];
const LISTS = ['[]', '[7]', '[7, 3]', '["a", 7]', '[1.5, 2]', '["é", -3]', '[12345678901234567890123]'];

describe('sprintf', () => {
  it('prints every value under every verb and flag as OPA does', async () => {
    const directives = VERBS.flatMap((verb) => MODIFIERS.map((modifier) => `%${modifier}${verb}`));
    const grid = directives.map(
      (directive) => `${JSON.stringify(directive)}: [sprintf(${JSON.stringify(directive)}, [x]) | some x in values]`,
    );
    const { ours, theirs } = await both(`package q\n\nvalues := ${VALUES}\n\nr := {\n${grid.join(',\n')},\n}\n`);
    expect(Object.keys(theirs)).toHaveLength(directives.length);
    expect(ours).toEqual(theirs);
  });

  it('complains of missing, extra and malformed directives in the words of OPA', async () => {
    const grid = ODD.map(
      (directive) =>
        `${JSON.stringify(directive)}: [${LISTS.map((list) => `sprintf(${JSON.stringify(directive)}, ${list})`).join(', ')}]`,
    );
    const { ours, theirs } = await both(`package q\n\nr := {\n${grid.join(',\n')},\n}\n`);
    expect(Object.keys(theirs)).toHaveLength(ODD.length);
    expect(ours).toEqual(theirs);
  });
});
