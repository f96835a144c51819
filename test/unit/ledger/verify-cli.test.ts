// `sealgate verify` as a person or a script meets it: arguments, exit codes, both outputs.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { miniChain, miniKey, miniNote, miniRoot, writeMiniShard } from '../../support/mini-ledger.ts';
import { flipByte, tamper } from '../../support/tamper.ts';

const MAIN = path.join(import.meta.dirname, '..', '..', '..', 'src', 'cli', 'main.ts');
const KEY = miniKey('example.org/cli/0', 1);
const OTHER = miniKey('example.org/cli/0', 2);
const ENTRIES = [
  { kind: 'start', body: Buffer.from(JSON.stringify({ origin: `${KEY.name}/0`, vkey: KEY.vkey })) },
  ...Array.from({ length: 9 }, (_, i) => ({ kind: 'event', body: Buffer.from(`{"n":${i}}`) })),
];

let data: string;
let shard: string;
beforeAll(() => {
  data = fs.mkdtempSync(path.join(os.tmpdir(), 'sealgate-verify-cli-'));
});
beforeEach(() => {
  fs.rmSync(path.join(data, 'keys'), { recursive: true, force: true });
  shard = writeMiniShard(path.join(data, 'ledger'), {
    number: 0,
    key: KEY,
    entries: ENTRIES,
    checkpoints: [1, 8],
    packs: [],
  });
});
afterAll(() => fs.rmSync(data, { recursive: true, force: true }));

function verify(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'verify', ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

function write(name: string, content: string): string {
  const file = path.join(data, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
  return file;
}

describe('sealgate verify', () => {
  it('prints a table, what it could not check and a verdict, and exits 0', () => {
    const { status, stdout, stderr } = verify(data, '--key', KEY.vkey);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('SHARD  ORIGIN');
    expect(stdout).toContain('Not checked:');
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(
      'WHOLE: what was checked is as it was recorded. 10 entries, the last 2 not yet signed.',
    );
  });

  it('prints the documented object with --json, and nothing else', () => {
    const { status, stdout } = verify(data, '--key', KEY.vkey, '--json');
    const report: unknown = JSON.parse(stdout);
    expect(status).toBe(0);
    expect(report).toMatchObject({
      report: 1,
      status: 'whole',
      exitCode: 0,
      findings: [],
      findingCount: 0,
      unsignedTail: 2,
    });
    expect(report).toMatchObject({
      shards: [{ shard: 0, origin: `${KEY.name}/0`, entries: 10, signed: 8, bodies: 10 }],
    });
  });

  it('takes keys from files, several of them, and an outside checkpoint', () => {
    const leaves = miniChain(ENTRIES).map(({ hash }) => hash);
    const checkpoint = write('pocket.txt', miniNote(KEY, `${KEY.name}/0`, 8, miniRoot(leaves.slice(0, 8))));
    const keys = ['--key', write('other.vkey', `${OTHER.vkey}\n`), '--key', write('ledger.vkey', `${KEY.vkey}\n`)];
    expect(verify(data, ...keys, '--checkpoint', checkpoint)).toMatchObject({ status: 0, stderr: '' });
    const padded = write('padded.txt', `${miniNote(KEY, `${KEY.name}/0`, 8, miniRoot(leaves.slice(0, 8)))}\n\n`);
    expect(verify(data, ...keys, '--checkpoint', padded), 'as the sqlite3 shell writes it').toMatchObject({
      status: 0,
    });
    const forked = write('fork.txt', miniNote(KEY, `${KEY.name}/0`, 8, Buffer.alloc(32)));
    expect(verify(data, ...keys, '--checkpoint', forked)).toMatchObject({ status: 10 });
    const longer = write('longer.txt', miniNote(KEY, `${KEY.name}/0`, 12, Buffer.alloc(32)));
    expect(verify(data, ...keys, '--checkpoint', longer)).toMatchObject({ status: 11 });
  });

  it('uses the key beside the ledger when none is given, and says that this proves little', () => {
    write('keys/ledger.vkey', `${KEY.vkey}\n`);
    const { status, stdout } = verify(data);
    expect(status).toBe(0);
    expect(stdout).toContain('the verifying key itself: it was found beside the ledger');
  });

  it('exits 10 and names the entry when something was changed', () => {
    tamper(shard, (db) => flipByte(db, 'leaf', 4, 30, 1));
    const { status, stdout } = verify(data, '--key', KEY.vkey);
    expect(status).toBe(10);
    expect(stdout).toContain('leaf-changed (shard 0, entry 4)');
    expect(stdout).toMatch(/\nTAMPERED: .*\n$/);
  });

  it('exits 11 when something is missing, 12 when the key is another', () => {
    expect(verify(data, '--key', OTHER.vkey)).toMatchObject({ status: 12 });
    tamper(shard, (db) => db.prepare('DELETE FROM pack').run());
    expect(verify(data, '--key', KEY.vkey)).toMatchObject({ status: 11 });
  });

  it('exits with a code, a status and a reason when it cannot run', () => {
    const pem = KEY.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const cases: readonly [args: string[], message: string, exit?: number][] = [
      [[data], 'KEY_INVALID: give the verifying key with --key'],
      [[path.join(data, 'nowhere'), '--key', KEY.vkey], 'LEDGER_NOT_FOUND', 20],
      [[data, '--key', write('ledger.key', pem)], 'KEY_PRIVATE', 26],
      [[data, '--key', 'nonsense'], 'KEY_INVALID: nonsense does not exist, and is not a vkey'],
      [[data, '--key', KEY.vkey, '--checkpoint', write('bad.txt', 'x')], 'CHECKPOINT_INVALID'],
      [[write('file.txt', 'not a ledger'.repeat(100)), '--key', KEY.vkey], 'LEDGER_NOT_A_LEDGER', 21],
    ];
    for (const [args, message, exit = 1] of cases) {
      const { status, stderr } = verify(...args);
      expect({ args, status, stderr }).toMatchObject({ status: exit, stderr: expect.stringContaining(message) });
      expect(stderr).not.toContain('PRIVATE KEY-----\nM');
    }
    const json = verify(path.join(data, 'nowhere'), '--key', KEY.vkey, '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ report: 1, error: { code: 'LEDGER_NOT_FOUND' } });
  });

  it('exits 2 for a command line that makes no sense', () => {
    for (const args of [
      [],
      [data, '--nope'],
      [data, '--shard', 'x'],
      [data, '--key', KEY.vkey, '--from', '9', '--to', '3'],
    ]) {
      expect({ args, ...verify(...args) }).toMatchObject({ status: 2 });
    }
  });

  it('lets nothing in the ledger write to the terminal', () => {
    tamper(shard, (db) =>
      db.prepare("UPDATE meta SET value = ? WHERE key = 'origin'").run('\u001b[2Jall is well\u202e'),
    );
    const { stdout } = verify(data, '--key', KEY.vkey);
    expect(stdout).toContain('\\u001b[2Jall is well\\u202e');
    expect(stdout).not.toContain('\u001b');
  });
});
