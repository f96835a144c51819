// Everything that must keep Sealgate from starting says what, where and what to do, and changes nothing.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAIN, type Sealgate, somePorts, startSealgate } from '../support/sealgate.ts';

const SHARD = 'shard-000000.sqlite';

describe('starting', () => {
  let dir: string;
  let dataDir: string;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sealgate-start-'));
    dataDir = join(dir, 'data');
  });

  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** Starts and expects the refusal; returns what was printed. */
  async function refused(options: {
    policyDir?: string;
    args?: string[];
    code: string;
    status?: number;
  }): Promise<string> {
    const gate = await startSealgate({ dataDir, ...options, wait: false });
    const status = await gate.ended;
    expect(status, gate.output()).toBe(options.status ?? 1);
    expect(gate.output()).toContain(options.code);
    return gate.output();
  }

  /** One whole life: leaves a stopped ledger of a few entries behind. */
  async function once(): Promise<Sealgate> {
    const gate = await startSealgate({ dataDir });
    expect(await gate.stop()).toBe(0);
    return gate;
  }

  it('names file and line of a policy that does not compile', async () => {
    const policyDir = join(dir, 'policies');
    mkdirSync(policyDir);
    writeFileSync(
      join(policyDir, 'broken.rego'),
      'package admission.broken\n\ndeny contains msg if {\n\tmsg := undefined_function(1)\n}\n',
    );
    const output = await refused({ policyDir, code: 'POLICY_INVALID', status: 27 });
    expect(output).toMatch(/broken\.rego:4/);
  });

  it('refuses a misspelled flag with the name that was meant', async () => {
    const output = await refused({ args: ['--admision-port', '1'], code: '', status: 2 });
    expect(output).toContain('--admission-port');
  });

  it('refuses a ledger that another process writes', async () => {
    const first = await startSealgate({ dataDir });
    const output = await refused({ code: 'LEDGER_LOCKED' });
    expect(output).toContain(dataDir);
    expect(await first.stop()).toBe(0);
  });

  it('refuses a ledger of a newer format and leaves it as it was', async () => {
    await once();
    const file = join(dataDir, 'ledger', SHARD);
    const db = new Database(file);
    db.pragma('user_version = 99');
    db.close();
    const before = readFileSync(file);
    const output = await refused({ code: 'LEDGER_FORMAT_NEWER', status: 22 });
    expect(output).toContain('99');
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('refuses a truncated ledger', async () => {
    await once();
    const file = join(dataDir, 'ledger', SHARD);
    truncateSync(file, 8192);
    expect(await refused({ code: 'LEDGER_CORRUPT', status: 10 })).toContain('sealgate verify');
  });

  it('refuses a ledger that was signed by another key', async () => {
    await once();
    for (const name of readdirSync(join(dataDir, 'keys'))) rmSync(join(dataDir, 'keys', name));
    const output = await refused({ code: 'LEDGER_WRONG_KEY', status: 12 });
    expect(output).toMatch(/key/);
  });

  it('goes on in a new shard when the volume was put back to an older snapshot, or refuses, as it is set', async () => {
    const args = ['--mirror-url', join(dir, 'mirror'), '--mirror-interval-seconds', '1'];
    const run = async () => {
      const gate = await startSealgate({ dataDir, args });
      expect(await gate.stop()).toBe(0);
      return gate;
    };
    const { vkey } = await run();
    cpSync(join(dataDir, 'ledger'), join(dir, 'snapshot'), { recursive: true });
    await run();
    rmSync(join(dataDir, 'ledger'), { recursive: true });
    cpSync(join(dir, 'snapshot'), join(dataDir, 'ledger'), { recursive: true });
    const refusal = await refused({ args: [...args, '--mirror-on-rollback', 'refuse'], code: 'LEDGER_ROLLED_BACK' });
    expect(refusal).toContain('rolled-back');
    expect((await run()).output()).toContain('a new shard begins');
    expect(readdirSync(join(dataDir, 'ledger'))).toContain('shard-000001.sqlite');
    expect((await run()).output()).not.toContain('a new shard begins');
    const verified = spawnSync(process.execPath, [MAIN, 'verify', dataDir, '--key', vkey], { encoding: 'utf8' });
    expect(verified.status, verified.stdout).toBe(11);
    expect(verified.stdout).toContain('rolled-back');
  });

  it('starts without its mirror, says so in the record, and ends when the mirror has another history after all', async () => {
    const mirror = join(dir, 'mirror');
    const args = ['--mirror-url', mirror, '--mirror-interval-seconds', '1'];
    await (await startSealgate({ dataDir, args })).stop();
    cpSync(join(dataDir, 'ledger'), join(dir, 'snapshot'), { recursive: true });
    await (await startSealgate({ dataDir, args })).stop();
    rmSync(join(dataDir, 'ledger'), { recursive: true });
    cpSync(join(dir, 'snapshot'), join(dataDir, 'ledger'), { recursive: true });
    renameSync(mirror, join(dir, 'away'));
    symlinkSync(mirror, mirror); // which nothing can be read through
    const gate = await startSealgate({ dataDir, args });
    expect(gate.output()).toContain('is checked when it answers');
    rmSync(mirror);
    renameSync(join(dir, 'away'), mirror);
    expect(await gate.ended).toBe(1);
    expect(gate.output()).toContain('LEDGER_ROLLED_BACK');
    const after = await startSealgate({ dataDir, args });
    expect(after.output()).toContain('a new shard begins');
    expect(await after.stop()).toBe(0);
  });

  it('goes on under a new key after sealgate key rotate, and either key verifies all of it', async () => {
    const { vkey: before } = await once();
    const file = join(dataDir, 'keys', 'ledger.key');
    const run = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
    const rotated = run('key', 'rotate', file);
    expect(rotated.status, rotated.stderr).toBe(0);
    const after = await once();
    expect(after.output()).toContain('to record its rotation');
    expect(after.vkey).not.toBe(before);
    for (const vkey of [before, after.vkey]) {
      const verified = run('verify', dataDir, '--key', vkey);
      expect(verified.status, verified.stdout).toBe(0);
    }
    rmSync(join(dataDir, 'keys', 'ledger.previous.key'));
    await once();
  });

  it('refuses a file that is no ledger', async () => {
    mkdirSync(join(dataDir, 'ledger'), { recursive: true });
    copyFileSync(import.meta.filename, join(dataDir, 'ledger', SHARD));
    await refused({ code: 'LEDGER_NOT_A_LEDGER', status: 21 });
  });

  it('refuses a certificate without its key', async () => {
    await once();
    const certificate = join(dataDir, 'tls', 'admission', 'tls.crt');
    await refused({ args: ['--admission-tls-cert-file', certificate], code: '' });
  });

  it('says which port is taken', async () => {
    const ports = await somePorts();
    const first = await startSealgate({ dataDir: join(dir, 'other'), ports });
    const gate = await startSealgate({ dataDir, ports, wait: false });
    expect(await gate.ended).toBe(1);
    expect(gate.output()).toContain('LISTEN_FAILED');
    expect(gate.output()).toMatch(new RegExp(`${ports.admission}|${ports.audit}|${ports.api}|${ports.metrics}`));
    expect(await first.stop()).toBe(0);
  });
});
