// The real thing as a child process: `sealgate serve` on free ports of loopback, as the integration tests and nobody else run it.
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../tools/cluster/control-plane.js';
import { toolPath } from './tools.js';
const ROOT = join(import.meta.dirname, '..', '..');
export const MAIN = join(ROOT, 'src', 'cli', 'main.ts');
const START_TIMEOUT_MS = 60_000;
export async function somePorts() {
    const [admission, audit, api, metrics] = (await freePorts(4));
    return { admission, audit, api, metrics };
}
/** Starts it and waits until it is ready; throws with its output when it ends instead. */
export async function startSealgate(options) {
    const { dataDir } = options;
    const ports = options.ports ?? (await somePorts());
    const flags = {
        'data-dir': dataDir,
        'admission-host': '127.0.0.1',
        'admission-port': ports.admission,
        'audit-host': '127.0.0.1',
        'audit-port': ports.audit,
        'api-port': ports.api,
        'metrics-host': '127.0.0.1',
        'metrics-port': ports.metrics,
        'policy-dir': options.policyDir ?? join(ROOT, 'policies'),
        'policy-opa': toolPath('opa'),
        'policy-workers': 1,
    };
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const serve = [process.execPath, MAIN, 'serve', ...args, ...(options.args ?? [])];
    const [command = '', ...rest] = [...(options.wrap ?? []), ...serve];
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', (text) => {
            output += text;
        });
    }
    let running = true;
    const ended = new Promise((resolve) => {
        child.once('close', (code, signal) => {
            running = false;
            resolve(code ?? signal ?? 1);
        });
    });
    const onExit = () => child.kill('SIGKILL');
    process.once('exit', onExit);
    void ended.then(() => process.removeListener('exit', onExit));
    const sealgate = {
        dataDir,
        ports,
        pid: child.pid ?? 0,
        output: () => output,
        ended,
        stop: (signal = 'SIGTERM') => {
            child.kill(signal);
            return ended;
        },
        tls: (...path) => readFileSync(join(dataDir, 'tls', ...path), 'utf8'),
        get vkey() {
            return readFileSync(join(dataDir, 'keys', 'ledger.vkey'), 'utf8').trim();
        },
    };
    if (options.wait === false)
        return sealgate;
    for (const end = Date.now() + START_TIMEOUT_MS;; await sleep(50)) {
        if (!running)
            throw new Error(`sealgate serve ended with ${await ended}:\n${output}`);
        const answer = await fetch(`http://127.0.0.1:${ports.metrics}/readyz`).catch(() => undefined);
        if (answer?.ok === true)
            return sealgate;
        if (Date.now() > end)
            throw new Error(`sealgate serve is not ready after ${START_TIMEOUT_MS / 1000} s:\n${output}`);
    }
}
/** Runs one command of the CLI to its end. */
export function sealgate(...args) {
    return new Promise((resolve) => {
        execFile(process.execPath, [MAIN, ...args], { maxBuffer: 256 * 2 ** 20 }, (error, stdout, stderr) => {
            resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr });
        });
    });
}
