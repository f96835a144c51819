// What the independent verifier says.
export const EXIT_CODES = { whole: 0, tampered: 10, incomplete: 11, 'wrong-key': 12 };
/** What several findings together amount to: the first of these that one of them says. */
export const GRAVEST = ['tampered', 'wrong-key', 'incomplete'];
/** Nothing could be said about the ledger: exit code 1. */
export class CannotRun extends Error {
}
