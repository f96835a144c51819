// (d) A disk that is full, for real: a small tmpfs that only these processes see. Appends are refused with an error that says
// what to do, nothing acknowledged is lost, and writing goes on without a new start once there is space.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { judge } from './judge.js';
import { EXIT } from './plan.js';
import { startSubject } from './run.js';
import { SEEDED_BUGS } from './seeded-bugs.js';
import { straceMissing } from './strace.js';
const INSIDE = fileURLToPath(new URL('./space-inside.ts', import.meta.url));
/** As root without user namespaces, or as anybody with them. */
const NAMESPACES = [
    ['unshare', '--mount'],
    ['unshare', '--mount', '--map-root-user'],
];
const MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"';
function namespaceThatMounts(folder) {
    return NAMESPACES.find(([command = '', ...args]) => {
        const tried = spawnSync(command, [...args, 'sh', '-c', MOUNT, 'sh', '1m', folder, 'true'], { stdio: 'ignore' });
        return tried.status === 0;
    });
}
/** The index of the WAL grows by a few pages every 4096 frames: that this is what finds the disk full takes an injected fault. */
async function growIndexWithoutSpace({ temp }) {
    const root = temp.folder();
    const journal = new Map();
    const index = join(root, 'ledger', 'shard-000000.sqlite-shm');
    // The first sixteen writes make the index, for the probe and for the writer; then four in a row fail.
    const fault = ['-e', 'trace=pwrite64', '-e', 'inject=pwrite64:error=ENOSPC:when=17..20', '-e', 'signal=none'];
    const wrap = ['strace', '-f', '-P', index, ...fault, '-o', '/dev/null'];
    const wal = { softBytes: 200_000_000, hardBytes: 400_000_000 };
    const plan = { root, run: 'index', batch: 60, bytes: 2000, appends: 400, afterRefusal: 30, wal };
    const ended = await startSubject(plan, { journal, wrap, timeoutMs: 60_000 }).ended;
    const problems = judge(root, journal).problems;
    if (ended.refused.length === 0)
        problems.push('no append was refused');
    if (ended.exitCode !== EXIT.closed)
        problems.push(`it did not go on: ${JSON.stringify(ended.fatal ?? ended.error)}`);
    temp.remove(root);
    return problems.map((problem) => `no space for the index of the WAL: ${problem}`);
}
export async function chaosSpace(options) {
    const { temp, random, quick } = options;
    const folder = temp.folder();
    const namespace = namespaceThatMounts(folder);
    if (namespace === undefined) {
        const why = 'a full disk: mounting a tmpfs needs Linux, and root or user namespaces';
        return { counts: {}, problems: [], caught: {}, skipped: [why] };
    }
    const inside = async (task) => {
        const [command = '', ...args] = namespace;
        const node = [process.execPath, '--no-warnings', INSIDE, JSON.stringify(task)];
        const size = `${task.megabytes}m`;
        const child = spawn(command, [...args, 'sh', '-c', MOUNT, 'sh', size, folder, ...node], {
            stdio: ['ignore', 'pipe', 'inherit'],
        });
        const answer = await text(child.stdout);
        return JSON.parse(answer);
    };
    const counts = { 'full disks': 0, refused: 0, 'killed while full': 0, acknowledged: 0 };
    const problems = [];
    for (let i = 0; i < (quick ? 4 : 16); i++) {
        // Every second one lets the WAL grow so far that its index has to grow on a full disk, too.
        const largeWal = i % 2 === 1;
        const kill = i % 4 >= 2;
        const task = {
            folder,
            // What the WAL holds must fit into the database once the ballast is gone.
            megabytes: largeWal ? 66 : 20,
            ballast: largeWal ? 40 : 12,
            largeWal,
            kill,
            delayMs: random.between(50, 500),
        };
        const result = await inside(task);
        counts['full disks'] += 1;
        counts.refused += result.refused;
        counts['killed while full'] += kill ? 1 : 0;
        counts.acknowledged += result.acknowledged;
        problems.push(...result.problems.map((problem) => `${JSON.stringify(task)}: ${problem}`));
    }
    const straceGone = straceMissing();
    if (straceGone === undefined)
        problems.push(...(await growIndexWithoutSpace(options)));
    const caught = {};
    for (const { name } of SEEDED_BUGS.space) {
        const task = { folder, megabytes: 20, ballast: 12, largeWal: false, kill: false, delayMs: 50, bug: name };
        caught[name] = (await inside(task)).problems[0];
    }
    const skipped = straceGone === undefined ? [] : [`no space for the index of the WAL: ${straceGone}`];
    return { counts, problems, caught, skipped };
}
