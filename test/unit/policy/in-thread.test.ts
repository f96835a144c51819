import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { JsonDocument } from '../../../src/lib/json-document.ts';
import { buildBundle } from '../../../src/policy/bundle.ts';
import { DataDocument } from '../../../src/policy/data-document.ts';
import { type EngineOptions, startBundle, startEngine } from '../../../src/policy/engine.ts';
import { meterModule } from '../../../src/policy/meter.ts';
import type { Evaluation, PolicyEngine } from '../../../src/policy/types.ts';
import { toolPath } from '../../support/tools.ts';
import { folder, POD, removeFolders } from './support.ts';

const engines: PolicyEngine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  removeFolders();
});

const REVIEWS = new URL('../../fixtures/reviews/', import.meta.url);
const reviews = readdirSync(REVIEWS).map((name) => readFileSync(new URL(name, REVIEWS)));

async function engineOf(dir: string, options: Partial<EngineOptions> = {}): Promise<PolicyEngine> {
  const defaults = { opa: toolPath('opa'), workers: 1, timeLimitMs: 300, maxPending: 1000, inThread: true };
  const engine = await startEngine({ ...defaults, ...options, dir });
  engines.push(engine);
  return engine;
}

function ask(engine: PolicyEngine, input: unknown = {}): Evaluation | Promise<Evaluation> {
  const bytes = Buffer.isBuffer(input) ? input : Buffer.from(JSON.stringify(input));
  return engine.evaluate(POD, bytes, performance.now() + 60_000);
}

const doc = new JsonDocument();

/** As the admission webhook does, which has the table of the bytes. */
function askScanned(engine: PolicyEngine, input: unknown): Evaluation | Promise<Evaluation> {
  const bytes = Buffer.isBuffer(input) ? input : Buffer.from(JSON.stringify(input));
  doc.scan(bytes);
  return engine.evaluate(POD, bytes, performance.now() + 60_000, doc);
}

/** Without what differs from one evaluation to the next. */
function said({ ms: _, times, ...rest }: Evaluation): unknown {
  return { ...rest, times: times.map(({ policy }) => policy) };
}

const NAMES = 'package admission.names\n\ndeny contains "bad" if input.name == "bad"\n';

/** 2^40 calls, without a loop. */
const EXPLODES = `package admission.explodes

f0(x) := x + 1
${Array.from({ length: 40 }, (_, i) => `f${i + 1}(x) := f${i}(x) + f${i}(x + 1)`).join('\n')}

deny contains "exploded" if { input.explode; f40(input.explode) > 0 }
`;

