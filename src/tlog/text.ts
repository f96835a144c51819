// What may stand in a signed note: UTF-8 without ASCII control characters other than newline (C2SP signed-note, "Format").

const NEWLINE = 0x0a;
const SPACE = 0x20;

/** Whether `text` holds a control character below U+0020 that is not a newline. */
export function hasControlCharacters(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < SPACE && unit !== NEWLINE) return true;
  }
  return false;
}

/**
 * The string that the bytes are the UTF-8 encoding of, a byte order mark kept; undefined when they are not UTF-8. A
 * string is returned as it is, unless it has lone surrogates, which no UTF-8 stands for.
 */
export function decodeText(text: string | Uint8Array): string | undefined {
  if (typeof text === 'string') return text.isWellFormed() ? text : undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
  } catch {
    return undefined;
  }
}
