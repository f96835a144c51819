// `sealgate restore`: what it prints and what it ends with.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { register } from '../../../src/cli/restore.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { DirectoryStore } from '../../../src/mirror/stores/directory.ts';
import { miniKey } from '../../support/mini-ledger.ts';
import { mirrorEntries } from '../../support/mirror-of.ts';
import { tempDir } from '../ledger/temp-ledger.ts';
import { runCommandAsync } from './run-command.ts';

const LOG = 'ledger.example/cluster-a/0';
const KEY = miniKey(LOG, 1);

it('restores a mirror, and ends with 10 and nothing under its name when that does not prove everything', async () => {
  const root = tempDir();
  const mirror = join(root, 'mirror');
  const entries = Array.from({ length: 300 }, (_, n) => ({
    kind: n === 0 ? 'start' : 'event',
    body: Buffer.from(JSON.stringify(n === 0 ? { origin: `${LOG}/0` } : { n })),
  }));
  await mirrorEntries(new DirectoryStore(mirror, systemClock()), KEY, 0, entries, [300]);
  const restore = (dir: string) => runCommandAsync(register, ['restore', mirror, join(root, dir), '--key', KEY.vkey]);
  const done = await restore('one');
  expect(done).toMatchObject({ status: 0, stderr: '' });
  expect(done.stdout).toContain('shard 0: 300 entries\n');
  expect(verifyLedger(join(root, 'one'), { keys: [KEY.vkey] })).toMatchObject({ status: 'whole' });
  expect(await restore('one')).toMatchObject({ status: 1 });
  rmSync(join(mirror, LOG, '0/bodies/000'));
  const refused = await restore('two');
  expect(refused).toMatchObject({ status: 10, stdout: '' });
  expect(refused.stderr).toContain('RESTORE_UNPROVEN');
});
