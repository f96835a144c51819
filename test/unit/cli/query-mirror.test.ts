// History that has left the volume: the command says where it is, and reads it there.
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { shardFileName } from '../../../src/ledger/files.ts';
import { removeShard } from '../../../src/ledger/remove-shard.ts';
import { isSealed } from '../../../src/ledger/seal.ts';
import { openStore } from '../../../src/mirror/stores/open.ts';
import { mirrorShard } from '../../support/mirror-of.ts';
import { event, LOG_NAME, openTestLedger, places, tempDir } from '../ledger/temp-ledger.ts';

const MAIN = join(import.meta.dirname, '../../../src/cli/main.ts');

function query(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'query', ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('sealgate-query-mirror-'));
const placesIn = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { shard: number; seq: number })
    .map(({ shard, seq }) => `${shard}/${seq}`);

describe('sealgate query of a ledger whose oldest shards were removed', () => {
  it('says where they are, and reads them there, verified, with the same filters', async () => {
    const root = tempDir();
    const mirror = join(root, 'mirror');
    const { dir } = places(root);
    const ledger = await openTestLedger(root, { shardLimits: { entries: 5 }, checkpointIntervalMs: 20 });
    for (let i = 0; ledger.shard < 3; i++) await ledger.append('audit', [event({ i })]);
    const path = (shard: number) => join(dir, shardFileName(shard));
    await expect.poll(() => [0, 1, 2].every((shard) => isSealed(path(shard))), { timeout: 10_000 }).toBe(true);
    const store = openStore(mirror, { clock: { now: () => Date.now() * 1000 } });
    for (const shard of [0, 1, 2]) await mirrorShard(store, path(shard));
    await removeShard(ledger, 0, () => true, { store: store.url, verified: '2026-03-01T00:00:00.000000Z' });
    await ledger.close('done');

    const here = await query('--ledger', dir, '--all', '-o', 'json');
    expect(here.code).toBe(0);
    expect(placesIn(here.stdout).some((place) => place.startsWith('0/'))).toBe(false);
    expect(here.stderr).toContain('before shard 1');
    expect(here.stderr).toContain(`sealgate query --from ${store.url} --key`);
    const { time } = JSON.parse(here.stdout.trim().split('\n').at(-1) ?? '') as { time: string };
    expect((await query('--ledger', dir, '--since', time)).stderr).toBe('');
    expect((await query('--ledger', dir, '0/1')).stderr).toContain(`it is in ${store.url}`);

    const key = join(root, 'ledger.vkey');
    writeFileSync(key, ledger.vkey);
    const there = await query('--from', mirror, '--key', key, '--shard', '0', '--all', '-o', 'json', '--oldest');
    expect(there).toMatchObject({ code: 0, stderr: '' });
    expect(placesIn(there.stdout)).toEqual(['0/0', '0/1', '0/2', '0/3', '0/4']);
    const starts = await query('--from', mirror, '--key', key, '--kind', 'start', '-o', 'json');
    expect(placesIn(starts.stdout)).toEqual(['0/0']);
    const one = await query('--from', mirror, '--key', key, '1/1');
    expect(one.stdout).toContain(`Entry 1/1 of ${LOG_NAME}/1`);
    expect(one.code).toBe(0);

    writeFileSync(join(mirror, LOG_NAME, '0', 'bodies', '000.p', '5'), 'changed');
    const changed = await query('--from', mirror, '--key', key, '--shard', '0');
    expect(changed).toMatchObject({ code: 10, stdout: '' });
    expect(changed.stderr).toContain('RESTORE_UNPROVEN');
    expect(left()).toEqual([]);
  }, 60_000);

  it.each([
    [['--from', 'x'], '--from needs --key'],
    [['--key', 'x'], 'go with --from'],
    [['--from', 'x', '--ledger', 'y'], 'exclude one another'],
    [['--from', 'x', '--key', 'k', '-f'], 'a mirror has what was'],
  ])('refuses %j', async (args, why) => {
    const { code, stderr } = await query(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(why);
  });
});
