// ASCII decimal numbers as the C2SP formats write sizes, indexes and times: no sign, no leading zeroes.

const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * The number, or undefined when `text` is not a decimal in this form or is above 2^53−1. (The specifications allow 64
 * bits; a tree of more than 2^53 leaves does not exist, and refusing it keeps numbers exact.)
 */
export function parseDecimal(text: string): number | undefined {
  if (!DECIMAL.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
