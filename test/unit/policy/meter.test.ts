import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { buildBundle, rulesOf } from '../../../src/policy/bundle.ts';
import { PolicyInstance } from '../../../src/policy/host.ts';
import { FUEL_EXPORT, meterModule } from '../../../src/policy/meter.ts';
import { toJson } from '../../../src/policy/terms.ts';
import { concat, signed, sized, unsigned } from '../../../src/policy/wasm-writer.ts';
import { builtinContext } from '../../support/builtin-context.ts';
import { toolPath } from '../../support/tools.ts';
import { build, removeFolders } from './support.ts';

afterAll(removeFolders);

const REVIEWS = new URL('../../fixtures/reviews/', import.meta.url);
const reviews = readdirSync(REVIEWS).map((name) => readFileSync(new URL(name, REVIEWS)));
const ENOUGH = 1_000_000_000_000n;

describe('a metered module that OPA compiled', () => {
  it('gives what the plain one gives, and uses the same fuel for the same input', async () => {
    const bundle = await buildBundle(toolPath('opa'), 'policies');
    const plain = policy(bundle.wasm, bundle.data);
    const [first, second] = [metered(bundle.wasm, bundle.data), metered(bundle.wasm, bundle.data)];
    for (const review of reviews) {
      for (const { instance, fuel } of [first, second]) {
        fuel.value = ENOUGH;
        instance.setInput(review);
      }
      plain.setInput(review);
      for (const { entrypoint } of rulesOf(bundle.info.policies)) {
        const [wanted, ...given] = [plain, first.instance, second.instance].map((instance) =>
          toJson(instance.evaluate(entrypoint, builtinContext()) ?? null),
        );
        expect(given).toEqual([wanted, wanted]);
        expect(first.fuel.value).toBe(second.fuel.value);
        expect(first.fuel.value).toBeLessThan(ENOUGH);
      }
    }
  });

  it('is large in fuel from the start, so that reading data needs none to be set', async () => {
    const bundle = await build({ 'a.rego': 'package admission.a\n\ndeny contains "x" if data.y\n', 'data.json': '{}' });
    expect(metered(bundle.wasm).fuel.value).toBeGreaterThan(2n ** 62n);
  });

  it.each(Object.entries(hostile()))('stops a policy with %s', async (_, rule) => {
    const { wasm } = await build({ 'a.rego': `package admission.a\n\n${rule}\n` });
    const { instance, fuel } = metered(wasm);
    instance.setInput(
      Buffer.from(JSON.stringify({ list: Array.from({ length: 300 }, (_, i) => ({ name: `n${i}` })) })),
    );
    fuel.value = 20_000_000n;
    expect(() => instance.evaluate('admission/a/deny', builtinContext())).toThrow('unreachable');
    expect(fuel.value).toBeLessThan(0n);
    expect(() => instance.setInput(Buffer.from('{}'))).toThrow('unreachable');
  });

  it('stops the reading of an input that is larger than the fuel', async () => {
    const { wasm } = await build({ 'a.rego': 'package admission.a\n\ndeny contains "x" if input.y\n' });
    const { instance, fuel } = metered(wasm);
    fuel.value = 1_000_000n;
    expect(() => instance.setInput(Buffer.from(JSON.stringify(Array(100_000).fill('text'))))).toThrow('unreachable');
  });
});

