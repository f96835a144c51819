import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { DEFAULT_SHARD_LIMITS } from '../../../src/ledger/ledger.ts';
import type { AppendMessage, FromWriter, Lane, WriterData } from '../../../src/ledger/messages.ts';
import { Store } from '../../../src/ledger/store.ts';
import { Writer } from '../../../src/ledger/writer.ts';
import { decision, event, places, tempDir, testKey } from './temp-ledger.ts';

/** The writer in this thread, with what it posts. What is in `waiting` has arrived before it looks. */
function writerHere(shardLimits = DEFAULT_SHARD_LIMITS, root = tempDir()) {
  const { name, vkey, privateKey } = testKey(root);
  const { port1, port2 } = new MessageChannel();
  const data: WriterData = {
    ...{ dir: places(root).dir, logName: name, vkey, privateKey, version: '0', settingsDigest: 'none' },
    previousKey: undefined,
    broken: undefined,
    ...{ checkpointIntervalMs: 60_000, shardLimits },
    ...{ walSoftBytes: 2 ** 22, walHardBytes: 2 ** 26, walMaxBytes: 2 ** 27, checkpointer: port1 },
  };
  const posted: FromWriter[] = [];
  const waiting: AppendMessage[] = [];
  const ports = { post: (message: FromWriter) => void posted.push(message), receive: () => waiting.shift() };
  const writer = new Writer(data, { now: () => 1_800_000_000_000_000 }, ports);
  onTestFinished(async () => {
    port2.on('message', ({ type }) => type === 'close' && port2.postMessage({ type: 'closed' }));
    writer.handle({ type: 'close', reason: 'test' });
    await vi.waitFor(() => expect(posted.at(-1)?.type).toMatch(/closed|fatal/));
    port2.close();
  });
  return { writer, posted, waiting };
}

let id = 0;

function message(lane: Lane): AppendMessage {
  const { kind, extra, body } = lane === 'decision' ? decision({}) : event({});
  return {
    type: 'append',
    id: ++id,
    lane,
    kinds: [kind],
    extras: [extra],
    sizes: Uint32Array.from([body.length]),
    bodies: new Uint8Array(body),
  };
}

function failNext(code: string, times = 1): void {
  const spy = vi.spyOn(Store.prototype, 'append');
  for (let i = 0; i < times; i++) {
    spy.mockImplementationOnce(() => {
      throw new Database.SqliteError('it failed', code);
    });
  }
}

describe('a commit that fails for want of space', () => {
  it('is tried again with its decisions alone, and only the audit stream is refused', () => {
    const { writer, posted, waiting } = writerHere();
    const [audit, decided] = [message('audit'), message('decision')];
    waiting.push(decided);
    failNext('SQLITE_FULL');
    writer.handle(audit);
    expect(posted.slice(1)).toMatchObject([
      { type: 'rejected', ids: [audit.id], error: { code: 'LEDGER_SPACE_LOW' } },
      { type: 'committed', parts: [{ id: decided.id, first: 0, count: 1 }], first: 1 },
    ]);
  });

  it('refuses the decisions, too, when there is none for them either, and goes on with the next', () => {
    const { writer, posted, waiting } = writerHere();
    const [audit, decided, next] = [message('audit'), message('decision'), message('decision')];
    waiting.push(decided);
    failNext('SQLITE_FULL', 2);
    writer.handle(audit);
    writer.handle(next);
    expect(posted.slice(1)).toMatchObject([
      { type: 'rejected', ids: [audit.id], error: { code: 'LEDGER_SPACE_LOW' } },
      { type: 'rejected', ids: [decided.id], error: { code: 'LEDGER_FULL' } },
      { type: 'committed', parts: [{ id: next.id }], first: 1 },
    ]);
  });

  it('is not taken for one when another connection holds the lock, or when its outcome is unknown', () => {
    const busy = writerHere();
    failNext('SQLITE_BUSY');
    const audit = message('audit');
    busy.writer.handle(audit);
    expect(busy.posted[1]).toMatchObject({ type: 'rejected', ids: [audit.id], error: { code: 'LEDGER_WRITE_FAILED' } });
    failNext('SQLITE_IOERR_WRITE');
    busy.writer.handle(message('decision'));
    expect(busy.posted[2]).toMatchObject({ type: 'fatal', error: { code: 'LEDGER_WRITE_FAILED' } });
  });
});

describe('a full shard whose successor cannot be created', () => {
  it('is written on, and that is told of once', () => {
    const root = tempDir();
    const { writer, posted } = writerHere({ ...DEFAULT_SHARD_LIMITS, entries: 2 }, root);
    mkdirSync(join(places(root).dir, 'shard-000001.sqlite.new'));
    for (let i = 0; i < 4; i++) writer.handle(message('decision'));
    expect(posted.map((one) => (one.type === 'notice' ? one.notice.type : one.type))).toEqual([
      'ready',
      'committed',
      'rotation-postponed',
      'committed',
      'committed',
      'committed',
    ]);
    const notice = posted.find((one) => one.type === 'notice');
    expect(notice).toMatchObject({ notice: { shard: 0, message: expect.stringContaining('shard-000001.sqlite.new') } });
  });
});
