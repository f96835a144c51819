import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deadline } from '../../../../src/mirror/stores/deadline.js';
describe('the deadline of an exchange', () => {
    beforeEach(() => {
        vi.useFakeTimers();
    });
    afterEach(() => {
        vi.useRealTimers();
    });
    it('grows with what is moved, begins anew when more is allowed for, and never comes after the end', () => {
        const small = deadline(0);
        const large = deadline(64 * 1_000_000);
        const ended = deadline(0);
        ended.end();
        vi.advanceTimersByTime(89_999);
        expect(small.signal.aborted).toBe(false);
        small.allow(64_000);
        vi.advanceTimersByTime(90_999);
        expect(small.signal.aborted).toBe(false);
        vi.advanceTimersByTime(1);
        expect([small, large, ended].map(({ signal }) => signal.aborted)).toEqual([true, false, false]);
        vi.advanceTimersByTime(1_000_000);
        expect([large, ended].map(({ signal }) => signal.aborted)).toEqual([true, false]);
    });
});
