import { describe, expect, it } from 'vitest';
import { createPrecedence } from '../../../src/audit/precedence.ts';
import type { HttpAnswer } from '../../../src/lib/http.ts';
import { requestOf } from './support.ts';

describe('the precedence of decisions', () => {
  it('holds while one is made, however it ends, and a moment longer', async () => {
    let now = 1000;
    const precedence = createPrecedence(() => now);
    expect(precedence.holds()).toBe(false);
    for (const end of ['resolve', 'reject'] as const) {
      const first = Promise.withResolvers<HttpAnswer>();
      const second = Promise.withResolvers<HttpAnswer>();
      const answers = [first, second].map(({ promise }) => precedence.of(() => promise)(requestOf('')));
      now += 5000;
      first.resolve({ status: 200 });
      expect(await answers[0]).toEqual({ status: 200 });
      now += 5000;
      expect(precedence.holds()).toBe(true);
      if (end === 'resolve') second.resolve({ status: 200 });
      else second.reject(new Error('no'));
      await answers[1]?.catch(() => undefined);
      now += 9;
      expect(precedence.holds()).toBe(true);
      now += 1;
      expect(precedence.holds()).toBe(false);
    }
  });
});
