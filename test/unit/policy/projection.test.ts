import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeManyPolicies, writePolicies } from '../../../bench/admission-policies.ts';
import { Reviews as BenchReviews } from '../../../bench/admission-reviews.ts';
import { messageOf } from '../../../src/lib/errors.ts';
import { JsonDocument } from '../../../src/lib/json-document.ts';
import { buildBundle, type CompiledBundle, rulesOf } from '../../../src/policy/bundle.ts';
import { Evaluator } from '../../../src/policy/evaluator.ts';
import { Projector } from '../../../src/policy/projection.ts';
import { type Reply, STAGE_BYTES } from '../../../src/policy/protocol.ts';
import { Reads } from '../../../src/policy/reads.ts';
import { changedJson } from '../../support/changed-json.ts';
import { toolPath } from '../../support/tools.ts';
import { generatedPolicies } from './generated-policies.ts';
import { reviews } from './reviews.ts';
import { build, folder, removeFolders } from './support.ts';

afterAll(removeFolders);

const MEMORY = 256 * 1024 * 1024;

/** Evaluates rules on a whole input, and on what they read of it. */
class Both {
  readonly count: number;
  /** Bytes of the inputs, and of what was read of them. */
  readonly bytes = { whole: 0, read: 0 };
  readonly #projector: Projector;
  readonly #evaluator: Evaluator;
  readonly #doc = new JsonDocument();

  constructor(bundle: CompiledBundle) {
    const rules = rulesOf(bundle.info.policies);
    this.count = rules.length;
    this.#projector = new Projector(
      rules.map(({ entrypoint }) => bundle.reads.get(entrypoint) ?? 'unknown'),
      MEMORY,
    );
    const module = new WebAssembly.Module(new Uint8Array(bundle.wasm));
    const limits = { maxBytes: MEMORY, recycleBytes: MEMORY, heapMb: 256 };
    const setup = { module, data: bundle.data, rules, stage: new SharedArrayBuffer(STAGE_BYTES), limits };
    this.#evaluator = new Evaluator(setup, () => 0n);
  }

  /** Fails when the two differ. Whether there was a second one. */
  compare(rules: readonly number[], input: Buffer): boolean {
    this.#doc.scan(input);
    const read = this.#projector.project(rules, this.#doc);
    if (read === undefined) return false;
    this.bytes.whole += input.length;
    this.bytes.read += read.length;
    const run = (text: Uint8Array): string => said(this.#evaluator.run({ id: 0, rules, input: text }));
    const [whole, part] = [run(input), run(read)];
    if (whole !== part)
      expect({ input: `${input}`, read: Buffer.from(read).toString('utf8'), said: part }).toEqual({ said: whole });
    return true;
  }
}

/** Without what differs from one evaluation to the next. */
function said({ outcomes, failures, prints }: Reply): string {
  return JSON.stringify({ outcomes, failures, prints });
}

/** Each rule alone, and all that can be together with others. */
function compareAll(both: Both, inputs: readonly Buffer[]): void {
  const alone = Array.from({ length: both.count }, (_, rule) => rule).filter((rule) => {
    return inputs.filter((input) => both.compare([rule], input)).length > 0;
  });
  expect(alone.length).toBeGreaterThan(both.count / 3);
  for (const input of inputs) expect(both.compare(alone, input)).toBe(true);
}

/** Without the files that OPA finds a mistake in: what is generated at random is now and then of the wrong type. */
async function buildMost(files: Record<string, string>): Promise<CompiledBundle> {
  for (let left = files; ; ) {
    try {
      return await build(left);
    } catch (error) {
      const named = new Set([...messageOf(error).matchAll(/^(g\d+\.rego):/gm)].map(([, file]) => file));
      if (named.size === 0) throw error;
      left = Object.fromEntries(Object.entries(left).filter(([file]) => !named.has(file)));
    }
  }
}

function json(review: unknown): Buffer {
  return Buffer.from(JSON.stringify(review));
}

function changedReviews(count: number, seed: number): Buffer[] {
  return reviews(count, seed).map((review, i) => Buffer.from(changedJson(JSON.stringify(review), seed + i)));
}

describe('what policies read of a review gives the replies that the whole review gives', () => {
  it('for every policy of the library, alone and together, on thousands of reviews', async () => {
    const both = new Both(await buildBundle(toolPath('opa'), 'policies'));
    compareAll(both, [...reviews(1000, 2).map(json), ...changedReviews(1000, 3)]);
    expect(both.bytes.read / both.bytes.whole).toBeLessThan(0.5);
  }, 120_000);

  it.each([
    ['the benchmark', (dir: string) => writePolicies(dir)],
    ['the benchmark with many policies', (dir: string) => writeManyPolicies(dir, 20)],
  ])(
    'for the policies of %s, on its reviews and changed ones',
    async (_, write) => {
      const both = new Both(await buildBundle(toolPath('opa'), write(join(folder({}), 'policies'))));
      const inputs = (['small', '3k'] as const).flatMap((size) => {
        const next = new BenchReviews(size, 1);
        return Array.from({ length: 60 }, (_review, i) => {
          const { body } = next.next();
          return i % 3 === 0 ? body : Buffer.from(changedJson(body.toString('utf8'), i));
        });
      });
      compareAll(both, [...inputs, ...changedReviews(100, 4)]);
    },
    60_000,
  );

  it.each([1, 2, 3])(
    'for a hundred generated policies, on hundreds of reviews (seed %i)',
    async (seed) => {
      const both = new Both(await buildMost(generatedPolicies(100, seed)));
      expect(both.count).toBeGreaterThan(70);
      compareAll(both, [...reviews(50, seed).map(json), ...changedReviews(80, seed * 1000)]);
      expect(both.bytes.read / both.bytes.whole).toBeLessThan(0.8);
    },
    120_000,
  );
});

