// Where a Zstandard frame ends, by its block headers.

/**
 * Whether the data is one Zstandard frame from its first byte to its last (RFC 8878, 3.1.1), with no dictionary and no bits
 * set that a decoder ignores: a decoder would accept bytes behind the frame. What its blocks hold is not looked at.
 */
export function isOneFrame(data: Buffer): boolean {
  if (data.length < 6 || data.readUInt32LE(0) !== 0xfd2fb528) return false;
  const descriptor = data[4] ?? 0;
  if ((descriptor & 0b0001_1011) !== 0) return false;
  const singleSegment = (descriptor & 0b0010_0000) !== 0;
  const sizeFlag = descriptor >> 6;
  let offset = 5 + (singleSegment ? 0 : 1) + (sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag);
  for (;;) {
    if (offset + 3 > data.length) return false;
    const block = data.readUIntLE(offset, 3);
    const type = (block >> 1) & 3;
    if (type === 3) return false;
    // An RLE block (type 1) is one byte, however often it is repeated.
    offset += 3 + (type === 1 ? 1 : block >> 3);
    if ((block & 1) === 1) break;
  }
  return offset + ((descriptor & 0b0000_0100) === 0 ? 0 : 4) === data.length;
}
