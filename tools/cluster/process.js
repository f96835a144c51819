// Child processes that never outlive this one, however it ends, and whose last words are quoted when they fail.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
/**
 * Run by sh in a session of its own: a watchdog waits on fd 3, whose other end this process holds, and the shell becomes
 * the command (so that the pid is the command's). When this process dies, even by SIGKILL, the kernel closes the pipe, and
 * the watchdog ends the whole process group. A line on fd 3 says that the command ended by itself.
 */
const WATCHED = `{ trap '' TERM; read -r done <&3 && exit 0; kill -TERM 0; sleep 5; kill -KILL 0; } </dev/null >/dev/null 2>&1 &
exec 3<&-
exec "$@"`;
/** How long a process may take to end after SIGTERM before it is killed. */
const STOP_TIMEOUT_MS = 10_000;
/** Starts a process in the background. Throws when the command cannot be found. */
export function run(options) {
    const { name, command, args, logFile } = options;
    if (command.includes('/') && !existsSync(command))
        throw new Error(`${name}: ${command} does not exist`);
    const log = openSync(logFile, 'a');
    let child;
    try {
        child = spawn('sh', ['-c', WATCHED, 'sh', command, ...args], {
            stdio: ['ignore', log, log, 'pipe'],
            detached: true,
            ...(options.env === undefined ? {} : { env: options.env }),
            ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        });
    }
    finally {
        closeSync(log);
    }
    const { pid } = child;
    if (pid === undefined)
        throw new Error(`${name}: sh could not be started`);
    const leash = child.stdio[3];
    leash.on('error', () => {
        // the watchdog was killed with its group: there is nothing left to watch
    });
    let outcome;
    const ended = new Promise((resolve) => {
        child.once('exit', (code, signal) => {
            outcome = signal === null ? `exited with status ${code}` : `ended by ${signal}`;
            leash.end('done\n');
            resolve(outcome);
        });
    });
    return {
        name,
        pid,
        logFile,
        ended,
        outcome: () => outcome,
        tail: (lines = 15) => tailOf(logFile, lines),
        kill: (signal) => outcome === undefined && child.kill(signal),
        async stop() {
            if (outcome !== undefined)
                return;
            child.kill('SIGTERM');
            const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
            await ended;
            clearTimeout(timer);
        },
    };
}
function tailOf(file, lines) {
    if (!existsSync(file))
        return '(no log)';
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
/**
 * Polls `ready` until it returns true. Throws when a process ends meanwhile or the time is up; the message quotes the
 * end of the logs. What `ready` throws means "not yet".
 */
export async function waitUntil(what, ready, processes, timeoutMs) {
    const deadline = performance.now() + timeoutMs;
    let last;
    for (;;) {
        for (const process of processes) {
            const outcome = process.outcome();
            if (outcome !== undefined)
                throw new Error(`${process.name} ${outcome} before ${what}; end of ${process.logFile}:\n${process.tail()}`);
        }
        try {
            if (await ready())
                return;
        }
        catch (error) {
            last = error;
        }
        if (performance.now() > deadline) {
            const logs = processes.map((p) => `end of ${p.logFile}:\n${p.tail()}`).join('\n');
            const why = last instanceof Error ? ` (${last.message})` : '';
            throw new Error(`${what}: not after ${timeoutMs / 1000} s${why}; ${logs}`, { cause: last });
        }
        await sleep(100);
    }
}
