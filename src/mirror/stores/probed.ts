// What a store can show of itself beyond what the interface promises: how it protects what is in it.
import type { ObjectStore } from './store.ts';

/** One thing that was looked at, in words for whoever set the store up. */
export interface Finding {
  /** Short name, for example `object lock`. */
  readonly check: string;
  /** `warned`: it works, and protects less than it could. */
  readonly outcome: 'passed' | 'warned' | 'failed';
  readonly message: string;
}

/** In the order of use: first `inspect`, then, with one key, `createProbe` and `attack`. */
export interface ProbedStore extends ObjectStore {
  /** Looks, and writes nothing. Throws what it cannot even look at. `ledgerDir`: what the mirror is to protect. */
  inspect(ledgerDir?: string): AsyncIterable<Finding>;

  /** As `create`, but locked for a minute only, where locks are asked for. */
  createProbe(key: string, bytes: Uint8Array): Promise<'created' | 'occupied'>;

  /** Tries on the probe what somebody hostile with the same credentials would, and removes it where that succeeds. */
  attack(key: string): AsyncIterable<Finding>;
}
