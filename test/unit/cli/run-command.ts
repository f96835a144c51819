// Runs one command of the command line inside the test, and a shared ledger for commands to work on.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { afterAll, beforeAll, vi } from 'vitest';
import type { Append } from '../../../src/ledger/entry.ts';
import { loadOrCreateKey } from '../../../src/ledger/key.ts';
import { openLedger } from '../../../src/ledger/ledger.ts';

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `sealgate <args>` with only this command registered. */
export function runCommand(register: (program: Command) => void, args: string[]): Ran {
  const capture = captureOutput();
  try {
    programOf(register).parse(args, { from: 'user' });
    return capture.end(Number(process.exitCode ?? 0));
  } catch (error) {
    return capture.end(statusOf(error));
  } finally {
    capture.restore();
  }
}

/** The same for a command that does not end at once. */
export async function runCommandAsync(register: (program: Command) => void, args: string[]): Promise<Ran> {
  const capture = captureOutput();
  try {
    await programOf(register).parseAsync(args, { from: 'user' });
    return capture.end(Number(process.exitCode ?? 0));
  } catch (error) {
    return capture.end(statusOf(error));
  } finally {
    capture.restore();
  }
}

function programOf(register: (program: Command) => void): Command {
  const program = new Command('sealgate').exitOverride();
  register(program);
  for (const command of program.commands) command.exitOverride();
  return program;
}

/** As main.ts does. */
function statusOf(error: unknown): number {
  if (!(error instanceof CommanderError)) throw error;
  return error.exitCode === 0 ? 0 : 2;
}

function captureOutput(): { end(status: number): Ran; restore(): void } {
  let stdout = '';
  let stderr = '';
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  const before = process.exitCode;
  process.exitCode = undefined;
  return {
    end: (status) => ({ status, stdout, stderr }),
    restore: () => {
      process.exitCode = before;
      out.mockRestore();
      err.mockRestore();
    },
  };
}

export interface SharedLedger {
  /** The data folder. */
  readonly data: string;
  readonly shard: string;
  readonly vkey: string;
  readonly vkeyFile: string;
  readonly origin: string;
}

/** A closed ledger with `start`, these entries and `stop`, for all tests of a file; with `shardEntries` in shards of so many. */
export function sharedLedger(entries: readonly Append[], shardEntries?: number): SharedLedger {
  const shared = { data: '', shard: '', vkey: '', vkeyFile: '', origin: 'ledger.example/cluster-a/0/0' };
  beforeAll(async () => {
    shared.data = mkdtempSync(join(tmpdir(), 'sealgate-cli-'));
    shared.shard = join(shared.data, 'ledger', 'shard-000000.sqlite');
    shared.vkeyFile = join(shared.data, 'keys', 'ledger.vkey');
    const ledger = await openLedger({
      dir: join(shared.data, 'ledger'),
      key: loadOrCreateKey(join(shared.data, 'keys', 'ledger.key'), 'ledger.example/cluster-a/0'),
      version: '0.0.0-test',
      settingsDigest: `sha256:${'0'.repeat(64)}`,
      ...(shardEntries === undefined ? {} : { shardLimits: { entries: shardEntries } }),
      onFatal: () => {},
    });
    if (shardEntries === undefined) await ledger.append('decision', entries);
    else for (const entry of entries) await ledger.append('decision', [entry]);
    await ledger.close('done');
    shared.vkey = ledger.vkey;
  });
  afterAll(() => rmSync(shared.data, { recursive: true, force: true }));
  return shared;
}

/** A decision whose names try to take over the terminal. */
export const DECISION: Append = {
  kind: 'decision',
  extra: { uid: '00000000-0000-4000-8000-000000000001', bundle: `sha256:${'b'.repeat(64)}`, allowed: false },
  body: Buffer.from(
    JSON.stringify({
      caller: { address: '10.0.0.1' },
      verdict: { results: [{ policy: 'admission.images', action: 'deny' }], failures: [] },
      took: {},
      review: {
        request: {
          operation: 'CREATE',
          namespace: 'shop',
          name: 'web\u001b[2J\u202eevil',
          requestResource: { group: 'apps', version: 'v1', resource: 'deployments' },
          userInfo: { username: 'alice' },
        },
      },
    }),
  ),
};
