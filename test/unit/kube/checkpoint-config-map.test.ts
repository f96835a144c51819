import { setImmediate as tick } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { CheckpointConfigMap } from '../../../src/kube/checkpoint-config-map.ts';

function scene() {
  const written: string[] = [];
  const lines: string[] = [];
  const entries: { kind: string; body: Buffer }[] = [];
  const state = { now: 0, failing: false };
  const map = new CheckpointConfigMap({
    ...{ name: 'head', namespace: 'audit', kubeconfig: undefined, replica: '0', everyMs: 1000 },
    recorded: (_shard, from, to) => entries.slice(from, to),
    now: () => state.now,
    log: (level, _fields, message) => lines.push(`${level}: ${message}`),
    connect: async () => async (note) => {
      if (state.failing) throw new Error('away');
      written.push(note);
    },
  });
  const record = (kind: string, body: object) => void entries.push({ kind, body: Buffer.from(JSON.stringify(body)) });
  const offer = async (note: string, atMs: number, shard = 0) => {
    state.now = atMs;
    map.offer({ shard, size: entries.length, note });
    await tick();
    await tick();
  };
  return { written, lines, state, record, offer };
}

const trace = (record: (kind: string, body: object) => void) => {
  record('decision', { review: { request: { resource: { resource: 'configmaps' }, name: 'head' } } });
  record('event', { event: { objectRef: { resource: 'configmaps', name: 'head' } } });
  record('anchor', {});
};

it('is written with what is pushed, not more often than it is set', async () => {
  const { written, record, offer } = scene();
  record('event', { event: {} });
  await offer('a', 0);
  record('event', { event: {} });
  await offer('b', 999);
  await offer('c', 1000);
  expect(written).toEqual(['a', 'c']);
});

it('is not written again for the traces of its own writing, and is for anything else', async () => {
  const { written, record, offer } = scene();
  record('event', { event: {} });
  await offer('a', 0);
  trace(record);
  await offer('b', 5000);
  expect(written).toEqual(['a']);
  record('event', { event: { objectRef: { resource: 'configmaps', name: 'other' } } });
  await offer('c', 6000);
  expect(written).toEqual(['a', 'c']);
  for (let i = 0; i < 6; i++) trace(record);
  await offer('d', 9000); // more than one write can leave
  expect(written).toEqual(['a', 'c', 'd']);
  await offer('e', 20_000, 1); // another shard
  expect(written).toEqual(['a', 'c', 'd', 'e']);
});

it('says once that it cannot be written, and tries again', async () => {
  const { written, lines, state, record, offer } = scene();
  record('event', { event: {} });
  state.failing = true;
  await offer('a', 0);
  await offer('b', 2000);
  state.failing = false;
  await offer('c', 4000);
  expect(written).toEqual(['c']);
  expect(lines).toEqual([expect.stringMatching(/^warn: .*cannot be written/), expect.stringMatching(/^info: .*again/)]);
});
