import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { DataDocument } from '../../../src/policy/data-document.ts';
import { type EngineOptions, startEngine } from '../../../src/policy/engine.ts';
import type { PolicyInstance } from '../../../src/policy/host.ts';
import { toJson } from '../../../src/policy/terms.ts';
import type { Evaluation, PolicyEngine } from '../../../src/policy/types.ts';
import { builtinContext } from '../../support/builtin-context.ts';
import { toolPath } from '../../support/tools.ts';
import { build, folder, instancesOf, POD, removeFolders } from './support.ts';

const engines: PolicyEngine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  removeFolders();
});

const CONTEXT = builtinContext();
const MIB = 2 ** 20;

/** Gives all data back, fails on demand, and takes memory on demand. */
const SHOW = {
  'show.rego': `package admission.show

deny contains {"msg": "data", "all": data.live, "own": data.own} if not input.act

deny contains "conflict" if {
	input.act == "fail"
	one
}

one := x if some x in [1, 2]

deny contains "grown" if {
	input.act == "grow"
	count([x | some x in numbers.range(1, 300000)]) > 0
}
`,
  'own/data.json': '{"a": [1, "b"]}',
};

function value(content: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(content));
}

/** What the policy sees, or undefined when there are no data of the kind. */
function seen(instance: PolicyInstance): unknown {
  instance.setInput(Buffer.from('{}'));
  const [member] = toJson(instance.evaluate('admission/show/deny', CONTEXT) ?? null) as {
    all: unknown;
    own: unknown;
  }[];
  if (member !== undefined) expect(member.own).toEqual({ a: [1, 'b'] });
  return member?.all;
}

function attempt(instance: PolicyInstance, act: string): void {
  instance.setInput(Buffer.from(JSON.stringify({ act })));
  instance.evaluate('admission/show/deny', CONTEXT);
}

/** The changes as the document gives them to a worker. */
async function change(document: DataDocument, instance: PolicyInstance, changes: [string[], unknown][]): Promise<void> {
  const stop = document.subscribe(async (ops) => {
    for (const op of ops) instance.stage(op.path, op.value);
    instance.commit();
  });
  const list = changes.map(([path, content]) => (content === undefined ? { path } : { path, value: value(content) }));
  await document.update(list, undefined);
  stop();
}

