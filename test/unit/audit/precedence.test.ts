import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { decisionsWaiting, precedenceMemory, watched } from '../../../src/audit/precedence.ts';
import type { HttpAnswer } from '../../../src/lib/http.ts';
import { requestOf } from './support.ts';

describe('the precedence of decisions', () => {
  it('holds while one is made, however it ends, and a moment longer', async () => {
    vi.useFakeTimers({ toFake: ['hrtime'], now: 1000 });
    onTestFinished(() => void vi.useRealTimers());
    const memory = precedenceMemory();
    const waiting = decisionsWaiting(memory);
    vi.advanceTimersByTime(1000);
    expect(waiting()).toBe(false);
    for (const end of ['resolve', 'reject'] as const) {
      const first = Promise.withResolvers<HttpAnswer>();
      const second = Promise.withResolvers<HttpAnswer>();
      const answers = [first, second].map(({ promise }) => watched(() => promise, memory)(requestOf('')));
      vi.advanceTimersByTime(5000);
      first.resolve({ status: 200 });
      expect(await answers[0]).toEqual({ status: 200 });
      vi.advanceTimersByTime(5000);
      expect(waiting()).toBe(true);
      if (end === 'resolve') second.resolve({ status: 200 });
      else second.reject(new Error('no'));
      await answers[1]?.catch(() => undefined);
      vi.advanceTimersByTime(9);
      expect(waiting()).toBe(true);
      vi.advanceTimersByTime(1);
      expect(waiting()).toBe(false);
    }
  });
});
