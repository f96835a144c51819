import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { places, tempDir } from '../ledger/temp-ledger.ts';
import { asked, configuration, watched } from './support.ts';

const POD = { group: '', resource: 'pods', namespace: 'shop', name: 'p' };
const OPEN = {
  annotations: { 'failed-open.validating.webhook.admission.k8s.io/round_0_index_1': 'admission.sealgate.dev' },
};

describe('findings', () => {
  it('are on disk when the batch with their event is acknowledged, and name the entry of the event', async () => {
    const { send, entries, told } = await watched();
    expect(await send(asked({ ...POD, verb: 'create' }), asked({ user: 'mallory' }))).toBe(200);
    const [pod, event, finding] = entries();
    expect(finding?.json).toEqual({
      rule: 'webhook-deleted',
      severity: 'critical',
      message: expect.stringContaining('validatingwebhookconfigurations sealgate was deleted'),
      time: '2026-11-23T12:00:00.000000Z',
      event: { shard: 0, seq: event?.seq, leaf: event?.leafHash },
      who: { user: 'mallory', addresses: ['192.0.2.4'] },
      what: {
        ...{ verb: 'delete', group: 'admissionregistration.k8s.io', resource: 'validatingwebhookconfigurations' },
        ...{ subresource: '', namespace: '', name: 'sealgate' },
      },
      outcome: 'done',
      code: 200,
    });
    expect(pod?.leaf.kind).toBe('event');
    expect(entries()).toHaveLength(3);
    expect(told).toHaveLength(1);
  });

  it('keep the batch from being acknowledged until they are on disk, and are made once when it comes again', async () => {
    let full = true;
    const { send, entries, findings } = await watched({
      fails: (all) => full && all.some(({ kind }) => kind === 'finding'),
    });
    const event = asked();
    expect(await send(event)).not.toBe(200);
    expect(entries().map(({ leaf }) => leaf.kind)).toEqual(['event']);
    full = false;
    expect(await send(event)).toBe(200);
    expect(await send(event)).toBe(200);
    expect(findings().map(({ rule }) => rule)).toEqual(['webhook-deleted']);
  });

  it('that a crash kept from being written are made by the next start, and no other a second time', async () => {
    const root = tempDir();
    const first = await watched({ root, fails: (all) => all.some(({ kind }) => kind === 'finding') });
    expect(await first.send(asked({ user: 'mallory', at: 5 }))).not.toBe(200);
    await first.ledger.close('crash');
    for (const expected of [1, 1]) {
      const next = await watched({ root });
      const reader = LedgerReader.open(places(root).dir);
      for (const entry of reader.entries(0, 0)) next.watch.recorded(entry);
      reader.close();
      await next.watch.caughtUp();
      const found = next.findings();
      expect(found).toHaveLength(expected);
      expect(found[0]).toMatchObject({ rule: 'webhook-deleted', who: { user: 'mallory' } });
      expect(next.watch.missingSince).toBe('2026-11-23T12:00:05.000000Z');
      await next.ledger.close('over');
    }
    // Without the memory the ledger itself says what was found.
    rmSync(join(root, 'detect'), { recursive: true });
    const last = await watched({ root });
    const reader = LedgerReader.open(places(root).dir);
    for (const entry of reader.entries(0, 0)) last.watch.recorded(entry);
    reader.close();
    await last.watch.caughtUp();
    expect(last.findings()).toHaveLength(1);
  });

  it('say from when to when nothing was enforced, over a restart', async () => {
    const root = tempDir();
    const first = await watched({ root });
    await first.send(asked({ at: 10 }));
    expect(first.watch.missingSince).toBe('2026-11-23T12:00:10.000000Z');
    await first.ledger.close('restart');
    const next = await watched({ root });
    expect(next.watch.missingSince).toBe('2026-11-23T12:00:10.000000Z');
    await next.send(asked({ verb: 'create', user: 'helm', at: 70.5, rest: { responseObject: configuration() } }));
    expect(next.watch.missingSince).toBeUndefined();
    const stretch = { since: '2026-11-23T12:00:10.000000Z', until: '2026-11-23T12:01:10.500000Z', seconds: 60.5 };
    expect(next.findings().at(-1)).toMatchObject({ rule: 'webhook-restored', severity: 'info', stretch });
  });

  it('know of a restoration that another replica was told of from a request that was asked about again', async () => {
    const { send, findings, watch } = await watched();
    await send(asked({ at: 0 }));
    const annotations = { 'admission.sealgate.dev/d.01234567-89ab-4cde-8fab-0123456789ab': 'x' };
    await send(asked({ ...POD, verb: 'create', at: 5, rest: { annotations } }));
    expect(watch.missingSince).toBeDefined();
    await send(asked({ ...POD, verb: 'create', at: 30, rest: { annotations } }));
    expect(watch.missingSince).toBeUndefined();
    await send(asked({ ...POD, verb: 'create', at: 31, rest: { annotations } }));
    expect(findings().map(({ rule, stretch }) => [rule, stretch?.seconds])).toEqual([
      ['webhook-deleted', undefined],
      ['webhook-restored', 30],
    ]);
  });

  it('of requests that failed open share one entry a batch, which counts and names them', async () => {
    const { send, entries, findings } = await watched();
    const events = Array.from({ length: 5 }, () => asked({ ...POD, verb: 'update', rest: OPEN }));
    await send(...events, asked({ ...POD, verb: 'create' }));
    const other = { annotations: { 'failed-open.validating.webhook.admission.k8s.io/round_0_index_0': 'another.dev' } };
    await send(asked({ ...POD, verb: 'create', rest: other }));
    const seqs = entries()
      .slice(0, 5)
      .map(({ seq }) => seq);
    const [found, ...more] = findings();
    expect(more).toEqual([]);
    expect(found).toMatchObject({ rule: 'failed-open', severity: 'high', count: 5 });
    expect([found?.event?.seq, ...(found?.others ?? []).map(({ seq }) => seq)]).toEqual(seqs);
  });

  it('hold nothing that redaction removed', async () => {
    const fields = [{ kind: 'Event', group: 'audit.k8s.io', paths: ['user.username'] }];
    const { send, root, findings } = await watched({ fields });
    await send(asked({ user: 'canary-name' }));
    expect(findings()).toHaveLength(1);
    expect(JSON.stringify(findings())).not.toContain('canary-name');
    expect(readFileSync(join(root, 'detect', 'state.json'), 'utf8')).not.toContain('canary-name');
  });

  it('go on without a memory that is damaged or cannot be written', async () => {
    const root = tempDir();
    const first = await watched({ root });
    await first.send(asked());
    await first.ledger.close('over');
    writeFileSync(join(root, 'detect', 'state.json'), '{"v":1,"mark":');
    const next = await watched({ root });
    expect(next.watch.missingSince).toBeUndefined();
    rmSync(join(root, 'detect'), { recursive: true });
    writeFileSync(join(root, 'detect'), 'in the way');
    expect(await next.send(asked({ at: 3 }))).toBe(200);
    expect(next.findings()).toHaveLength(2);
    expect(next.problems).toHaveLength(1);
    expect(existsSync(join(root, 'detect', 'state.json'))).toBe(false);
  });
});
