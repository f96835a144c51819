// The command as a person runs it: a child process, on a folder and on a server.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ServedFolder, serveFolder } from '../../../src/cli/query-folder.ts';
import type { Append } from '../../../src/ledger/entry.ts';
import { loadOrCreateKey } from '../../../src/ledger/key.ts';
import { type Ledger, openLedger } from '../../../src/ledger/ledger.ts';

const MAIN = join(import.meta.dirname, '../../../src/cli/main.ts');

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function query(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'query', ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const uid = (i: number) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;

function decision(i: number, allowed: boolean): Append {
  const review = {
    request: {
      uid: uid(i),
      operation: 'CREATE',
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: i % 2 === 0 ? 'shop' : 'default',
      name: `pod-${i}`,
      userInfo: { username: 'alice' },
    },
  };
  const results = allowed ? [] : [{ policy: 'admission.privileged', rule: 'deny', action: 'deny', message: 'no' }];
  const body = { caller: {}, verdict: { allowed, results, failures: [] }, took: {}, review };
  return {
    kind: 'decision',
    extra: { uid: uid(i), bundle: `sha256:${'0'.repeat(64)}`, allowed },
    body: Buffer.from(JSON.stringify(body)),
  };
}

describe('sealgate query', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-query-test-'));
  let ledger: Ledger;
  let served: ServedFolder;

  beforeAll(async () => {
    ledger = await openLedger({
      dir: join(dir, 'ledger'),
      key: loadOrCreateKey(join(dir, 'keys', 'ledger.key'), 'example.com/test/0'),
      version: 'test',
      settingsDigest: 'test',
      onFatal: (error) => {
        throw error;
      },
    });
    await ledger.append(
      'decision',
      Array.from({ length: 60 }, (_, i) => decision(i, i % 3 !== 0)),
    );
    served = await serveFolder(dir);
  });

  afterAll(async () => {
    await served?.close();
    await ledger?.close('the test is over');
    rmSync(dir, { recursive: true, force: true });
  });

  it('gives the same rows from a folder and from a server, newest first', async () => {
    const [folder, server] = await Promise.all([
      query('--ledger', dir, '--denied', '-n', 'shop'),
      query('--server', served.url, '--denied', '-n', 'shop'),
    ]);
    expect(folder.code, folder.stderr).toBe(0);
    expect(folder.stdout).toBe(server.stdout);
    const names = folder.stdout.match(/shop\/pod-\d+/g);
    expect(names).toEqual([54, 48, 42, 36, 30, 24, 18, 12, 6, 0].map((i) => `shop/pod-${i}`));
    expect(folder.stdout.split('\n')[1]).toContain('privileged:deny');
  });

  it('stops at the limit and says so, or goes through all pages', async () => {
    const limited = await query('--server', served.url, '--limit', '7', '-o', 'json');
    expect(limited.stdout.trim().split('\n')).toHaveLength(7);
    expect(limited.stderr).toContain('there is more');
    const all = await query('--server', served.url, '--all', '--kind', 'decision', '-o', 'json');
    const entries = all.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { seq: number });
    expect(entries).toHaveLength(60);
    expect(new Set(entries.map(({ seq }) => seq)).size).toBe(60);
    expect(all.stderr).toBe('');
  });

  it('shows one entry whole, with the result of each check', async () => {
    const { code, stdout } = await query('--server', served.url, '1');
    expect(code).toBe(0);
    expect(stdout).toContain('Entry 0/1 of example.com/test/0/0\n');
    expect(stdout.match(/^ {2}yes/gm)).toHaveLength(4);
    expect(stdout).toContain('"name": "pod-0"');
    const json = JSON.parse((await query('--ledger', dir, '0/1', '-o', 'json')).stdout) as { leaf: string };
    expect(json.leaf).toContain('"seq":1');
  });

  it('follows what comes', async () => {
    const child = spawn(process.execPath, [MAIN, 'query', '--server', served.url, '-f', '-o', 'json']);
    try {
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      // It is listening when what comes from now on is shown: append until one is.
      for (let i = 1000; !text.includes('pod-'); i++) {
        await ledger.append('decision', [decision(i, true)]);
        await new Promise((resolve) => setTimeout(resolve, 100));
        expect(i).toBeLessThan(1150);
      }
      expect(text).not.toContain('"pod-0"');
    } finally {
      child.kill('SIGINT');
      await once(child, 'close');
    }
  });

  it.each([
    [['--ledger', 'nowhere'], 20, 'LEDGER_NOT_FOUND'],
    [['--server', 'http://127.0.0.1:1'], 1, 'QUERY_UNAVAILABLE'],
    [['--server', 'localhost'], 1, 'QUERY_INVALID'],
    [['--server', 'http://127.0.0.1:1', '--ledger', 'x'], 2, 'exclude one another'],
    [['--denied', '--allowed'], 2, 'exclude one another'],
    [['--limit', '0'], 2, '--limit is a number'],
    [['--follow', '--all'], 2, '--follow'],
    [['pod-1'], 2, 'is not an entry'],
    [['--nmespace', 'x'], 2, '--namespace'],
    [['-o', 'yaml'], 2, 'table, wide, json'],
  ])('refuses %j with status %i and says %s', async (args, status, text) => {
    const ran = await query(...args);
    expect(ran.code).toBe(status);
    expect(ran.stderr).toContain(text);
    expect(ran.stdout).toBe('');
  });

  it('says what the API refuses, and which entry does not exist', async () => {
    const since = await query('--server', served.url, '--since', 'yesterday');
    expect(since.code).toBe(1);
    expect(since.stderr).toContain('since must be a time');
    const entry = await query('--server', served.url, '99999');
    expect(entry.code).toBe(1);
    expect(entry.stderr).toContain('ENTRY_NOT_FOUND');
  });

  it('says that nothing matches, and ends well', async () => {
    const ran = await query('--server', served.url, '--user', 'nobody');
    expect(ran).toMatchObject({ code: 0, stdout: '' });
    expect(ran.stderr).toContain('nothing on record matches');
  });
});