describe('an evaluation on the thread that asks', () => {
  it('says at once what a worker would say, of every policy of the library', async () => {
    const [here, there] = await Promise.all([engineOf('policies'), engineOf('policies', { inThread: false })]);
    let results = 0;
    for (const review of reviews) {
      const answer = ask(here, review);
      expect(answer).not.toBeInstanceOf(Promise);
      const evaluation = await answer;
      expect(said(evaluation)).toEqual(said(await ask(there, review)));
      results += evaluation.results.length;
    }
    expect(results).toBeGreaterThan(10);
    expect(here.stats()).toMatchObject({ inThread: reviews.length, handedOver: 0, evaluations: reviews.length });
    expect(there.stats()).toMatchObject({ inThread: 0, evaluations: reviews.length });
  });

  it('is stopped when it runs away, and cut off where a worker goes on with it; the thread is free meanwhile', async () => {
    const engine = await engineOf(folder({ 'names.rego': NAMES, 'explodes.rego': EXPLODES }));
    const verdict = ask(engine, { name: 'bad', explode: 1 });
    expect(verdict).toBeInstanceOf(Promise);
    const { results, failures } = await verdict;
    expect(failures).toMatchObject([{ policy: 'admission.explodes', code: 'POLICY_TIMEOUT', action: 'deny' }]);
    expect(results).toMatchObject([{ policy: 'admission.names', message: 'bad' }]);
    expect(engine.stats()).toMatchObject({ handedOver: 1, inThread: 0, timeouts: 1 });
  });

  it('is not tried again with a rule that was stopped, for a while', async () => {
    const engine = await engineOf(folder({ 'names.rego': NAMES, 'explodes.rego': EXPLODES }));
    await ask(engine, { explode: 1 });
    const { results, failures } = await ask(engine, { name: 'bad' });
    expect(failures).toEqual([]);
    expect(results).toMatchObject([{ message: 'bad' }]);
    expect(engine.stats()).toMatchObject({ handedOver: 1, inThread: 0, evaluations: 2 });
  });

  it('leaves to workers what is large, and rules that call built-ins that no fuel stops', async () => {
    const engine = await engineOf(folder({ 'names.rego': NAMES }));
    const large = ask(engine, { name: 'bad', text: 'x'.repeat(200_000) });
    expect(large).toBeInstanceOf(Promise);
    expect((await large).results).toMatchObject([{ message: 'bad' }]);
    expect(engine.stats()).toMatchObject({ inThread: 0, handedOver: 0 });
    const heavy = `${NAMES}\ndeny contains "v" if { input.a; strings.any_prefix_match(input.a, input.b) }\n`;
    const other = await engineOf(folder({ 'names.rego': heavy }));
    expect(ask(other, { name: 'bad' })).not.toBeInstanceOf(Promise);
    expect((await ask(other, { name: 'bad', a: ['x'], b: ['x'] })).results).toMatchObject([
      { message: 'bad' },
      { message: 'v' },
    ]);
    expect(other.stats()).toMatchObject({ inThread: 1, handedOver: 1 });
  });

  it('says of what the policies read of a review what a worker says of all of it', async () => {
    const [here, there] = await Promise.all([engineOf('policies'), engineOf('policies', { inThread: false })]);
    for (const review of reviews) {
      const answer = askScanned(here, review);
      expect(answer).not.toBeInstanceOf(Promise);
      expect(said(await answer)).toEqual(said(await ask(there, review)));
    }
    expect(here.stats()).toMatchObject({ inThread: reviews.length, handedOver: 0 });
  });

  it('takes place here when what the policies read is small, and sees none of another document', async () => {
    const engine = await engineOf(folder({ 'names.rego': NAMES }));
    const text = 'x'.repeat(200_000);
    const answer = askScanned(engine, { text, name: 'bad', more: [text] });
    expect(answer).not.toBeInstanceOf(Promise);
    expect((await answer).results).toMatchObject([{ message: 'bad' }]);
    const large = askScanned(engine, { name: text });
    expect(large).toBeInstanceOf(Promise);
    await large;
    expect(engine.stats()).toMatchObject({ inThread: 1, handedOver: 0 });
    // A table of other bytes is no table.
    doc.scan(Buffer.from('{"name":"bad"}'));
    const other = await engine.evaluate(POD, Buffer.from('{"name":"good"}'), performance.now() + 60_000, doc);
    expect(other.results).toEqual([]);
  });

  it('of a small part ends as that of all in a worker, with the whole input there', async () => {
    const conflict = 'package admission.c\n\nx := v if some v in input.list\n\ndeny contains "c" if x == 1\n';
    const engine = await engineOf(folder({ 'names.rego': NAMES, 'c.rego': conflict }));
    const { results, failures } = await askScanned(engine, { z: ['x'.repeat(1000)], name: 'bad', list: [1, 2] });
    expect(failures).toMatchObject([{ policy: 'admission.c', code: 'POLICY_FAILED' }]);
    expect(results).toMatchObject([{ policy: 'admission.names' }]);
    expect(engine.stats()).toMatchObject({ inThread: 0, handedOver: 1 });
  });

  it('pays for what built-ins of the host read and write', async () => {
    const rego = 'package admission.long\n\ndeny contains sprintf("%s%d", [input.text, count(input.text)])\n';
    const engine = await engineOf(folder({ 'long.rego': rego }));
    expect(ask(engine, { text: 'short' })).not.toBeInstanceOf(Promise);
    const text = 'x'.repeat(60_000);
    const { results } = await ask(engine, { text });
    expect(results).toHaveLength(1);
    expect(engine.stats()).toMatchObject({ inThread: 1, handedOver: 1 });
  });

  it('leaves a policy that fails to a worker, and goes on with another instance', async () => {
    const conflict = 'package admission.c\n\nx := v if some v in input.list\n\ndeny contains "c" if x == 1\n';
    const engine = await engineOf(folder({ 'names.rego': NAMES, 'c.rego': conflict }));
    expect(ask(engine, { name: 'bad', list: [1] })).not.toBeInstanceOf(Promise);
    const { results, failures } = await ask(engine, { name: 'bad', list: [1, 2] });
    expect(failures).toMatchObject([{ policy: 'admission.c', code: 'POLICY_FAILED' }]);
    expect(results).toMatchObject([{ policy: 'admission.names' }]);
    expect(engine.stats()).toMatchObject({ inThread: 1, handedOver: 1 });
  });

  it('says of a deep input what a worker says, whose stack is larger', async () => {
    const rego =
      'package admission.deep\n\ndeny contains "deep" if { some path, v; walk(input, [path, v]); v == "end" }\n';
    const dir = folder({ 'deep.rego': rego });
    // Also on a busy machine: how long it takes is not the question.
    const timeLimitMs = 20_000;
    const [here, there] = await Promise.all([
      engineOf(dir, { timeLimitMs }),
      engineOf(dir, { timeLimitMs, inThread: false }),
    ]);
    for (const depth of [10, 1000, 5000, 9000]) {
      const input = Buffer.from(`${'{"a":'.repeat(depth)}"end"${'}'.repeat(depth)}`);
      expect(said(await ask(here, input))).toEqual(said(await ask(there, input)));
    }
  });

  it('says of a deep text that a built-in reads what a worker says', async () => {
    const rego = 'package admission.token\n\ndeny contains "decoded" if io.jwt.decode(input.token)[1]\n';
    const dir = folder({ 'token.rego': rego });
    const [here, there] = await Promise.all([engineOf(dir), engineOf(dir, { inThread: false })]);
    for (const depth of [10, 1000, 3000, 7000]) {
      const parts = ['{"alg":"HS256"}', `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`, 'signature'];
      const token = parts.map((part) => Buffer.from(part).toString('base64url')).join('.');
      const verdict = said(await ask(here, { token }));
      expect(verdict).toEqual(said(await ask(there, { token })));
      expect(verdict).toMatchObject({ results: [{ message: 'decoded' }] });
    }
  });

  it('makes no long text of a short one, and a worker none that does not fit into it', async () => {
    const rego = 'package admission.long\n\ndeny contains "long" if count(sprintf(input.template, [1])) > 0\n';
    const engine = await engineOf(folder({ 'long.rego': rego }), { timeLimitMs: 5000 });
    expect(ask(engine, { template: '%d' })).not.toBeInstanceOf(Promise);
    expect((await ask(engine, { template: '%1000000[1]d' })).results).toMatchObject([{ message: 'long' }]);
    expect(engine.stats()).toMatchObject({ inThread: 1, handedOver: 1 });
    const { failures } = await ask(engine, { template: '%1000000[1]d'.repeat(300) });
    expect(failures).toMatchObject([{ policy: 'admission.long', code: 'POLICY_FAILED', action: 'deny' }]);
    expect(failures[0]?.message).toContain('more than 16777216 characters');
  });

  it.each(['x', '$0'])(
    'leaves to a worker a text of which each place becomes a long one, which fails there',
    async (part) => {
      const replaced = 'regex.replace(input.text, input.pattern, input.by)';
      const rego = `package admission.long\n\ndeny contains "long" if count(${replaced}) > 0\n`;
      const engine = await engineOf(folder({ 'long.rego': rego }), { timeLimitMs: 5000 });
      const text = 'x'.repeat(15_000);
      const pattern = part === 'x' ? 'x' : '.*';
      const { failures } = await ask(engine, { text, pattern, by: part.repeat(15_000) });
      expect(failures).toMatchObject([{ policy: 'admission.long', code: 'POLICY_FAILED', action: 'deny' }]);
      expect(failures[0]?.message).toContain('more than 16777216 characters');
      expect(engine.stats().replaced).toBe(0);
    },
  );

  it('takes no value that a few operations have doubled again and again', async () => {
    const operations = Array.from({ length: 40 }, (_, i) => ({ op: 'copy', from: '', path: `/${i}` }));
    const rego =
      'package admission.long\n\ndeny contains "long" if json.patch(input.document, input.operations).x == 1\n';
    const engine = await engineOf(folder({ 'long.rego': rego }), { timeLimitMs: 10_000 });
    const { failures } = await ask(engine, { document: { x: 1 }, operations });
    expect(failures).toMatchObject([{ policy: 'admission.long', code: 'POLICY_FAILED' }]);
    expect(failures[0]?.message).toContain('more than 16777216 characters');
    expect(engine.stats().replaced).toBe(0);
  });

  it('sees the data of each update once that has returned, after a failure as well', async () => {
    const rego = `package admission.d

deny contains sprintf("%v", [data.live.g])

deny contains "failed" if { input.fail; two }

two := x if some x in [1, 2]
`;
    const data = new DataDocument<{ g: number } | undefined>();
    const filler = Array.from({ length: 200 }, (_, i) => ({
      path: ['live', 'items', `${i}`],
      value: Buffer.from(JSON.stringify('x'.repeat(1000))),
    }));
    const update = (g: number) => data.update([...filler, { path: ['live', 'g'], value: Buffer.from(`${g}`) }], { g });
    await update(1);
    const engine = await engineOf(folder({ 'd.rego': rego }), { data });
    // It loads them in parts, between requests; workers have them already.
    await expect
      .poll(async () => [(await ask(engine)).results[0]?.message, engine.stats().inThread > 0])
      .toEqual(['1', true]);
    for (let g = 2; g <= 6; g++) {
      const updated = update(g);
      const meanwhile = await ask(engine);
      expect(['1', `${g - 1}`, `${g}`]).toContain(meanwhile.results[0]?.message);
      expect(meanwhile.data?.about).toEqual({ g: Number(meanwhile.results[0]?.message) });
      await updated;
      const { results, data: judged } = await ask(engine);
      expect(results.map(({ message }) => message)).toEqual([`${g}`]);
      expect(judged).toEqual({ revision: g, about: { g } });
    }
    expect(engine.stats().handedOver).toBe(0);
    expect((await ask(engine, { fail: true })).failures).toHaveLength(1);
    await update(7);
    expect((await ask(engine)).results).toMatchObject([{ message: '7' }]);
    expect(engine.stats().handedOver).toBe(1);
  });

  it('takes place in workers only where the module cannot be metered, and that is told', async () => {
    const bundle = await buildBundle(toolPath('opa'), folder({ 'names.rego': NAMES }));
    const told: string[] = [];
    const twice = { ...bundle, wasm: meterModule(bundle.wasm) };
    const engine = await startBundle(twice, {
      ...{ workers: 1, timeLimitMs: 5000, maxPending: 10, inThread: true },
      onNotInThread: (reason) => void told.push(reason),
    });
    engines.push(engine);
    expect(told).toEqual([expect.stringContaining('cannot be metered')]);
    expect((await ask(engine, { name: 'bad' })).results).toMatchObject([{ message: 'bad' }]);
    expect(engine.stats()).toMatchObject({ inThread: 0, evaluations: 1 });
  });

  it("is a worker's while a large update comes into effect here, part by part", async () => {
    const data = new DataDocument<{ g: number } | undefined>();
    await data.update([{ path: ['live', 'items', '0'], value: Buffer.from('1') }], { g: 1 });
    const rego = 'package admission.d\n\ndeny contains sprintf("%d", [sum([x | some x in data.live.items])])\n';
    const engine = await engineOf(folder({ 'd.rego': rego }), { data });
    await expect.poll(async () => ((await ask(engine)) && engine.stats().inThread) > 0).toBe(true);
    const many = Array.from({ length: 1000 }, (_, i) => ({
      path: ['live', 'items', `${i}`],
      value: Buffer.from('2'),
    }));
    let updated = false;
    const update = data.update(many, { g: 2 }).then(() => {
      updated = true;
    });
    const heard = new Set<string>();
    while (!updated) {
      const { results, data: judged } = await ask(engine);
      heard.add(`${judged?.revision} ${results[0]?.message}`);
      await new Promise(setImmediate);
    }
    await update;
    for (const one of heard) expect(['1 1', '2 2000']).toContain(one);
    const answer = ask(engine);
    expect(answer).not.toBeInstanceOf(Promise);
    expect((await answer).results).toMatchObject([{ message: '2000' }]);
  });
});
