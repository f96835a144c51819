import { afterEach, describe, expect, it } from 'vitest';
import { type EngineOptions, startEngine } from '../../../src/policy/engine.ts';
import type { Evaluation, MatchFacts, PolicyEngine } from '../../../src/policy/types.ts';
import { toolPath } from '../../support/tools.ts';
import { folder, POD, removeFolders } from './support.ts';

const engines: PolicyEngine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  removeFolders();
});

async function engineOf(files: Record<string, string>, options: Partial<EngineOptions> = {}): Promise<PolicyEngine> {
  const defaults = { dir: folder(files), opa: toolPath('opa'), workers: 1, timeLimitMs: 5000, maxPending: 100 };
  const engine = await startEngine({ ...defaults, ...options });
  engines.push(engine);
  return engine;
}

async function evaluate(
  engine: PolicyEngine,
  input: unknown,
  facts: Partial<MatchFacts> = {},
  ms = 20_000,
): Promise<Evaluation> {
  const bytes = Buffer.from(typeof input === 'string' ? input : JSON.stringify(input));
  return await engine.evaluate({ ...POD, ...facts }, bytes, performance.now() + ms);
}

const NAMES = `# METADATA
# title: Names
# custom:
#   severity: high
#   controls: [X-1]
#   remediation: Rename it.
package admission.names

deny contains sprintf("name %v is taken", [input.request.name]) if input.request.name == data.taken

warn contains {"msg": "odd", "name": input.request.name} if startswith(input.request.name, "odd")
`;

