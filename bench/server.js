// `sealgate serve` as a child process on free ports, with its defaults: redaction, redelivery window and index are on.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAIN, somePorts } from '../test/support/sealgate.js';
import { toolPath } from '../test/support/tools.js';
const POLICIES = join(import.meta.dirname, '..', 'policies');
/** `under`: a program and its arguments that runs it, such as strace; then `stop` still reaches the server itself. */
export async function startServer(dataDir, under = []) {
    const ports = await somePorts();
    const flags = {
        'data-dir': dataDir,
        'admission-host': '127.0.0.1',
        'admission-port': ports.admission,
        'audit-host': '127.0.0.1',
        'audit-port': ports.audit,
        'api-port': ports.api,
        'metrics-host': '127.0.0.1',
        'metrics-port': ports.metrics,
        'policy-dir': POLICIES,
        'policy-opa': toolPath('opa'),
        'policy-workers': 1,
        'log-level': 'warn',
    };
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const extra = (process.env['BENCH_NODE_ARGS'] ?? '').split(' ').filter((arg) => arg !== '');
    const command = [...under, process.execPath, '--no-warnings', ...extra, MAIN, 'serve', ...args];
    const began = performance.now();
    const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text) => {
            output = (output + text).slice(-10_000);
        });
    }
    const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal ?? 1)));
    let running = true;
    void ended.then(() => {
        running = false;
    });
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    void ended.then(() => process.removeListener('exit', kill));
    while (!(await isReady(ports.metrics))) {
        if (!running || performance.now() - began > 60_000)
            throw new Error(`sealgate serve did not start:\n${output}`);
        await sleep(5);
    }
    const startSeconds = (performance.now() - began) / 1000;
    const pid = under.length === 0 ? child.pid : childOf(child.pid);
    const pem = (...path) => readFileSync(join(dataDir, 'tls', ...path), 'utf8');
    return {
        pid,
        dataDir,
        startSeconds,
        audit: {
            ...{ port: ports.audit, path: '/v1/audit', ca: pem('audit', 'ca.crt') },
            ...{ cert: pem('audit', 'client.crt'), key: pem('audit', 'client.key') },
        },
        admission: { port: ports.admission, path: '/v1/admit?timeout=10s', ca: pem('admission', 'ca.crt') },
        rssMib: () => rssMib(pid),
        diskBytes: () => diskBytes(dataDir),
        indexed: () => indexed(ports.metrics),
        stop: async () => {
            process.kill(pid, 'SIGTERM');
            const status = await ended;
            if (status !== 0)
                throw new Error(`sealgate serve ended with ${status}:\n${output}`);
        },
    };
}
async function isReady(port) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    await answer?.body?.cancel();
    return answer?.ok === true;
}
function childOf(pid) {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}
/** Linux only; elsewhere NaN, which the output shows as null. */
function rssMib(pid) {
    try {
        return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
    }
    catch {
        return Number.NaN;
    }
}
function diskBytes(dataDir) {
    const sum = { ledger: 0, index: 0, wal: 0 };
    for (const folder of ['ledger', 'index']) {
        for (const name of readdirSync(join(dataDir, folder))) {
            const { size } = statSync(join(dataDir, folder, name));
            if (name.endsWith('-wal'))
                sum.wal += size;
            else if (name.endsWith('.sqlite'))
                sum[folder] += size;
        }
    }
    return sum;
}
async function indexed(port) {
    for (;;) {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        const value = (name) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]);
        const [there, size] = [value('sealgate_index_size'), value('sealgate_ledger_size')];
        if (there >= size)
            return size;
        await sleep(100);
    }
}
