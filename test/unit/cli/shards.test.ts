// Proofs and tiles of a ledger that went through shards, all by the real writer and the commands themselves.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { register as registerCheck } from '../../../src/cli/check.ts';
import { register as registerExport } from '../../../src/cli/export.ts';
import { register as registerProve } from '../../../src/cli/prove.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { DECISION, runCommand, sharedLedger } from './run-command.ts';

const ENTRIES = [
  DECISION,
  ...Array.from({ length: 9 }, (_, i) => ({ kind: 'event', body: Buffer.from(`{"n":${i}}`) }) as const),
];
const ledger = sharedLedger(ENTRIES, 4);
const dir = () => join(ledger.data, 'ledger');

function shards(): { number: number; size: number; origin: string }[] {
  const reader = LedgerReader.open(dir());
  try {
    return reader.shards();
  } finally {
    reader.close();
  }
}

describe('a ledger of several shards', () => {
  it('proves every entry of every shard with the one key, and none for another', () => {
    expect(shards().length).toBeGreaterThanOrEqual(4);
    const proofs = new Set<string>();
    for (const { number, size, origin } of shards()) {
      for (let seq = 0; seq < size; seq++) {
        const file = join(ledger.data, `${number}-${seq}.tlog-proof`);
        const made = ['prove', dir(), String(seq), '--shard', String(number), '--out', file];
        expect(runCommand(registerProve, made)).toMatchObject({ status: 0, stdout: '' });
        const { status, stdout } = runCommand(registerCheck, ['check', file, '--key', ledger.vkeyFile, '--json']);
        expect(status).toBe(0);
        expect(JSON.parse(stdout)).toMatchObject({ status: 'proven', entry: { origin, shard: number, leaf: { seq } } });
        proofs.add(readFileSync(file, 'utf8'));
      }
    }
    expect(proofs.size).toBe(shards().reduce((sum, { size }) => sum + size, 0));
    // The proof of an entry of one shard with the checkpoint of another proves nothing.
    const [one = '', other = ''] = ['0-1', '1-1'].map((name) =>
      readFileSync(join(ledger.data, `${name}.tlog-proof`), 'utf8'),
    );
    const mixed = join(ledger.data, 'mixed.tlog-proof');
    const at = (text: string) => text.indexOf('\n\n') + 2;
    writeFileSync(mixed, one.slice(0, at(one)) + other.slice(at(other)));
    expect(runCommand(registerCheck, ['check', mixed, '--key', ledger.vkeyFile]).status).toBe(10);
  });

  it('exports each shard as a log of its own, and asks which', () => {
    expect(runCommand(registerExport, ['export', dir(), '--tiles', join(ledger.data, 'none')])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--shard'),
    });
    for (const { number, size, origin } of shards()) {
      const tiles = join(ledger.data, `tiles-${number}`);
      const ran = runCommand(registerExport, ['export', dir(), '--tiles', tiles, '--shard', String(number)]);
      expect(ran).toEqual({ status: 0, stdout: `${origin}: ${size} entries\n`, stderr: '' });
      expect(readFileSync(join(tiles, 'checkpoint'), 'utf8').split('\n').slice(0, 2)).toEqual([origin, String(size)]);
      expect(existsSync(join(tiles, 'tile', 'entries', '000.p', String(size)))).toBe(true);
    }
    const other = ['export', dir(), '--tiles', join(ledger.data, 'tiles-0'), '--shard', '1'];
    expect(runCommand(registerExport, other)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('EXPORT_FAILED'),
    });
  });
});