describe('a projection', () => {
  const doc = new JsonDocument();

  /** What is left of each document by a tree that `read` makes. */
  function projector(...reads: ((input: Reads) => void)[]): Projector {
    return new Projector(
      reads.map((read) => {
        const input = new Reads();
        read(input);
        return input;
      }),
      MEMORY,
    );
  }

  function project(by: Projector, text: string, rules: readonly number[] = [0]): string | undefined {
    doc.scan(Buffer.from(text));
    const read = by.project(rules, doc);
    return read === undefined ? undefined : Buffer.from(read).toString('utf8');
  }

  const names = projector(
    (input) => {
      input.member('a')?.member('b')?.readAll();
      input.member('c');
    },
    (input) => input.member('list')?.element()?.member('name'),
  );

  it.each([
    ['{"a":{"b":[1,{"x":2}],"c":3},"b":1}', '{"a":{"b":[1,{"x":2}]}}'],
    ['{"c":{"d":1},"a":7}', '{"a":7,"c":{}}'],
    ['{"c":[{"d":1}],"a":[{"b":1}]}', '{"a":[],"c":[]}'],
    [' { "a" : { "x" : 1 , "b" : 2 } , "c" : "text" } ', '{"a" : {"b" : 2},"c" : "text"}'],
    ['{"x":1}', '{}'],
    ['[{"a":1}]', '[]'],
    ['"a"', '"a"'],
    ['{"a":{"b":1},"a":{"b":2,"c":3}}', '{"a":{"b":2}}'],
    [
      String.raw`{"\u0061":{"b":1,"\u0062":"\ud83d\ude00"},"\ud800":1}`,
      String.raw`{"\u0061":{"\u0062":"\ud83d\ude00"}}`,
    ],
    ['{"a":{"b":12345678901234567890.10e5}}', '{"a":{"b":12345678901234567890.10e5}}'],
  ])('keeps the members that are read: %s', (text, read) => {
    expect(project(names, text)).toBe(read);
  });

  it('keeps every element and every key where elements are read, in their order and however often', () => {
    const list = (text: string) => project(names, `{"list":${text},"a":1}`, [1]);
    expect(list('[{"name":"x","y":1}, "text", [1], {}]')).toBe('{"list":[{"name":"x"}, "text", [], {}]}');
    expect(list('{"z":{"name":1,"y":2},"k":[],"z":5,"e":{"y":2}}')).toBe(
      '{"list":{"z":{"name":1},"k":[],"z":5,"e":{}}}',
    );
    expect(list('[]')).toBe('{"list":[]}');
  });

  it('keeps of a member what is read by its name and what is read of any', () => {
    const by = projector((input) => {
      const map = input.member('map');
      map?.element()?.member('x');
      map?.member('k')?.member('y');
    });
    const member = '{"x":1,"y":2,"z":3}';
    expect(project(by, `{"map":{"k":${member},"l":${member},"\\u006b":${member}}}`)).toBe(
      '{"map":{"k":{"y":2,"x":1},"l":{"x":1},"\\u006b":{"y":2,"x":1}}}',
    );
    expect(project(by, `{"map":[${member}]}`)).toBe('{"map":[{"x":1}]}');
  });

  it('is made for the rules that are selected', () => {
    const text = '{"a":{"b":1},"list":[{"name":2,"y":3}],"z":4}';
    for (let round = 0; round < 2; round++) {
      expect(project(names, text, [0])).toBe('{"a":{"b":1}}');
      expect(project(names, text, [1])).toBe('{"list":[{"name":2}]}');
      expect(project(names, text, [0, 1])).toBe('{"a":{"b":1},"list":[{"name":2}]}');
    }
  });

  it('is kept for many selections, and still right when there were more than are kept', () => {
    const by = projector(...Array.from({ length: 12 }, (_, i) => (input: Reads) => input.member(`m${i}`)?.readAll()));
    const text = JSON.stringify(Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`m${i}`, i])));
    for (let selection = 1; selection < 2 ** 12; selection++) {
      const rules = Array.from({ length: 12 }, (_, i) => i).filter((i) => (selection >> i) & 1);
      expect(project(by, text, rules)).toBe(JSON.stringify(Object.fromEntries(rules.map((i) => [`m${i}`, i]))));
    }
  });

  it('is not made where a rule reads everything, and of what is large or deep', () => {
    const text = '{"a":{"b":1},"z":2}';
    const whole = new Projector([new Reads(), 'because'], MEMORY);
    expect([project(whole, text, [0]), project(whole, text, [1]), project(whole, text, [0, 1])]).toEqual([
      '{}',
      undefined,
      undefined,
    ]);
    const all = projector((input) => input.readAll());
    expect(project(all, text)).toBeUndefined();
    const deep = (depth: number) => project(names, `{"a":1,"z":${'['.repeat(depth)}${']'.repeat(depth)}}`);
    expect([deep(200), deep(300)]).toEqual(['{"a":1}', undefined]);
    const long = (length: number) => project(names, JSON.stringify({ a: 1, z: 'x'.repeat(length) }));
    expect([long(1_000_000), long(1_100_000)]).toEqual(['{"a":1}', undefined]);
    const list = (elements: number) => `{"list":[${'{"name":1},'.repeat(elements)}1]}`;
    const input = new Reads();
    input.member('list')?.element()?.member('name');
    const short = new Projector([input], MEMORY, 1000);
    expect([project(short, list(80)), project(short, list(100))]).toEqual([list(80), undefined]);
    doc.scan(Buffer.from(JSON.stringify({ a: 1, z: 'x'.repeat(100_000) })));
    expect(new Projector([new Reads()], 16 * 1024 * 1024).project([0], doc)).toBeUndefined();
  });
});
