import { describe, expect, it } from 'vitest';
import { type ErrorCode, SealgateError } from '../../../src/lib/errors.ts';
import { MirrorClosing, Patience, sleepUnlessAborted } from '../../../src/mirror/patience.ts';
import { TroubleReport } from '../../../src/mirror/trouble.ts';

function patience(random = 1) {
  const waits: number[] = [];
  const abort = new AbortController();
  let time = 0;
  const one = new Patience({
    signal: abort.signal,
    onFailure: () => undefined,
    onSuccess: () => undefined,
    random: () => random,
    now: () => ++time,
    sleep: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  });
  return { one, waits, abort };
}

const failing = (times: number, code: ErrorCode = 'MIRROR_UNAVAILABLE') => {
  let left = times;
  return () => (left-- > 0 ? Promise.reject(new SealgateError(code, 'no')) : Promise.resolve('done'));
};

describe('patience with a store', () => {
  it('never ends, and waits longer and longer up to a limit', async () => {
    const { one, waits } = patience();
    expect(await one.until(failing(1000))).toBe('done');
    expect(waits.slice(0, 4)).toEqual([400, 800, 1600, 3200]);
    expect(waits.slice(8)).toEqual(Array.from({ length: 992 }, () => 30_000));
  });

  it('waits longer for somebody who has to act', async () => {
    const { one, waits } = patience();
    await one.until(failing(20, 'MIRROR_CREDENTIALS'));
    expect(waits.at(-1)).toBe(60_000);
  });

  it('spreads its attempts over the whole time', async () => {
    const { one, waits } = patience(0.25);
    await one.until(failing(20));
    expect(waits.at(-1)).toBe(7500);
  });

  it('begins with short waits again after a success', async () => {
    const { one, waits } = patience();
    await one.until(failing(5));
    await one.until(failing(1));
    expect(waits.at(-1)).toBe(400);
  });

  it('counts what failed side by side once', async () => {
    const { one, waits } = patience();
    let gate = (): void => undefined;
    const opened = new Promise<void>((resolve) => {
      gate = resolve;
    });
    let attempts = 0;
    const act = async (): Promise<void> => {
      attempts++;
      if (attempts > 8) return;
      await opened;
      throw new SealgateError('MIRROR_UNAVAILABLE', 'no');
    };
    const all = Array.from({ length: 8 }, () => one.until(act));
    gate();
    await Promise.all(all);
    expect(waits).toEqual(Array.from({ length: 8 }, () => 400));
  });

  it('ends with the mirror', async () => {
    const { one, abort } = patience();
    let attempts = 0;
    const ended = one.until(() => {
      attempts++;
      if (attempts === 3) abort.abort();
      return Promise.reject(new SealgateError('MIRROR_UNAVAILABLE', 'no'));
    });
    await expect(ended).rejects.toBeInstanceOf(MirrorClosing);
    await sleepUnlessAborted(3_600_000, abort.signal);
    expect(attempts).toBe(3);
  });
});

describe('trouble', () => {
  it('is counted each time, said at once and then rarely', () => {
    const lines: string[] = [];
    let time = 0;
    const report = new TroubleReport(
      (level, fields, message) => void lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
      () => time,
    );
    const error = new SealgateError('MIRROR_CREDENTIALS', 'they have expired');
    for (; time < 86_400_000; time += 60_000) report.failed(error);
    expect(report.counts()).toEqual({ MIRROR_CREDENTIALS: 1440 });
    expect(lines).toHaveLength(144);
    expect(lines[0]).toMatch(/^error .*somebody acts.*they have expired/);
    expect(report.current).toEqual({ code: 'MIRROR_CREDENTIALS', message: 'they have expired' });
    report.passed();
    report.passed();
    expect(report.current).toBeUndefined();
    expect(lines.slice(144)).toEqual([expect.stringMatching(/^info the mirror goes on/)]);
  });
});
