import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { register } from '../../../src/cli/key.ts';
import { runCommand } from './run-command.ts';

const NAME = 'example.com/c/0';

it('makes a key, shows its verifying key, and rotates it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-key-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'ledger.key');
  const made = runCommand(register, ['key', 'new', file, '--name', NAME]);
  expect(made).toMatchObject({ status: 0, stderr: '' });
  expect(made.stdout).toBe(readFileSync(join(dir, 'ledger.vkey'), 'utf8'));
  expect(runCommand(register, ['key', 'show', file, '--name', NAME])).toEqual(made);

  const again = runCommand(register, ['key', 'new', file, '--name', NAME]);
  expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('KEY_INVALID') });

  const rotated = runCommand(register, ['key', 'rotate', file]);
  expect(rotated.status).toBe(0);
  expect(rotated.stdout).toContain(made.stdout.trim());
  expect(rotated.stdout).toContain(readFileSync(join(dir, 'ledger.vkey'), 'utf8').trim());
  expect(rotated.stdout).toContain(join(dir, 'ledger.previous.key'));
  expect(rotated.stdout).not.toContain('PRIVATE');
});

it('says what is wrong with a command line or a name', () => {
  expect(runCommand(register, ['key', 'new', 'x']).status).toBe(2);
  const missing = runCommand(register, ['key', 'show', '/nonexistent/ledger.key', '--name', NAME]);
  expect(missing).toMatchObject({ status: 1, stderr: expect.stringContaining('/nonexistent/ledger.key') });
  const name = runCommand(register, ['key', 'new', join(tmpdir(), 'never-made.key'), '--name', 'a b']);
  expect(name).toMatchObject({ status: 1, stderr: expect.stringContaining('log name') });
});
