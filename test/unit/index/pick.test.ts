import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pick, slotOf, text, type Wanted, type WantedTree, wanted } from '../../../src/index/pick.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');

/** What pick means, said with JSON.parse. */
function naive(value: unknown, tree: WantedTree): unknown {
  const found = new Map<string, unknown>();
  for (const [key, node] of Object.entries(tree)) {
    if (!Object.hasOwn(value as object, key)) continue;
    const member = (value as Record<string, unknown>)[key];
    if (node === 'value') found.set(key, member);
    else if (typeof member === 'object' && member !== null && !Array.isArray(member)) {
      const inner = node instanceof RegExp ? naiveLike(member, node) : naive(member, node);
      if (inner !== undefined) found.set(key, inner);
    }
  }
  return found;
}

function naiveLike(value: object, like: RegExp): unknown {
  const matched = Object.entries(value).filter(([key]) => like.test(key));
  return matched.length === 0 ? undefined : new Map(matched);
}

/** What pick gives, nested as the tree that was asked for. */
function picked(json: Buffer, tree: WantedTree): unknown {
  const want = wanted(tree);
  const found = pick(json, want);
  const nested = ({ members }: Wanted): unknown =>
    new Map(
      members
        .filter(({ slot }) => found?.[slot] !== undefined)
        .map(({ text: name, slot, inside }) => [name, value(slot, inside)]),
    );
  const value = (slot: number, inside: Wanted | undefined) =>
    inside === undefined || inside.like !== undefined ? found?.[slot] : nested(inside);
  return found && nested(want);
}

describe('pick', () => {
  const tree: WantedTree = {
    a: 'value',
    é: 'value',
    b: { a: 'value', c: { a: 'value' } },
    c: /^[a-cé"]/u,
    'k"\\': 'value',
  };

  it('gives what JSON.parse gives at the wanted places, whatever stands beside them', () => {
    const key = fc.oneof(fc.constantFrom('a', 'b', 'c', 'é', 'k"\\', '\u2028'), fc.string({ unit: 'binary' }));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, fc.jsonValue(), tie('object'), fc.string({ unit: 'binary' })),
      object: fc.dictionary(key, tie('value'), { maxKeys: 6 }),
    }));
    const document = fc.dictionary(key, value, { maxKeys: 8, noNullPrototype: true });
    fc.assert(
      fc.property(document, fc.constantFrom(undefined, 2, '\t'), (whole, indent) => {
        const json = JSON.stringify(whole, null, indent);
        // JSON.stringify writes a lone surrogate as an escape, so that the bytes are UTF-8.
        expect(picked(Buffer.from(json), tree)).toEqual(naive(JSON.parse(json), tree));
      }),
      { numRuns: 1000 },
    );
  });

  it('reads what a real API server sends', () => {
    const wants: WantedTree = {
      request: { uid: 'value', object: { metadata: 'value' }, userInfo: { username: 'value', groups: 'value' } },
      items: 'value',
    };
    for (const folder of ['reviews', 'audit']) {
      for (const name of readdirSync(join(FIXTURES, folder))) {
        const bytes = readFileSync(join(FIXTURES, folder, name));
        expect(picked(bytes, wants), name).toEqual(naive(JSON.parse(bytes.toString()), wants));
      }
    }
  });

  it('takes the last of repeated keys, and keys written with escapes, as JSON.parse does', () => {
    const json = String.raw`{"a":1,"b":{"a":"first"},"b":{"a":"se\ud83d\ude00cond"},"\u0061":[2]}`;
    const want = wanted(tree);
    const found = pick(Buffer.from(json), want);
    expect(found?.[slotOf(want, 'a')]).toEqual([2]);
    expect(text(found, slotOf(want, 'b', 'a'))).toBe('se😀cond');
    const less = pick(Buffer.from('{"b":{"a":1,"c":{"a":2}},"c":{"a":3,"b":4},"b":{"c":{}},"c":{"a":5}}'), want);
    expect([slotOf(want, 'b', 'a'), slotOf(want, 'b', 'c', 'a')].map((slot) => less?.[slot])).toEqual([
      undefined,
      undefined,
    ]);
    expect(less?.[slotOf(want, 'c')]).toEqual(new Map([['a', 5]]));
  });

  it.each(['true', 'false', 'null', '[]', '[ ]', '{}', '0', '-0', '7', '123456789', '1234567890', '1e3'])(
    'reads %s',
    (value) => {
      const want = wanted(tree);
      expect(pick(Buffer.from(`{"a":${value}}`), want)?.[slotOf(want, 'a')]).toEqual(JSON.parse(value));
    },
  );

  it.each([
    '',
    '[]',
    'null',
    '"a"',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"x":[1',
    '{"x":"y',
    '{"x":"\\',
    '{a:1}',
    '{"a":nul}',
    '{"a":tru}',
    '{"a":truth}',
    '{"a":falsy}',
    '{"a":truely}',
    '{"a":[}',
    '{"a":01}',
    '{"x":1 "a":2}',
  ])('gives nothing for %j, and never hangs', (json) => {
    expect(pick(Buffer.from(json), wanted(tree))).toBeUndefined();
  });
});
