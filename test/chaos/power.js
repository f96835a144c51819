// (c) Power cuts. A ledger's life of several processes is recorded call by call; then the folder is rebuilt as it may look
// after the power failed at some point of it, started the ordinary way, and held against what had been acknowledged by then.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CUT_STYLES, Disk } from './disk.js';
import { judge } from './judge.js';
import { enter, startSubject } from './run.js';
import { SEEDED_BUGS } from './seeded-bugs.js';
import { parseTrace, recorder, straceMissing } from './strace.js';
/** Small, so that the WAL is moved into the database and begun anew several times in a short life. */
const WAL = { softBytes: 120_000, hardBytes: 400_000 };
/** Born, killed, recovered and closed, opened again, with a sync that fails, and recovered from that. */
function sessions({ random }, bug) {
    // The first few are about the name of the WAL, where SQLite itself would go on; the others about its content.
    const [first, last] = bug?.failingSync ??
        random.pick([
            [1, 5],
            [18, 60],
        ]);
    const failing = `fsync:error=EIO:when=${random.between(first, last)}`;
    return [
        { appends: 4000, killAfter: random.between(30, 60) },
        { appends: 60 },
        { appends: 400, shardEntries: 1500, inject: [failing], killOnFatal: bug !== undefined || random.next() < 0.7 },
        // With a WAL that is left alone: it goes on where the failed sync left it.
        { appends: 4000, killAfter: random.between(20, 50), wal: { softBytes: 8_000_000, hardBytes: 16_000_000 } },
        { appends: 40 },
    ];
}
/** Lives it, and checks on the way that the recording explains every byte of the folder. */
async function live(options, bug) {
    const { temp } = options;
    const root = temp.folder();
    const disk = new Disk(root);
    const journal = new Map();
    let lines = 0;
    for (const [i, { inject, ...session }] of sessions(options, bug).entries()) {
        const trace = join(temp.folder(), 'trace');
        // With a bug in one shard only: the syncs of a rotation hide many bugs soon after they did their harm.
        const shardEntries = bug === undefined ? 350 : 10_000;
        const wal = bug === undefined ? WAL : { softBytes: 30_000, hardBytes: 400_000 };
        const plan = { root, run: `life${i}`, batch: 10, bytes: 200, wal, shardEntries, ...session };
        const ended = await startSubject(plan, { journal, bug, wrap: recorder(trace, inject), timeoutMs: 60_000 }).ended;
        // With a bug it may not even get this far; what it did until then is judged all the same.
        const failed = ended.error !== undefined || ended.acked === 0;
        if (bug === undefined && (ended.timedOut || (failed && inject === undefined))) {
            throw new Error(`session ${i} was not as planned: ${JSON.stringify(ended)}`);
        }
        const parsed = parseTrace(trace, root, lines, ended.signal === 'SIGKILL');
        disk.record(parsed.calls);
        disk.assertMatches();
        lines += parsed.lines;
        rmSync(trace);
    }
    return { root, disk, lines };
}
/** What had been acknowledged before a line. The order of the trace is the order of the world: one tracer saw all threads. */
function journalAt({ disk }, line) {
    const journal = new Map();
    const text = disk.said
        .filter((one) => one.line < line)
        .map((one) => one.text)
        .join('');
    for (const one of text.split('\n').slice(0, -1)) {
        if (!one.startsWith('acked '))
            continue;
        enter(journal, JSON.parse(one.slice(6)));
    }
    return journal;
}
async function cutLife(options, life, count, keep) {
    const { random, temp } = options;
    let acknowledged = 0;
    let unclean = 0;
    let cuts = 0;
    const problems = [];
    for (; cuts < count && problems.length === 0; cuts++) {
        const line = random.next() < 0.6 ? random.pick(life.disk.edges) : random.between(0, life.lines);
        const style = CUT_STYLES[cuts % CUT_STYLES.length];
        const root = temp.folder();
        life.disk.cut(line, style, random, root);
        const journal = journalAt(life, line);
        const { problems: found, recovery } = judge(root, journal);
        acknowledged = Math.max(acknowledged, journal.size);
        if (recovery?.clean === false)
            unclean += 1;
        if (found.length > 0) {
            problems.push(`cut ${cuts} at line ${line} of ${life.lines}, ${style} kept: ${found.join('; ')}`);
            if (keep)
                problems.push(`the folder is kept: ${temp.keep(root)}`);
        }
        temp.remove(root);
    }
    return { cuts, acknowledged, unclean, problems };
}
export async function chaosPower(options) {
    const missing = straceMissing();
    if (missing !== undefined)
        return { counts: {}, problems: [], caught: {}, skipped: [`power cuts: ${missing}`] };
    const problems = [];
    const counts = { lives: 0, cuts: 0, 'unclean starts': 0, acknowledged: 0 };
    for (let i = 0; i < (options.quick ? 1 : 6); i++) {
        const life = await live(options);
        const found = await cutLife(options, life, options.quick ? 100 : 400, true);
        counts.lives += 1;
        counts.cuts += found.cuts;
        counts['unclean starts'] += found.unclean;
        counts.acknowledged += found.acknowledged;
        problems.push(...found.problems);
        options.temp.remove(life.root);
    }
    const caught = {};
    for (const bug of SEEDED_BUGS.power) {
        // What shows only after a sync of the right file failed may take another life.
        for (let i = 0; i < 5 && caught[bug.name] === undefined; i++) {
            const life = await live(options, bug);
            caught[bug.name] = (await cutLife(options, life, 100, false)).problems[0];
            options.temp.remove(life.root);
        }
    }
    return { counts, problems, caught };
}
