// Ledgers in temporary folders, opened and removed with the test that asked for them, and child processes that use them.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { loadOrCreateKey } from '../../../src/ledger/key.js';
import { openLedger } from '../../../src/ledger/ledger.js';
export const LOG_NAME = 'ledger.example/cluster-a/0';
const CHILD = fileURLToPath(new URL('./ledger-child.ts', import.meta.url));
/** A folder that goes when the test ends. */
export function tempDir() {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-ledger-'));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    return dir;
}
/** Where the ledger and its key are in a temporary folder. */
export function places(root) {
    const dir = join(root, 'ledger');
    return { dir, keyFile: join(root, 'keys', 'ledger.key'), shard: join(dir, 'shard-000000.sqlite') };
}
export function testKey(root, name = LOG_NAME) {
    return loadOrCreateKey(places(root).keyFile, name);
}
/** Opens the ledger of a temporary folder; it is closed when the test ends, if the test did not do that. */
export async function openTestLedger(root, options = {}) {
    const fatal = [];
    const ledger = await openLedger({
        dir: places(root).dir,
        key: testKey(root),
        version: '0.0.0-test',
        settingsDigest: `sha256:${'0'.repeat(64)}`,
        onFatal: (error) => fatal.push(error),
        ...options,
    });
    onTestFinished(() => ledger.close('test over').catch(() => undefined));
    return Object.assign(ledger, { fatal });
}
export function event(content) {
    return { kind: 'event', body: Buffer.from(JSON.stringify({ source: 'test', event: content })) };
}
export function decision(content, number = 0) {
    const uid = `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
    const extra = { uid, bundle: `sha256:${'b'.repeat(64)}`, allowed: number % 2 === 0 };
    return { kind: 'decision', extra, body: Buffer.from(JSON.stringify({ review: content })) };
}
/** What a rejected promise was rejected with. */
export async function rejection(promise) {
    return promise.then(() => {
        throw new Error('it was not rejected');
    }, (error) => error);
}
/** Runs ledger-child.ts; `wrap` is a command line to put before it. */
export function startChild(root, mode, args = [], wrap = []) {
    const command = [...wrap, process.execPath, '--no-warnings', CHILD, mode, root, ...args];
    const child = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines = [];
    const waiting = new Set();
    let rest = '';
    let errors = '';
    let over = false;
    const wake = () => {
        for (const check of waiting)
            check();
    };
    child.stdout.setEncoding('utf8').on('data', (text) => {
        const parts = (rest + text).split('\n');
        rest = parts.pop(); // a line that kill -9 cut in two was not acknowledged in full
        lines.push(...parts);
        wake();
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
        errors += text;
    });
    const ended = new Promise((resolve) => {
        child.on('close', () => {
            over = true;
            wake();
            resolve();
        });
    });
    const line = (prefix) => new Promise((resolve, reject) => {
        const check = () => {
            const found = lines.find((one) => one.startsWith(prefix));
            if (found !== undefined)
                resolve(found);
            else if (over)
                reject(new Error(`the child ended without "${prefix}": ${lines.join('\n')}\n${errors}`));
            else
                return;
            waiting.delete(check);
        };
        waiting.add(check);
        check();
    });
    return { process: child, lines, line, ended };
}
/** Commands that run what follows them with something mounted, which only that process sees. */
export function withMount(mount) {
    return ['unshare', '--mount', '--map-root-user', 'sh', '-c', `${mount} && exec "$@"`, 'sh'];
}
/** Whether this machine lets us mount in a namespace of our own (Linux, as root or with user namespaces). */
export function canMount() {
    const [command, ...args] = withMount('mount -t tmpfs none /mnt');
    return spawnSync(command, [...args, 'true']).status === 0;
}
