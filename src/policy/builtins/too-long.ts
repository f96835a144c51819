// The limit of texts that a built-in makes of a few characters. What does not fit the heap of a thread ends the process, not the thread.

/** Many times what a verdict keeps of a message. */
export const MAX_CHARS = 16 * 1024 * 1024;

/** Not a BuiltinError, which would be undefined in the policy: OPA makes the text. */
export class TooLong extends Error {
  constructor(maxChars: number) {
    super(`more than ${maxChars} characters make a text that is too long`);
  }
}
