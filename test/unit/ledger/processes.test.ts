import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import {
  canMount,
  decision,
  openTestLedger,
  places,
  rejection,
  startChild,
  tempDir,
  testKey,
  withMount,
} from './temp-ledger.ts';

const ROUNDS = 8;

/** What a line of the child said. */
const said = (line: string) => JSON.parse(line.slice(line.indexOf(' ') + 1));

describe('processes', () => {
  it('keeps a second process out for as long as the first lives, however it dies', async () => {
    const root = tempDir();
    const first = startChild(root, 'hold');
    await first.line('open');
    const second = await startChild(root, 'open').line('error');
    expect(said(second)).toMatchObject({ code: 'LEDGER_LOCKED' });
    expect(said(second).message).toContain(places(root).dir);
    expect((await rejection(openTestLedger(root))).code).toBe('LEDGER_LOCKED');
    expect(LedgerReader.open(places(root).dir).head(0)).toBe(1); // readers are welcome
    first.process.kill('SIGKILL');
    await first.ended;
    const ledger = await openTestLedger(root);
    expect(ledger.recovery).toEqual({ clean: false, entries: 1, unsigned: 0 });
    expect(said(await startChild(root, 'open').line('error'))).toMatchObject({ code: 'LEDGER_LOCKED' });
  });

  it('keeps a second handle in the same process out, too', async () => {
    const root = tempDir();
    await openTestLedger(root);
    expect((await rejection(openTestLedger(root))).code).toBe('LEDGER_LOCKED');
  });

  it('does not let two write when somebody put a copy in place of the lock file', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    const [before] = await ledger.append('decision', [decision(1)]);
    const lock = join(places(root).dir, 'writer.lock');
    copyFileSync(lock, `${lock}.copy`);
    renameSync(`${lock}.copy`, lock);
    await startChild(root, 'open').ended;
    const error = await rejection(ledger.append('decision', [decision(2)]));
    expect(error.code).toBe('LEDGER_CORRUPT');
    expect(error.message).toMatch(/writer\.lock was replaced|another connection/);
    const again = await openTestLedger(root);
    await again.close('done');
    expect(verifyLedger(places(root).dir, { keys: [again.vkey] }).status).toBe('whole');
    const reader = LedgerReader.open(places(root).dir);
    expect(reader.get(0, before!.seq)?.leafHash).toBe(before!.leafHash);
    reader.close();
  });

  it.each([
    ['at any moment', ROUNDS, []],
    // Every commit makes its shard full, so that most moments are within a rotation or a sealing.
    ['while it goes from shard to shard', 5, ['12']],
  ])('loses nothing that was acknowledged, killed %s', { timeout: 120_000 }, async (_, rounds, limits) => {
    const root = tempDir();
    testKey(root);
    const journal = new Map<string, { hash: string; marker: string }>();
    let unclean = 0;
    for (let round = 0; round < rounds; round++) {
      const child = startChild(root, 'load', [`round${round}`, ...limits]);
      await child.line('acked');
      await sleep(Math.random() * 400);
      child.process.kill('SIGKILL');
      await child.ended;
      for (const line of child.lines) {
        if (line.startsWith('open')) unclean += said(line).clean ? 0 : 1;
        if (!line.startsWith('acked')) continue;
        for (const [place, hash, marker] of said(line) as [string, string, string][]) {
          expect(journal.has(place), `${place} was acknowledged twice`).toBe(false);
          journal.set(place, { hash, marker });
        }
      }
      const reader = LedgerReader.open(places(root).dir);
      for (const [place, { hash, marker }] of journal) {
        const [shard, seq] = place.split('/').map(Number) as [number, number];
        const entry = reader.get(shard, seq);
        expect(entry?.leafHash, `entry ${place}, acknowledged in or before round ${round}`).toBe(hash);
        expect(JSON.parse(entry!.body.toString()).event.marker).toBe(marker);
      }
      reader.close();
    }
    expect(journal.size).toBeGreaterThan(limits.length > 0 ? rounds : rounds * 10);
    expect(unclean).toBe(rounds - 1);
    const ledger = await openTestLedger(root);
    await ledger.close('done');
    const report = verifyLedger(places(root).dir, { keys: [ledger.vkey] });
    expect(report).toMatchObject({ status: 'whole', findings: [] });
    if (limits.length > 0) expect(report.shards.length).toBeGreaterThan(rounds);
    else expect(report.shards).toHaveLength(1);
    const entries = report.shards.reduce((sum, shard) => sum + shard.entries, 0);
    expect(entries).toBeGreaterThanOrEqual(journal.size);
  });

  it('stops acknowledging when a write fails, and recovers at the next start', async () => {
    // A limit on the size of files makes writes to the WAL fail with EFBIG, which SQLite calls an I/O error.
    const root = tempDir();
    testKey(root);
    const child = startChild(root, 'fill', [], ['sh', '-c', 'ulimit -f 4000 && exec "$@"', 'sh']);
    const failed = said(await child.line('failed'));
    expect(failed).toMatchObject({ code: 'LEDGER_WRITE_FAILED' });
    expect(failed.message).toContain('may or may not be on disk');
    expect(said(await child.line('fatal')).message).toBe(failed.message);
    await child.ended;
    expect(failed.last).toBeGreaterThan(1);
    const ledger = await openTestLedger(root);
    expect(ledger.recovery.clean).toBe(false);
    expect(ledger.recovery.entries).toBeGreaterThan(failed.last);
  });

  it('refuses appends while the disk is full, and goes on when there is space again', async ({ skip }) => {
    if (!canMount()) skip('mounting needs Linux, and root or user namespaces');
    const root = tempDir();
    testKey(root);
    mkdirSync(places(root).dir);
    const ballast = join(places(root).dir, 'ballast');
    const mount = `mount -t tmpfs -o size=8m none '${places(root).dir}' && head -c 3000000 /dev/zero > '${ballast}'`;
    const child = startChild(root, 'fill', [ballast], withMount(mount));
    const failed = said(await child.line('failed'));
    expect(failed).toMatchObject({ code: 'LEDGER_SPACE_LOW' });
    expect(failed.message).toContain('make room');
    expect(said(await child.line('again'))[0]).toMatchObject({ seq: failed.last + 1 });
    await child.line('closed');
    expect(child.lines.some((line) => line.startsWith('fatal'))).toBe(false);
  });
});
