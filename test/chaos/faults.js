// (b) System calls that fail: every call on the ledger's folder may return EIO or ENOSPC, once or from then on, or be the last
// thing that the process does. Whatever happens, it either refuses appends or ends; it never hangs, nothing acknowledged is
// missing, and the next start succeeds.
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { judge } from './judge.js';
import { EXIT } from './plan.js';
import { startSubject } from './run.js';
import { SEEDED_BUGS } from './seeded-bugs.js';
import { straceMissing } from './strace.js';
/** Calls, as strace groups them; the ledger asks for full syncs, so SQLite uses fsync, but it need not. */
const CALLS = ['pwrite64', 'fsync,fdatasync', 'ftruncate', 'openat', 'rename', 'unlink'];
const FAULTS = ['error=EIO', 'error=ENOSPC', 'signal=SIGKILL'];
/** Several times in a run the WAL is moved, and once or twice the next shard is begun. */
const PLAN = {
    run: 'faults',
    batch: 10,
    bytes: 200,
    shardEntries: 150,
    wal: { softBytes: 120_000, hardBytes: 400_000 },
};
/** Every path of the folder that is the same in each run. */
function pathsOf(root) {
    const ledger = join(root, 'ledger');
    const shards = [0, 1, 2].map((number) => join(ledger, `shard-00000${number}.sqlite`));
    const keys = ['ledger.key', 'ledger.vkey'].map((name) => join(root, 'keys', name));
    const lock = join(ledger, 'writer.lock');
    const suffixes = ['', '-wal', '-shm', '-journal', '.new', '.new-journal', '.new-wal', '.new-shm'];
    return [
        root,
        join(root, 'keys'),
        ...keys,
        ledger,
        lock,
        `${lock}-journal`,
        ...shards.flatMap((shard) => suffixes.map((end) => shard + end)),
    ];
}
function tracer(root, trace, inject) {
    const paths = pathsOf(root).flatMap((path) => ['-P', path]);
    const injection = inject === undefined ? [] : ['-e', `inject=${inject}`];
    return ['strace', '-f', '-e', `trace=${CALLS.join(',')}`, ...paths, ...injection, '-e', 'signal=none', '-o', trace];
}
class Matrix {
    #options;
    /** A folder whose process was killed. */
    #old;
    /** How often one thread makes each call, by scene. */
    #counts = new Map();
    constructor(options) {
        this.#options = options;
        this.#old = options.temp.folder();
    }
    /** Makes the old folder and counts the calls of runs without faults. */
    async prepare() {
        const plan = { root: this.#old, ...PLAN, run: 'before', appends: 4000, killAfter: 30 };
        await startSubject(plan, { journal: new Map() }).ended;
        for (const scene of ['new', 'old']) {
            const root = this.#scene(scene);
            const trace = join(this.#options.temp.folder(), 'trace');
            const plan = { root, ...PLAN, appends: 60 };
            const ended = await startSubject(plan, { journal: new Map(), wrap: tracer(root, trace) }).ended;
            if (ended.exitCode !== EXIT.closed)
                throw new Error(`it fails without a fault: ${JSON.stringify(ended)}`);
            const perThread = new Map();
            for (const line of readFileSync(trace, 'utf8').split('\n')) {
                const [, pid, name] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
                const calls = CALLS.find((group) => group.split(',').includes(name ?? ''));
                if (calls === undefined)
                    continue;
                const key = `${pid} ${calls}`;
                const count = (perThread.get(key) ?? 0) + 1;
                perThread.set(key, count);
                const most = `${scene} ${calls}`;
                this.#counts.set(most, Math.max(this.#counts.get(most) ?? 0, count));
            }
            rmSync(root, { recursive: true });
        }
    }
    /** `each` cases of every combination of scene, call and fault that exists, spread over the run, in random order. */
    cases(each) {
        const { random } = this.#options;
        const all = [];
        for (const scene of ['new', 'old']) {
            for (const calls of CALLS) {
                const count = this.#counts.get(`${scene} ${calls}`) ?? 0;
                const drawn = Math.min(each, count);
                for (const fault of FAULTS) {
                    for (let i = 0; i < drawn; i++) {
                        const n = random.between(1 + Math.floor((i * count) / drawn), Math.floor(((i + 1) * count) / drawn));
                        const when = `${n}${fault !== 'signal=SIGKILL' && random.next() < 0.5 ? '+' : ''}`;
                        all.push({ scene, calls, fault, when, order: random.next() });
                    }
                }
            }
        }
        return all.sort((a, b) => a.order - b.order);
    }
    /** Runs one case; what came of it, and what is wrong with that. */
    async run({ scene, calls, fault, when }, bug) {
        const { temp } = this.#options;
        const root = this.#scene(scene);
        const traces = temp.folder();
        const journal = new Map();
        const wrap = tracer(root, join(traces, 'trace'), `${calls}:${fault}:when=${when}`);
        const ended = await startSubject({ root, ...PLAN, appends: 60 }, { journal, wrap, bug, timeoutMs: 60_000 }).ended;
        const { outcome, problems } = outcomeOf(ended, fault);
        problems.push(...ended.nonsense, ...judge(root, journal).problems);
        if (problems.length > 0 && bug === undefined)
            problems.push(`the folder is kept: ${temp.keep(root)}`);
        for (const folder of [root, traces])
            temp.remove(folder);
        const name = `${scene} folder, ${fault.split('=')[1]} at ${calls} ${when}`;
        return { outcome, problems: problems.map((problem) => `${name}: ${problem}`) };
    }
    #scene(scene) {
        const root = this.#options.temp.folder();
        if (scene === 'old')
            cpSync(this.#old, root, { recursive: true });
        return root;
    }
}
function outcomeOf(ended, fault) {
    const { exitCode, signal, timedOut, refused, fatal, error, recovery, stderr } = ended;
    const problems = [];
    if (timedOut)
        problems.push('it hung');
    else if (signal !== null && fault !== 'signal=SIGKILL')
        problems.push(`it was ended by ${signal}`);
    else if (signal === null && !Object.values(EXIT).includes(exitCode))
        problems.push(`it ended with ${exitCode}: ${stderr.slice(0, 500)}`);
    for (const said of [...refused, fatal, error]) {
        if (said?.code === 'none')
            problems.push(`an error that is none of ours: ${said.message}`);
    }
    return { outcome: nameOf(), problems };
    function nameOf() {
        if (signal === 'SIGKILL')
            return 'killed';
        if (recovery === undefined)
            return 'did not start';
        if (exitCode !== EXIT.closed)
            return 'exited';
        return refused.length > 0 ? 'refused appends' : 'went on';
    }
}
/** Runs cases, two at once where there are two processors, until they are done or one has problems. */
async function runAll(cases, bug, matrix) {
    const outcomes = { killed: 0, exited: 0, 'did not start': 0, 'refused appends': 0, 'went on': 0 };
    const problems = [];
    let next = 0;
    const lane = async () => {
        while (next < cases.length && problems.length === 0) {
            const found = await matrix.run(cases[next++], bug);
            outcomes[found.outcome] += 1;
            problems.push(...found.problems);
        }
    };
    await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, lane));
    return { outcomes, problems };
}
export async function chaosFaults(options) {
    const missing = straceMissing();
    if (missing !== undefined)
        return { counts: {}, problems: [], caught: {}, skipped: [`faults: ${missing}`] };
    const matrix = new Matrix(options);
    await matrix.prepare();
    const cases = matrix.cases(options.quick ? 1 : 8);
    const { outcomes, problems } = await runAll(cases, undefined, matrix);
    const caught = {};
    for (const bug of SEEDED_BUGS.faults) {
        caught[bug.name] = (await runAll(matrix.cases(4), bug, matrix)).problems[0];
    }
    return { counts: { faults: cases.length, ...outcomes }, problems, caught };
}
