// Starts a subject and keeps the journal of what it acknowledged, which nothing that happens to the subject can touch.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
const SUBJECT = fileURLToPath(new URL('./subject.ts', import.meta.url));
const BUG_LOADER = new URL('./seeded-bug-loader.ts', import.meta.url).href;
/** Enters what a subject says was acknowledged; returns the places that were taken already, which must not be. */
export function enter(journal, acked) {
    const taken = [];
    for (const one of acked) {
        const place = `${one[0]}/${one[1]}`;
        if (journal.has(place))
            taken.push(place);
        journal.set(place, one);
    }
    return taken;
}
export function startSubject(plan, options) {
    const imports = [...(options.bug === undefined ? [] : [BUG_LOADER]), ...(options.preload ?? [])];
    const node = [process.execPath, '--no-warnings', ...imports.map((url) => `--import=${url}`)];
    const [command = '', ...args] = [...(options.wrap ?? []), ...node, SUBJECT, JSON.stringify(plan)];
    const env = { ...process.env, ...options.env, ...(options.bug === undefined ? {} : { CHAOS_BUG: options.bug.name }) };
    // A process group of its own, so that a tracer and what it traces end together.
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env });
    const kill = () => {
        try {
            if (child.pid !== undefined)
                process.kill(-child.pid, 'SIGKILL');
        }
        catch (error) {
            if (error.code !== 'ESRCH')
                throw error;
        }
    };
    let timedOut = false;
    const timer = setTimeout(() => {
        timedOut = true;
        kill();
    }, options.timeoutMs ?? 30_000);
    const said = {};
    const refused = [];
    const nonsense = [];
    let acked = 0;
    const take = (line) => {
        const space = line.indexOf(' ');
        const word = line.slice(0, space);
        const value = JSON.parse(line.slice(space + 1));
        if (word === 'acked') {
            acked += value.length;
            const twice = enter(options.journal, value);
            if (twice.length > 0)
                nonsense.push(`acknowledged twice: entries ${twice.join(', ')}`);
        }
        else if (word === 'open')
            said.recovery = value;
        else if (word === 'refused')
            refused.push(value);
        else if (word === 'fatal')
            said.fatal = value;
        else if (word === 'error')
            said.error = value;
        options.onLine?.(word, value);
    };
    let rest = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop(); // a line that kill -9 cut in two was not acknowledged in full
        lines.forEach(take);
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
        stderr = (stderr + text).slice(-4000);
    });
    const ended = new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (exitCode, signal) => {
            clearTimeout(timer);
            const { recovery, fatal, error } = said;
            resolve({ exitCode, signal, timedOut, recovery, refused, fatal, error, acked, nonsense, stderr });
        });
    });
    return { ended, kill };
}
