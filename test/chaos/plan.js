// What the parent tells a subject to do, and what a subject says: lines of `word json` on standard output.
/** The log name of every chaos ledger. */
export const LOG_NAME = 'ledger.example/chaos/0';
/** Exit codes of a subject; anything else was not meant. */
export const EXIT = { closed: 0, fatal: 70, refused: 71 };