describe('the policy engine', () => {
  it('gives each member of each rule as a result with its policy, action, severity, controls and details', async () => {
    const engine = await engineOf({ 'names.rego': NAMES, 'data.json': '{"taken": "odd-web"}' });
    const evaluation = await evaluate(engine, { request: { name: 'odd-web' } });
    expect(evaluation).toMatchObject({
      allowed: false,
      failures: [],
      prints: [],
      evaluated: ['admission.names'],
      bundle: engine.bundle.digest,
      results: [
        {
          policy: 'admission.names',
          rule: 'deny',
          action: 'deny',
          severity: 'high',
          message: 'name odd-web is taken',
          controls: ['X-1'],
          remediation: 'Rename it.',
        },
        { rule: 'warn', action: 'warn', message: 'odd', details: { name: 'odd-web' } },
      ],
    });
    expect((await evaluate(engine, { request: { name: 'fine' } })).allowed).toBe(true);
  });

  it('keeps the verdicts of the other policies when one fails', async () => {
    const engine = await engineOf({
      'a.rego': 'package admission.a\n\ndeny := {"one"} if input.x\n\ndeny := {"two"} if input.y\n',
      'b.rego': 'package admission.b\n\ndeny contains "b says no" if input.x\n',
      'c.rego': 'package admission.c\n\ndeny contains 7 if input.x\n',
    });
    const evaluation = await evaluate(engine, { x: true, y: true });
    expect(evaluation.results.map((result) => result.message)).toEqual(['b says no']);
    expect(evaluation.failures).toMatchObject([
      { policy: 'admission.a', code: 'POLICY_FAILED', action: 'deny', message: expect.stringContaining('a.rego:5') },
      {
        policy: 'admission.c',
        code: 'POLICY_FAILED',
        message: expect.stringMatching(/one is a number \(deny at c\.rego:3\)$/),
      },
    ]);
  });

  it('evaluates only the policies that match, and does not parse the input when none does', async () => {
    const engine = await engineOf({
      'pods.rego': `# METADATA\n# custom: {match: {kinds: [Pod]}}\npackage admission.pods\n\ndeny contains "p"\n`,
      'nodes.rego': `# METADATA\n# custom: {match: {kinds: [Node]}}\npackage admission.nodes\n\ndeny contains "n"\n`,
    });
    expect(await evaluate(engine, {})).toMatchObject({ evaluated: ['admission.pods'], results: [{ message: 'p' }] });
    const none = await evaluate(engine, 'not json', { kind: 'Service' });
    expect(none).toMatchObject({ allowed: true, evaluated: [], results: [], failures: [] });
  });

  it('denies by deny alone: warn and audit are results that allow', async () => {
    const engine = await engineOf({
      'a.rego': `# METADATA\n# custom: {action: audit}\npackage admission.a\n\nviolation contains {"msg": "seen"}\n`,
      'w.rego': 'package admission.w\n\nwarn contains "careful"\n',
    });
    const evaluation = await evaluate(engine, {});
    expect(evaluation.allowed).toBe(true);
    expect(evaluation.results.map(({ action, message }) => [action, message])).toEqual([
      ['audit', 'seen'],
      ['warn', 'careful'],
    ]);
  });

  it('lets a request pass a failing policy only with onError: allow, and says so', async () => {
    const failing = (name: string) => `package admission.${name}\n\ndeny := {"x"} if true\n\ndeny := {"y"} if true\n`;
    const open = await engineOf({ 'a.rego': `# METADATA\n# custom: {onError: allow}\n${failing('a')}` });
    expect(await evaluate(open, {})).toMatchObject({
      allowed: true,
      failures: [{ code: 'POLICY_FAILED', action: 'warn' }],
    });
    const closed = await engineOf({ 'a.rego': failing('a') });
    expect(await evaluate(closed, {})).toMatchObject({ allowed: false, failures: [{ action: 'deny' }] });
  });

  it('carries the output of print, bounded in number and length', async () => {
    const engine = await engineOf({
      'a.rego': `package admission.a

deny contains "x" if {
	print("name", input.name, {1, "a"}, input.missing)
	false
}
`,
      'b.rego': `package admission.b

deny contains "x" if {
	some i in numbers.range(1, 500)
	print(i, input.long)
	false
}
`,
    });
    const { prints } = await evaluate(engine, { name: 'n', long: 'y'.repeat(5000) });
    expect(prints[0]).toEqual({ policy: 'admission.a', message: 'name n {1, "a"} <undefined>' });
    expect(prints).toHaveLength(100);
    expect(prints[99]).toEqual({ policy: 'admission.b', message: '… further prints were left out' });
    expect(Math.max(...prints.map((print) => print.message.length))).toBeLessThanOrEqual(1025);
  });

  it('sees one time in all policies of a request', async () => {
    const rule = (name: string) => `package admission.${name}\n\ndeny contains sprintf("%d", [time.now_ns()])\n`;
    const engine = await engineOf({ 'a.rego': rule('a'), 'b.rego': rule('b') });
    const before = BigInt(Date.now()) * 1_000_000n;
    const [a, b] = (await evaluate(engine, {})).results;
    expect(a?.message).toBe(b?.message);
    expect(BigInt(a?.message ?? 0) - before).toBeLessThan(60_000_000_000n);
    const [later] = (await evaluate(engine, {})).results;
    expect(BigInt(later?.message ?? 0)).toBeGreaterThan(BigInt(a?.message ?? 0));
  });

  it('reads what a client may write: lone surrogates, NUL, numbers beyond a double, keys like __proto__', async () => {
    const engine = await engineOf({
      'a.rego':
        'package admission.a\n\ndeny contains {"msg": sprintf("%v|%v|%v", [input.s, input.n, input.big]), "proto": input["__proto__"]}\n',
    });
    const text = '{"s":"a\\ud800\\u0000\\ud83d\\ude00","n":1e400,"big":12345678901234567890123,"__proto__":{"x":1}}';
    const [result] = (await evaluate(engine, text)).results;
    expect(result?.message).toBe('a\ufffd\u0000😀|1e400|12345678901234567890123');
    expect(JSON.stringify(result?.details)).toBe('{"proto":{"x":1}}');
  });

  it('fails a request that is not JSON in every policy that matched', async () => {
    const engine = await engineOf({ 'names.rego': NAMES, 'data.json': '{"taken": "x"}' });
    for (const text of ['', '{', '{"a":}', '[1,2', 'nul', '{1, 2}', '\u0000']) {
      const evaluation = await evaluate(engine, text);
      expect(evaluation, text).toMatchObject({
        allowed: false,
        failures: [{ policy: 'admission.names', code: 'POLICY_FAILED' }],
      });
    }
    expect((await evaluate(engine, { request: { name: 'fine' } })).allowed).toBe(true);
  });

  it('answers a deeply nested or a huge input in time, and the next request as if nothing had been', async () => {
    const engine = await engineOf({
      'a.rego': 'package admission.a\n\ndeny contains "walked" if {\n\twalk(input, [_, v])\n\tv == "needle"\n}\n',
    });
    const deep = await evaluate(engine, `${'['.repeat(2_000_000)}${']'.repeat(2_000_000)}`);
    expect(deep).toMatchObject({
      allowed: false,
      failures: [{ code: 'POLICY_FAILED', message: expect.stringMatching(/nested too deeply$/) }],
    });
    const huge = await evaluate(engine, {
      request: { text: 'x'.repeat(8 * 1024 * 1024), list: Array(200_000).fill({ a: 1 }) },
    });
    expect(huge).toMatchObject({ allowed: true, failures: [] });
    expect(await evaluate(engine, { a: ['needle'] })).toMatchObject({
      allowed: false,
      failures: [],
      results: [{ message: 'walked' }],
    });
    expect(engine.stats().replaced).toBe(0);
    expect(engine.stats().recycled).toBeGreaterThanOrEqual(2);
  });

  it('fails a policy that needs more memory than an instance may have, and recycles one that has grown', async () => {
    const files = {
      'a.rego':
        'package admission.a\n\ndeny contains "x" if {\n\tinput.grow\n\tcount(numbers.range(1, input.n)) == 0\n}\n',
      'b.rego': 'package admission.b\n\ndeny contains "b"\n',
    };
    const memory = { maxBytes: 32 * 1024 * 1024, recycleBytes: 8 * 1024 * 1024, heapMb: 256 };
    const engine = await engineOf(files, { memory });
    expect(await evaluate(engine, { grow: true, n: 10_000_000 })).toMatchObject({
      results: [{ message: 'b' }],
      failures: [
        {
          policy: 'admission.a',
          code: 'POLICY_FAILED',
          message: expect.stringMatching(/needs more memory .* \(deny at a\.rego:3\)$/),
        },
      ],
    });
    const before = engine.stats().recycled;
    expect((await evaluate(engine, { grow: true, n: 50_000 })).failures).toEqual([]);
    expect(engine.stats().recycled).toBe(before + 1);
    expect((await evaluate(engine, {})).failures).toEqual([]);
    expect(engine.stats().recycled).toBe(before + 1);
  });
});

