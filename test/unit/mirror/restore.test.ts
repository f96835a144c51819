// A ledger rebuilt from its mirror is the ledger that was mirrored, however often the rebuilding was interrupted.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { listShards } from '../../../src/ledger/files.ts';
import { TreeReader } from '../../../src/ledger/tree-reader.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { readLeaf } from '../../../src/ledger/verify-leaf.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { restoreLedger } from '../../../src/mirror/restore.ts';
import { DirectoryStore } from '../../../src/mirror/stores/directory.ts';
import { checkpointsOf } from '../../support/checkpoints-of.ts';
import { mirrorShard } from '../../support/mirror-of.ts';
import { event, LOG_NAME, openTestLedger, places, tempDir } from '../ledger/temp-ledger.ts';

const CHILD = fileURLToPath(new URL('./restore-child.ts', import.meta.url));

interface Mirrored {
  readonly root: string;
  readonly ledger: string;
  readonly mirror: string;
  readonly vkey: string;
}

const storeOf = (dir: string): DirectoryStore => new DirectoryStore(dir, systemClock());

/** A ledger of two shards, the second of `size` entries, in a mirror; entry 300 has a large body. */
async function mirrored(size = 700): Promise<Mirrored> {
  const root = tempDir();
  const ledger = await openTestLedger(root, { shardLimits: { entries: 40 } });
  const events = (count: number) =>
    Array.from({ length: count }, (_, n) => event(n === 300 ? 'x'.repeat(70_000) : { n }));
  await ledger.append('audit', events(50));
  // The commit after the one that fills a shard begins the next.
  await ledger.append('audit', events(1));
  await ledger.close('first');
  const second = await openTestLedger(root, { shardLimits: { entries: 1_000_000 } });
  await second.append('audit', events(size));
  await second.close('second');
  const { dir } = places(root);
  const mirror = join(root, 'mirror');
  for (const { path } of listShards(dir)) await mirrorShard(storeOf(mirror), path);
  return { root, ledger: dir, mirror, vkey: second.vkey };
}

/** Everything in a ledger that a verifier can hold against a signature. */
function contentOf(dir: string): unknown {
  return listShards(dir).map(({ number, path }) => {
    const reader = TreeReader.open(path);
    try {
      const leaves = reader.leaves(0, reader.size());
      const bodies = leaves.map((leaf, seq) => {
        const { salt, body } = reader.body(seq, readLeaf(leaf.toString('latin1'))?.size ?? 0);
        return Buffer.concat([salt, body]).toString('base64');
      });
      return { number, leaves: leaves.map(String), bodies, notes: checkpointsOf(path).map(({ note }) => String(note)) };
    } finally {
      reader.close();
    }
  });
}

