// `sealgate verify` on a folder of objects: it knows a mirror and an export by what is in them, and its exit codes.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/verify.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { DirectoryStore } from '../../../src/mirror/stores/directory.ts';
import { miniKey } from '../../support/mini-ledger.ts';
import { mirrorEntries } from '../../support/mirror-of.ts';
import { tempDir } from '../ledger/temp-ledger.ts';
import { type Ran, runCommandAsync } from './run-command.ts';

const LOG = 'ledger.example/cluster-a/0';
const KEY = miniKey(LOG, 1);

function sealgate(...args: string[]): Promise<Ran> {
  return runCommandAsync(register, args);
}

async function mirrored(): Promise<string> {
  const dir = join(tempDir(), 'mirror');
  const entries = Array.from({ length: 300 }, (_, n) => ({
    kind: n === 0 ? 'start' : 'event',
    body: Buffer.from(JSON.stringify(n === 0 ? { origin: `${LOG}/0` } : { n })),
  }));
  await mirrorEntries(new DirectoryStore(dir, systemClock()), KEY, 0, entries, [1, 300]);
  return dir;
}

describe('sealgate verify of a folder of objects', () => {
  it('verifies a mirror, as a folder and as a URL', async () => {
    const dir = await mirrored();
    for (const given of [dir, `file://${dir}`]) {
      const { status, stdout } = await sealgate('verify', given, '--key', KEY.vkey);
      expect(stdout).toContain('WHOLE: what was checked is as it was recorded. 300 entries.');
      expect(status).toBe(0);
    }
  });

  it('verifies one shard of it as an export', async () => {
    const { status, stdout } = await sealgate('verify', join(await mirrored(), LOG, '0'), '--key', KEY.vkey, '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'whole',
      history: 'whole',
      shards: [{ entries: 300, bodies: 300 }],
    });
  });

  it('says what an object lost, and that the history is whole where it is', async () => {
    const dir = await mirrored();
    rmSync(join(dir, LOG, '0/tile/0/000'));
    const missing = await sealgate('verify', dir, '--key', KEY.vkey);
    expect(missing.status).toBe(11);
    expect(missing.stdout).toContain('object-missing (shard 0, entries 0 to 255)');
    expect(missing.stdout).toContain('The history is whole all the same');
    writeFileSync(join(dir, LOG, '0/bodies/000'), 'nothing');
    const changed = await sealgate('verify', dir, '--key', KEY.vkey);
    expect(changed.status).toBe(10);
    expect(changed.stdout).toContain('Part of the history is not proven');
  });

  it('wants a key, the right one, and options that make sense', async () => {
    const dir = await mirrored();
    expect(await sealgate('verify', `file://${dir}`)).toMatchObject({ status: 1 });
    expect(await sealgate('verify', dir, '--key', miniKey(LOG, 2).vkey)).toMatchObject({ status: 12 });
    expect(await sealgate('verify', dir, '--key', KEY.vkey, '--from', '3')).toMatchObject({ status: 2 });
    expect(await sealgate('verify', dir, '--key', KEY.vkey, '--min-days', '3')).toMatchObject({ status: 2 });
    expect(await sealgate('verify', dir, '--key', KEY.vkey, '--retention', 'soft')).toMatchObject({ status: 2 });
    expect(await sealgate('verify', dir, '--key', KEY.vkey, '--retention', 'governance')).toMatchObject({ status: 10 });
    expect(await sealgate('verify', tempDir(), '--key', KEY.vkey)).toMatchObject({ status: 20 });
  });
});
