// `sealgate prove` as a person or a script meets it.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/prove.ts';
import { checkProof } from '../../../src/ledger/proof-check.ts';
import { DECISION, type Ran, runCommand, sharedLedger } from './run-command.ts';

const ledger = sharedLedger([DECISION, { kind: 'event', body: Buffer.alloc(1_600_000, 'x') }]);
const prove = (...args: string[]): Ran => runCommand(register, ['prove', ...args]);

describe('sealgate prove', () => {
  it('prints the proof, given the data folder, the ledger folder or the shard', () => {
    for (const path of [ledger.data, join(ledger.data, 'ledger'), ledger.shard]) {
      const { status, stdout, stderr } = prove(path, '1');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(checkProof(Buffer.from(stdout), [ledger.vkey]).entry?.body).toBe(DECISION.body.toString());
    }
  });

  it('writes it to a file that only its owner can read, in place of an older one only with --force', () => {
    const out = join(ledger.data, 'one.tlog-proof');
    writeFileSync(out, 'old');
    const refused = prove(ledger.data, '1', '--out', out);
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringMatching(/EXPORT_FAILED.*--force/) });
    expect(readFileSync(out, 'utf8')).toBe('old');
    expect(prove(ledger.data, '1', '--out', out, '--force')).toEqual({
      status: 0,
      stdout: '',
      stderr: `sealgate prove: the proof of entry 1 of shard 0 was written to ${out}\n`,
    });
    expect(checkProof(readFileSync(out), [ledger.vkey]).status).toBe('proven');
    expect(statSync(out).mode & 0o777).toBe(0o600);
  });

  it('leaves the body out with --no-body', () => {
    const { stdout } = prove(ledger.data, '1', '--no-body');
    expect(checkProof(Buffer.from(stdout), [ledger.vkey]).entry).not.toHaveProperty('body');
  });

  it('says when the body was too large', () => {
    const { status, stdout, stderr } = prove(ledger.data, '2');
    expect(status).toBe(0);
    expect(stderr).toContain('too large for a proof file');
    expect(checkProof(Buffer.from(stdout), [ledger.vkey]).status).toBe('proven');
  });

  it('fails for an entry, shard or ledger that is not there, and writes nothing', () => {
    const out = join(ledger.data, 'none.tlog-proof');
    expect(prove(ledger.data, '4', '--out', out)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('ENTRY_NOT_FOUND'),
    });
    expect(prove(ledger.data, '0', '--shard', '7')).toMatchObject({
      status: 20,
      stderr: expect.stringContaining('LEDGER_NOT_FOUND'),
    });
    expect(prove(join(ledger.data, 'keys'), '0')).toMatchObject({
      status: 20,
      stderr: expect.stringContaining('LEDGER_NOT_FOUND'),
    });
    expect(existsSync(out)).toBe(false);
  });

  it('fails with 1 when the file cannot be written, and leaves nothing half-written', () => {
    const folder = join(ledger.data, 'a-folder');
    mkdirSync(folder);
    for (const out of [folder, '/dev/null', join(folder, 'missing', 'x')]) {
      expect(prove(ledger.data, '1', '--out', out)).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('EXPORT_FAILED'),
      });
    }
    expect(readdirSync(folder)).toEqual([]);
    expect(readdirSync(ledger.data).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('fails with 2 for a command line that makes no sense, and when it is not said which of several shards', () => {
    expect(prove(ledger.data).status).toBe(2);
    expect(prove(ledger.data, 'x').status).toBe(2);
    expect(prove(ledger.data, '-1').status).toBe(2);
    expect(prove(ledger.data, '1', '--shard', '1.5').status).toBe(2);
    const several = join(ledger.data, 'several');
    mkdirSync(several);
    for (const name of ['shard-000000.sqlite', 'shard-000001.sqlite']) {
      copyFileSync(ledger.shard, join(several, name));
    }
    expect(prove(several, '1')).toMatchObject({ status: 2, stderr: expect.stringContaining('--shard (0, 1)') });
    expect(prove(several, '1', '--shard', '0').status).toBe(0);
  });
});
