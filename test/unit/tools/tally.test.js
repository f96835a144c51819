import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
const TALLY = join(import.meta.dirname, '..', '..', '..', 'tools', 'tally.ts');
const file = (...statuses) => ({
    name: 'some.test.ts',
    status: statuses.includes('failed') ? 'failed' : 'passed',
    assertionResults: statuses.map((status) => ({ status, fullName: 'a promise' })),
});
describe('tally', () => {
    let dir;
    const put = (name, content) => writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));
    const tally = () => {
        const { stdout, status } = spawnSync(process.execPath, [TALLY, dir], { encoding: 'utf8' });
        return { last: stdout.trimEnd().split('\n').at(-1), stdout, status };
    };
    beforeEach(() => {
        dir = mkdtempSync(join(tmpdir(), 'sealgate-tally-'));
        put('unit.json', { testResults: [file('passed', 'passed')] });
        put('integration.json', { testResults: [file('passed')] });
        put('rego-test.json', [{ package: 'p', name: 'test_a' }]);
        put('checks', 'ok make test\nok lint\n');
    });
    afterEach(() => rmSync(dir, { recursive: true, force: true }));
    it('adds up every report', () => {
        expect(tally()).toMatchObject({ last: '6 passed, 0 failed', status: 0 });
    });
    it.each([
        ['a failed test', 'unit.json', { testResults: [file('passed', 'failed')] }, '5 passed, 1 failed'],
        [
            'a file that failed before its tests',
            'unit.json',
            { testResults: [{ ...file(), status: 'failed' }] },
            '4 passed, 1 failed',
        ],
        ['a report without a test', 'integration.json', { testResults: [] }, '5 passed, 1 failed'],
        ['a report cut short', 'integration.json', '{"testRes', '5 passed, 1 failed'],
        ['a failed Rego test', 'rego-test.json', [{ package: 'p', name: 'test_a', fail: true }], '5 passed, 1 failed'],
        [
            'a Rego test with an error',
            'rego-test.json',
            [{ package: 'p', name: 'test_a', error: {} }],
            '5 passed, 1 failed',
        ],
        ['a failed check', 'checks', 'ok make test\nfailed lint\n', '5 passed, 1 failed'],
    ])('counts %s as a failure', (_, name, content, last) => {
        put(name, content);
        expect(tally()).toMatchObject({ last, status: 1 });
    });
    it('counts a missing report as a failure: what did not run did not pass', () => {
        rmSync(join(dir, 'integration.json'));
        expect(tally()).toMatchObject({ last: '5 passed, 1 failed', status: 1 });
    });
});
