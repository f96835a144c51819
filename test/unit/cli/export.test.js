// `sealgate export --tiles` as a person or a script meets it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/export.js';
import { DECISION, runCommand, sharedLedger } from './run-command.js';
const ledger = sharedLedger([DECISION]);
const run = (...args) => runCommand(register, ['export', ...args]);
describe('sealgate export', () => {
    it('writes the tiles and says how many entries they hold, also when asked again', () => {
        const tiles = join(ledger.data, 'tiles');
        expect(run(ledger.data, '--tiles', tiles)).toEqual({
            status: 0,
            stdout: `${ledger.origin}: 3 entries\n`,
            stderr: '',
        });
        expect(readFileSync(join(tiles, 'checkpoint'), 'utf8')).toMatch(new RegExp(`^${ledger.origin}\n3\n`));
        expect(existsSync(join(tiles, 'tile', 'entries', '000.p', '3'))).toBe(true);
        expect(run(ledger.shard, '--tiles', tiles)).toMatchObject({
            status: 0,
            stdout: `${ledger.origin}: 3 entries, 0 of them new\n`,
        });
    });
    it('writes no body', () => {
        const tiles = join(ledger.data, 'no-body');
        run(ledger.data, '--tiles', tiles);
        expect(readFileSync(join(tiles, 'tile', 'entries', '000.p', '3'), 'utf8')).not.toContain('alice');
    });
    it('fails with 1 for a folder with something else in it, 2 without a folder', () => {
        writeFileSync(join(ledger.data, 'file'), '');
        for (const tiles of [join(ledger.data, 'keys'), join(ledger.data, 'file')]) {
            expect(run(ledger.data, '--tiles', tiles)).toMatchObject({
                status: 1,
                stdout: '',
                stderr: expect.stringContaining('sealgate export: EXPORT_FAILED: '),
            });
        }
        expect(run(ledger.data).status).toBe(2);
        expect(run(ledger.data, '--tiles', join(ledger.data, 't'), '--shard', 'x').status).toBe(2);
    });
    it('fails with 10 when the folder has a checkpoint that this ledger does not continue', () => {
        const tiles = join(ledger.data, 'newer');
        run(ledger.data, '--tiles', tiles);
        const file = join(tiles, 'checkpoint');
        writeFileSync(file, readFileSync(file, 'utf8').replace('\n3\n', '\n4\n'));
        expect(run(ledger.data, '--tiles', tiles)).toMatchObject({
            status: 10,
            stderr: expect.stringContaining('LEDGER_CORRUPT'),
        });
    });
});