describe('a restore', () => {
  it('has every leaf, body, salt and checkpoint of every shard, byte for byte, and verifies whole', async () => {
    const { root, ledger, mirror, vkey } = await mirrored();
    const dir = join(root, 'new', 'ledger');
    const { shards, mirror: report } = await restoreLedger(storeOf(mirror), dir, { keys: [vkey] });
    expect(report).toMatchObject({ status: 'whole', findingCount: 0 });
    expect(contentOf(dir)).toEqual(contentOf(ledger));
    expect(shards).toHaveLength(listShards(ledger).length);
    expect(readdirSync(dir).sort()).toEqual(listShards(ledger).map(({ path }) => path.split('/').at(-1)));
    expect(verifyLedger(dir, { keys: [vkey] })).toMatchObject({ status: 'whole', unsignedTail: 0 });
    const modes = listShards(dir).map(({ path }) => (statSync(path).mode & 0o222) !== 0);
    expect(modes).toEqual(modes.map((_, i) => i === modes.length - 1));
  });

  it('is written on by the next start as if nothing had been', async () => {
    const { root, ledger, mirror, vkey } = await mirrored();
    const before = listShards(ledger).length;
    rmSync(ledger, { recursive: true });
    await restoreLedger(storeOf(mirror), ledger, { keys: [vkey] });
    const again = await openTestLedger(root, { shardLimits: { entries: 1_000_000 } });
    await again.append('audit', [event('after')]);
    await again.close('done');
    expect(verifyLedger(ledger, { keys: [vkey] })).toMatchObject({ status: 'whole', findings: [] });
    expect(listShards(ledger)).toHaveLength(before);
  });

  it('killed at any object goes on where it was, to the same bytes', async () => {
    const { root, ledger, mirror, vkey } = await mirrored(20_000);
    const dir = join(root, 'restored');
    let kills = 0;
    let partial = 0;
    for (let nth = 60; !existsSync(join(dir, 'shard-000000.sqlite')); nth += 190) {
      const { signal, status, stderr } = spawnSync(process.execPath, [CHILD, mirror, dir, vkey, String(nth)], {
        encoding: 'utf8',
      });
      if (signal === 'SIGKILL') kills += 1;
      else expect({ status, stderr }).toMatchObject({ status: 0 });
      const building = join(dir, '.restoring', 'shard-000001.sqlite');
      if (existsSync(building) && statSync(building).size > 100_000) partial += 1;
    }
    expect(kills).toBeGreaterThan(1);
    expect(partial).toBeGreaterThan(0);
    expect(contentOf(dir)).toEqual(contentOf(ledger));
    expect(readdirSync(dir)).not.toContain('.restoring');
  }, 120_000);

  it('whose half-built shard was damaged meanwhile begins it anew', async () => {
    const { root, ledger, mirror, vkey } = await mirrored();
    const dir = join(root, 'restored');
    spawnSync(process.execPath, [CHILD, mirror, dir, vkey, '30']);
    writeFileSync(join(dir, '.restoring', 'shard-000001.sqlite'), 'no database');
    await restoreLedger(storeOf(mirror), dir, { keys: [vkey] });
    expect(contentOf(dir)).toEqual(contentOf(ledger));
  });

  it('interrupted while it gave the names gives the rest of them', async () => {
    const { root, ledger, mirror, vkey } = await mirrored();
    const dir = join(root, 'restored');
    await restoreLedger(storeOf(mirror), dir, { keys: [vkey] });
    const building = join(dir, '.restoring');
    mkdirSync(building);
    renameSync(join(dir, 'shard-000000.sqlite'), join(building, 'shard-000000.sqlite'));
    writeFileSync(
      join(building, 'restore.json'),
      JSON.stringify({ restore: 1, url: storeOf(mirror).url, log: LOG_NAME, shard: 'all' }),
    );
    writeFileSync(join(building, 'verified'), '');
    await restoreLedger(storeOf(mirror), dir, { keys: [vkey] });
    expect(contentOf(dir)).toEqual(contentOf(ledger));
  });

  it('gives nothing a name when the mirror does not prove all of it', async () => {
    const { root, mirror, vkey } = await mirrored();
    const dir = join(root, 'restored');
    for (const path of ['bodies/001', 'tile/entries/001']) {
      rmSync(join(mirror, LOG_NAME, '1', path));
      await expect(restoreLedger(storeOf(mirror), dir, { keys: [vkey] })).rejects.toMatchObject({
        code: 'RESTORE_UNPROVEN',
      });
      expect(listShards(dir)).toEqual([]);
    }
  });

  it('is not made into a folder that holds anything else', async () => {
    const { root, ledger, mirror, vkey } = await mirrored();
    const refused = { code: 'RESTORE_FAILED' };
    await expect(restoreLedger(storeOf(mirror), ledger, { keys: [vkey] })).rejects.toMatchObject(refused);
    const dir = join(root, 'restored');
    spawnSync(process.execPath, [CHILD, mirror, dir, vkey, '30']);
    await expect(restoreLedger(storeOf(mirror), dir, { keys: [vkey], shard: 1 })).rejects.toMatchObject(refused);
    writeFileSync(join(dir, 'notes.txt'), '');
    await expect(restoreLedger(storeOf(mirror), dir, { keys: [vkey] })).rejects.toMatchObject(refused);
  });

  it('of one shard has that one', async () => {
    const { root, mirror, vkey } = await mirrored();
    const dir = join(root, 'one');
    expect(await restoreLedger(storeOf(mirror), dir, { keys: [vkey], shard: 1 })).toMatchObject({
      shards: [{ shard: 1 }],
    });
    expect(readdirSync(dir)).toEqual(['shard-000001.sqlite']);
  });
});
