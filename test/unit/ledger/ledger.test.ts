import { createHmac } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import type { Append, Appended } from '../../../src/ledger/entry.ts';
import type { CommitInfo } from '../../../src/ledger/messages.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { openCheckpoint } from '../../../src/tlog/checkpoint.ts';
import { CompactRange } from '../../../src/tlog/compact-range.ts';
import { leafHash } from '../../../src/tlog/merkle.ts';
import { createVerifier } from '../../../src/tlog/verifier.ts';
import {
  decision,
  event,
  LOG_NAME,
  openTestLedger,
  places,
  rejection,
  type TestLedger,
  tempDir,
  testKey,
} from './temp-ledger.ts';

/** Everything in shard 0, with the chain, the commitments and the root of each checkpoint checked on the way. */
function readAll(root: string): { kind: string; body: unknown; leafHash: string; seq: number }[] {
  const reader = LedgerReader.open(places(root).dir);
  const verifier = createVerifier(testKey(root).vkey);
  try {
    const tree = new CompactRange();
    let prev = '0'.repeat(64);
    let checkpoints = 0;
    const all = [...reader.entries(0, 0)].map(({ seq, leaf, leafBytes, leafHash: hash, salt, body }, i) => {
      expect(seq).toBe(i);
      expect(leaf.prev).toBe(prev);
      prev = hash;
      expect(createHmac('sha256', salt).update(body).digest('hex')).toBe(leaf.body);
      tree.append(leafHash(leafBytes));
      const note = reader.checkpoint(0, i + 1);
      if (note?.size === i + 1) {
        const opened = openCheckpoint(note.note, { verifiers: [verifier], origin: `${LOG_NAME}/0` });
        expect(Buffer.from(opened.root).equals(tree.root())).toBe(true);
        checkpoints += 1;
      }
      return { kind: leaf.kind, body: JSON.parse(body.toString()), leafHash: hash, seq };
    });
    expect(checkpoints).toBeGreaterThan(0);
    return all;
  } finally {
    reader.close();
  }
}

