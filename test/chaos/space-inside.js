// Runs within the mount namespace that has the small disk: fills it, makes room again, and prints what came of it as JSON.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { judge } from './judge.js';
import { EXIT } from './plan.js';
import { startSubject } from './run.js';
import { seededBug } from './seeded-bugs.js';
const SMALL_WAL = { softBytes: 400_000, hardBytes: 1_500_000 };
const LARGE_WAL = { softBytes: 200_000_000, hardBytes: 400_000_000 };
async function fill(task) {
    const root = task.folder;
    const ballast = join(root, 'ballast');
    writeFileSync(ballast, Buffer.alloc(task.ballast * 1024 * 1024));
    const journal = new Map();
    const plan = {
        root,
        run: 'space',
        batch: 60,
        bytes: 600,
        appends: 4,
        afterRefusal: 30,
        wal: task.largeWal ? LARGE_WAL : SMALL_WAL,
    };
    const refusedOnce = Promise.withResolvers();
    const onLine = (word) => {
        if (word === 'refused')
            refusedOnce.resolve();
    };
    const bug = task.bug === undefined ? undefined : seededBug(task.bug);
    const subject = startSubject(plan, { journal, bug, onLine, timeoutMs: 60_000 });
    const whole = subject.ended.finally(refusedOnce.resolve);
    await refusedOnce.promise;
    await sleep(task.delayMs);
    const problems = [];
    if (task.kill) {
        subject.kill();
        await whole;
        // On the full disk: it starts, or says why not, or is refused what it appends; and changes nothing for the worse.
        const again = await startSubject({ ...plan, run: 'full', appends: 4, afterRefusal: -1 }, { journal, bug }).ended;
        problems.push(...unclear([...again.refused, again.error, again.fatal]));
        if (again.timedOut)
            problems.push('started on a full disk, it hung');
    }
    rmSync(ballast);
    const ended = await whole;
    problems.push(...ended.nonsense, ...unclear(ended.refused));
    if (ended.fatal !== undefined)
        problems.push(`it gave up: ${ended.fatal.message}`);
    if (ended.refused.length === 0)
        problems.push('nothing was refused: the disk was never full');
    if (ended.timedOut)
        problems.push('it did not go on when there was space again');
    if (!task.kill && ended.exitCode !== EXIT.closed) {
        problems.push(`it ended with ${ended.exitCode ?? ended.signal}: ${ended.error?.message ?? ended.stderr}`);
    }
    problems.push(...judge(root, journal).problems);
    return { refused: ended.refused.length, acknowledged: journal.size, problems };
}
/** What an operator could not act on. */
function unclear(failures) {
    return failures.flatMap((said) => said === undefined || said.message.includes('make room') ? [] : [`unclear: ${said.code} ${said.message}`]);
}
process.stdout.write(JSON.stringify(await fill(JSON.parse(process.argv[2] ?? ''))));
