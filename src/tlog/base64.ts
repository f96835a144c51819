// Strict base64 (RFC 4648 §4, padded, canonical): Node's own decoder skips what it does not know, so that one value
// would have many spellings.

/** The bytes, or undefined when `text` is not exactly what encoding them would give. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** Standard alphabet, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