describe('a metered module', () => {
  it('pays once for a function and once for each round of a loop', () => {
    // local 0 counts down to 0.
    const loop = [0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b];
    const run = instantiate(module({ code: [...loop, 0x0b] }));
    const used = [1, 2, 3, 1000].map((rounds) => run(rounds).used);
    const round = (used[1] ?? 0n) - (used[0] ?? 0n);
    expect(round).toBe(5n + 1n);
    expect(used).toEqual([1n, 2n, 3n, 1000n].map((rounds) => rounds * round + (used[0] ?? 0n) - round));
  });

  it('pays for the longest of the ways through a function', () => {
    const long = Array<number>(100).fill(0x01);
    const cost = (code: readonly number[]): bigint => instantiate(module({ code: [...code, 0x0b] }))(0).used;
    const straight = cost(long);
    // if … else … end
    expect(cost([0x20, 0, 0x04, 0x40, ...long, 0x05, ...long, 0x0b])).toBe(straight + 3n);
    expect(cost([0x20, 0, 0x04, 0x40, ...long, 0x0b])).toBe(straight + 3n);
    // block … br_if 0 … end: 0 goes on, and so pays for both.
    expect(cost([0x02, 0x40, ...long, 0x20, 0, 0x0d, 0, ...long, 0x0b])).toBe(straight + 100n + 4n);
    // What stands behind a branch that is always taken is not executed.
    expect(cost([0x02, 0x40, ...long, 0x0c, 0, ...long, 0x0b])).toBe(straight + 2n);
    // br_table with its default.
    expect(cost([0x02, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 1, 0, 1, 0x0b, ...long, 0x0b])).toBe(straight + 5n);
  });

  it('does not pay for a short function without loops and calls, but for its call', () => {
    const short = module({ code: [0x01, 0x0b] });
    expect(instantiate(short)(0).used).toBe(0n);
    expect(instantiate(module({ code: [0x20, 0, 0x10, 1, 0x0b], more: [[0x01, 0x0b]] }))(0).used).toBeGreaterThan(2n);
  });

  it.each([
    ['a loop', [0x03, 0x40, 0x0c, 0, 0x0b]],
    ['a loop with a result of several values', [0x03, 1, 0x0c, 0, 0x0b, 0x1a, 0x1a]],
    ['a loop that leaves an inner one for its head', [0x03, 0x40, 0x03, 0x40, 0x0c, 1, 0x0b, 0x0b]],
    ['a recursion', [0x20, 0, 0x10, 0]],
    ['a recursion by tail calls', [0x20, 0, 0x12, 0]],
    ['a branch table to a loop', [0x03, 0x40, 0x20, 0, 0x0e, 1, 0, 0, 0x0b]],
  ])('is stopped in %s', (_, code) => {
    const wasm = module({ code: [...code, 0x0b] });
    expect(() => instantiate(wasm, 1000n)(0)).toThrow('unreachable');
  });

  it('pays for what an instruction writes, by its length, and does not change what it does', () => {
    const copy = [0x41, 0, 0x41, 1, 0x20, 0, 0xfc, 0x0b, 0];
    const run = instantiate(module({ code: [...copy, 0x0b] }));
    const small = run(8).used;
    expect(run(8 * 1001).used - small).toBe(1000n);
    expect(() => run(2 ** 31)).toThrow(/out of bounds/);
    expect(() => instantiate(module({ code: [...copy, 0x0b] }), 1000n)(65_536)).toThrow('unreachable');
  });

  it('does not pay for less than it executes, whatever the blocks and branches', () => {
    fc.assert(
      fc.property(fc.array(block(3), { maxLength: 6 }), fc.integer({ min: 0, max: 7 }), (blocks, argument) => {
        const wasm = module({ code: [...blocks.flat(), 0x0b] });
        expect(WebAssembly.validate(wasm)).toBe(true);
        const run = instantiate(wasm);
        const { used, steps } = run(argument);
        // Short functions are paid for by their callers.
        expect(used + 20n).toBeGreaterThanOrEqual(steps);
      }),
    );
  });

  it.each([
    ['is none', Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), /version 1/],
    ['ends too early', module({ code: [0x0b] }).subarray(0, -1), /ends too early/],
    ['has vectors', module({ code: [0xfd, 0x0c, ...Array<number>(16).fill(0), 0x1a, 0x0b] }), /instruction 0xfd/],
    ['has atomic instructions', module({ code: [0xfe, 0x03, 0x00, 0x0b] }), /instruction 0xfe/],
    ['has exceptions', module({ code: [0x06, 0x40, 0x19, 0x0b, 0x0b] }), /instruction 0x6/],
    ['has an unknown section', concat([module({ code: [0x0b] }), Uint8Array.of(13, 1, 0)]), /section 13/],
    ['has the export', module({ code: [0x0b], name: FUEL_EXPORT }), /has an export/],
    ['has code behind the end', module({ code: [0x0b, 0x0b] }), /goes on behind its end/],
    ['is not valid', module({ code: [0x6a, 0x0b] }), /not a valid module/],
  ])('is refused when the module %s', (_, wasm, message) => {
    expect(() => meterModule(wasm)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
    expect(() => meterModule(wasm)).toThrow(message);
  });

  it('is made of any bytes, or they are refused', () => {
    const original = module({ code: [0x03, 0x40, 0x20, 0, 0x0d, 0, 0x0b, 0x0b] });
    fc.assert(
      fc.property(fc.nat(original.length - 1), fc.nat(255), (at, byte) => {
        const changed = original.with(at, byte);
        try {
          expect(WebAssembly.validate(meterModule(changed))).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'POLICY_INVALID' });
        }
      }),
    );
  });
});

function hostile(): Record<string, string> {
  const chain = Array.from({ length: 40 }, (_, i) => `f${i}(x) := f${i + 1}(x + 1) + f${i + 1}(x + 2)`).join('\n\n');
  const nested = '[x | some i in numbers.range(1, 10000); some j in numbers.range(1, 10000); x := i * j]';
  const long = 'concat("", [x | some i in numbers.range(1, 100000); x := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"])';
  const names = ['a', 'b', 'c'].map((name) => `some ${name} in input.list`).join('; ');
  return {
    'functions that call the next one twice': `deny contains "x" if f0(1) == 1\n\n${chain}\n\nf40(x) := x`,
    'a comprehension over all pairs': `deny contains "x" if count(${nested}) == 1`,
    'a walk over the input, again and again':
      'deny contains "x" if { some i in numbers.range(1, 10000); walk(input, [_, v]); v == i }',
    'a text that becomes long': `deny contains "x" if contains(${long}, "b")`,
    'a search in a text for nearly itself': `deny contains "x" if { s := ${long.replace('100000', '1000')}; contains(s, concat("", [substring(s, 0, 20000), "b"])) }`,
    'three lists crossed': `deny contains "x" if { ${names}; a.name == concat("", [b.name, c.name]) }`,
    'numbers that grow': 'deny contains "x" if { some i in numbers.range(1, 1000000); x := i * 3; x == 1 }',
  };
}

