import { hash, randomBytes } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Decompressor } from '../../../src/ledger/decompressor.ts';
import { MAX_PACK_BYTES } from '../../../src/ledger/pack.ts';

const BUFFER_BYTES = 256 * 1024;
const MAX_BYTES = 2 * BUFFER_BYTES;

/** Of letters and numbers, compressed to about a half. */
function text(length: number, seed: number): Buffer {
  const parts: string[] = [];
  for (let i = 0; parts.length * 64 < length; i++) parts.push(hash('sha256', `${seed} ${i}`));
  return Buffer.from(parts.join('').slice(0, length));
}

/** The content, or that it was refused. */
function outcome(read: () => Buffer): string {
  try {
    return read().toString('hex');
  } catch {
    return 'refused';
  }
}

const first = text(3000, 1);
const frame = zstdCompressSync(first);
const second = zstdCompressSync(text(2000, 2));
/** A frame without the size of its content: 0x00 in front of a window of 128 KiB, one raw block of 3 bytes. */
const unsized = Buffer.from('28b52ffd0038190000616263', 'hex');
const skippable = Buffer.from('502a4d1804000000aabbccdd', 'hex');

/** The frame with another size of its content. */
function claiming(size: number): Buffer {
  const changed = Buffer.from(frame);
  // Two bytes behind the magic number, the descriptor and, unless all is one segment, the window.
  expect(changed[4]! >> 6).toBe(1);
  changed.writeUInt16LE(size - 256, (changed[4]! & 0x20) === 0 ? 6 : 5);
  return changed;
}

const DAMAGED: readonly (readonly [what: string, data: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['no frame', Buffer.from('this is no frame')],
  ['half a magic number', frame.subarray(0, 2)],
  ['a frame that ends in its header', frame.subarray(0, 6)],
  ['a frame that ends in a block', frame.subarray(0, frame.length >> 1)],
  ['a frame that lacks its last byte', frame.subarray(0, -1)],
  ['a frame that claims less than it holds', claiming(2999)],
  ['a frame that claims more than it holds', claiming(3001)],
  ['a frame and the half of another', Buffer.concat([frame, second.subarray(0, -5)])],
  ['a window larger than is allowed', Buffer.from('28b52ffd00ff190000616263', 'hex')],
  ['a frame with a dictionary', Buffer.from('28b52ffd21010300', 'hex')],
];

const WHOLE: readonly (readonly [what: string, data: Buffer])[] = [
  ['a frame', frame],
  ['two frames', Buffer.concat([frame, second])],
  ['a frame and other bytes', Buffer.concat([frame, Buffer.from('and other bytes')])],
  ['a frame and two other bytes', Buffer.concat([frame, Buffer.from('xx')])],
  ['a frame to be skipped and another', Buffer.concat([skippable, frame])],
  ['a frame that does not say how much it holds', unsized],
  ['a frame that holds nothing', zstdCompressSync(Buffer.alloc(0))],
  ['a frame almost as large as the buffer', zstdCompressSync(Buffer.alloc(BUFFER_BYTES - 1, 'abc'))],
  ['a frame as large as the buffer', zstdCompressSync(Buffer.alloc(BUFFER_BYTES, 'abc'))],
  ['a frame larger than the buffer', zstdCompressSync(Buffer.alloc(BUFFER_BYTES + 1, 'abc'))],
  ['a frame as large as allowed', zstdCompressSync(Buffer.alloc(MAX_BYTES, 'abc'))],
];

describe('Decompressor', () => {
  it('gives each content in memory of its own', () => {
    const decompressor = new Decompressor(MAX_BYTES);
    const inputs = Array.from({ length: 150 }, (_, i) =>
      i % 7 === 0 ? randomBytes(i * 211) : text((i * 7919) % (i % 5 === 0 ? MAX_BYTES : 30_000), i),
    );
    const outputs = inputs.map((input) => decompressor.content(zstdCompressSync(input), MAX_BYTES));
    for (const [i, output] of outputs.entries()) expect(output.equals(inputs[i]!)).toBe(true);
  });

  it.each(DAMAGED)('refuses %s, and then reads what follows', async (_what, data) => {
    const decompressor = new Decompressor(MAX_BYTES);
    for (let i = 0; i < 3; i++) {
      expect(() => zstdDecompressSync(data)).toThrow();
      expect(() => decompressor.content(data, MAX_BYTES)).toThrow();
      expect(() => decompressor.content(data, MAX_BYTES)).toThrow();
      expect(decompressor.content(frame, MAX_BYTES).equals(first)).toBe(true);
    }
    // The stream that failed says so once more, later: an error that nobody heard would end the process.
    await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it.each(WHOLE)('gives what a context of its own gives for %s, and leaves nothing of it behind', (_what, data) => {
    const decompressor = new Decompressor(MAX_BYTES);
    for (let i = 0; i < 3; i++) {
      expect(decompressor.content(data, MAX_BYTES).equals(zstdDecompressSync(data))).toBe(true);
      expect(decompressor.content(frame, MAX_BYTES).equals(first)).toBe(true);
    }
  });

  it('gives and refuses what a context of its own does, whichever byte is changed', () => {
    const decompressor = new Decompressor(MAX_BYTES);
    const seen = new Set<string>();
    for (let at = 0; at < frame.length; at += at < 40 ? 1 : 13) {
      for (const bit of [0, 3, 7]) {
        const changed = Buffer.from(frame);
        changed[at]! ^= 1 << bit;
        const given = outcome(() => decompressor.content(changed, MAX_BYTES));
        expect(given).toBe(outcome(() => zstdDecompressSync(changed, { maxOutputLength: MAX_BYTES })));
        seen.add(given);
      }
    }
    expect(seen).toContain('refused');
    expect(seen.size).toBeGreaterThan(100);
    expect(decompressor.content(frame, MAX_BYTES).equals(first)).toBe(true);
  });

  it('gives no more than it may, however much a few bytes stand for', () => {
    const decompressor = new Decompressor(MAX_BYTES);
    const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(10_000);
    for (const limit of [1, 2999, MAX_BYTES, MAX_BYTES + 1, 20 * MAX_BYTES]) {
      expect(() => decompressor.content(bomb, limit)).toThrow();
      expect(() => decompressor.content(frame, Math.min(limit, 2999))).toThrow();
      expect(decompressor.content(frame, 3000).equals(first)).toBe(true);
    }
    for (const large of [Buffer.alloc(MAX_BYTES + 1, 'abc'), text(MAX_BYTES + 1, 1)])
      expect(() => decompressor.content(zstdCompressSync(large), MAX_BYTES)).toThrow();
    expect(decompressor.content(frame, 3000).equals(first)).toBe(true);
  });

  it('decompresses what is larger than its buffer', () => {
    const decompressor = new Decompressor(MAX_BYTES);
    for (const length of [MAX_BYTES + 1, 3, MAX_BYTES * 20, 5000]) {
      const input = text(length, length);
      expect(decompressor.content(zstdCompressSync(input), Math.max(length, 1)).equals(input)).toBe(true);
    }
  });

  it('reads the largest pack of several entries', () => {
    const records = text(MAX_PACK_BYTES, 9);
    const decompressor = new Decompressor(MAX_PACK_BYTES);
    expect(decompressor.content(zstdCompressSync(records), MAX_PACK_BYTES).equals(records)).toBe(true);
  });

  it('leaves no listeners behind', () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    const decompressor = new Decompressor(MAX_BYTES);
    for (let i = 0; i < 100; i++) decompressor.content(frame, MAX_BYTES);
    expect(warnings).toEqual([]);
  });
});
