import { describe, expect, it } from 'vitest';
import { header, rowOf } from '../../../src/cli/query-table.ts';
import type { FoundEntry } from '../../../src/index/search.ts';

const decision: FoundEntry = {
  shard: 0,
  seq: 7,
  time: '2026-11-23T00:54:25.869034Z',
  kind: 'decision',
  allowed: false,
  policies: [
    { policy: 'admission.images', action: 'warn' },
    { policy: 'admission.privileged', action: 'deny' },
  ],
  user: 'alice',
  verb: 'create',
  resource: 'pods',
  namespace: 'shop',
  name: 'debug',
  uid: '55db9ce3-eb14-4b57-ab0d-44418c3cd852',
  links: [{ state: 'verified', shard: 0, seq: 9, kind: 'event', code: 403, stage: 'ResponseComplete' }],
};

const cells = (row: string) => row.split(/ {2,}/);

describe('a row of the query table', () => {
  it('shows a decision with what denied it first, and the audit event that names it', () => {
    expect(cells(rowOf(decision, { wide: false, replicas: false }))).toEqual([
      ...['2026-11-23T00:54:25Z', '7', 'decision', 'deny', 'alice', 'create', 'pods', 'shop/debug'],
      ...['privileged:deny images:warn', 'event 9: 403'],
    ]);
  });

  it('stands below its header', () => {
    for (const wide of [false, true]) {
      const at = header({ wide, replicas: false }).indexOf('USER');
      expect(rowOf(decision, { wide, replicas: false }).slice(at, at + 5)).toBe('alice');
    }
  });

  it('says warn for what was let through with a warning, and the status for an event', () => {
    const warned = { ...decision, allowed: true, policies: [{ policy: 'admission.images', action: 'warn' as const }] };
    expect(cells(rowOf(warned, { wide: false, replicas: false }))[3]).toBe('warn');
    expect(cells(rowOf({ ...decision, kind: 'event', code: 403 }, { wide: false, replicas: false }))[3]).toBe('403');
  });

  it('makes control characters visible, so that no name can repaint the terminal', () => {
    const row = rowOf({ ...decision, name: '\u001b[31mred\u202e' }, { wide: true, replicas: false });
    expect(row).toContain('\\u001b[31mred\\u202e');
    expect(row).not.toContain('\u001b');
  });

  it('cuts long cells in the table and none in the wide form', () => {
    const long = { ...decision, user: `system:serviceaccount:${'x'.repeat(60)}` };
    expect(rowOf(long, { wide: false, replicas: false })).toContain('…');
    expect(rowOf(long, { wide: true, replicas: false })).toContain(long.user);
  });

  it('says loudly when the hash of an event is not that of the decision, or the decision is missing', () => {
    const event = (link: object) =>
      rowOf(
        { ...decision, kind: 'event', links: [link] as unknown as NonNullable<FoundEntry['links']> },
        { wide: false, replicas: false },
      );
    expect(event({ state: 'mismatch', shard: 0, seq: 7, kind: 'decision' })).toContain('7 HASH DIFFERS');
    expect(event({ state: 'missing', claim: 'd.x=a/0:99:00' })).toContain('MISSING');
  });
});
