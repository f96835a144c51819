import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENTRY_KINDS, type Leaf, type LeafExtra } from '../../../src/ledger/entry.ts';
import { checkExtra, encodeLeaf, leafHashHex, parseLeaf } from '../../../src/ledger/leaf.ts';
import { formatMicros } from '../../../src/lib/clock.ts';

const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
const extras: Record<string, fc.Arbitrary<LeafExtra>> = {
  decision: fc.record({ uid: fc.uuid(), bundle: hex.map((digest) => `sha256:${digest}`), allowed: fc.boolean() }),
  undelivered: fc.record({ uid: fc.uuid() }),
  policy: fc.record({ bundle: hex.map((digest) => `sha256:${digest}`) }),
};
const anyLeaf: fc.Arbitrary<Leaf> = fc.constantFrom(...ENTRY_KINDS).chain((kind) =>
  fc
    .record({
      seq: fc.oneof(fc.nat({ max: 1_000_000 }), fc.nat({ max: Number.MAX_SAFE_INTEGER })),
      time: fc.integer({ min: 0, max: 4_000_000_000_000_000 }).map(formatMicros),
      prev: hex,
      body: hex,
      size: fc.oneof(fc.nat({ max: 10_000 }), fc.nat({ max: 0xffff_ffff })),
      extra: extras[kind] ?? fc.constant({}),
    })
    .map(({ extra, ...rest }) => ({ v: 1, kind, ...rest, ...extra })),
);

const SAMPLE =
  `{"v":1,"seq":7,"time":"2026-01-31T23:59:59.000001Z","kind":"decision","prev":"${'a'.repeat(64)}","body":"${'b'.repeat(64)}",` +
  `"size":12,"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","bundle":"sha256:${'c'.repeat(64)}","allowed":true}`;

describe('leaf', () => {
  it('reads back what it wrote, and writes again the bytes it read', () => {
    fc.assert(
      fc.property(anyLeaf, (leaf) => {
        const text = encodeLeaf(leaf);
        const read = parseLeaf(Buffer.from(text));
        expect(read).toEqual(leaf);
        expect(encodeLeaf(read)).toBe(text);
      }),
    );
  });

  it('writes the keys of the format in their order', () => {
    expect(encodeLeaf(parseLeaf(Buffer.from(SAMPLE)))).toBe(SAMPLE);
  });

  it.each([
    ['white space', SAMPLE.replace('"seq":7', '"seq": 7')],
    ['keys in another order', SAMPLE.replace('"v":1,"seq":7', '"seq":7,"v":1')],
    ['another version', SAMPLE.replace('"v":1', '"v":2')],
    ['a leading zero', SAMPLE.replace('"seq":7', '"seq":07')],
    ['a negative seq', SAMPLE.replace('"seq":7', '"seq":-7')],
    ['a seq beyond 2^53-1', SAMPLE.replace('"seq":7', '"seq":9007199254740992')],
    ['a size beyond 2^32-1', SAMPLE.replace('"size":12', '"size":4294967296')],
    ['an exponent', SAMPLE.replace('"seq":7', '"seq":7e0')],
    ['an unknown kind', SAMPLE.replace('"decision"', '"verdict"')],
    ['a kind without its keys', SAMPLE.replace('"decision"', '"undelivered"')],
    ['a kind with keys of another', SAMPLE.replace('"decision"', '"event"')],
    ['a missing key', SAMPLE.replace(',"allowed":true', '')],
    ['a key twice', SAMPLE.replace('"allowed":true', '"allowed":true,"allowed":true')],
    ['an unknown key', SAMPLE.replace('"allowed":true', '"allowed":true,"x":1')],
    ['upper-case hex', SAMPLE.replace('aaaa', 'AAAA')],
    ['a short hash', SAMPLE.replace('aaaa', 'aaa')],
    ['an upper-case uid', SAMPLE.replace('705ab4f5', '705AB4F5')],
    ['milliseconds', SAMPLE.replace('.000001Z', '.001Z')],
    ['an offset', SAMPLE.replace('000001Z', '000001+00:00')],
    ['a day that does not exist', SAMPLE.replace('2026-01-31', '2026-02-31')],
    ['something behind', `${SAMPLE}\n`],
    ['something before', ` ${SAMPLE}`],
    ['a byte beyond ASCII', SAMPLE.replace('sha256', 'shä256')],
    ['nothing', ''],
    ['too much', SAMPLE + ' '.repeat(70_000)],
  ])('refuses %s', (_, text) => {
    expect(() => parseLeaf(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
  });

  it('takes a time exactly when there is such a date and time', () => {
    const number = (max: number, digits: number) => fc.nat(max).map((n) => String(n).padStart(digits, '0'));
    const date = fc.tuple(number(9999, 4), number(14, 2), number(33, 2));
    const time = fc.tuple(number(26, 2), number(62, 2), number(62, 2));
    fc.assert(
      fc.property(date, time, (ymd, hms) => {
        const text = `${ymd.join('-')}T${hms.join(':')}.000001Z`;
        const parsed = new Date(text.replace('001Z', 'Z'));
        const exists = !Number.isNaN(parsed.getTime()) && parsed.toISOString() === text.replace('001Z', 'Z');
        const read = () => parseLeaf(Buffer.from(SAMPLE.replace('2026-01-31T23:59:59.000001Z', text)));
        if (exists) expect(read().time).toBe(text);
        else expect(read).toThrow(`${text} is not a time`);
      }),
      { numRuns: 3000 },
    );
  });

  it('hashes as RFC 6962 does: SHA-256 over a zero byte and the leaf', () => {
    const expected = createHash('sha256').update('\0').update(SAMPLE).digest('hex');
    expect(leafHashHex(Buffer.from(SAMPLE))).toBe(expected);
  });

  it("says why a caller's keys do not fit the kind", () => {
    expect(checkExtra('event', undefined)).toBeUndefined();
    expect(checkExtra('event', { uid: 'x' })).toContain('has no key');
    expect(checkExtra('decision', { uid: '705ab4f5-6393-11e8-b7cc-42010a800002' })).toContain('needs the key bundle');
    expect(checkExtra('undelivered', { uid: '705AB4F5-6393-11e8-b7cc-42010a800002' })).toContain('lowercase UUID');
    for (let times = 0; times < 2; times++) {
      expect(checkExtra('policy', { bundle: `sha256:${'0'.repeat(64)}` })).toBeUndefined();
      expect(checkExtra('policy', { bundle: 'sha256:1' })).toContain('64 hex digits');
    }
    expect(checkExtra('policy', undefined)).toContain('needs the key bundle');
    expect(checkExtra('verdict' as 'event', undefined)).toContain('no entry kind');
  });
});
