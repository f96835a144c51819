import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run, waitUntil } from '../../../tools/cluster/process.js';
const PROCESS = join(import.meta.dirname, '..', '..', '..', 'tools', 'cluster', 'process.ts');
function isRunning(pid) {
    // A zombie nobody reaps has ended, too.
    const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
    return stdout.trim() !== '' && !stdout.trim().startsWith('Z');
}
describe('run', () => {
    let dir;
    const started = [];
    const sh = (script) => {
        const running = run({ name: 'child', command: 'sh', args: ['-c', script], logFile: join(dir, 'log') });
        started.push(running);
        return running;
    };
    beforeEach(() => {
        dir = mkdtempSync(join(tmpdir(), 'sealgate-process-'));
    });
    afterEach(async () => {
        for (const running of started.splice(0))
            running.kill('SIGKILL');
        rmSync(dir, { recursive: true, force: true });
    });
    it('leaves no process behind when the parent is killed without a chance to clean up', async () => {
        const parent = `
      import { run } from ${JSON.stringify(PROCESS)};
      const child = run({ name: 'child', command: 'sleep', args: ['60'], logFile: ${JSON.stringify(join(dir, 'log'))} });
      process.stdout.write(String(child.pid), () => process.kill(process.pid, 'SIGKILL'));
    `;
        const { stdout, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', parent], { encoding: 'utf8' });
        expect(signal).toBe('SIGKILL');
        const pid = Number(stdout);
        expect(pid).toBeGreaterThan(0);
        for (let i = 0; i < 100 && isRunning(pid); i++)
            await sleep(50);
        expect(isRunning(pid)).toBe(false);
    });
    it('gives the pid of the command itself, and says how it ended', async () => {
        const child = sh('exec sleep 60');
        expect(isRunning(child.pid)).toBe(true);
        child.kill('SIGKILL');
        expect(await child.ended).toBe('ended by SIGKILL');
        expect(child.outcome()).toBe('ended by SIGKILL');
        expect(child.kill('SIGTERM')).toBe(false);
    });
    it('stops a process in order and may be asked twice', async () => {
        const child = sh("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done");
        await waitUntil('it was up', () => Promise.resolve(child.tail().includes('up')), [child], 5_000);
        await child.stop();
        await child.stop();
        expect(child.outcome()).toBe('exited with status 3');
        expect(child.tail()).toContain('bye');
    });
    it('refuses a command that does not exist', () => {
        expect(() => run({ name: 'x', command: join(dir, 'none'), args: [], logFile: join(dir, 'log') })).toThrow(/does not exist/);
    });
});
describe('waitUntil', () => {
    it('fails as soon as the process ends, quoting the end of its log', async () => {
        const dir = mkdtempSync(join(tmpdir(), 'sealgate-process-'));
        try {
            const child = run({
                name: 'child',
                command: 'sh',
                args: ['-c', 'echo cannot bind; exit 7'],
                logFile: join(dir, 'log'),
            });
            const waiting = waitUntil('it was ready', () => Promise.resolve(false), [child], 10_000);
            await expect(waiting).rejects.toThrow(/child exited with status 7 before it was ready.*\n.*cannot bind/);
        }
        finally {
            rmSync(dir, { recursive: true, force: true });
        }
    });
});
