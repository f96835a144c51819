import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { buildBundle } from '../../../src/policy/bundle.ts';
import { toolPath } from '../../support/tools.ts';
import { build, folder, opaEval, removeFolders } from './support.ts';

afterEach(removeFolders);

const DENY = 'package admission.a\n\ndeny contains "no" if input.x\n';

/** A policy with this METADATA, each line behind `# `. */
function annotated(...lines: string[]): Record<string, string> {
  return { 'a.rego': ['# METADATA', ...lines.map((line) => `# ${line}`), DENY].join('\n') };
}

async function refusal(files: Record<string, string>): Promise<string> {
  const error: unknown = await build(files).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'POLICY_INVALID' });
  return (error as Error).message;
}

describe('building a bundle', () => {
  it('refuses a folder that is missing, empty, or holds only tests', async () => {
    await expect(buildBundle(toolPath('opa'), '/nonexistent/policies')).rejects.toThrow(
      'cannot read the policy folder',
    );
    expect(await refusal({})).toContain('holds no policy');
    expect(await refusal({ 'a_test.rego': DENY })).toContain('holds no policy');
  });

  it('says that the opa binary cannot be run', async () => {
    await expect(buildBundle('/nonexistent/opa', folder({ 'a.rego': DENY }))).rejects.toThrow(
      /cannot run \/nonexistent\/opa/,
    );
  });

  it('names file and line of every syntax error', async () => {
    const message = await refusal({
      'a.rego': 'package admission.a\n\ndeny contains {\n',
      'sub/b.rego': 'package admission.b\ndeny[x] { x := 1 }\n',
    });
    expect(message).toMatch(/^a\.rego:\d+: /m);
    expect(message).toMatch(/^sub\/b\.rego:2: .*`if` keyword/m);
  });

  it('names file and line of an error that only the compiler finds', async () => {
    expect(
      await refusal({ 'a.rego': DENY, 'b/b.rego': 'package admission.b\n\ndeny contains x if input.x\n' }),
    ).toMatch(/^b\/b\.rego:3: rego_unsafe_var_error: var x is unsafe/);
    expect(await refusal({ 'a.rego': 'package admission.a\n\ndeny contains nothing(3)\n' })).toMatch(
      /^a\.rego:3: .*undefined function nothing/,
    );
    expect(await refusal({ 'a.rego': 'package admission.a\n\ndeny contains upper(3)\n' })).toMatch(
      /^a\.rego:3: rego_type_error: upper: invalid argument/,
    );
  });

  it('refuses built-ins that need the network or that the host lacks, with file and line', async () => {
    const send =
      'package admission.a\n\ndeny contains "x" if {\n  http.send({"url": "http://x"}).status_code == 200\n}\n';
    expect(await refusal({ 'a.rego': send })).toMatch(
      /^a\.rego:4: .*built-in http\.send is not available: policies must not reach the network/,
    );
    expect(await refusal({ 'a.rego': 'package admission.a\n\ndeny contains opa.runtime().x\n' })).toMatch(
      /^a\.rego:3: .*opa\.runtime is not available/,
    );
    const mocked = 'package admission.a\n\ndeny contains "x" if {\n  data.lib.y with http.send as {"a": 1}\n}\n';
    expect(await refusal({ 'a.rego': mocked })).toMatch(
      /^a\.rego:4: .*built-in http\.send is not available: policies must not reach the network \(rule deny\)$/,
    );
  });

  it('gives each error one line, with what it continues with', async () => {
    const text = 'package admission.a\n\ndeny contains "x" if count(3)\n\ndeny contains "y" if 1 + "a"\n';
    const lines = (await refusal({ 'a.rego': text })).split('\n');
    expect(lines).toEqual([
      expect.stringMatching(/^a\.rego:3: .*count: invalid argument\(s\) have: \(number\); want: .* \(rule deny\)$/),
      expect.stringMatching(
        /^a\.rego:5: .*plus: invalid argument\(s\) have: \(number, string\); want: .* \(rule deny\)$/,
      ),
    ]);
  });

  it('refuses a package that would never be asked', async () => {
    expect(await refusal({ 'a.rego': 'package admission.a\n\nallow if input.x\n' })).toMatch(
      /^a\.rego:1: .*no rule deny, violation or warn/,
    );
    expect(await refusal({ 'a.rego': 'package admission\n\ndeny contains "x"\n' })).toMatch(
      /^a\.rego:1: .*needs a name/,
    );
    expect(await refusal({ 'a.rego': 'package admision.a\n\ndeny contains "x"\n' })).toMatch(
      /^a\.rego:1: .*did you mean admission\.<name>/,
    );
    expect(await refusal({ 'a.rego': 'package teams.labels\n\ndeny contains "x" if input.x' })).toMatch(
      /^a\.rego:3: the rule deny of package teams\.labels would not be asked.*admission\.labels/,
    );
    expect(await refusal({ 'a.rego': 'package lib.a\n\nx := 1\n' })).toContain(
      'no file declares a package admission.<name>',
    );
  });

  it.each([
    ['a boolean', 'deny if input.x', 3],
    ['a function', 'deny(x) := {x}', 3],
    ['an object', 'deny[x] := 1 if x := "a"', 3],
    ['a text', 'x := 1\n\ndeny := "no"', 5],
  ])('refuses a deny that is %s', async (_shape, rule, line) => {
    expect(await refusal({ 'a.rego': `package admission.a\n\n${rule}\n` })).toMatch(
      new RegExp(`^a\\.rego:${line}: deny.* write "deny contains message`),
    );
  });

  it('tolerates helper packages and policies over events', async () => {
    const { info } = await build({
      'a.rego': 'package admission.a\n\nimport data.lib.x\n\ndeny contains x.message\n',
      'lib/x.rego': 'package lib.x\n\nmessage := "m"\n',
      'events/e.rego': 'package events.e\n\nalert contains "x" if input.verb == "delete"\n',
    });
    expect(info.policies.map((policy) => policy.policy)).toEqual(['admission.a']);
  });

  it('digests policies and data as sha256sum would, whatever the order of creation, and leaves tests and hidden files out', async () => {
    const files = { 'b/data.yaml': 'x: 1\n', 'a.rego': DENY };
    const { info } = await build({
      ...files,
      'a_test.rego': 'package x_test\n',
      '.hidden/a.rego': 'broken',
      'README.md': '#',
    });
    const lines = ['a.rego', 'b/data.yaml'].map((path) => {
      const sha256 = createHash('sha256')
        .update(files[path as keyof typeof files])
        .digest('hex');
      return { path, sha256 };
    });
    expect(info.files).toEqual(lines);
    const text = lines.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join('');
    expect(info.digest).toBe(`sha256:${createHash('sha256').update(text).digest('hex')}`);
    expect((await build({ 'a.rego': DENY, 'b/data.yaml': 'x: 1\n' })).info.digest).toBe(info.digest);
    expect((await build({ 'a.rego': DENY, 'b/data.yaml': 'x: 2\n' })).info.digest).not.toBe(info.digest);
  });

  it('reads a mounted ConfigMap, whose files are links into a hidden folder, once', async () => {
    const dir = folder({});
    mkdirSync(join(dir, '..2026_01_01'));
    writeFileSync(join(dir, '..2026_01_01', 'a.rego'), DENY);
    symlinkSync('..2026_01_01', join(dir, '..data'));
    symlinkSync('..data/a.rego', join(dir, 'a.rego'));
    expect((await buildBundle(toolPath('opa'), dir)).info.files.map((file) => file.path)).toEqual(['a.rego']);
  });

  it('takes paths longer than a plain tar header holds', async () => {
    const dir = Array(6).fill('a-folder-with-a-long-name').join('/');
    const { info, wasm } = await build({ [`${dir}/a.rego`]: DENY, [`${dir}/data.json`]: '{}' });
    expect(info.files.map((file) => file.path)).toEqual([`${dir}/a.rego`, `${dir}/data.json`]);
    expect(Buffer.from(wasm.subarray(0, 4))).toEqual(Buffer.from('\0asm'));
  });

  it('puts data under the path of its folder and refuses JSON and YAML that would be ignored', async () => {
    const { data } = await build({ 'a.rego': DENY, 'data.json': '{"top": 1}', 'sub/data.yaml': 'deep: 2\n' });
    expect(JSON.parse(Buffer.from(data).toString())).toEqual({ top: 1, sub: { deep: 2 } });
    expect(await refusal({ 'a.rego': DENY, 'registries.json': '{}' })).toContain(
      'registries.json: data is read from data.json and data.yaml only',
    );
  });

  it('names the data file that cannot be read, with its line', async () => {
    expect(await refusal({ 'a.rego': DENY, 'sub/data.yaml': 'a: 1\nb: [1\n' })).toMatch(
      /^sub\/data\.yaml:\d: did not find/,
    );
    expect(await refusal({ 'a.rego': DENY, 'data.json': '{"a": 1,\n"b": 2,\n,}' })).toMatch(
      /^data\.json:3: invalid character/,
    );
    expect(await refusal({ 'a.rego': DENY, 'data.json': '[1]' })).toBe('data.json:1: root value must be object');
    expect(await refusal({ 'a.rego': DENY, 'data.json': '{"t": 1}', 'data.yaml': 't: 2\n' })).toBe(
      'data.yaml:1: another data file has the same path, or a value above it',
    );
  });

  it('refuses data at the place of a rule, and only there, as opa eval does', async () => {
    const rules = `package admission.a

deny contains "x" if f.b.c == 1

f.b.c := 1

g[x].b := 1 if some x in [1]

h.k(x) := x
`;
    const cases: [data: string, lines: number[]][] = [
      ['{}', []],
      ['{"admission": {"a": {"f": {"b": {"d": 1}}, "other": 1, "h": {"l": 1}}, "b": 1}}', []],
      ['{"admission": {"a": {"deny": ["z"]}}}', [3]],
      ['{"admission": {"a": {"f": {"b": {"c": 2}}}}}', [5]],
      ['{"admission": {"a": {"g": {"z": 1}, "h": {"k": {"z": 1}}}}}', [7, 9]],
      ['{"admission": {"a": {"f": 3}}}', [5]],
      ['{"admission": 1}', [3, 5, 7, 9]],
    ];
    for (const [data, lines] of cases) {
      const files = { 'a.rego': rules, 'data.json': data };
      const found = await build(files).then(
        () => [],
        (error: Error) => error.message.split('\n'),
      );
      expect(
        found.map((line) => Number(/^a\.rego:(\d+): the data have a value at/.exec(line)?.[1])),
        data,
      ).toEqual(lines);
      if (lines.length === 0) expect(opaEval(folder(files), 'data.admission.a.f.b.c')).toBe(1);
      else expect(() => opaEval(folder(files), 'data.admission.a'), data).toThrow();
    }
  });
});

