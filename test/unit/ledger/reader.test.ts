import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { commitment } from '../../../src/ledger/commitment.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { decision, event, openTestLedger, places, tempDir } from './temp-ledger.ts';

function read(root: string): LedgerReader {
  const reader = LedgerReader.open(places(root).dir);
  onTestFinished(() => reader.close());
  return reader;
}

describe('ledger reader', () => {
  it('says that there is no ledger in a folder that has none, or is none', () => {
    const notFound = expect.objectContaining({ code: 'LEDGER_NOT_FOUND' });
    const root = tempDir();
    expect(() => LedgerReader.open(places(root).dir)).toThrow(notFound);
    mkdirSync(places(root).dir);
    expect(() => LedgerReader.open(places(root).dir)).toThrow(notFound);
    writeFileSync(join(root, 'file'), '');
    expect(() => LedgerReader.open(join(root, 'file'))).toThrow(notFound);
  });

  it('iterates any range, in order, over packs of every size', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    let n = 0;
    const events = (count: number, size: number) =>
      Array.from({ length: count }, () => event({ n: n++, text: 'x'.repeat(size) }));
    for (const [count, size] of [
      [400, 100],
      [1, 3_000_000],
      [3, 10],
      [257, 10],
      [1, 0],
      [5, 400_000],
    ] as const) {
      await ledger.append('audit', events(count, size));
    }
    const reader = read(root);
    const { size } = reader.shards()[0]!;
    expect(size).toBe(n + 1);
    for (const [from, to] of [
      [0, undefined],
      [1, 2],
      [255, 260],
      [256, 512],
      [399, 404],
      [size - 1, undefined],
      [size, undefined],
      [size + 5, undefined],
      [-3, 2],
      [5, 5],
      [7, 3],
    ] as const) {
      const seqs = [...reader.entries(0, from, to)].map(({ seq }) => seq);
      const expected = Array.from({ length: size }, (_, i) => i).filter((seq) => seq >= from && seq < (to ?? size));
      expect(seqs, `${from} to ${to}`).toEqual(expected);
    }
    for (const entry of reader.entries(0, 1)) {
      expect(JSON.parse(entry.body.toString()).event.n).toBe(entry.seq - 1);
      expect(commitment(entry.salt, entry.body)).toBe(entry.leaf.body);
    }
  });

  it('sees an entry once it is committed, and leaves alone what was committed while it iterated', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    await ledger.append(
      'audit',
      Array.from({ length: 1000 }, (_, i) => event(i)),
    );
    const reader = read(root);
    const iteration = reader.entries(0, 0);
    iteration.next();
    expect(reader.get(0, 1001)).toBeUndefined();
    await ledger.append('decision', [decision('later')]);
    expect(reader.get(0, 1001)?.leaf.kind).toBe('decision');
    expect(reader.head(0)).toBe(1002);
    expect([...iteration]).toHaveLength(1000);
  });

  it('holds no read transaction between two steps, so that the WAL can be emptied under an idle iteration', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    await ledger.append(
      'audit',
      Array.from({ length: 2000 }, (_, i) => event({ i, text: 'x'.repeat(500) })),
    );
    const reader = read(root);
    const iteration = reader.entries(0, 0);
    for (let i = 0; i < 700; i++) iteration.next();
    const other = new Database(places(root).shard, { timeout: 0 });
    expect(other.pragma('wal_checkpoint(PASSIVE)')).toMatchObject([{ busy: 0 }]);
    const [{ busy, log, checkpointed }] = other.pragma('wal_checkpoint(RESTART)') as [
      { busy: number; log: number; checkpointed: number },
    ];
    other.close();
    expect({ busy, left: log - checkpointed }).toEqual({ busy: 0, left: 0 });
    expect([...iteration]).toHaveLength(2001 - 700);
  });

  it('reads a shard whose writer was killed while sealing it', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    const appended = await ledger.append('audit', [event(1), event(2)]);
    await ledger.close('done');
    // What a kill leaves: part of a transaction in the file, and the journal with what was there before.
    const { dir, shard } = places(root);
    const killed = join(root, 'killed');
    mkdirSync(killed);
    const db = new Database(shard);
    onTestFinished(() => void db.close());
    db.pragma('journal_mode = DELETE');
    db.pragma('cache_size = 1');
    db.exec('BEGIN; CREATE TABLE half (bytes BLOB); INSERT INTO half VALUES (zeroblob(1000000))');
    for (const name of readdirSync(dir)) copyFileSync(join(dir, name), join(killed, name));
    db.exec('ROLLBACK');
    expect(readdirSync(killed)).toContain('shard-000000.sqlite-journal');
    expect(() =>
      new Database(join(killed, 'shard-000000.sqlite'), { readonly: true }).pragma('user_version'),
    ).toThrow();
    const copies = () => readdirSync(tmpdir()).filter((name) => name.startsWith('sealgate-copy-'));
    const before = copies();

    const reader = LedgerReader.open(killed);
    expect(reader.shards()).toMatchObject([{ number: 0, size: 4 }]);
    expect([...reader.entries(0, 1, 3)].map(({ leafHash }) => leafHash)).toEqual(
      appended.map(({ leafHash }) => leafHash),
    );
    const mine = copies().filter((name) => !before.includes(name));
    reader.close();
    // Tests beside this one make copies, too.
    expect(mine.some((name) => !existsSync(join(tmpdir(), name)))).toBe(true);
    expect(readdirSync(killed), 'the evidence is left as it was').toContain('shard-000000.sqlite-journal');
  });

  it('reads in another thread beside the writer', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    const module = new URL('../../../src/ledger/reader.ts', import.meta.url).href;
    const code = `
      import { parentPort, workerData } from 'node:worker_threads';
      const { LedgerReader } = await import(workerData.module);
      const reader = LedgerReader.open(workerData.dir);
      let seen = 0;
      while (seen < workerData.until) for (const entry of reader.entries(0, seen)) {
        if (entry.seq !== seen) throw new Error('out of order');
        seen += 1;
      }
      reader.close();
      parentPort.postMessage(seen);`;
    const until = 4001;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: { module, dir: ledger.dir, until },
    });
    const seen = new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
    for (let i = 0; i < 10; i++)
      await ledger.append(
        'audit',
        Array.from({ length: 400 }, (_, k) => event([i, k])),
      );
    expect(await seen).toBe(until);
    expect(ledger.fatal).toEqual([]);
  });

  it.each([
    ['UPDATE leaf SET leaf = zeroblob(300) WHERE seq = 5', /entry 5: its leaf is damaged/],
    [
      'UPDATE leaf SET leaf = (SELECT leaf FROM leaf WHERE seq = 4) WHERE seq = 5',
      /entry 5: it says that it is entry 4/,
    ],
    ["UPDATE pack SET data = x'00' WHERE first = 1", /entry 1: the pack of 10/],
    ['DELETE FROM pack WHERE first = 1', /entry 5: its body is missing/],
  ])('names the entry that is damaged after %s', async (sql, message) => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    await ledger.append(
      'audit',
      Array.from({ length: 10 }, (_, i) => event(i)),
    );
    await ledger.close('done');
    const db = new Database(places(root).shard);
    const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all() as {
      name: string;
      sql: string;
    }[];
    for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
    db.exec(sql);
    for (const trigger of triggers) db.exec(trigger.sql);
    db.close();
    const reader = read(root);
    expect(() => reader.get(0, 5)).toThrow(message);
    expect(() => [...reader.entries(0, 0)]).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
  });
});