describe('ledger', () => {
  it('gives back what was appended, byte for byte, at the place that it answered', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    const events = Array.from({ length: 700 }, (_, i) => event({ i, text: 'é\u0000"\\'.repeat(i % 50) }));
    const [landed, [decided]] = await Promise.all([
      ledger.append('audit', events),
      ledger.append('decision', [decision({ object: 'pod' }, 4)]),
    ]);
    const reader = LedgerReader.open(ledger.dir);
    for (const [i, { shard, seq, leafHash: hash }] of landed.entries()) {
      const entry = reader.get(shard, seq);
      expect(entry?.body.equals(events[i]!.body)).toBe(true);
      expect(entry?.leafHash).toBe(hash);
    }
    expect(reader.get(0, decided!.seq)?.leaf).toMatchObject({ kind: 'decision', allowed: true, v: 1 });
    expect(reader.get(0, 702)).toBeUndefined();
    expect(reader.shards()).toEqual([{ number: 0, origin: `${LOG_NAME}/0`, size: 702 }]);
    reader.close();
    await ledger.close('done');
    const all = readAll(root);
    expect(all.map(({ kind }) => kind)).toEqual(['start', ...all.slice(1, -1).map(({ kind }) => kind), 'stop']);
    expect(all.at(-1)?.body).toEqual({ reason: 'done' });
    expect(all).toHaveLength(703);
  });

  it('keeps the order of one append, across commits too', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    const appends = await Promise.all(
      Array.from({ length: 10 }, (_, k) =>
        ledger.append(
          'audit',
          Array.from({ length: 333 }, (_, i) => event([k, i])),
        ),
      ),
    );
    for (const landed of appends) {
      for (let i = 1; i < landed.length; i++) expect(landed[i]!.seq).toBeGreaterThan(landed[i - 1]!.seq);
    }
    await ledger.close('done');
    const bodies = readAll(root).map(({ body }) => (body as { event?: number[] }).event);
    for (const [k, landed] of appends.entries()) {
      for (const [i, { seq }] of landed.entries()) expect(bodies[seq]).toEqual([k, i]);
    }
  });

  it('commits what arrives together in one transaction', async () => {
    const commits: CommitInfo[] = [];
    const ledger = await openTestLedger(tempDir(), { onCommit: (info) => commits.push(info) });
    await Promise.all(Array.from({ length: 200 }, (_, i) => ledger.append('decision', [decision(i, i)])));
    expect(commits.length).toBeLessThan(20);
    expect(commits.reduce((sum, { entries }) => sum + entries, 0)).toBe(200);
    expect(Math.max(...commits.map(({ seconds }) => seconds))).toBeGreaterThan(0);
    expect(ledger.stats()).toMatchObject({ commits: commits.length, entries: 200 });
  });

  it('lets a decision overtake a long audit queue', async () => {
    const commits: CommitInfo[] = [];
    const ledger = await openTestLedger(tempDir(), { onCommit: (info) => commits.push(info) });
    const bulk = Array.from({ length: 20_000 }, (_, i) => event({ i, text: 'x'.repeat(500) }));
    const stream = ledger.append('audit', bulk);
    let streaming = true;
    const end = stream.then((landed) => {
      streaming = false;
      return landed.at(-1) as Appended;
    });
    const seqs: number[] = [];
    while (streaming && seqs.length < 10) {
      const [landed] = await ledger.append('decision', [decision(seqs.length)]);
      seqs.push(landed!.seq);
    }
    // Asked for right behind 20,000 events; one bounded commit may have begun, and some pass while main and writer take turns.
    expect(seqs).toHaveLength(10);
    expect(seqs[0]).toBeLessThan(2000);
    expect(seqs[9]).toBeLessThan(15_000);
    expect((await end).seq).toBe(20_010);
    expect(Math.max(...commits.map(({ entries }) => entries))).toBeLessThanOrEqual(256);
  });

  it('signs a checkpoint within the interval while entries arrive, and one over the idle tail', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root, { checkpointIntervalMs: 200 });
    const began = performance.now();
    while (performance.now() - began < 1100) {
      await ledger.append('decision', [decision('x')]);
      await sleep(5);
    }
    const { size } = ledger.head();
    await expect.poll(() => ledger.head().signedSize, { timeout: 2000 }).toBe(size);
    const db = new Database(places(root).shard, { readonly: true });
    const count = db.prepare('SELECT count(*) FROM checkpoint').pluck().get() as number;
    db.close();
    expect(count).toBeGreaterThanOrEqual(5);
    expect(count).toBeLessThanOrEqual(9); // one at start, one every 200 ms, one for the tail
    expect(ledger.head().checkpoint?.split('\n')[1]).toBe(String(size));
  });

  it('signs after start and after stop', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root, { checkpointIntervalMs: 1_000_000 });
    expect(ledger.head()).toMatchObject({ size: 1, signedSize: 1 });
    await ledger.append('decision', [decision('x')]);
    await ledger.close('done');
    const reader = LedgerReader.open(ledger.dir);
    expect(reader.checkpoint(0)?.size).toBe(3);
    expect(reader.checkpoint(0, 1)?.size).toBe(1);
    expect(reader.checkpoint(0, 2)?.size).toBe(3);
    expect(reader.checkpoint(0, 4)).toBeUndefined();
    reader.close();
  });

  it('commits at close what it accepted before, and nothing afterwards', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    const accepted = Array.from({ length: 20 }, (_, k) =>
      ledger.append(
        'audit',
        Array.from({ length: 400 }, (_, i) => event([k, i])),
      ),
    );
    const closing = ledger.close('enough');
    expect((await rejection(ledger.append('decision', [decision('late')]))).code).toBe('LEDGER_CLOSED');
    const landed = (await Promise.all(accepted)).flat();
    await closing;
    expect(landed).toHaveLength(8000);
    expect(readdirSync(ledger.dir).sort()).toEqual(['shard-000000.sqlite', 'writer.lock']);
    const all = readAll(root);
    for (const { seq, leafHash: hash } of landed) expect(all[seq]?.leafHash).toBe(hash);
    expect(all.at(-1)).toMatchObject({ kind: 'stop', body: { reason: 'enough' } });
    await ledger.close('again'); // closing twice is nothing
    expect((await rejection(ledger.append('audit', [event(1)]))).code).toBe('LEDGER_CLOSED');
  });

  it('refuses more than its queue may hold, in one lane without the other, and goes on afterwards', async () => {
    const ledger = await openTestLedger(tempDir(), { limits: { entries: 500, bytes: 1_000_000 } });
    const batch = Array.from({ length: 400 }, (_, i) => event(i));
    const first = ledger.append('audit', batch);
    const second = await rejection(ledger.append('audit', batch));
    expect(second.code).toBe('LEDGER_OVERLOADED');
    await ledger.append('decision', [decision('still')]);
    await first;
    const large = ledger.append('audit', [event('x'.repeat(1_500_000))]); // alone, it may exceed the bound
    expect((await rejection(ledger.append('audit', [event('x')]))).code).toBe('LEDGER_OVERLOADED');
    await large;
    await ledger.append('audit', batch);
    expect(ledger.stats().queued).toEqual({ decision: { entries: 0, bytes: 0 }, audit: { entries: 0, bytes: 0 } });
  });

  it('refuses an entry that cannot be written, at the cost of that append only', async () => {
    const ledger = await openTestLedger(tempDir(), { limits: { body: 1000 } });
    const bad: Append[] = [
      { kind: 'decision', body: Buffer.from('{}') },
      { kind: 'verdict' as 'event', body: Buffer.from('{}') },
      event('x'.repeat(1000)),
    ];
    for (const one of bad)
      expect((await rejection(ledger.append('audit', [event(1), one]))).code).toBe('LEDGER_WRITE_FAILED');
    expect((await ledger.append('audit', [event(1)]))[0]?.seq).toBe(1);
    expect(await ledger.append('audit', [])).toEqual([]);
  });

  it('holds bodies of many megabytes', async () => {
    const ledger = await openTestLedger(tempDir());
    const body = Buffer.alloc(20_000_000, 'pod ');
    const [{ seq }] = (await ledger.append('decision', [{ ...decision(''), body }])) as [Appended];
    const reader = LedgerReader.open(ledger.dir);
    expect(reader.get(0, seq)?.body.equals(body)).toBe(true);
    expect([...reader.entries(0, seq)][0]?.body.length).toBe(body.length);
    reader.close();
  });

  it('keeps the WAL bounded under load, and empties it at close', async () => {
    const root = tempDir();
    let most = 0;
    const options = {
      wal: { softBytes: 200_000, hardBytes: 2_000_000 },
      onCommit: () => {
        most = Math.max(most, ledger.stats().walBytes);
      },
    };
    const ledger: TestLedger = await openTestLedger(root, options);
    let written = 0;
    for (let i = 0; i < 60; i++) {
      // Random text, so that packs do not become small.
      const batch = Array.from({ length: 300 }, () =>
        event(Array.from({ length: 40 }, () => Math.random().toString(36)).join('')),
      );
      await ledger.append('audit', batch);
      written += 300;
    }
    expect(statSync(places(root).shard).size).toBeGreaterThan(6_000_000);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(3_000_000);
    expect(ledger.head().size).toBe(written + 1);
    await ledger.close('done');
    expect(existsSync(`${places(root).shard}-wal`)).toBe(false);
  });

  it.each(['removed', 'replaced'])(
    'notices that the database was %s while it was written, and acknowledges nothing more',
    async (how) => {
      const root = tempDir();
      const { shard } = places(root);
      const ledger = await openTestLedger(root);
      await ledger.append('decision', [decision(1)]);
      if (how === 'removed') rmSync(shard);
      else {
        copyFileSync(shard, `${shard}.copy`);
        renameSync(`${shard}.copy`, shard);
      }
      await sleep(150);
      const error = await rejection(ledger.append('decision', [decision(2)]));
      expect(error.code).toBe('LEDGER_CORRUPT');
      expect(error.message).toContain(how);
      expect(ledger.fatal).toEqual([error]);
      expect(await rejection(ledger.append('decision', [decision(3)]))).toBe(error);
      expect(await rejection(ledger.close('x'))).toBe(error);
    },
  );

  it('notices that the WAL was removed', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    await ledger.append('decision', [decision(1)]);
    rmSync(`${places(root).shard}-wal`);
    await sleep(150);
    expect((await rejection(ledger.append('decision', [decision(2)]))).message).toMatch(
      /-wal was (removed|replaced)/, // a connection that opens late makes a new one
    );
  });

  it('notices that another connection wrote, and acknowledges nothing more', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    await ledger.append('decision', [decision(1)]);
    const intruder = new Database(places(root).shard);
    intruder.exec("DROP TRIGGER leaf_update; UPDATE leaf SET leaf = x'00' WHERE seq = 1");
    const error = await rejection(ledger.append('decision', [decision(2)]));
    intruder.close();
    expect(error.code).toBe('LEDGER_CORRUPT');
    expect(error.message).toContain('another connection');
    expect(ledger.fatal).toHaveLength(1);
  });

  it('is not disturbed by readers, however many come and go', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root, { wal: { softBytes: 50_000, hardBytes: 1_000_000 } });
    for (let i = 0; i < 20; i++) {
      const reader = LedgerReader.open(ledger.dir);
      await ledger.append(
        'audit',
        Array.from({ length: 100 }, (_, k) => event([i, k, 'x'.repeat(200)])),
      );
      expect(reader.head(0)).toBe(1 + (i + 1) * 100);
      expect([...reader.entries(0, 0)]).toHaveLength(1 + (i + 1) * 100);
      reader.close();
    }
    expect(ledger.fatal).toEqual([]);
  });
});
