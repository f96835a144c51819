// (a) kill -9 under load, at any moment from the start of the process on, over and over on one ledger.
import { setTimeout as sleep } from 'node:timers/promises';
import { judge, missing, unverified } from './judge.js';
import { enter, startSubject } from './run.js';
import { SEEDED_BUGS } from './seeded-bugs.js';
/** Small, so that the WAL is moved and begun anew all the time. */
const WAL = { softBytes: 400_000, hardBytes: 1_500_000 };
async function campaign(options, rounds, bug) {
    const { random, temp } = options;
    const root = temp.folder();
    const all = new Map();
    const problems = [];
    let early = 0;
    let round = 0;
    for (; round < rounds && problems.length === 0; round++) {
        const journal = new Map();
        const ended = await killOnce(plan(root, round), journal, random.next(), bug);
        if (ended.recovery === undefined)
            early += 1;
        const twice = enter(all, [...journal.values()]);
        if (twice.length > 0)
            problems.push(`acknowledged in two rounds: entries ${twice.join(', ')}`);
        problems.push(...ended.nonsense, ...unexpected(ended));
        if (all.size > 0)
            problems.push(...missing(root, journal));
        if (all.size > 0 && (bug !== undefined || round % 10 === 9))
            problems.push(...unverified(root));
    }
    if (problems.length === 0)
        problems.push(...judge(root, all).problems);
    if (problems.length > 0 && bug === undefined)
        problems.push(`the folder is kept: ${temp.keep(root)}`);
    temp.remove(root);
    return { rounds: round, acknowledged: all.size, early, problems };
}
function plan(root, round) {
    return { root, run: `round${round}`, batch: 60, bytes: 300, wal: WAL, shardEntries: 3000 };
}
/** One in five is killed within its start, the others after a while under load. */
async function killOnce(plan, journal, chance, bug) {
    const opened = Promise.withResolvers();
    const onLine = (word) => {
        if (word === 'open')
            opened.resolve();
    };
    const subject = startSubject(plan, { journal, bug, onLine, timeoutMs: 20_000 });
    const ended = subject.ended.finally(opened.resolve);
    if (chance < 0.2) {
        await sleep(150 + chance * 1500);
    }
    else {
        await opened.promise;
        await sleep((chance - 0.2) * 500);
    }
    subject.kill();
    return ended;
}
/** It ended by our hand and by nothing else. */
function unexpected({ signal, exitCode, timedOut, error, fatal, refused, stderr }) {
    if (timedOut)
        return ['it was still there after 20 s'];
    const words = error ?? fatal ?? refused[0];
    if (words !== undefined)
        return [`it failed: ${words.code} ${words.message}`];
    return signal === 'SIGKILL' ? [] : [`it ended with ${exitCode}: ${stderr}`];
}
export async function chaosKill(options) {
    const { rounds, acknowledged, early, problems } = await campaign(options, options.quick ? 12 : 80);
    const caught = {};
    for (const bug of SEEDED_BUGS.kill) {
        caught[bug.name] = (await campaign(options, 20, bug)).problems[0];
    }
    return { counts: { kills: rounds, 'before it was open': early, acknowledged }, problems, caught };
}
