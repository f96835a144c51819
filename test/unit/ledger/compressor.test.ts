import { hash, randomBytes } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Compressor } from '../../../src/ledger/compressor.ts';

const PARAMS = { [constants.ZSTD_c_compressionLevel]: 1 };
const MAX_BYTES = 64 * 1024;

/** Of letters and numbers, compressed to about a half. */
function text(length: number, seed: number): Buffer {
  const parts: string[] = [];
  for (let i = 0; parts.length * 64 < length; i++) parts.push(hash('sha256', `${seed} ${i}`));
  return Buffer.from(parts.join('').slice(0, length));
}

describe('Compressor', () => {
  it('makes the frames that a context of its own makes, whatever came before', () => {
    const compressor = new Compressor(PARAMS, MAX_BYTES);
    const inputs = Array.from({ length: 300 }, (_, i) =>
      i % 7 === 0 ? randomBytes(i * 211) : text((i * 7919) % (MAX_BYTES + 1), i % 50),
    );
    for (const input of [...inputs, Buffer.alloc(0), Buffer.alloc(MAX_BYTES), text(MAX_BYTES, 1)]) {
      const frame = compressor.frame(input);
      expect(frame.equals(zstdCompressSync(input, { params: PARAMS }))).toBe(true);
      expect(zstdDecompressSync(frame).equals(input)).toBe(true);
    }
  });

  it('compresses what is larger than its buffer', () => {
    const compressor = new Compressor(PARAMS, MAX_BYTES);
    for (const length of [MAX_BYTES + 1, 3, MAX_BYTES * 20, 5000]) {
      const input = text(length, length);
      expect(zstdDecompressSync(compressor.frame(input)).equals(input)).toBe(true);
    }
  });

  it('leaves no listeners behind', () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const compressor = new Compressor(PARAMS, MAX_BYTES);
    for (let i = 0; i < 100; i++) compressor.frame(text(500, i));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});
