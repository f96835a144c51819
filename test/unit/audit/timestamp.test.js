import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTimestamp } from '../../../src/audit/timestamp.js';
import { JsonDocument } from '../../../src/lib/json-document.js';
const FORM = /^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(?:\.\d{1,9})?(?:Z|[+-][0-2]\d:[0-5]\d)$/;
function judge(json) {
    const doc = new JsonDocument();
    doc.scan(Buffer.from(json));
    return isTimestamp(doc, 0);
}
describe('a timestamp', () => {
    it('is told by its bytes exactly as by its form, whatever character is changed, dropped or put in', () => {
        const base = fc.constantFrom('2026-11-22T23:42:20.562880Z', '2026-11-22T23:42:20Z', '2026-11-22T23:42:20.123456789Z', '1999-01-39T00:00:69.5+02:30', '2026-11-22T23:42:20');
        const change = fc.tuple(fc.nat(30), fc.constantFrom(...'0123456789-:.TZz+/ é'), fc.constantFrom('change', 'drop', 'insert'));
        void fc.assert(fc.property(base, fc.array(change, { maxLength: 3 }), (text, changes) => {
            let changed = text;
            for (const [at, char, how] of changes) {
                changed = changed.slice(0, at) + (how === 'drop' ? '' : char) + changed.slice(how === 'insert' ? at : at + 1);
            }
            expect([changed, judge(JSON.stringify(changed))]).toEqual([changed, FORM.test(changed)]);
        }), { numRuns: 3000 });
    });
    it('may be written with escapes, and is a string', () => {
        expect(judge('"2026-11-22T23:42:2\\u0030Z"')).toBe(true);
        expect(judge('"2026-11-22T23:42:2\\u0041Z"')).toBe(false);
        expect(judge('20261122')).toBe(false);
    });
});
