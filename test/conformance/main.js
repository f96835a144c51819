// make conformance: OPA's own conformance cases through the host that the pod evaluates policies with. Prints what
// failed, what was skipped by reason, and `N passed, N failed, N skipped`.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { compiledCases } from './cases.js';
import { categories, REFUSED, readExceptions, writeRefused } from './exceptions.js';
import { judge } from './judge.js';
/** Exceptions beyond the refused built-ins that the engine may have. */
const MAX_EXCEPTIONS = 80;
class Tally {
    passed = 0;
    failures = [];
    skipped = new Map();
    /** Cases that need a refused built-in. */
    refused = [];
    exceptions = readExceptions();
    expected = categories(this.exceptions);
    updates;
    constructor(updates) {
        this.updates = updates;
    }
    /** An exception must fail, and for its reason: one that passes has no place in the list. */
    async add(test, now) {
        const refused = needsRefused(test);
        // The list that is being written anew says nothing yet.
        const listed = this.expected.get(test.name);
        const category = this.updates && (refused || listed === REFUSED) ? (refused ? REFUSED : undefined) : listed;
        this.expected.delete(test.name);
        if (refused)
            this.refused.push(test.name);
        const problem = await judge(test, now);
        if (problem === undefined && category === undefined)
            this.passed++;
        else if (problem === undefined)
            this.failures.push(`${test.name}: passes, and is listed under "${category}"`);
        else if (category === undefined || (category === REFUSED) !== refused)
            this.failures.push(`${test.name} (${test.file}): ${problem}`);
        else
            this.skipped.set(category, (this.skipped.get(category) ?? 0) + 1);
    }
    /** What can only be said when every case has been seen. */
    finish() {
        for (const [name, category] of this.expected)
            this.failures.push(`${name}: listed under "${category}", and no case`);
        const others = [...this.skipped].filter(([category]) => category !== REFUSED);
        const count = others.reduce((sum, [, cases]) => sum + cases, 0);
        if (count > MAX_EXCEPTIONS)
            this.failures.push(`${count} exceptions are more than ${MAX_EXCEPTIONS}`);
    }
    updateRefused() {
        writeRefused(this.exceptions, this.refused);
    }
    print() {
        for (const failure of this.failures)
            console.log(`FAILED ${failure}`);
        for (const [category, cases] of [...this.skipped].sort(([, a], [, b]) => b - a))
            console.log(`${String(cases).padStart(5)} skipped: ${category} (${this.exceptions[category]?.why})`);
        const skipped = [...this.skipped.values()].reduce((sum, cases) => sum + cases, 0);
        console.log(`${this.passed} passed, ${this.failures.length} failed, ${skipped} skipped`);
    }
}
/** Capabilities without the built-in are why the case does not compile. */
function needsRefused(test) {
    const error = test.compile_error ?? '';
    return /undefined function|with keyword target must reference existing|var \w+ is unsafe/.test(error);
}
async function main(options) {
    const tally = new Tally(options.updateRefused === true);
    const only = options.only === undefined ? undefined : new RegExp(options.only);
    const now = BigInt(Date.now()) * 1000000n;
    for (const test of compiledCases())
        if (only === undefined || only.test(test.name))
            await tally.add(test, now);
    if (only === undefined)
        tally.finish();
    if (options.updateRefused)
        tally.updateRefused();
    tally.print();
    if (options.report !== undefined) {
        mkdirSync(dirname(options.report), { recursive: true });
        writeFileSync(options.report, JSON.stringify({ passed: tally.passed, failures: tally.failures }));
    }
    process.exitCode = tally.failures.length > 0 ? 1 : 0;
}
const command = new Command('conformance')
    .option('--only <pattern>', 'only cases whose name matches')
    .option('--report <file>', 'write the counts there as JSON')
    .option('--update-refused', 'write the cases that need a refused built-in into exceptions.json');
command.parse();
await main(command.opts());
