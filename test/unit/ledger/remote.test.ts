import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Append } from '../../../src/ledger/entry.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { type AppendRequest, type AuditLane, answerAppend, RemoteLedger } from '../../../src/ledger/remote.ts';
import { SealgateError } from '../../../src/lib/errors.ts';
import { event, openTestLedger, places, tempDir } from './temp-ledger.ts';

/** A ledger that is written behind a port, as it is by another thread. */
function remoteOf(ledger: AuditLane): RemoteLedger {
  const { port1, port2 } = new MessageChannel();
  const remote = new RemoteLedger((request, transfer) => port1.postMessage(request, transfer));
  port1.on('message', (answer) => remote.receive(answer));
  port2.on('message', (request: AppendRequest) => {
    void answerAppend(ledger, request).then((answer) => port2.postMessage(answer, [answer.room]));
  });
  onTestFinished(() => port1.close());
  return remote;
}

describe('a ledger on another thread', () => {
  it('records what it is given, byte for byte and in its order, and says where', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    const remote = remoteOf(ledger);
    const bodies = Array.from({ length: 700 }, (_, i) => Buffer.from(JSON.stringify({ i, pad: 'x'.repeat(i) })));
    const appends = bodies.map((body): Append => ({ kind: 'event', body }));
    const [many, one] = await Promise.all([
      remote.append('audit', appends),
      remote.append('audit', [{ kind: 'finding', body: Buffer.from('{}') }]),
    ]);
    await ledger.close('test');
    const reader = LedgerReader.open(places(root).dir);
    onTestFinished(() => reader.close());
    expect(many).toHaveLength(700);
    for (const [i, { shard, seq, leafHash }] of [...many, ...one].entries()) {
      const entry = reader.get(shard, seq);
      expect(entry?.leafHash).toBe(leafHash);
      expect(entry?.leaf.kind).toBe(i < 700 ? 'event' : 'finding');
      expect(entry?.body.toString()).toBe(i < 700 ? bodies[i]?.toString() : '{}');
    }
  });

  it('has copied the bodies when it returns, and keeps what an entry carries beside them', async () => {
    const taken: Append[] = [];
    const remote = remoteOf({
      append: (_, entries) => {
        taken.push(...entries.map((entry) => ({ ...entry, body: Buffer.from(entry.body) })));
        return Promise.resolve(entries.map((_entry, seq) => ({ shard: 3, seq, leafHash: 'ab'.repeat(32) })));
      },
    });
    const body = Buffer.from('as it was');
    const uid = '8a0f1b1e-0000-4000-8000-000000000000';
    const landed = remote.append('audit', [
      { kind: 'event', body },
      { kind: 'undelivered', extra: { uid }, body: Buffer.from('other') },
    ]);
    body.fill(0);
    expect(await landed).toEqual([0, 1].map((seq) => ({ shard: 3, seq, leafHash: 'ab'.repeat(32) })));
    expect(taken.map(({ kind, extra, body: bytes }) => [kind, extra, String(bytes)])).toEqual([
      ['event', undefined, 'as it was'],
      ['undelivered', { uid }, 'other'],
    ]);
  });

  it('rejects with the code and the message of the ledger, and goes on', async () => {
    let space = false;
    const remote = remoteOf({
      append: (_, entries) =>
        space
          ? Promise.resolve(entries.map((_entry, seq) => ({ shard: 0, seq, leafHash: '00'.repeat(32) })))
          : Promise.reject(new SealgateError('LEDGER_SPACE_LOW', 'make room')),
    });
    await expect(remote.append('audit', [event({})])).rejects.toMatchObject({
      code: 'LEDGER_SPACE_LOW',
      message: 'make room',
    });
    space = true;
    expect(await remote.append('audit', [event({})])).toHaveLength(1);
    expect(await remote.append('audit', [])).toEqual([]);
  });
});
