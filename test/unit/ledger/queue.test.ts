import { describe, expect, it } from 'vitest';
import type { Lane } from '../../../src/ledger/messages.ts';
import { type Waiting, WriterQueue } from '../../../src/ledger/queue.ts';

function message(id: number, lane: Lane, count: number, size = 10): Waiting {
  const entries = Array.from({ length: count }, (_, i) => ({
    kind: 'event' as const,
    body: new Uint8Array(size).fill(i % 251),
  }));
  return { id, lane, entries };
}

describe('writer queue', () => {
  it('puts every waiting decision in front of a few of the audit lane, and after them a small slice of it', () => {
    const queue = new WriterQueue();
    queue.push(message(1, 'audit', 100));
    queue.push(message(2, 'audit', 100));
    queue.push(message(3, 'decision', 1));
    queue.push(message(4, 'decision', 2));
    expect(queue.take().parts).toEqual([
      { id: 3, first: 0, count: 1 },
      { id: 4, first: 1, count: 2 },
      { id: 1, first: 3, count: 16 },
    ]);
    expect(queue.take().parts).toEqual([{ id: 1, first: 0, count: 64 }]);
    queue.push(message(5, 'decision', 1));
    expect(queue.take().parts).toEqual([
      { id: 5, first: 0, count: 1 },
      { id: 1, first: 1, count: 16 },
    ]);
    expect(queue.take().parts).toEqual([
      { id: 1, first: 0, count: 4 },
      { id: 2, first: 4, count: 60 },
    ]);
    expect(queue.take().parts).toEqual([{ id: 2, first: 0, count: 40 }]);
    expect(queue.empty).toBe(true);
  });

  it('takes large slices of the audit lane while there are no decisions, and again some time after the last', () => {
    const queue = new WriterQueue();
    queue.push(message(1, 'audit', 100_000, 1));
    expect(queue.take().entries).toHaveLength(256);
    queue.push(message(2, 'decision', 1));
    expect(queue.take().entries).toHaveLength(17);
    const sizes = Array.from({ length: 40 }, () => queue.take().entries.length);
    expect(sizes.slice(0, 31)).toEqual(Array(31).fill(64));
    expect(sizes.slice(31)).toEqual(Array(9).fill(256));
  });

  it('bounds a slice by bytes, and lets one entry through whatever its size', () => {
    const queue = new WriterQueue();
    queue.push(message(1, 'audit', 4, 600_000));
    expect(queue.take().entries).toHaveLength(1);
    queue.push(message(3, 'audit', 1, 5_000_000));
    queue.push(message(2, 'decision', 3, 9_000_000));
    expect(queue.take().parts).toEqual([
      { id: 2, first: 0, count: 1 },
      { id: 1, first: 1, count: 1 },
    ]);
  });

  it('hands out the bodies in order, each its own bytes', () => {
    const queue = new WriterQueue();
    queue.push(message(1, 'audit', 300, 7));
    const entries = [...queue.take().entries, ...queue.take().entries];
    expect(entries.map(({ body }) => [...body])).toEqual(Array.from({ length: 300 }, (_, i) => Array(7).fill(i % 251)));
  });

  it('takes empty bodies, and drops what is left of a failed append', () => {
    const queue = new WriterQueue();
    queue.push(message(1, 'audit', 300, 0));
    queue.push(message(2, 'audit', 1));
    queue.take();
    queue.drop(new Set([1]));
    expect(queue.take().parts).toEqual([{ id: 2, first: 0, count: 1 }]);
    expect(queue.empty).toBe(true);
  });
});
