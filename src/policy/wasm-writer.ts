// Writes the few forms of the WebAssembly binary format that metering adds to a module.

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** LEB128 (core spec, 5.2.2) of a number below 2^32. */
export function unsigned(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) + 0x80);
  return Uint8Array.of(...bytes, left);
}

/** LEB128 of a number of up to 64 bits with its sign. */
export function signed(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  // Done when the rest is nothing but copies of the sign bit of the last byte.
  for (; left < -0x40n || left > 0x3fn; left >>= 7n) bytes.push(Number(left & 0x7fn) + 0x80);
  return Uint8Array.of(...bytes, Number(left & 0x7fn));
}

/** The bytes with their number before them. */
export function sized(bytes: Uint8Array): Uint8Array {
  return concat([unsigned(bytes.length), bytes]);
}
