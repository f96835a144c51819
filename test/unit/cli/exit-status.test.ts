// What a script sees of bad input: each kind of mistake ends `sealgate verify` with a status of its own.
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { register as registerCheck } from '../../../src/cli/check.ts';
import { exitStatus } from '../../../src/cli/exit-status.ts';
import { register as registerKey } from '../../../src/cli/key.ts';
import { register as registerProve } from '../../../src/cli/prove.ts';
import { loadOrCreateKey } from '../../../src/ledger/key.ts';
import { openShard } from '../../../src/ledger/open-shard.ts';
import { nextShard } from '../../../src/ledger/rotate.ts';
import { ERROR_CODES, type ErrorCode } from '../../../src/lib/errors.ts';
import { runCommand } from './run-command.ts';

const clock = { now: () => 1_800_000_000_000_000 };

function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-status-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A ledger of two shards. */
function ledgerIn(dir: string) {
  const key = loadOrCreateKey(join(dir, 'keys', 'ledger.key'), 'example.com/c/0');
  const { name: logName, vkey, privateKey } = key;
  const options = { dir: join(dir, 'ledger'), logName, vkey, privateKey, version: '0', settingsDigest: 'none' };
  const open = () => openShard(options, clock);
  const first = open();
  const second = nextShard(first, options, clock);
  first.store.close();
  second.store.close();
  second.lock.release();
  return { ...options, open };
}

it('is on the page of errors as the commands have it', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/errors.md'), 'utf8');
  const table = [...page.matchAll(/^\| (\d+) \| (`[A-Z_`, ]+`) \|$/gm)].flatMap(([, status, codes = '']) =>
    [...codes.matchAll(/`([A-Z_]+)`/g)].map(([, code]) => [code, Number(status)]),
  );
  const own = (Object.keys(ERROR_CODES) as ErrorCode[]).map((code) => [code, exitStatus(code)]);
  expect(Object.fromEntries(table)).toEqual(Object.fromEntries(own.filter(([, status]) => status !== 1)));
  // The kinds of bad input have one each.
  const statuses = table.map(([, status]) => Number(status)).filter((status) => status >= 20);
  expect(new Set(statuses).size).toBe(statuses.length);
});

it('tells a folder without a ledger, a file that is none, and a newer format apart', () => {
  const dir = tempDir();
  const prove = (path: string) => runCommand(registerProve, ['prove', path, '0', '--shard', '1']).status;
  mkdirSync(join(dir, 'empty'));
  expect(prove(join(dir, 'empty'))).toBe(20);
  mkdirSync(join(dir, 'other'));
  copyFileSync(import.meta.filename, join(dir, 'other', 'shard-000001.sqlite'));
  expect(prove(join(dir, 'other'))).toBe(21);
  const { dir: ledger } = ledgerIn(dir);
  const db = new Database(join(ledger, 'shard-000001.sqlite'));
  db.pragma('user_version = 99');
  db.close();
  expect(prove(ledger)).toBe(22);
});

it('tells the shards of two ledgers in one folder from damage, at start', () => {
  const one = ledgerIn(tempDir());
  const dir = tempDir();
  const other = loadOrCreateKey(join(dir, 'keys', 'ledger.key'), 'example.com/other/0');
  const { name: logName, vkey, privateKey } = other;
  const opened = openShard({ ...one, dir: join(dir, 'ledger'), logName, vkey, privateKey }, clock);
  opened.store.close();
  opened.lock.release();
  rmSync(join(one.dir, 'shard-000000.sqlite'));
  copyFileSync(join(dir, 'ledger', 'shard-000000.sqlite'), join(one.dir, 'shard-000000.sqlite'));
  expect(one.open).toThrow(
    expect.objectContaining({ code: 'LEDGER_MIXED', message: expect.stringContaining('example.com/other/0/0') }),
  );
  expect(exitStatus('LEDGER_MIXED')).toBe(23);
});

it('tells an exposed private key from one in the wrong place', () => {
  const dir = tempDir();
  ledgerIn(dir);
  const key = join(dir, 'keys', 'ledger.key');
  expect(runCommand(registerCheck, ['check', key, '--key', key])).toMatchObject({ status: 26 });
  chmodSync(key, 0o644);
  expect(runCommand(registerKey, ['key', 'show', key, '--name', 'example.com/c/0'])).toMatchObject({ status: 25 });
});
