import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatMicros, parseMicros, systemClock } from '../../../src/lib/clock.js';
describe('clock', () => {
    it('stays within a few milliseconds of Date.now()', () => {
        const clock = systemClock();
        for (let i = 0; i < 1000; i++)
            expect(Math.abs(clock.now() / 1000 - Date.now())).toBeLessThan(50);
    });
    it('formats microseconds as RFC 3339 and reads them back', () => {
        expect(formatMicros(1_769_903_999_000_001)).toBe('2026-01-31T23:59:59.000001Z');
        fc.assert(fc.property(fc.integer({ min: 0, max: 4_000_000_000_000_000 }), (time) => {
            expect(parseMicros(formatMicros(time))).toBe(time);
        }));
    });
    it('reads offsets and shorter fractions, cuts longer ones, and refuses what is not RFC 3339', () => {
        expect(parseMicros('2026-01-01T01:00:00+01:00')).toBe(parseMicros('2026-01-01T00:00:00.000000Z'));
        expect(parseMicros('2026-01-01T00:00:00.5Z')).toBe(1_767_225_600_500_000);
        expect(parseMicros('2026-01-01T00:00:00.123456789Z')).toBe(1_767_225_600_123_456);
        for (const text of ['', 'now', '2026-01-01', '2026-01-01T00:00:00', '2026-13-01T00:00:00Z']) {
            expect(parseMicros(text)).toBeUndefined();
        }
    });
});
