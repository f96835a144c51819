import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BloomKeys, hashKey, mayHold } from '../../../src/index/bloom.ts';
import { decodeCursor, encodeCursor } from '../../../src/index/cursor.ts';
import { indexed, packId, unpackId } from '../../../src/index/keys.ts';
import { parseQuery, parseResource, parseTime } from '../../../src/index/query.ts';
import { uuid } from './support.ts';

const NOW = Date.UTC(2026, 5, 15, 12) * 1000;
const parse = (query: string) => parseQuery(new URLSearchParams(query), NOW);

describe('the parameters of a query', () => {
  it('become a filter, an order and a limit', () => {
    expect(parse('kind=decision&allowed=false&user=a*&verb=CREATE&code=403&limit=7&order=oldest')).toEqual({
      filter: { kind: 'decision', allowed: false, user: 'a*', verb: 'create', code: 403 },
      ascending: true,
      limit: 7,
    });
    expect(parse('')).toEqual({ filter: {}, ascending: false, limit: 100 });
    expect(parse('follow=1&namespace=shop')).toMatchObject({ ascending: true, follow: true });
  });

  it('take times as RFC 3339 with any offset, as a date, and as a span before now', () => {
    const hour = 3_600_000_000;
    expect(parseTime('2026-06-15T12:00:00+02:00', NOW)).toBe(NOW - 2 * hour);
    expect(parseTime('2026-06-15', NOW)).toBe(NOW - 12 * hour);
    expect([parseTime('15m', NOW), parseTime('24h', NOW), parseTime('7d', NOW)]).toEqual([
      NOW - hour / 4,
      NOW - 24 * hour,
      NOW - 7 * 24 * hour,
    ]);
    for (const wrong of ['yesterday', '-1h', '1y', '2026-13-01', '2026-06-15 12:00', '1.5h']) {
      expect(parseTime(wrong, NOW), wrong).toBeUndefined();
    }
  });

  it.each([
    ['namespce=x', 'did you mean namespace?'],
    ['xyzzyplugh=1', 'these exist'],
    ['auditid=x', 'did you mean auditID?'],
    ['kind=decison', 'did you mean decision?'],
    ['allowed=no', 'true or false'],
    ['since=yesterday', 'since must be a time'],
    ['limit=0', 'from 1 to 1000'],
    ['limit=1001', 'from 1 to 1000'],
    ['code=99', 'HTTP status'],
    ['user=', 'user must be'],
    ['user=a&user=b', 'more than once'],
    ['cursor=nonsense', 'cursor must be'],
    ['order=random', 'newest or oldest'],
    ['resource=/exec', 'resource must be'],
    ['follow=1&limit=5', 'exclude one another'],
    ['__proto__=x', 'no query parameter'],
    ['constructor=x', 'no query parameter'],
  ])('are refused when they make no sense: %s', (query, message) => {
    expect(() => parse(query)).toThrow(
      expect.objectContaining({ code: 'QUERY_INVALID', message: expect.stringContaining(message) }),
    );
  });

  it('name a resource as kubectl does', () => {
    expect(parseResource('pods')).toEqual({ resource: 'pods' });
    expect(parseResource('pods/exec')).toEqual({ resource: 'pods', subresource: 'exec' });
    expect(parseResource('clusterroles.rbac.authorization.k8s.io')).toEqual({
      resource: 'clusterroles',
      group: 'rbac.authorization.k8s.io',
    });
    expect(parseResource('deployments.apps/scale')).toEqual({
      resource: 'deployments',
      group: 'apps',
      subresource: 'scale',
    });
  });
});

describe('a cursor', () => {
  it('comes back as it was given out, and nothing else is one', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: -1, max: 1e15 - 1 }), (shard, seq) => {
        const cursor = { shard: shard % 1e9, seq };
        expect(decodeCursor(encodeCursor(cursor))).toEqual(cursor);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => decodeCursor(text) === undefined || /^MS4/.test(text)));
  });
});

describe('a Bloom filter', () => {
  it('never denies what it holds, and seldom claims what it does not', () => {
    const held = Array.from({ length: 2000 }, (_, i) => hashKey(`name:${uuid(i)}`));
    const keys = new BloomKeys();
    for (const key of held) keys.add(key);
    const bits = keys.filter();
    expect(bits.length).toBe(2500);
    expect(held.every((key) => mayHold(bits, key))).toBe(true);
    const wrong = Array.from({ length: 20_000 }, (_, i) => hashKey(`name:web-${i}`)).filter((key) =>
      mayHold(bits, key),
    );
    expect(wrong.length).toBeLessThan(20_000 * 0.02);
    expect(mayHold(new BloomKeys().filter(), hashKey('x'))).toBe(false);
  });
});

describe('what the index stores', () => {
  it('is bounded, and different for different texts', () => {
    const long = `${'x'.repeat(5000)}`;
    expect(indexed(`${long}a`).length).toBeLessThanOrEqual(512);
    expect(indexed(`${long}a`)).not.toBe(indexed(`${long}b`));
    expect(indexed(indexed(long))).toBe(indexed(long));
    expect(indexed('\ud800x').isWellFormed()).toBe(true);
  });

  it('gives ids back as they were, UUIDs in sixteen bytes', () => {
    expect(packId(uuid(1))).toHaveLength(16);
    for (const id of [uuid(1), uuid(1).toUpperCase(), 'made-up-by-a-client', '']) expect(unpackId(packId(id))).toBe(id);
  });
});
