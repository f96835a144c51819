import { describe, expect, it } from 'vitest';
import { certificateCheck, type LedgerState, ledgerCheck, policyCheck } from '../../../src/server/readiness.ts';

describe('readiness', () => {
  it('fails as soon as the ledger has failed, with the reason', () => {
    let state: LedgerState = { failed: undefined, work: { waiting: 3, done: 7 }, detail: '7 entries' };
    const { check } = ledgerCheck(
      () => state,
      () => 0,
    );
    expect(check()).toEqual({ ok: true, detail: '7 entries' });
    state = { ...state, failed: 'input/output error' };
    expect(check()).toEqual({ ok: false, detail: 'input/output error' });
  });

  it('fails when entries wait and none is committed for ten seconds, and comes back with the next commit', () => {
    let now = 0;
    let work = { waiting: 0, done: 5 };
    const { check } = ledgerCheck(
      () => ({ failed: undefined, work, detail: '' }),
      () => now,
    );
    const readyAt = (ms: number) => {
      now = ms;
      return check().ok;
    };
    expect(readyAt(0)).toBe(true);
    expect(readyAt(60_000)).toBe(true); // nothing to do is no standstill
    work = { waiting: 4, done: 5 };
    expect(readyAt(69_999)).toBe(true);
    expect(readyAt(70_000)).toBe(false);
    expect(check().detail).toBe('4 entries wait, and none was committed for 10 s: the disk hangs');
    work = { waiting: 4, done: 6 };
    expect(readyAt(70_001)).toBe(true);
    // Busy without end, but getting on.
    for (let i = 1; i < 20; i++) {
      work = { waiting: 4, done: 6 + i };
      expect(readyAt(70_001 + i * 9000)).toBe(true);
    }
  });

  it('fails when no policy worker can take a request for five seconds', () => {
    let now = 0;
    let ready = 0;
    const { check } = policyCheck(
      () => ({ ready, evaluations: 9, detail: 'sha256:1', warning: true }),
      () => now,
    );
    expect(check().ok).toBe(true);
    now = 5000;
    expect(check()).toEqual({ ok: false, detail: 'no worker can evaluate a request for 5 s' });
    ready = 1;
    expect(check()).toEqual({ ok: true, detail: 'sha256:1', warning: true });
  });

  it('warns of a certificate that ended, and fails when both did', () => {
    const ends = { admission: new Date(1000), audit: new Date(2000) };
    let now = 999;
    const { check } = certificateCheck(
      () => ends,
      () => now,
    );
    expect(check()).toEqual({ ok: true });
    now = 1000;
    expect(check()).toMatchObject({
      ok: true,
      warning: true,
      detail: 'that of admission ended on 1970-01-01T00:00:01.000Z',
    });
    now = 2000;
    expect(check()).toMatchObject({ ok: false, warning: true });
  });
});
