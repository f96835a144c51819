import { describe, expect, it } from 'vitest';
import { S3Clock } from '../../../../src/mirror/stores/s3-clock.js';
const START = Date.UTC(2026, 0, 1);
/** A wall clock, and one that only goes forward; both in milliseconds. */
function clocks() {
    const time = { wall: START, steady: 0 };
    const clock = new S3Clock({ now: () => time.wall * 1000 }, () => time.steady);
    const pass = (ms) => {
        time.wall += ms;
        time.steady += ms;
    };
    return { time, clock, pass };
}
describe('the clock that locks are counted from', () => {
    it('agrees with a server within a quarter of an hour, and with none that has said nothing', () => {
        const { clock } = clocks();
        expect(clock.agrees()).toBe(false);
        expect(() => clock.check('s3://b')).not.toThrow();
        for (const [off, agrees] of [
            [0, true],
            [900, true],
            [-900, true],
            [901, false],
            [-901, false],
        ]) {
            clock.saw(new Date(START + off * 1000).toUTCString());
            expect(clock.agrees(), `${off} s`).toBe(agrees);
        }
        expect(() => clock.check('s3://b')).toThrow(expect.objectContaining({ code: 'MIRROR_CLOCK' }));
    });
    it('sees a step of the wall clock without a further answer, and no step where time just passed', () => {
        const { time, clock, pass } = clocks();
        clock.saw(new Date(START).toUTCString());
        pass(3_600_000);
        expect(clock.agrees()).toBe(true);
        time.wall += 3_600_000;
        expect(clock.agrees()).toBe(false);
        expect(clock.ahead()).toBe(3_600_000);
    });
    it('passes over a date that is none', () => {
        const { clock } = clocks();
        clock.saw(undefined);
        clock.saw('yesterday');
        expect(clock.ahead()).toBeUndefined();
    });
    it('locks for at least as long as is asked, whichever clock is ahead', () => {
        const { time, clock } = clocks();
        expect(clock.in(60_000).getTime()).toBe(START + 60_000);
        clock.saw(new Date(START + 300_000).toUTCString());
        expect(clock.in(60_000).getTime()).toBe(START + 360_000);
        clock.saw(new Date(START - 300_000).toUTCString());
        expect(clock.in(60_000).getTime()).toBe(START + 60_000);
        time.wall += 1;
        expect(clock.in(60_000).getTime()).toBe(START + 61_000);
    });
});
