// Exports against Tessera's fsck, an independent reader of C2SP tlog-tiles: it recomputes every tile from the entries.
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportTiles } from '../../src/ledger/export.ts';
import { loadOrCreateKey } from '../../src/ledger/key.ts';
import { type Ledger, openLedger } from '../../src/ledger/ledger.ts';
import { TreeReader } from '../../src/ledger/tree-reader.ts';
import { parseTilePath, tilePath } from '../../src/tlog/tile-path.ts';
import { fsck as runFsck } from '../support/fsck.ts';

const LOG_NAME = 'ledger.example/cluster-a/0';
const BATCH = 1000;
const SOURCE = Buffer.from('{"event":1}');

/** 1 to 3 levels of tiles, full and partial, and two sizes that nobody thought of. */
const SIZES = [1, 255, 256, 257, randomInt(258, 30_000), randomInt(30_001, 65_530), 65_535, 65_536, 65_537];
const LAST = 65_537;

let root: string;
let publicKey: string;
let ledger: Ledger | undefined;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'sealgate-fsck-'));
  publicKey = join(root, 'keys', 'ledger.vkey');
});
afterAll(async () => {
  await ledger?.close('test over');
  rmSync(root, { recursive: true, force: true });
});

const shardFile = (): string => join(root, 'ledger', 'shard-000000.sqlite');

async function open(): Promise<Ledger> {
  ledger = await openLedger({
    dir: join(root, 'ledger'),
    key: loadOrCreateKey(join(root, 'keys', 'ledger.key'), LOG_NAME),
    version: '0.0.0-test',
    settingsDigest: `sha256:${'0'.repeat(64)}`,
    onFatal: (error) => {
      throw error;
    },
  });
  return ledger;
}

/** Grows the ledger until a checkpoint covers exactly `size` entries: one follows each `start` and each `stop`. */
async function growTo(size: number): Promise<void> {
  if (ledger === undefined) {
    await open();
    if (ledger!.head().size === size) return;
  }
  const batch = Array.from({ length: BATCH }, () => ({ kind: 'event' as const, body: SOURCE }));
  while (ledger!.head().size < size - 1) {
    await ledger!.append('audit', batch.slice(0, size - 1 - ledger!.head().size));
  }
  await ledger!.close('grown');
  ledger = undefined;
}

function exportTo(dir: string): { size: number; before: number } {
  const shard = TreeReader.open(shardFile());
  try {
    return exportTiles(shard, dir);
  } finally {
    shard.close();
  }
}

function fsck(dir: string, size: number, origin = `${LOG_NAME}/0`): string {
  return runFsck(dir, { size, origin, publicKey });
}

describe('an export', () => {
  it.each(SIZES)(
    'of %i entries is accepted by fsck, whether written at once or grown from the ones before',
    async (size) => {
      await growTo(size);
      const whole = join(root, 'whole');
      const grown = join(root, 'grown');
      expect(exportTo(whole)).toMatchObject({ size, before: 0 });
      expect(exportTo(grown)).toMatchObject({ size, before: SIZES[SIZES.indexOf(size) - 1] ?? 0 });
      expect([fsck(whole, size), fsck(grown, size)]).toEqual(['', '']);
      if (size < LAST) rmSync(whole, { recursive: true });
    },
  );

  it.each([
    'tile/0/000',
    'tile/0/255',
    'tile/0/256.p/1',
    'tile/1/000',
    'tile/entries/128',
    'tile/entries/256.p/1',
    'checkpoint',
  ])('with one changed byte in %s is not', (path) => {
    if (path !== 'checkpoint') expect(tilePath(parseTilePath(path))).toBe(path);
    const file = join(root, 'whole', path);
    const good = readFileSync(file);
    const bad = Buffer.from(good);
    bad[bad.length - 20]! ^= 0x01;
    writeFileSync(file, bad);
    try {
      expect(fsck(join(root, 'whole'), LAST)).toMatch(/fsck failed/);
    } finally {
      writeFileSync(file, good);
    }
  });

  it('of another log is not', () => {
    expect(fsck(join(root, 'whole'), LAST)).toBe('');
    expect(fsck(join(root, 'whole'), LAST, `${LOG_NAME}/1`)).toMatch(/fsck failed/);
  });
});