describe('METADATA', () => {
  it('sets title, description, action, severity, match, controls, remediation and onError', async () => {
    const { info } = await build(
      annotated(
        'title: T',
        'description: |',
        '  D',
        'custom:',
        '  action: audit',
        '  severity: critical',
        '  controls: [A, B]',
        '  remediation: R',
        '  onError: deny',
        '  match:',
        '    kinds: [Pod, apps/Deployment, /Node, {groups: [batch], kinds: [Job, CronJob]}]',
        '    resources: [pods/exec, deployments.apps]',
        '    operations: [CREATE]',
        '    namespaces: [prod-*]',
        '    excludeNamespaces: [kube-system]',
        '    labels: {app: web, tier: [a, b]}',
      ),
    );
    expect(info.policies).toEqual([
      {
        policy: 'admission.a',
        title: 'T',
        description: 'D',
        files: ['a.rego'],
        rules: [
          {
            rule: 'deny',
            location: expect.stringMatching(/^a\.rego:\d+$/),
            entrypoint: 'admission/a/deny',
            action: 'audit',
            severity: 'critical',
            controls: ['A', 'B'],
            remediation: 'R',
            onError: 'deny',
            match: {
              kinds: [
                { groups: ['*'], kinds: ['Pod'] },
                { groups: ['apps'], kinds: ['Deployment'] },
                { groups: [''], kinds: ['Node'] },
                { groups: ['batch'], kinds: ['Job', 'CronJob'] },
              ],
              resources: [
                { group: '*', resource: 'pods', subresource: 'exec' },
                { group: 'apps', resource: 'deployments', subresource: '' },
              ],
              operations: ['CREATE'],
              namespaces: ['prod-*'],
              excludeNamespaces: ['kube-system'],
              labels: { app: ['web'], tier: ['a', 'b'] },
            },
          },
        ],
      },
    ]);
  });

  it('takes the action from the rule where nothing is said, and fails closed only where the rule could deny', async () => {
    const { info } = await build({
      'a.rego': 'package admission.a\n\ndeny contains "a"\n\nviolation contains {"msg": "b"}\n\nwarn contains "c"\n',
    });
    expect(
      info.policies[0]?.rules.map(({ rule, action, severity, onError }) => [rule, action, severity, onError]),
    ).toEqual([
      ['deny', 'deny', 'medium', 'deny'],
      ['violation', 'deny', 'medium', 'deny'],
      ['warn', 'warn', 'medium', 'allow'],
    ]);
  });

  it('lets a block on a rule override the one on its package', async () => {
    const { info } = await build({
      'a.rego': `# METADATA
# custom:
#   severity: high
#   controls: [A]
package admission.a

# METADATA
# scope: document
# custom:
#   action: audit
#   severity: low
deny contains "a" if input.a

deny contains "b" if input.b

warn contains "c"
`,
    });
    expect(info.policies[0]?.rules).toMatchObject([
      { rule: 'deny', action: 'audit', severity: 'low', controls: ['A'] },
      { rule: 'warn', action: 'warn', severity: 'high', controls: ['A'] },
    ]);
  });

  it.each<[string, string[], string]>([
    ['a misspelled annotation key', ['titel: x'], 'a.rego:2: unknown METADATA key "titel"; did you mean "title"?'],
    [
      'a misspelled custom key',
      ['title: x', 'custom:', '  severty: low'],
      'a.rego:4: unknown custom key "severty"; did you mean "severity"?',
    ],
    [
      'an unknown custom key',
      ['custom:', '  zebra: 1'],
      'a.rego:3: unknown custom key "zebra"; known: action, severity',
    ],
    ['a setting outside of custom', ['action: deny'], 'a.rego:2: unknown METADATA key "action"'],
    [
      'a misspelled match key',
      ['custom:', '  match:', '    operations: [CREATE]', '    namespace: [x]'],
      'a.rego:5: unknown match key "namespace"; did you mean "namespaces"?',
    ],
    [
      'an unknown action',
      ['custom:', '  action: dney'],
      'a.rego:3: custom.action is "dney"; did you mean "deny"? allowed: deny, warn, audit',
    ],
    [
      'an unknown operation',
      ['custom:', '  match:', '    operations:', '      - CREATE', '      - UPDTE'],
      'a.rego:6: custom.match.operations is "UPDTE"; did you mean "UPDATE"?',
    ],
    ['an empty list', ['custom:', '  match:', '    kinds: []'], 'a.rego:4: custom.match.kinds is empty'],
    [
      'a text where a list belongs',
      ['custom:', '  match:', '    operations: CREATE'],
      'a.rego:4: custom.match.operations must be a list',
    ],
    ['a kind in lower case', ['custom:', '  match:', '    kinds: [pods]'], 'a.rego:4: "pods" is not a kind'],
    [
      'an unknown key of a kind',
      ['custom:', '  match:', '    kinds:', '      - kind: [Pod]'],
      'a.rego:5: unknown key of a match kind "kind"; did you mean "kinds"?',
    ],
    ['a resource that is none', ['custom:', '  match:', '    resources: [Pods]'], 'a.rego:4: "Pods" is not a resource'],
    [
      'a star inside a namespace',
      ['custom:', '  match:', '    namespaces: ["a*b"]'],
      'a.rego:4: "a*b" is not a namespace',
    ],
    [
      'subresources twice',
      ['custom:', '  match:', '    resources: [pods/exec]', '    subresources: [attach]'],
      'a.rego:5: subresources stands beside',
    ],
    ['a number as a text', ['custom:', '  remediation: 5'], 'a.rego:3: custom.remediation must be text'],
    ['a key given twice', ['custom:', '  action: deny', '  action: warn'], 'a.rego:4: '],
    [
      'a scope that means more packages',
      ['scope: subpackages', 'title: x'],
      'a.rego:1: scope subpackages is not supported',
    ],
  ])('refuses %s where it stands', async (_what, lines, message) => {
    expect(await refusal(annotated(...lines))).toContain(message);
  });

  it('refuses a block that nothing reads', async () => {
    const lower = { 'a.rego': `# metadata\n# custom:\n#   action: audit\n${DENY}` };
    expect(await refusal(lower)).toMatch(/^a\.rego:1: this is not read as METADATA/);
    const helper = { 'a.rego': `${DENY}\n# METADATA\n# custom:\n#   action: audit\nhelper := 1\n` };
    expect(await refusal(helper)).toMatch(/^a\.rego:7: custom\.action on rule helper has no effect/);
  });

  it('refuses settings on one of several rules of a name, and two blocks for one package', async () => {
    const part = '# METADATA\n# custom:\n#   action: audit\ndeny contains "a"\n\ndeny contains "b"\n';
    expect(await refusal({ 'a.rego': `package admission.a\n\n${part}` })).toMatch(
      /^a\.rego:3: .*write "scope: document"/,
    );
    const block = '# METADATA\n# title: x\n';
    expect(await refusal({ 'a.rego': block + DENY, 'b.rego': `${block}package admission.a\n` })).toMatch(
      /^b\.rego:1: package admission\.a has METADATA twice/,
    );
  });
});
