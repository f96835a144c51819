import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { DEFAULT_SHARD_LIMITS } from '../../../src/ledger/ledger.ts';
import type { FromWriter, Lane, WriterData } from '../../../src/ledger/messages.ts';
import type { Waiting } from '../../../src/ledger/queue.ts';
import { Store } from '../../../src/ledger/store.ts';
import { Writer } from '../../../src/ledger/writer.ts';
import { decision, event, places, tempDir, testKey } from './temp-ledger.ts';

/** A writer with what it posts, whose turns come when `run` is called. */
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
  const turns: (() => void)[] = [];
  const ports = {
    post: (message: FromWriter) => void posted.push(message),
    later: (work: () => void) => void turns.push(work),
  };
  /** Until there is nothing left to do. */
  const run = () => {
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn();
  };
  const writer = new Writer(data, { now: () => 1_800_000_000_000_000 }, ports);
  onTestFinished(async () => {
    if (/closed|fatal/.test(posted.at(-1)?.type ?? '')) return;
    port2.on('message', ({ type }) => type === 'close' && port2.postMessage({ type: 'closed' }));
    writer.close('test');
    run();
    await vi.waitFor(() => expect(posted.at(-1)?.type).toMatch(/closed|fatal/));
    port2.close();
  });
  return { writer, posted, turns, run, checkpointer: port2 };
}

let id = 0;

function message(lane: Lane): Waiting {
  return { id: ++id, lane, entries: [lane === 'decision' ? decision({}) : event({})] };
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
    const { writer, posted, run } = writerHere();
    const [audit, decided] = [message('audit'), message('decision')];
    failNext('SQLITE_FULL');
    writer.push(audit);
    writer.push(decided);
    run();
    expect(posted.slice(1)).toMatchObject([
      { type: 'rejected', ids: [audit.id], error: { code: 'LEDGER_SPACE_LOW' } },
      { type: 'committed', parts: [{ id: decided.id, first: 0, count: 1 }], first: 1 },
    ]);
  });

  it('refuses the decisions, too, when there is none for them either, and goes on with the next', () => {
    const { writer, posted, run } = writerHere();
    const [audit, decided, next] = [message('audit'), message('decision'), message('decision')];
    failNext('SQLITE_FULL', 2);
    writer.push(audit);
    writer.push(decided);
    run();
    writer.push(next);
    run();
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
    busy.writer.push(audit);
    busy.run();
    expect(busy.posted[1]).toMatchObject({ type: 'rejected', ids: [audit.id], error: { code: 'LEDGER_WRITE_FAILED' } });
    failNext('SQLITE_IOERR_WRITE');
    busy.writer.push(message('decision'));
    busy.run();
    expect(busy.posted[2]).toMatchObject({ type: 'fatal', error: { code: 'LEDGER_WRITE_FAILED' } });
  });
});

describe('decisions that wait', () => {
  const parts = (posted: readonly FromWriter[]) =>
    posted.flatMap((one) => (one.type === 'committed' ? [one.parts.map(({ id: of }) => of)] : []));

  it('are committed together with those that each look at what has arrived brings', () => {
    const { writer, posted, turns, run } = writerHere();
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const all = [message('decision'), message('decision'), message('decision'), message('decision')] as const;
    writer.push(all[0]);
    writer.push(all[1]);
    turns.shift()?.();
    expect(parts(posted)).toEqual([]);
    writer.push(all[2]);
    turns.shift()?.();
    expect(parts(posted)).toEqual([]);
    turns.shift()?.();
    writer.push(all[3]);
    run();
    expect(parts(posted)).toEqual([all.slice(0, 3).map(({ id: of }) => of), [all[3].id]]);
  });

  it('are not kept for more of them when there are many, or for longer than a millisecond', () => {
    const { writer, posted, turns, run } = writerHere();
    for (let i = 0; i < 32; i++) writer.push(message('decision'));
    turns.shift()?.();
    expect(parts(posted).map(({ length }) => length)).toEqual([32]);
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    for (let i = 0; i < 2; i++) {
      writer.push(message('decision'));
      turns.shift()?.();
      vi.advanceTimersByTime(1);
    }
    expect(parts(posted).map(({ length }) => length)).toEqual([32, 2]);
    run();
  });
});

describe('a full shard whose successor cannot be created', () => {
  it('is written on, and that is told of once', () => {
    const root = tempDir();
    const { writer, posted, run } = writerHere({ ...DEFAULT_SHARD_LIMITS, entries: 2 }, root);
    mkdirSync(join(places(root).dir, 'shard-000001.sqlite.new'));
    for (let i = 0; i < 4; i++) {
      writer.push(message('decision'));
      run();
    }
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

describe('a writer that closes', () => {
  it.each([
    ['fails', { type: 'failed', message: 'disk I/O error' }],
    ['ends', undefined],
  ])('says that its outcome is unknown when the WAL checkpointer %s meanwhile', async (_, says) => {
    const { writer, posted, run, checkpointer } = writerHere();
    checkpointer.on('message', ({ type }) => {
      if (type !== 'close') return;
      if (says !== undefined) checkpointer.postMessage(says);
      checkpointer.close();
    });
    writer.close('test');
    run();
    await vi.waitFor(() =>
      expect(posted.at(-1)).toMatchObject({ type: 'fatal', error: { code: 'LEDGER_WRITE_FAILED' } }),
    );
    writer.abandon();
  });
});