// Loops over an object, which takes no memory: what allocates runs into the memory limit sooner than into the time
// limit.
const RUNAWAY = `package admission.runaway

deny contains "never" if {
	input.run
	some a in data.list
	some b in data.list
	some c in data.list
	some d in data.list
	some e in data.list
	e < 0
}
`;
const LIST = {
  'data.json': JSON.stringify({ list: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, i])) }),
};
const GOOD = 'package admission.good\n\ndeny contains "good says no" if input.x\n';

describe('a runaway policy', () => {
  it('is cut off and named, while the other policies of the request give their verdict', async () => {
    const reasons: string[] = [];
    const engine = await engineOf(
      { ...LIST, 'runaway.rego': RUNAWAY, 'good.rego': GOOD, 'z.rego': GOOD.replace('good', 'zzz') },
      {
        timeLimitMs: 300,
        onWorkerReplaced: (reason) => reasons.push(reason),
      },
    );
    const evaluation = await evaluate(engine, { run: true, x: true });
    expect(evaluation.failures).toMatchObject([
      {
        policy: 'admission.runaway',
        code: 'POLICY_TIMEOUT',
        action: 'deny',
        message: expect.stringMatching(/within 300 ms .* \(deny at runaway\.rego:3\)$/),
      },
    ]);
    expect(evaluation.results.map((result) => result.policy)).toEqual(['admission.good', 'admission.zzz']);
    expect(evaluation.ms).toBeGreaterThan(295);
    expect(reasons).toEqual(['an evaluation ran past its time limit']);
    expect(await evaluate(engine, { x: true })).toMatchObject({ failures: [], results: [{}, {}] });
    expect(engine.stats()).toMatchObject({ timeouts: 1, replaced: 1 });
  });

  it('is cut off by the deadline of the request where that is sooner', async () => {
    const engine = await engineOf(
      { ...LIST, 'runaway.rego': RUNAWAY, 'z.rego': GOOD.replace('good', 'zzz') },
      { timeLimitMs: 60_000 },
    );
    const evaluation = await evaluate(engine, { run: true }, {}, 400);
    expect(evaluation.ms).toBeLessThan(2000);
    expect(evaluation.failures.map(({ policy, code }) => [policy, code])).toEqual([
      ['admission.runaway', 'POLICY_TIMEOUT'],
      ['admission.zzz', 'POLICY_TIMEOUT'],
    ]);
  });

  it('does not harm requests on other workers', async () => {
    const engine = await engineOf(
      { ...LIST, 'runaway.rego': RUNAWAY, 'good.rego': GOOD },
      { workers: 2, timeLimitMs: 300 },
    );
    const stuck = evaluate(engine, { run: true });
    const others = await Promise.all(Array.from({ length: 50 }, () => evaluate(engine, { x: true })));
    expect(others.every((evaluation) => evaluation.failures.length === 0 && evaluation.results.length === 1)).toBe(
      true,
    );
    expect((await stuck).failures).toMatchObject([{ code: 'POLICY_TIMEOUT' }]);
  });

  it('does not harm requests behind it on its worker, and before it', async () => {
    const engine = await engineOf({ ...LIST, 'runaway.rego': RUNAWAY, 'good.rego': GOOD }, { timeLimitMs: 300 });
    const inputs = Array.from({ length: 40 }, (_, i) => (i % 13 === 5 ? { run: true } : { x: true }));
    const all = await Promise.all(inputs.map((input) => evaluate(engine, input, {}, 60_000)));
    const codes = all.map(({ failures, results }) => failures[0]?.code ?? results[0]?.policy);
    expect(codes).toEqual(inputs.map((input) => ('run' in input ? 'POLICY_TIMEOUT' : 'admission.good')));
    expect(engine.stats()).toMatchObject({ timeouts: 3, replaced: 3, overloads: 0, waiting: 0, running: 0 });
  });

  it('denies or allows by its onError', async () => {
    const engine = await engineOf(
      { ...LIST, 'a.rego': `# METADATA\n# custom: {onError: allow}\n${RUNAWAY}` },
      { timeLimitMs: 200 },
    );
    expect(await evaluate(engine, { run: true })).toMatchObject({
      allowed: true,
      failures: [{ code: 'POLICY_TIMEOUT', action: 'warn' }],
    });
  });
});