function policy(wasm: Uint8Array, data: Uint8Array = Buffer.from('{}')): PolicyInstance {
  return new PolicyInstance({
    module: new WebAssembly.Module(new Uint8Array(wasm)),
    data,
    maxMemoryBytes: 256 * 1024 * 1024,
  });
}

interface Fuel {
  value: bigint;
}

function metered(wasm: Uint8Array, data?: Uint8Array): { instance: PolicyInstance; fuel: Fuel } {
  const instance = policy(meterModule(wasm), data);
  const { exports } = instance as unknown as { exports: Record<string, Fuel> };
  return { instance, fuel: exports[FUEL_EXPORT] as Fuel };
}

interface Made {
  /** Of function 0, which takes an i32 and returns nothing, up to its end. */
  readonly code: readonly number[];
  /** Of functions after it, alike. */
  readonly more?: readonly (readonly number[])[];
  readonly name?: string;
}

/**
 * A module with one memory, the function 0 exported as `name`, and a global `steps` of type i64. Type 0 is that of the functions, type 1
 * is [] -> [i32 i32].
 */
function module({ code, more = [], name = 'run' }: Made): Uint8Array<ArrayBuffer> {
  const bodies = [code, ...more].map((body) => sized(Uint8Array.of(0, ...body)));
  const list = (items: readonly Uint8Array[]): Uint8Array => concat([unsigned(items.length), ...items]);
  const exported = (text: string, kind: number): Uint8Array =>
    concat([sized(Buffer.from(text)), Uint8Array.of(kind, 0)]);
  const sections: [number, Uint8Array][] = [
    [1, list([Uint8Array.of(0x60, 1, 0x7f, 0), Uint8Array.of(0x60, 0, 2, 0x7f, 0x7f)])],
    [3, list(bodies.map(() => Uint8Array.of(0)))],
    [5, list([Uint8Array.of(0, 1)])],
    [6, list([Uint8Array.of(0x7e, 1, 0x42, 0, 0x0b)])],
    [7, list([exported(name, 0), exported('steps', 3)])],
    [10, list(bodies)],
  ];
  const header = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  return concat([header, ...sections.flatMap(([id, payload]) => [Uint8Array.of(id), sized(payload)])]);
}

type Run = (argument: number) => { used: bigint; steps: bigint };

function instantiate(wasm: Uint8Array, budget = ENOUGH): Run {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(meterModule(wasm)), {});
  const { run, steps } = instance.exports as unknown as { run: (argument: number) => void; steps: Fuel };
  const fuel = instance.exports[FUEL_EXPORT] as Fuel;
  return (argument) => {
    fuel.value = budget;
    steps.value = 0n;
    run(argument);
    return { used: budget - fuel.value, steps: steps.value };
  };
}

/** Adds its four instructions to `steps`. */
const STEP = [0x23, 0, 0x42, ...signed(4n), 0x7c, 0x24, 0];

/** Code without effect on the stack: steps, blocks, ifs, loops of some rounds, branches out of any of them. */
function block(depth: number): fc.Arbitrary<number[]> {
  const step = fc.constant(STEP);
  if (depth === 0) return step;
  const inner = fc.array(block(depth - 1), { maxLength: 4 }).map((parts) => parts.flat());
  const test = fc.integer({ min: 0, max: 7 }).map((mask) => [0x20, 0, 0x41, mask, 0x71]);
  return fc.oneof(
    step,
    inner.map((code) => [0x02, 0x40, ...code, 0x0b]),
    fc.tuple(inner, test, inner).map(([a, when, b]) => [0x02, 0x40, ...a, ...when, 0x0d, 0, ...b, 0x0b]),
    fc.tuple(inner, inner).map(([a, b]) => [0x02, 0x40, ...a, 0x0c, 0, ...b, 0x0b]),
    fc.tuple(test, inner, inner).map(([when, a, b]) => [...when, 0x04, 0x40, ...a, 0x05, ...b, 0x0b]),
    fc.tuple(test, inner).map(([when, a]) => [...when, 0x04, 0x40, ...a, 0x0b]),
    // Rounds until the argument is 0, which makes the rest of the function see another argument.
    inner.map((code) => [0x02, 0x40, 0x03, 0x40, 0x20, 0, 0x45, 0x0d, 1, ...code, ...COUNT, 0x0c, 0, 0x0b, 0x0b]),
    fc
      .tuple(test, inner, inner)
      .map(([when, a, b]) => [...[0x02, 0x40, 0x02, 0x40, ...a, ...when, 0x0e, 1, 0, 1, 0x0b, ...b, 0x0b]]),
  );
}

/** The argument less one, not below 0. */
const COUNT = [0x20, 0, 0x45, 0x45, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x21, 0, 0x0b];
