import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { openError, outcomeOf } from '../../../src/ledger/sqlite-errors.js';
const failure = (code) => new Database.SqliteError('it failed', code);
describe('a failed transaction', () => {
    it.each(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE', 'SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT'])('with %s left nothing behind, and writing may go on', (code) => {
        expect(outcomeOf(failure(code))).toBe('none');
    });
    it.each(['SQLITE_IOERR_WRITE', 'SQLITE_IOERR_FSYNC', 'SQLITE_IOERR_SHMMAP', 'SQLITE_CORRUPT', 'SQLITE_CONSTRAINT'])('with %s may have left anything', (code) => {
        expect(outcomeOf(failure(code))).toBe('unknown');
    });
    it('with an error that is not of SQLite may have left anything', () => {
        expect(outcomeOf(new Error('no'))).toBe('unknown');
    });
});
describe('a shard that cannot be opened', () => {
    it.each(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE'])('for want of space (%s) says to make room', (code) => {
        expect(openError(failure(code), '/data/x.sqlite')).toMatchObject({
            code: 'LEDGER_WRITE_FAILED',
            message: expect.stringMatching(/no space is left for .data.x\.sqlite: make room/),
        });
    });
});