describe('the pool', () => {
  it('refuses at once what its queue cannot hold, and what waited past its deadline', async () => {
    const engine = await engineOf({ ...LIST, 'runaway.rego': RUNAWAY }, { timeLimitMs: 1500, maxPending: 2 });
    const stuck = evaluate(engine, { run: true });
    const waiting = [evaluate(engine, {}, {}, 300), evaluate(engine, {})];
    const started = performance.now();
    await expect(evaluate(engine, {})).rejects.toMatchObject({
      code: 'POLICY_OVERLOADED',
      message: expect.stringContaining('2 evaluations are waiting'),
    });
    expect(performance.now() - started).toBeLessThan(100);
    await expect(waiting[0]).rejects.toMatchObject({
      code: 'POLICY_OVERLOADED',
      message: expect.stringContaining('deadline'),
    });
    expect((await waiting[1])?.failures).toEqual([]);
    expect((await stuck).failures).toHaveLength(1);
    expect(engine.stats()).toMatchObject({ overloads: 2, waiting: 0, running: 0 });
  });

  it('replaces a worker that died and fails only the policy at which it stood', async () => {
    // A value that the module can hold and the host, for which every part of it is an object, cannot.
    const bomb = `package admission.bomb

deny contains message if {
	input.run
	objects := [{"a": i} | some i in numbers.range(1, 300000)]
	message := sprintf("%v", [objects])
}
`;
    const reasons: string[] = [];
    const engine = await engineOf(
      { 'bomb.rego': bomb, 'good.rego': GOOD },
      {
        memory: { maxBytes: 512 * 1024 * 1024, recycleBytes: 64 * 1024 * 1024, heapMb: 32 },
        timeLimitMs: 60_000,
        onWorkerReplaced: (reason) => reasons.push(reason),
      },
    );
    const evaluation = await evaluate(engine, { run: true, x: true }, {}, 60_000);
    expect(evaluation.failures).toMatchObject([{ policy: 'admission.bomb', code: 'POLICY_FAILED', action: 'deny' }]);
    expect(evaluation.results).toMatchObject([{ policy: 'admission.good' }]);
    expect(reasons).toEqual([expect.stringContaining('a worker died: Worker terminated due to reaching memory limit')]);
    expect((await evaluate(engine, { x: true })).failures).toEqual([]);
  });

  it('does not start with a worker that cannot start', async () => {
    const memory = { maxBytes: 2 * 1024 * 1024, recycleBytes: 1024 * 1024, heapMb: 64 };
    const files = { 'a.rego': GOOD, 'data.json': JSON.stringify({ big: 'x'.repeat(4 * 1024 * 1024) }) };
    await expect(engineOf(files, { memory })).rejects.toMatchObject({
      code: 'POLICY_FAILED',
      message: expect.stringContaining('did not start'),
    });
  });

  it('refuses evaluations after it was closed, those that wait among them', async () => {
    const engine = await engineOf({ ...LIST, 'runaway.rego': RUNAWAY });
    const pending = [evaluate(engine, { run: true }), evaluate(engine, {})];
    const settled = Promise.allSettled(pending);
    await engine.close();
    const refusal = { status: 'rejected', reason: expect.objectContaining({ message: 'the policy engine is closed' }) };
    expect(await settled).toEqual([refusal, refusal]);
    expect(await Promise.allSettled([evaluate(engine, {})])).toEqual([refusal]);
  });
});
