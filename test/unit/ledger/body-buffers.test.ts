import { describe, expect, it } from 'vitest';
import { BodyBuffers, RETURNED_BYTES } from '../../../src/ledger/body-buffers.ts';

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
