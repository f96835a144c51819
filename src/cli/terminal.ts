// Text from outside on its way to a terminal.

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * Makes control characters visible (`\u001b`), so that a name which somebody chose cannot move the cursor, recolour a verdict
 * or, with bidirectional overrides, reorder what is read.
 */
export function escapeTerminal(text: string): string {
  return text.replace(CONTROL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
