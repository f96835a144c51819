import { MessageChannel } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { DEFAULT_SHARD_LIMITS } from '../../../src/ledger/ledger.ts';
import type { AppendMessage, FromWriter, Lane, WriterData } from '../../../src/ledger/messages.ts';
import { Store } from '../../../src/ledger/store.ts';
import { Writer } from '../../../src/ledger/writer.ts';
import { decision, event, places, tempDir, testKey } from './temp-ledger.ts';

/** The writer in this thread, with what it posts. What is in `waiting` has arrived before it looks. */
function writerHere() {
  const root = tempDir();
  const { name, vkey, privateKey } = testKey(root);
  const { port1, port2 } = new MessageChannel();
  const data: WriterData = {
    ...{ dir: places(root).dir, logName: name, vkey, privateKey, version: '0', settingsDigest: 'none' },
    previousKey: undefined,
    ...{ checkpointIntervalMs: 60_000, shardLimits: DEFAULT_SHARD_LIMITS },
    ...{ walSoftBytes: 2 ** 22, walHardBytes: 2 ** 26, checkpointer: port1 },
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
  return { type: 'append', id: ++id, lane, kinds: [kind], extras: [extra], sizes: [body.length], bodies: body };
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
