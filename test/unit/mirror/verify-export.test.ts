// `sealgate export --tiles` read back: what it wrote is whole, and whatever is done to it shows.
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exportTiles } from '../../../src/ledger/export.ts';
import { TreeReader } from '../../../src/ledger/tree-reader.ts';
import type { VerifyReport } from '../../../src/ledger/verify-report.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { DirectoryStore } from '../../../src/mirror/stores/directory.ts';
import { verifyMirror } from '../../../src/mirror/verify-mirror.ts';
import { miniKey } from '../../support/mini-ledger.ts';
import { event, LOG_NAME, openTestLedger, places, tempDir } from '../ledger/temp-ledger.ts';

async function ledgerOf(root: string, size: number): Promise<string> {
  const ledger = await openTestLedger(root, { checkpointIntervalMs: 60_000 });
  const count = size - ledger.head().size - 1;
  if (count > 0)
    await ledger.append(
      'audit',
      Array.from({ length: count }, (_, i) => event({ n: i })),
    );
  const { vkey } = ledger;
  await ledger.close('done');
  return vkey;
}

function exporting(file: string, dir: string): void {
  const shard = TreeReader.open(file);
  try {
    exportTiles(shard, dir);
  } finally {
    shard.close();
  }
}

async function verify(dir: string, vkey: string, checkpoints: string[] = []): Promise<VerifyReport> {
  return await verifyMirror(new DirectoryStore(dir, systemClock()), { keys: [vkey], checkpoints, nowMs: 0 });
}

function brief({ findings }: VerifyReport): string[] {
  return findings.map(({ code, object, from, to }) => `${code} ${object ?? ''} ${from ?? ''}-${to ?? ''}`);
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(file, bytes);
}

describe('an export read back', () => {
  let vkey = '';

  async function tiles(): Promise<string> {
    const root = tempDir();
    vkey = await ledgerOf(root, 600);
    const dir = join(root, 'tiles');
    exporting(places(root).shard, dir);
    return dir;
  }

  for (const size of [2, 255, 256, 257, 600]) {
    it(`is whole at size ${size}, and says that it has no bodies`, async () => {
      const root = tempDir();
      const key = await ledgerOf(root, size);
      const dir = join(root, 'tiles');
      exporting(places(root).shard, dir);
      const report = await verify(dir, key);
      expect(brief(report)).toEqual([]);
      expect(report).toMatchObject({ status: 'whole', exitCode: 0, history: 'whole' });
      expect(report.shards).toMatchObject([
        { shard: 0, origin: `${LOG_NAME}/0`, entries: size, signed: size, bodies: 0 },
      ]);
      expect(report.unchecked).toContain('shard 0: bodies: they are not in an export');
    });
  }

  const last = 'tile/entries/002.p/88';
  const attacks: { name: string; act: (dir: string) => void; found: string[]; exit: number; history?: string }[] = [
    {
      name: 'a changed leaf',
      act: (dir) => flip(join(dir, 'tile/entries/001'), 40),
      found: ['object-changed tile/entries/001 256-256'],
      exit: 10,
    },
    {
      name: 'a changed tile',
      act: (dir) => flip(join(dir, 'tile/0/001'), 40),
      found: ['object-changed tile/0/001 256-511'],
      exit: 10,
      history: 'whole',
    },
    {
      name: 'a changed partial tile',
      act: (dir) => flip(join(dir, 'tile/0/002.p/88'), 40),
      found: ['object-changed tile/0/002.p/88 512-599'],
      exit: 10,
      history: 'whole',
    },
    {
      name: 'a changed tile of a higher level',
      act: (dir) => flip(join(dir, 'tile/1/000.p/2'), 3),
      found: ['object-changed tile/1/000.p/2 0-599'],
      exit: 10,
      history: 'whole',
    },
    {
      name: 'a truncated bundle',
      act: (dir) => truncateSync(join(dir, last), 1000),
      found: [`object-changed ${last}`],
      exit: 10,
    },
    {
      name: 'bytes behind a bundle',
      act: (dir) => appendFileSync(join(dir, 'tile/entries/000'), 'x'),
      found: ['object-changed tile/entries/000 0-255'],
      exit: 10,
      history: 'whole',
    },
    {
      name: 'a missing bundle',
      act: (dir) => rmSync(join(dir, 'tile/entries/001')),
      found: ['object-missing tile/entries/001 256-511'],
      exit: 11,
    },
    {
      name: 'a missing tile',
      act: (dir) => rmSync(join(dir, 'tile/0/000')),
      found: ['object-missing tile/0/000 0-255'],
      exit: 11,
      history: 'whole',
    },
    {
      name: 'two bundles swapped',
      act: (dir) => {
        const at = (name: string) => join(dir, 'tile/entries', name);
        renameSync(at('000'), at('x'));
        renameSync(at('001'), at('000'));
        renameSync(at('x'), at('001'));
      },
      found: ['object-changed tile/entries/000 0-255', 'object-changed tile/entries/001 256-511'],
      exit: 10,
    },
    {
      name: 'a full bundle in the place of the partial one',
      act: (dir) => {
        cpSync(join(dir, last), join(dir, 'tile/entries/002'));
        rmSync(join(dir, last));
      },
      found: [`object-missing ${last} 512-599`],
      exit: 11,
      history: 'whole',
    },
    {
      name: 'no checkpoint',
      act: (dir) => rmSync(join(dir, 'checkpoint')),
      found: ['object-missing checkpoint -'],
      exit: 11,
    },
    {
      name: 'a changed checkpoint',
      act: (dir) => flip(join(dir, 'checkpoint'), 30),
      found: ['checkpoint-altered checkpoint -'],
      exit: 10,
    },
  ];
  for (const { name, act, found, exit, history = 'lost' } of attacks) {
    it(`with ${name} is found out by object and entries`, async () => {
      const dir = await tiles();
      act(dir);
      const report = await verify(dir, vkey);
      expect(brief(report).map((line, i) => line.slice(0, found[i]?.length))).toEqual(found);
      expect(report).toMatchObject({ exitCode: exit, history });
    });
  }

  it('is the wrong one for another key', async () => {
    const dir = await tiles();
    expect(await verify(dir, miniKey(LOG_NAME, 9).vkey)).toMatchObject({ status: 'wrong-key', exitCode: 12 });
    expect(await verify(dir, miniKey('other.example/c/0', 9).vkey)).toMatchObject({ exitCode: 12 });
  });

  it('tells of files that are not part of it, and leaves them out', async () => {
    const dir = await tiles();
    mkdirSync(join(dir, 'tile/7'), { recursive: true });
    writeFileSync(join(dir, 'tile/7/none'), 'x');
    const report = await verify(dir, vkey);
    expect(report.exitCode).toBe(0);
    expect(report.notes.join()).toContain('tile/7/none');
  });

  it('is held against a checkpoint from outside: an older one fits, a newer one shows what is missing', async () => {
    const root = tempDir();
    const key = await ledgerOf(root, 300);
    const old = join(root, 'old');
    exporting(places(root).shard, old);
    await ledgerOf(root, 700);
    const dir = join(root, 'new');
    exporting(places(root).shard, dir);
    const note = (at: string) => readFileSync(join(at, 'checkpoint'), 'utf8');
    expect(await verify(dir, key, [note(old)])).toMatchObject({ exitCode: 0, findings: [] });
    expect(brief(await verify(old, key, [note(dir)]))).toEqual(['rolled-back  300-699']);
    expect(await verify(old, key, [note(dir)])).toMatchObject({ exitCode: 11 });
  });
});
