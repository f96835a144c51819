// A pod, its mirror and its witnesses, all of them real processes: what is pushed is cosigned, and what was rolled back is not.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePorts } from '../../tools/cluster/control-plane.ts';
import { MAIN, startSealgate } from '../support/sealgate.ts';

const LOG = 'sealgate.local/local/0';

function run(...args: string[]) {
  return spawnSync(process.execPath, ['--no-warnings', MAIN, ...args], { encoding: 'utf8' });
}

async function startWitness(
  dir: string,
  name: string,
  log: string,
): Promise<{ vkey: string; url: string; stop: () => void }> {
  const [port] = (await freePorts(1)) as [number];
  const files = ['--key', join(dir, `${name}.key`), '--state', join(dir, `${name}.sqlite`)];
  const args = ['--no-warnings', MAIN, 'witness', '--name', `witness.example/${name}`, '--log', log, ...files];
  const child = spawn(process.execPath, [...args, '--port', String(port), '--init'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const vkey = await new Promise<string>((resolve, reject) => {
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const found = /"vkey":"([^"]+)"/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('close', () => reject(new Error(output)));
  });
  return { vkey, url: `http://127.0.0.1:${port}`, stop: () => child.kill('SIGKILL') };
}

describe('a mirrored ledger with witnesses', () => {
  it('has its checkpoints cosigned, proves it to an auditor with a policy, and finds no cosignature after a rollback', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-witnessed-'));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    const dataDir = join(dir, 'data');
    const mirror = join(dir, 'mirror');
    // The first life makes the key that the witnesses are told.
    expect(await (await startSealgate({ dataDir })).stop()).toBe(0);
    const vkeyFile = join(dataDir, 'keys', 'ledger.vkey');
    const west = await startWitness(dir, 'west', vkeyFile);
    const east = await startWitness(dir, 'east', vkeyFile);
    const policy = join(dir, 'policy');
    const lines = [
      `witness west ${west.vkey} ${west.url}`,
      `witness east ${east.vkey} ${east.url}`,
      'group both all west east',
      'quorum both',
      '',
    ];
    writeFileSync(policy, lines.join('\n'));
    const args = [
      ...['--mirror-url', mirror, '--mirror-interval-seconds', '1', '--mirror-anchor-seconds', '1'],
      ...['--mirror-witnesses-policy-file', policy],
    ];
    const life = async (): Promise<string> => {
      const gate = await startSealgate({ dataDir, args });
      const checkpoints = join(mirror, LOG, '0', 'checkpoints');
      for (let i = 0; i < 100 && !(safeList(checkpoints).length > 0); i++) await sleep(100);
      expect(await gate.stop(), gate.output()).toBe(0);
      return gate.output();
    };
    const first = await life();
    expect(first).not.toContain('did not cosign');
    const newest = readFileSync(join(mirror, LOG, '0', 'checkpoint'), 'utf8');
    expect(newest.match(/\u2014 witness\.example\/(west|east) /g)).toHaveLength(2);

    const verify = (...more: string[]) => run('verify', mirror, '--key', vkeyFile, ...more);
    const whole = verify('--policy', policy);
    expect(whole.status, whole.stdout + whole.stderr).toBe(0);
    expect(whole.stdout).toContain('cosigned as the policy asks');
    const saved = join(dir, 'checkpoint');
    writeFileSync(saved, newest);
    const ledger = run('verify', dataDir, '--key', vkeyFile, '--checkpoint', saved, '--policy', policy);
    expect(ledger.status, ledger.stdout + ledger.stderr).toBe(0);
    expect(ledger.stdout).toContain('cosigned as the policy asks');

    // One of the two is away: the push goes on, what it pushes is not cosigned enough.
    cpSync(join(dataDir, 'ledger'), join(dir, 'snapshot'), { recursive: true });
    const cosigned = readFileSync(join(dir, 'checkpoint'), 'utf8').split('\n')[1];
    const both = await life();
    expect(both).not.toContain('did not cosign');
    east.stop();
    expect(await life()).toContain('did not cosign');
    const older = verify('--policy', policy);
    expect(older.status, older.stdout + older.stderr).toBe(0);
    expect(older.stdout).toMatch(/after entry \d+[^\n]*cosigned/);
    expect(Number(cosigned)).toBeGreaterThan(0);

    // The volume and the mirror are both put back: only the witness remembers.
    rmSync(join(dataDir, 'ledger'), { recursive: true });
    cpSync(join(dir, 'snapshot'), join(dataDir, 'ledger'), { recursive: true });
    rmSync(mirror, { recursive: true });
    const back = await life();
    expect(back).toContain('WITNESS_CONTRADICTS');
    expect(verify('--policy', policy).status).toBe(11);
    const none = run('verify', dataDir, '--key', vkeyFile, '--policy', policy);
    expect(none.status).toBe(11);
    expect(none.stdout).toContain('no checkpoint');
  });

  it('does not start with a policy that makes no sense', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-witnessed-'));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    const policy = join(dir, 'policy');
    writeFileSync(policy, 'quorum nobody\n');
    const args = ['--mirror-url', join(dir, 'mirror'), '--mirror-witnesses-policy-file', policy];
    const gate = await startSealgate({ dataDir: join(dir, 'data'), args, wait: false });
    expect(await gate.ended).toBe(1);
    expect(gate.output()).toMatch(/WITNESS_POLICY_INVALID.*line 1/);
  });
});

function safeList(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
