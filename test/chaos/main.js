// make chaos: does to the ledger what crashes, disks and clocks do, and counts what it kept of its promises. Each class also
// has to catch bugs that are seeded into the code under test. `--quick` for minutes that are scarce, `--seed N` to make a run
// again, `--only kill,power` for some classes. Ends with one line of JSON; exit status 0 only if nothing failed.
import { existsSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { chaosClock } from './clock.js';
import { chaosFaults } from './faults.js';
import { chaosKill } from './kill.js';
import { chaosPower } from './power.js';
import { createRandom } from './random.js';
import { createTemp } from './report.js';
import { assertSeededBugs } from './seeded-bugs.js';
import { chaosSpace } from './space.js';
const CLASSES = {
    kill: chaosKill,
    faults: chaosFaults,
    power: chaosPower,
    space: chaosSpace,
    clock: chaosClock,
};
const { values } = parseArgs({
    options: {
        quick: { type: 'boolean', default: false },
        seed: { type: 'string' },
        only: { type: 'string', default: Object.keys(CLASSES).join(',') },
    },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
const names = values.only.split(',');
const unknown = names.filter((name) => CLASSES[name] === undefined);
if (!Number.isSafeInteger(seed) || unknown.length > 0) {
    throw new Error(`usage: --quick --seed NUMBER --only ${Object.keys(CLASSES).join(',')}`);
}
function print(line) {
    process.stdout.write(`${line}\n`);
}
/** In memory, where there is room: a killed process and a simulated power cut are the same there, and syncs cost nothing. */
function memoryFolder() {
    if (!existsSync('/dev/shm'))
        return undefined;
    const { bavail, bsize } = statfsSync('/dev/shm');
    return bavail * bsize > 1024 ** 3 ? '/dev/shm' : undefined;
}
/** Runs one class and prints what it found; the result is what goes into the JSON. */
async function runClass(name, options) {
    const began = performance.now();
    let report;
    try {
        report = await CLASSES[name](options);
    }
    catch (error) {
        report = { counts: {}, caught: {}, problems: [`it could not be run: ${error.stack}`] };
    }
    const seconds = Number(((performance.now() - began) / 1000).toFixed(1));
    const counts = Object.entries(report.counts).map(([what, count]) => `${what} ${count}`);
    print(`${name.padEnd(7)}${counts.join(', ')} (${seconds} s)`);
    for (const reason of report.skipped ?? [])
        print(`       skipped: ${reason}`);
    for (const problem of report.problems.slice(0, 6))
        print(`       FAILED: ${problem.slice(0, 2000)}`);
    for (const [bug, how] of Object.entries(report.caught)) {
        print(how === undefined
            ? `       FAILED: seeded bug ${bug} was not noticed`
            : `       caught ${bug}: ${how.slice(0, 200)}`);
    }
    const missed = Object.values(report.caught).filter((how) => how === undefined).length;
    return {
        passed: report.problems.length === 0 && missed === 0,
        skipped: report.skipped?.length ?? 0,
        seconds,
        counts: report.counts,
        bugsCaught: Object.keys(report.caught).length - missed,
        bugsMissed: missed,
        problems: report.problems.length,
    };
}
assertSeededBugs();
print(`seed ${seed}${values.quick ? ', quick' : ''}: node test/chaos/main.ts --seed ${seed} makes it again`);
const temp = createTemp(memoryFolder() ?? tmpdir());
const classes = {};
try {
    for (const [i, name] of names.entries()) {
        classes[name] = await runClass(name, { quick: values.quick, random: createRandom(seed + i), temp });
    }
}
finally {
    temp.removeAll();
}
const results = Object.values(classes);
const failed = results.filter(({ passed }) => !passed).length;
const skipped = results.reduce((sum, one) => sum + one.skipped, 0);
print(`${results.length - failed} passed, ${failed} failed, ${skipped} skipped`);
print(JSON.stringify({ seed, quick: values.quick, passed: results.length - failed, failed, skipped, classes }));
process.exitCode = failed > 0 ? 1 : 0;
