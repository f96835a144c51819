// Entry bundles: the leaves themselves, each behind its length as a big-endian uint16 (C2SP tlog-tiles, "Log entries").
import { TlogError } from './errors.ts';
import { TILE_WIDTH } from './tile-path.ts';

const LENGTH_BYTES = 2;

/** The largest entry that a bundle can hold, in bytes. */
export const MAX_ENTRY_BYTES = 65_535;

/** Throws ENTRY_TOO_LARGE, or ARGUMENT_INVALID unless there are 1 to 256 entries. */
export function encodeEntryBundle(entries: readonly Uint8Array[]): Buffer {
  if (entries.length < 1 || entries.length > TILE_WIDTH) {
    throw new TlogError('ARGUMENT_INVALID', `a bundle has 1 to ${TILE_WIDTH} entries, not ${entries.length}`);
  }
  const bundle = Buffer.alloc(entries.reduce((sum, entry) => sum + LENGTH_BYTES + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    if (entry.length > MAX_ENTRY_BYTES) {
      throw new TlogError('ENTRY_TOO_LARGE', `an entry has at most ${MAX_ENTRY_BYTES} bytes, not ${entry.length}`);
    }
    bundle.writeUInt16BE(entry.length, at);
    bundle.set(entry, at + LENGTH_BYTES);
    at += LENGTH_BYTES + entry.length;
  }
  return bundle;
}

/** The entries of a bundle, as views on its bytes. Throws TILE_MALFORMED unless there are exactly `width` and nothing else. */
export function decodeEntryBundle(bundle: Uint8Array, width: number): Uint8Array[] {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at < bundle.length) {
    if (entries.length === width) {
      throw new TlogError('TILE_MALFORMED', `the bundle has ${bundle.length - at} bytes behind its ${width} entries`);
    }
    const start = at + LENGTH_BYTES;
    const end = start <= bundle.length ? start + view.getUint16(at) : Number.POSITIVE_INFINITY;
    if (end > bundle.length) throw new TlogError('TILE_MALFORMED', `the bundle is cut off in entry ${entries.length}`);
    entries.push(bundle.subarray(start, end));
    at = end;
  }
  if (entries.length < width) {
    throw new TlogError('TILE_MALFORMED', `the bundle has ${entries.length} entries, not ${width}`);
  }
  return entries;
}
