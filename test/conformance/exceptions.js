// The cases that are not expected to pass, each by name under the reason why: exceptions.json beside this file.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
const FILE = join(import.meta.dirname, 'exceptions.json');
/** The category of cases that need a built-in which is refused when a bundle is built. */
export const REFUSED = 'refused built-ins';
export function readExceptions() {
    return JSON.parse(readFileSync(FILE, 'utf8'));
}
/** Writes the cases of the refused built-ins anew; every other category is written by hand. */
export function writeRefused(exceptions, cases) {
    const why = exceptions[REFUSED]?.why ?? '';
    writeFileSync(FILE, `${JSON.stringify({ ...exceptions, [REFUSED]: { why, cases } }, null, 2)}\n`);
}
/** Category of each case. Throws when a case stands in two. */
export function categories(exceptions) {
    const found = new Map();
    for (const [category, { cases }] of Object.entries(exceptions)) {
        for (const name of cases) {
            if (found.has(name))
                throw new Error(`${FILE}: ${name} stands there twice`);
            found.set(name, category);
        }
    }
    return found;
}