describe('data that change in an instance', () => {
  it('are after any changes what a new instance would have been given', async () => {
    const of = await instancesOf(await build(SHOW));
    const name = fc.constantFrom('a', 'b', 'c', 'ü\u0000"');
    const content = fc.option(fc.jsonValue({ maxDepth: 3 }), { nil: undefined, freq: 3 });
    const changes = fc.array(fc.tuple(fc.tuple(name, name, name), content), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(changes, { minLength: 1, maxLength: 8 }), async (updates) => {
        const document = new DataDocument();
        let instance = of(Buffer.from('{"own": {"a": [1, "b"]}, "live": {"kept": {}}}'));
        const model: Record<string, Record<string, Record<string, unknown>>> = {};
        for (const [i, update] of updates.entries()) {
          const list = update.map(([path, to]): [string[], unknown] => [['live', 'kept', ...path], to]);
          await change(document, instance, list);
          for (const [[x, y, z], to] of update) {
            if (to !== undefined) {
              const above = model[x] ?? {};
              model[x] = above;
              above[y] = { ...above[y], [z]: to };
            } else if (model[x]?.[y] !== undefined) {
              delete model[x][y][z];
              if (Object.keys(model[x][y]).length === 0) delete model[x][y];
              if (Object.keys(model[x]).length === 0) delete model[x];
            }
          }
          if (i % 3 === 2) {
            expect(() => attempt(instance, 'fail')).toThrow();
            instance = of(instance);
          }
          expect(JSON.parse(JSON.stringify(seen(instance)))).toEqual(JSON.parse(JSON.stringify({ kept: model })));
        }
        const fresh = of(Buffer.from('{"own": {"a": [1, "b"]}, "live": {"kept": {}}}'));
        for (const op of document.snapshot()) fresh.stage(op.path, op.value);
        fresh.commit();
        expect(seen(fresh)).toEqual(seen(instance));
      }),
      { numRuns: 60 },
    );
  });

  it('take no more memory after many updates than after some', async () => {
    const instance = (await instancesOf(await build(SHOW)))(Buffer.from('{"own": {"a": [1, "b"]}}'));
    const document = new DataDocument();
    const round = async (i: number): Promise<void> => {
      const labels = Object.fromEntries(Array.from({ length: i % 7 }, (_, n) => [`l${n}`, 'x'.repeat((i * 31) % 97)]));
      const object = {
        metadata: { name: `o${i % 50}`, labels },
        spec: { replicas: i, text: 'y'.repeat((i * 17) % 800) },
      };
      await change(document, instance, [[['live', 'a', `o${i % 50}`], i % 11 === 0 ? undefined : object]]);
    };
    for (let i = 0; i < 5000; i++) await round(i);
    const bytes = instance.dataBytes;
    for (let i = 0; i < 20_000; i++) await round(i);
    expect(instance.dataBytes).toBeLessThan(bytes + 64 * 1024);
    const objects = document
      .snapshot()
      .map(({ path, value: to }) => [JSON.parse(path)[2], JSON.parse(`${Buffer.from(to ?? '')}`)]);
    expect(seen(instance)).toEqual({ a: Object.fromEntries(objects) });
  });

  it('stay when a policy fails, and when its memory is given back', async () => {
    const of = await instancesOf(await build(SHOW), { recycleBytes: 4 * MIB });
    const document = new DataDocument();
    let instance = of(Buffer.from('{"own": {"a": [1, "b"]}}'));
    await change(document, instance, [[['live', 'big'], 'x'.repeat(3 * MIB)]]);
    const isWhole = (): boolean =>
      JSON.stringify(seen(instance)) === JSON.stringify({ big: 'x'.repeat(3 * MIB), small: {} });
    await change(document, instance, [[['live', 'small', 'a'], 1]]);
    await change(document, instance, [[['live', 'small', 'a'], undefined]]);
    for (const act of ['fail', 'grow', 'fail']) {
      try {
        attempt(instance, act);
      } catch {
        // As it should: `fail` ends in a conflict.
      }
      const grown = instance.memoryBytes;
      instance = of(instance);
      if (act === 'grow') expect(instance.memoryBytes).toBeLessThan(grown);
      expect(isWhole()).toBe(true);
      await change(document, instance, [[['live', 'small', act], act]]);
      await change(document, instance, [[['live', 'small', act], undefined]]);
    }
    expect(isWhole()).toBe(true);
  });

  it('are the old ones until an update of several parts is complete', async () => {
    const of = await instancesOf(await build(SHOW));
    let instance = of(Buffer.from('{"own": {"a": [1, "b"]}, "live": {"x": 1}}'));
    instance.stage('["live","x"]', value(2));
    expect(seen(instance)).toEqual({ x: 1 });
    expect(() => attempt(instance, 'fail')).toThrow();
    instance = of(instance);
    instance.stage('["live","y"]', value(2));
    expect(seen(instance)).toEqual({ x: 1 });
    instance.commit();
    expect(seen(instance)).toEqual({ x: 2, y: 2 });
  });
});

async function engineOf(files: Record<string, string>, options: Partial<EngineOptions>): Promise<PolicyEngine> {
  const defaults = { dir: folder(files), opa: toolPath('opa'), workers: 3, timeLimitMs: 20_000, maxPending: 1000 };
  const engine = await startEngine({ ...defaults, ...options });
  engines.push(engine);
  return engine;
}

async function ask(engine: PolicyEngine, input: unknown = {}): Promise<Evaluation> {
  return await engine.evaluate(POD, value(input), performance.now() + 60_000);
}

/** Says which generations of values it sees. */
const GENERATIONS = {
  'g.rego': `package admission.g

deny contains sprintf("%v", [{g | g := data.live.items[_].g}])

deny contains "failed" if input.fail == two

two := x if some x in [1, 2]
`,
};

async function generation(document: DataDocument<{ g: number }>, g: number, items = 300): Promise<void> {
  const changes = Array.from({ length: items }, (_, i) => {
    return { path: ['live', 'items', `${i}`], value: value({ g, text: 'x'.repeat(1000) }) };
  });
  await document.update(changes, { g });
}

