// Whatever is done to the file, the verifier ends with a report, and never calls changed leaves or bodies whole.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../../src/ledger/verify.js';
import { SealgateError } from '../../../src/lib/errors.js';
import { miniKey, writeMiniShard } from '../../support/mini-ledger.js';
import { leafAt, setLeaf, shiftRows, tamper } from '../../support/tamper.js';
const KEY = miniKey('example.org/fuzz/0', 4);
const COUNT = 40;
const ENTRIES = Array.from({ length: COUNT }, (_, i) => ({
    kind: i === 0 ? 'start' : 'event',
    body: Buffer.from(JSON.stringify(i === 0 ? { origin: `${KEY.name}/0` } : { i, text: 'x'.repeat((i * 7) % 90) })),
}));
let folder;
let file;
let original;
let before;
beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sealgate-fuzz-'));
    file = writeMiniShard(folder, {
        number: 0,
        key: KEY,
        entries: ENTRIES,
        checkpoints: [1, 10, 20, 21, COUNT],
        packs: [1, 8, 1, 10],
    });
    original = fs.readFileSync(file);
    before = content();
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
/** The rows that matter, or undefined when SQLite cannot read them all. */
function content() {
    try {
        const db = new Database(file, { readonly: true });
        try {
            const rows = (sql) => db.prepare(sql).raw().all();
            return JSON.stringify([
                rows('SELECT seq, hex(leaf) FROM leaf ORDER BY seq'),
                rows('SELECT first, count, codec, hex(data) FROM pack ORDER BY first'),
            ]);
        }
        finally {
            db.close();
        }
    }
    catch {
        return undefined;
    }
}
/** The status of the file as it is now; the code of the error when it cannot be verified. */
function status() {
    try {
        return verifyLedger(folder, { keys: [KEY.vkey] }).status;
    }
    catch (thrown) {
        if (thrown instanceof SealgateError)
            return thrown.code;
        throw thrown;
    }
}
const at = fc.nat({ max: COUNT - 1 });
const change = fc.oneof(fc.record({ kind: fc.constant('delete'), a: at, b: at }), fc.record({ kind: fc.constant('swap'), a: at, b: at }), fc.record({ kind: fc.constant('copy'), a: at, b: fc.integer({ min: -3, max: COUNT + 5 }) }), fc.record({ kind: fc.constant('shift'), a: at, b: fc.integer({ min: -3, max: 3 }) }), fc.record({ kind: fc.constant('shiftPacks'), a: at, b: fc.integer({ min: -3, max: 3 }) }), fc.record({ kind: fc.constant('count'), a: fc.constantFrom(0, 1, 9, 10, 20), b: fc.integer({ min: -2, max: 300 }) }));
function apply(db, { kind, a, b }) {
    const [one, two] = [leafAt(db, a), leafAt(db, b)];
    if (kind === 'delete')
        db.prepare('DELETE FROM leaf WHERE seq BETWEEN ? AND ?').run(Math.min(a, b), Math.max(a, b));
    else if (kind === 'shift')
        shiftRows(db, 'leaf', a, b);
    else if (kind === 'shiftPacks')
        shiftRows(db, 'pack', a, b);
    else if (kind === 'count')
        db.prepare('UPDATE pack SET count = ? WHERE first = ?').run(b, a);
    else if (one !== undefined && kind === 'copy')
        setLeaf(db, b, one);
    else if (one !== undefined && two !== undefined) {
        setLeaf(db, a, two);
        setLeaf(db, b, one);
    }
}
describe('the verifier', () => {
    it('never calls rows whole that were moved, copied, deleted or renumbered', () => {
        const run = (changes) => {
            fs.writeFileSync(file, original);
            tamper(file, (db) => {
                for (const one of changes) {
                    try {
                        apply(db, one);
                    }
                    catch (thrown) {
                        // Rows that would have the same number: this change does nothing.
                        if (!String(thrown).includes('UNIQUE'))
                            throw thrown;
                    }
                }
            });
            const same = content() === before;
            expect(status()).toMatch(same ? /^whole$/ : /^(tampered|incomplete)$/);
        };
        fc.assert(fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), run), { numRuns: 300 });
    });
    it('ends with a report or a clear error whatever bytes of the file are overwritten, and finds what they changed', () => {
        const patch = fc.record({ where: fc.nat({ max: original.length - 1 }), byte: fc.nat({ max: 255 }) });
        const run = (patches, cut) => {
            const bytes = Buffer.from(original);
            for (const { where, byte } of patches)
                bytes[where] = byte;
            fs.writeFileSync(file, cut === null ? bytes : bytes.subarray(0, cut));
            const found = status();
            expect(found).toMatch(/^(whole|tampered|incomplete|wrong-key|LEDGER_FORMAT_NEWER)$/);
            if (found === 'whole')
                expect(content()).toBe(before);
        };
        const cut = fc.option(fc.nat({ max: original.length }), { freq: 10 });
        fc.assert(fc.property(fc.array(patch, { maxLength: 6 }), cut, run), { numRuns: 300 });
    });
});
