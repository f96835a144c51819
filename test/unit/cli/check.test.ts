// `sealgate check` as somebody meets it who has a proof, a key and nothing else.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/check.ts';
import { register as registerProve } from '../../../src/cli/prove.ts';
import { miniKey } from '../../support/mini-ledger.ts';
import { DECISION, type Ran, runCommand, sharedLedger } from './run-command.ts';

const ledger = sharedLedger([
  DECISION,
  {
    kind: 'event',
    body: Buffer.from(
      JSON.stringify({
        source: {},
        event: {
          auditID: 'a1',
          stage: 'ResponseComplete',
          verb: 'delete',
          user: { username: 'bob' },
          impersonatedUser: { username: 'root' },
          objectRef: { resource: 'secrets', namespace: 'shop', name: 'db' },
          responseStatus: { code: 403 },
        },
      }),
    ),
  },
]);
let file: string;
const check = (...args: string[]): Ran => runCommand(register, ['check', ...args]);
const write = (name: string, content: string | Buffer): string => {
  const path = join(ledger.data, name);
  writeFileSync(path, content);
  return path;
};
const prove = (seq: number, ...args: string[]): string => {
  const path = join(ledger.data, `${seq}${args.join('')}.tlog-proof`);
  expect(runCommand(registerProve, ['prove', ledger.data, String(seq), '--out', path, ...args]).status).toBe(0);
  return path;
};
beforeAll(() => {
  file = prove(1);
});

describe('sealgate check', () => {
  it('prints what a decision says, what was proven and what was not, and a verdict as the last line', () => {
    const { status, stdout, stderr } = check(file, '--key', ledger.vkey);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^Entry 1 of ledger\.example\/cluster-a\/0\/0\n {2}time {8}20/);
    for (const [name, value] of [
      ['kind', 'decision'],
      ['verdict', 'denied'],
      ['user', 'alice'],
      ['verb', 'create'],
      ['resource', 'apps/deployments'],
      ['namespace', 'shop'],
      ['policies', 'admission.images (deny)'],
    ]) {
      expect(stdout).toContain(`\n  ${name!.padEnd(12)}${value}\n`);
    }
    expect(stdout).toMatch(
      /\nProven:\n( {2}- .*\n){3}\nNot proven:\n( {2}- .*\n){2}\nPROVEN: the entry is in the log\.\n$/,
    );
  });

  it('prints what an event says', () => {
    const { stdout } = check(prove(2), '--key', ledger.vkey);
    for (const [name, value] of [
      ['kind', 'event'],
      ['user', 'root'],
      ['really', 'bob'],
      ['verb', 'delete'],
      ['resource', 'secrets'],
      ['status', '403'],
      ['audit ID', 'a1'],
    ]) {
      expect(stdout).toContain(`\n  ${name!.padEnd(12)}${value}\n`);
    }
  });

  it('lets no name in an entry reach the terminal as it is', () => {
    const { stdout } = check(file, '--key', ledger.vkey);
    expect(stdout).toContain('name        web\\u001b[2J\\u202eevil\n');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });

  it('says that a body is not in the file', () => {
    const { status, stdout } = check(prove(1, '--no-body'), '--key', ledger.vkey);
    expect(status).toBe(0);
    expect(stdout).toContain(`${DECISION.body.length} bytes, not in the file`);
    expect(stdout).not.toContain('alice');
  });

  it('prints the documented object with --json, and nothing else', () => {
    const { status, stdout, stderr } = check(file, '--key', ledger.vkeyFile, '--json');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      report: 1,
      status: 'proven',
      exitCode: 0,
      entry: {
        origin: ledger.origin,
        shard: 0,
        leaf: expect.objectContaining({ seq: 1, kind: 'decision', allowed: false }),
        leafHash: expect.stringMatching(/^[0-9a-f]{64}$/),
        body: DECISION.body.toString(),
      },
      checkpoint: { size: 4, root: expect.stringMatching(/^[0-9a-f]{64}$/), key: 'ledger.example/cluster-a/0' },
      proven: expect.any(Array),
      unproven: expect.any(Array),
    });
  });

  it('exits 10 for a changed file, 12 for another key of the log, 13 for another log, each with its code', () => {
    const changed = write('changed', readFileSync(file, 'utf8').replace('index 1', 'index 2'));
    const key = miniKey('ledger.example/cluster-a/0', 1).vkey;
    const stranger = miniKey('ledger.example/cluster-b/0', 1).vkey;
    for (const [args, status, code, verdict] of [
      [[changed, '--key', ledger.vkey], 10, 'PROOF_INVALID', 'INVALID'],
      [[ledger.shard, '--key', ledger.vkey], 10, 'PROOF_INVALID', 'INVALID'],
      [[file, '--key', key], 12, 'LEDGER_WRONG_KEY', 'WRONG KEY'],
      [[file, '--key', stranger], 13, 'PROOF_OTHER_LOG', 'OTHER LOG'],
    ] as const) {
      const ran = check(...args);
      expect(ran).toMatchObject({ status, stderr: expect.stringContaining(`sealgate check: ${code}: `) });
      expect(ran.stdout.split(':')[0]).toBe(verdict);
      expect(JSON.parse(check(...args, '--json').stdout)).toMatchObject({ exitCode: status, error: { code } });
    }
    expect(check(file, '--key', stranger, '--key', key, '--key', ledger.vkey).status).toBe(0);
  });

  it('exits with a status of its own when it cannot run: no file, a file without end, no usable key', () => {
    expect(check(join(ledger.data, 'none'), '--key', ledger.vkey)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('PROOF_INVALID: the proof file'),
    });
    expect(check('/dev/zero', '--key', ledger.vkey).status).toBe(10);
    const privateKey = join(ledger.data, 'keys', 'ledger.key');
    for (const [key, code, exit] of [
      [privateKey, 'KEY_PRIVATE', 26],
      [join(ledger.data, 'none'), 'KEY_INVALID', 1],
      ['nonsense', 'KEY_INVALID', 1],
    ] as const) {
      const { status, stdout, stderr } = check(file, '--key', key, '--json');
      expect(status).toBe(exit);
      expect(stderr).toContain(code);
      expect(JSON.parse(stdout)).toMatchObject({ report: 1, error: { code } });
    }
  });

  it('exits 2 without a key: one that came with the proof would prove nothing', () => {
    expect(check(file).status).toBe(2);
    expect(check('--key', ledger.vkey).status).toBe(2);
  });
});