describe('data that change under load', () => {
  it('are for each evaluation all old or all new, and new for all when the update returns', async () => {
    const data = new DataDocument<{ g: number }>();
    await generation(data, 1);
    const engine = await engineOf(GENERATIONS, { data });
    let done = false;
    let verdicts = 0;
    const load = Array.from({ length: 6 }, async (_, client) => {
      for (let i = 0; !done; i++) {
        // Every now and then a policy fails, which costs the instance.
        const { results, failures, data: judged } = await ask(engine, client === 0 && i % 5 === 0 ? { fail: 1 } : {});
        verdicts++;
        if (failures.length > 0) continue;
        expect(results.map(({ message }) => message)).toEqual([
          `{${judged?.about && (judged.about as { g: number }).g}}`,
        ]);
      }
    });
    for (let g = 2; g <= 12; g++) {
      await generation(data, g);
      const answers = await Promise.all(Array.from({ length: 9 }, () => ask(engine)));
      for (const { results, data: judged } of answers) {
        expect(results.map(({ message }) => message)).toEqual([`{${g}}`]);
        expect(judged).toEqual({ revision: g, about: { g } });
      }
    }
    done = true;
    await Promise.all(load);
    expect(verdicts).toBeGreaterThan(20);
    expect(engine.stats().dataProblem).toBeUndefined();
  }, 120_000);

  it('are there for a worker that starts later', async () => {
    const data = new DataDocument<{ g: number }>();
    // A loop that comes to the limit of time long before it has filled the memory of an instance, also on a busy machine.
    const memory = { maxBytes: 3 * 1024 * MIB, recycleBytes: 64 * MIB, heapMb: 512 };
    const loop = ['a', 'b', 'c', 'd', 'e'].map((name) => `some ${name} in data.live.items`).join('; ');
    const engine = await engineOf(
      { 'g.rego': `${GENERATIONS['g.rego']}\ndeny contains "slow" if { input.slow; ${loop}; e.g < 0 }\n` },
      { data, workers: 1, timeLimitMs: 400, memory },
    );
    await generation(data, 1);
    await generation(data, 2);
    const { failures } = await ask(engine, { slow: true });
    expect(failures).toMatchObject([{ code: 'POLICY_TIMEOUT' }]);
    await expect.poll(async () => (await ask(engine)).data?.about, { timeout: 60_000 }).toEqual({ g: 2 });
    expect((await ask(engine)).results).toMatchObject([{ message: '{2}' }]);
  }, 120_000);

  it('replace a worker in which they have left too much unusable memory, without a request noticing', async () => {
    const data = new DataDocument<{ g: number }>();
    const engine = await engineOf(GENERATIONS, { data, workers: 1 });
    const large = Array.from({ length: 30 }, (_, i) => {
      return { path: ['live', 'items', `large${i}`], value: value({ g: 1, text: 'x'.repeat(2 * MIB) }) };
    });
    await data.update(large, { g: 1 });
    expect((await ask(engine)).results).toMatchObject([{ message: '{1}' }]);
    // What is freed is used again, but not given back.
    await data.update(
      large.map(({ path }) => ({ path })),
      { g: 2 },
    );
    for (let g = 3; engine.stats().renewed === 0; g++) {
      await data.update([{ path: ['live', 'items', 'a'], value: value({ g }) }], { g });
      expect((await ask(engine)).results).toMatchObject([{ message: `{${g}}` }]);
    }
    await expect.poll(() => engine.stats().ready, { timeout: 60_000 }).toBe(1);
    expect(engine.stats().replaced).toBe(0);
  }, 120_000);

  it('are waited for no longer in a worker that another has taken the place of', async () => {
    const data = new DataDocument<{ g: number }>();
    const engine = await engineOf(GENERATIONS, { data, workers: 1 });
    const large = Array.from({ length: 30 }, (_, i) => {
      return { path: ['live', 'items', `large${i}`], value: value({ g: 1, text: 'x'.repeat(2 * MIB) }) };
    });
    await data.update(large, { g: 1 });
    await data.update(
      large.map(({ path }) => ({ path })),
      { g: 2 },
    );
    // So many parts that the next worker, which takes larger ones while it loads, has them first.
    const many = Array.from({ length: 5000 }, (_, i) => ({
      path: ['live', 'items', `${i}`],
      value: value({ g: 3, text: 'x'.repeat(8000) }),
    }));
    await data.update(many, { g: 3 });
    expect((await ask(engine)).results).toMatchObject([{ message: '{3}' }]);
    await expect.poll(() => engine.stats().renewed, { timeout: 30_000 }).toBeGreaterThan(0);
  }, 60_000);

  it('stay as they were when there is no memory for the new ones, and that is told', async () => {
    const data = new DataDocument<{ g: number }>();
    const memory = { maxBytes: 16 * MIB, recycleBytes: 8 * MIB, heapMb: 64 };
    const engine = await engineOf(GENERATIONS, { data, workers: 2, memory });
    await generation(data, 1, 50);
    await data.update([{ path: ['live', 'items', '1'], value: value({ g: 2, text: 'x'.repeat(20 * MIB) }) }], { g: 2 });
    for (let i = 0; i < 4; i++) {
      const { results, data: judged } = await ask(engine);
      expect(results.map(({ message }) => message)).toEqual(['{1}']);
      expect(judged?.about).toEqual({ g: 1 });
    }
    expect(engine.stats().dataProblem).toBe('the policy needs more memory than an instance may have');
  }, 120_000);
});
