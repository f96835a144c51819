// (e) Clocks that are stepped while the ledger writes: back by seconds and by decades, years ahead, and home again. Appends
// and checkpoints keep coming, everything verifies, and the times on record are what the clock said.
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LedgerReader } from '../../src/ledger/reader.js';
import { judge } from './judge.js';
import { startSubject } from './run.js';
import { SEEDED_BUGS } from './seeded-bugs.js';
const DAY = 86_400;
const YEAR = 365 * DAY;
/** Checkpoints are due this often; a step lasts long enough for several. */
const INTERVAL_MS = 200;
const STEP_MS = 1200;
const LIBRARIES = ['/usr/lib/*/faketime/libfaketimeMT.so.1', '/usr/lib*/faketime/libfaketimeMT.so.1'];
const SHIM = new URL('./clock-shim.ts', import.meta.url).href;
/** The real thing where it is installed; else Date is replaced in every thread of the subject, which is all the ledger asks. */
function fakeClock(file) {
    const library = process.platform === 'linux' ? globSync(LIBRARIES)[0] : undefined;
    if (library === undefined)
        return { kind: 'Date replaced', env: { CHAOS_CLOCK: file }, preload: [SHIM] };
    const env = {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
    };
    return { kind: 'libfaketime', env, preload: [] };
}
/** Offsets from the true time in seconds, each a step from the one before. */
function offsets(quick, random) {
    const fixed = [0, -DAY, -DAY - 5, 10 * YEAR, -30 * YEAR, 0];
    if (quick)
        return fixed;
    return [
        ...fixed,
        ...Array.from({ length: 14 }, () => random.pick([1, -1]) * random.pick([1, 60, DAY, YEAR, 40 * YEAR])),
    ];
}
/** Steps the clock of a subject under load, kills it, and lets another start with a clock that is 20 years behind. */
async function stepThrough(options, bug) {
    const { temp, quick, random } = options;
    const root = temp.folder();
    const clockFile = join(temp.folder(), 'clock');
    const setClock = (offset) => writeFileSync(clockFile, `${offset < 0 ? '' : '+'}${offset}\n`);
    setClock(0);
    const { kind, env, preload } = fakeClock(clockFile);
    const journal = new Map();
    const problems = [];
    let head;
    const opened = Promise.withResolvers();
    const onLine = (word, value) => {
        if (word === 'head')
            head = value;
        if (word === 'open')
            opened.resolve();
    };
    const plan = {
        root,
        run: 'clock',
        batch: 5,
        pauseMs: 20,
        bytes: 100,
        checkpointIntervalMs: INTERVAL_MS,
        headEveryMs: 50,
    };
    const subject = startSubject(plan, { journal, bug, env, preload, onLine, timeoutMs: 120_000 });
    const ended = subject.ended.finally(opened.resolve);
    await opened.promise;
    const steps = offsets(quick, random);
    for (const offset of steps) {
        setClock(offset);
        await sleep(STEP_MS / 3);
        const before = head;
        await sleep((STEP_MS * 2) / 3);
        const stuck = before?.shard === head?.shard && before?.size === head?.size;
        const unsigned = before?.shard === head?.shard && before?.signedSize === head?.signedSize;
        if (stuck || unsigned)
            problems.push(`${stuck ? 'nothing was appended' : 'no checkpoint was made'} at ${offset} s`);
    }
    subject.kill();
    problems.push(...unexpected(await ended));
    setClock(-20 * YEAR);
    const second = startSubject({ ...plan, run: 'again', appends: 40 }, { journal, bug, env, preload });
    problems.push(...unexpected(await second.ended), ...judge(root, journal).problems);
    if (problems.length === 0)
        problems.push(...unseen(root, steps));
    if (problems.length > 0 && bug === undefined)
        problems.push(`the folder is kept: ${temp.keep(root)}`);
    temp.remove(root);
    return { kind, steps: steps.length, acked: journal.size, problems };
}
function unexpected({ refused, fatal, error, nonsense, timedOut }) {
    const failures = [...refused, fatal, error].flatMap((said) => (said === undefined ? [] : [said.message]));
    return [...failures, ...nonsense, ...(timedOut ? ['it hung'] : [])];
}
/** The steps that the times of the entries do not show: then the clock was not the subject's, and nothing was tested. */
function unseen(root, steps) {
    const reader = LedgerReader.open(join(root, 'ledger'));
    const days = new Set();
    for (const { number } of reader.shards()) {
        for (const { leaf } of reader.entries(number, 0))
            days.add(Math.round((Date.parse(leaf.time) - Date.now()) / 1000 / DAY));
    }
    reader.close();
    return [...steps, -20 * YEAR]
        .filter((offset) => ![-1, 0, 1].some((near) => days.has(Math.round(offset / DAY) + near)))
        .map((offset) => `the clock stood at ${offset} s, but no entry has such a time`);
}
export async function chaosClock(options) {
    // All at once: they mostly wait.
    const [{ kind, steps, acked, problems }, ...withBugs] = await Promise.all([
        stepThrough(options),
        ...SEEDED_BUGS.clock.map((bug) => stepThrough({ ...options, quick: true }, bug)),
    ]);
    const caught = Object.fromEntries(SEEDED_BUGS.clock.map(({ name }, i) => [name, withBugs[i]?.problems[0]]));
    return { counts: { [`steps (${kind})`]: steps, acknowledged: acked }, problems, caught };
}
