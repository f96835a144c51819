// Reads a witness policy from a file.
import { readFileSync } from 'node:fs';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { parsePolicy, type WitnessPolicy } from '../tlog/policy.ts';

/** Throws WITNESS_POLICY_INVALID, which names the file and the line. */
export function readWitnessPolicy(file: string): { readonly text: string; readonly policy: WitnessPolicy } {
  try {
    const text = readFileSync(file, 'utf8');
    return { text, policy: parsePolicy(text) };
  } catch (error) {
    throw invalid(file, error);
  }
}

function invalid(file: string, cause: unknown): SealgateError {
  return new SealgateError('WITNESS_POLICY_INVALID', `${file}: ${messageOf(cause)}`, { cause });
}
