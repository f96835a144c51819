import { describe, expect, it } from 'vitest';
import { SealgateError } from '../../../src/lib/errors.js';
import { createLog } from '../../../src/lib/log.js';
function recording(level = 'info') {
    const written = [];
    const log = createLog(level, { write: (line) => void written.push(line) });
    return { log, lines: () => written.map((line) => JSON.parse(line)) };
}
describe('the log', () => {
    it('writes one JSON object a line with level, time, fields and message', () => {
        const { log, lines } = recording();
        log.child({ part: 'audit' }).warn({ events: 3 }, 'some were\nmalformed');
        log.info('ready');
        expect(lines()).toEqual([
            {
                level: 'warn',
                time: expect.stringMatching(/^\d{4}-.*Z$/),
                part: 'audit',
                events: 3,
                message: 'some were\nmalformed',
            },
            { level: 'info', time: expect.any(String), message: 'ready' },
        ]);
    });
    it('leaves out what is below its level', () => {
        const { log, lines } = recording('warn');
        log.info('a');
        log.debug('b');
        log.error('c');
        expect(lines().map(({ message }) => message)).toEqual(['c']);
    });
    it('writes an error with its code, message and cause, and the stack only of one without a code of ours', () => {
        const { log, lines } = recording();
        const cause = Object.assign(new Error('no such file'), { code: 'ENOENT' });
        log.error({ error: new SealgateError('KEY_INVALID', 'the key is missing', { cause }) }, 'start failed');
        const [line] = lines();
        expect(line?.['error']).toEqual({
            code: 'KEY_INVALID',
            message: 'the key is missing',
            cause: { code: 'ENOENT', message: 'no such file', stack: expect.stringContaining('log.test.ts') },
        });
    });
    it('writes whatever else was thrown, and an error that is its own cause', () => {
        const { log, lines } = recording();
        const circle = new SealgateError('INTERNAL', 'round');
        Object.assign(circle, { cause: circle });
        log.error({ error: 'just text' }, 'a');
        log.error({ error: circle }, 'b');
        expect(lines()[0]?.['error']).toBe('just text');
        expect(lines()[1]?.['error']).toMatchObject({ message: 'round', cause: { message: 'round' } });
    });
});
