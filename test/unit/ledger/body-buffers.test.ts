import { describe, expect, it } from 'vitest';
import { BodyBuffers, RETURNED_BYTES, SharedRoom } from '../../../src/ledger/body-buffers.ts';

describe('body buffers', () => {
  it('are used again when they are large enough, one at a time', () => {
    const buffers = new BodyBuffers();
    const first = buffers.take(600_000);
    const second = buffers.take(600_000);
    expect(second.buffer).not.toBe(first.buffer);
    buffers.give(first.buffer);
    const larger = buffers.take(2_000_000);
    expect(larger.buffer).not.toBe(first.buffer);
    expect(larger).toHaveLength(2_000_000);
    const again = buffers.take(500_000);
    expect(again.buffer).toBe(first.buffer);
    expect(again).toHaveLength(500_000);
    expect(buffers.take(500_000).buffer).not.toBe(first.buffer);
  });

  it('are kept up to a limit, and small ones not at all', () => {
    const buffers = new BodyBuffers();
    const all = Array.from({ length: 5 }, () => buffers.take(3 * 2 ** 20).buffer);
    for (const buffer of all) buffers.give(buffer);
    const again = all.map(() => buffers.take(3 * 2 ** 20).buffer);
    expect(again.filter((buffer) => all.includes(buffer))).toHaveLength(2);
    const small = buffers.take(RETURNED_BYTES - 1);
    expect(small.buffer.byteLength).toBe(RETURNED_BYTES - 1);
    buffers.give(small.buffer);
    expect(buffers.take(RETURNED_BYTES - 1).buffer).not.toBe(small.buffer);
  });
});

describe('shared room', () => {
  it('gives each taker bytes of its own, in one buffer as long as they fit', () => {
    const room = new SharedRoom(new BodyBuffers());
    const views = Array.from({ length: 20 }, (_, i) => room.take(1000 + i).fill(i));
    expect(new Set(views.map(({ buffer }) => buffer)).size).toBe(1);
    views.forEach((view, i) => {
      expect(view).toHaveLength(1000 + i);
      expect(view.every((byte) => byte === i)).toBe(true);
    });
    expect(room.release()).toEqual([views[0]?.buffer]);
  });

  it('takes another buffer for what does not fit, however large, and none that it has released', () => {
    const room = new SharedRoom(new BodyBuffers());
    const [small, large, next] = [room.take(10), room.take(3_000_000), room.take(10)];
    const released = room.release();
    expect(released).toContain(small.buffer);
    expect(released).toContain(large.buffer);
    expect(released).toContain(next.buffer);
    expect(room.release()).toEqual([]);
    expect(released).not.toContain(room.take(10).buffer);
  });
});
