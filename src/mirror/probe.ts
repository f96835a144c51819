// Proves, as far as trying can, that a store does what the mirror relies on, and says in plain words what it does not.
import { messageOf, SealgateError } from '../lib/errors.ts';
import { openCheckpoint } from '../tlog/checkpoint.ts';
import { createVerifier } from '../tlog/verifier.ts';
import type { Finding, ProbedStore } from './stores/probed.ts';

export interface ProbeOptions {
  /** Makes the probe's key one that nobody has used: lower-case letters, digits and hyphens. */
  readonly nonce: string;
  /** The folder of the ledger, to see whether a mirror in a folder is on the same disk. */
  readonly ledgerDir?: string;
  /** The log that is to be mirrored there. */
  readonly log?: ProbedLog;
}

export interface ProbedLog {
  /** Of its newest shard here: `<domain>/<cluster>/<replica>/<number>`. */
  readonly origin: string;
  /** The keys that sign it; none when it has not been begun. */
  readonly vkeys: readonly string[];
}

/**
 * Yields what it finds, one after the other, and never throws: what ends the probe is the last finding. Leaves a small
 * object under `probe/`, which is locked for a minute where locks are asked for, so that a lifecycle rule can remove it.
 */
export async function* probeStore(store: ProbedStore, options: ProbeOptions): AsyncIterable<Finding> {
  try {
    yield* store.inspect(options.ledgerDir);
    const key = `probe/${options.nonce}`;
    yield* writeFindings(store, key, Buffer.from(`A probe by Sealgate: ${options.nonce}\n`));
    yield* store.attack(key);
    if (options.log !== undefined) yield await prefixFinding(store, options.log);
  } catch (error) {
    const code = error instanceof SealgateError ? error.code : 'INTERNAL';
    yield { check: 'store', outcome: 'failed', message: `${code}: ${messageOf(error)}` };
  }
}

async function* writeFindings(store: ProbedStore, key: string, bytes: Buffer): AsyncIterable<Finding> {
  if ((await store.createProbe(key, bytes)) === 'occupied') {
    const kept = await store.get(key);
    if (kept === undefined || !kept.equals(bytes)) {
      yield { check: 'writing', outcome: 'failed', message: `${key} is occupied by something else: try again` };
      return;
    }
  }
  const read = await store.get(key);
  yield read?.equals(bytes) === true
    ? { check: 'writing', outcome: 'passed', message: 'an object that was written is read back as it was' }
    : { check: 'writing', outcome: 'failed', message: 'an object that was written is not read back as it was' };
  const again = await store.createProbe(key, Buffer.from('another'));
  const kept = await store.get(key);
  yield again === 'occupied' && kept?.equals(bytes) === true
    ? { check: 'creating', outcome: 'passed', message: 'a key that is occupied is not written again' }
    : {
        check: 'creating',
        outcome: 'failed',
        message:
          'a key that is occupied was written again: the store ignores If-None-Match, so that nobody would notice who came first',
      };
}

/** Whether the place is free, or holds this very log. */
async function prefixFinding(store: ProbedStore, { origin, vkeys }: ProbedLog): Promise<Finding> {
  const key = `${origin}/checkpoint`;
  const note = await store.get(key, { maxBytes: 1_000_000 });
  if (note === undefined)
    return { check: 'prefix', outcome: 'passed', message: `nothing is mirrored of ${origin} yet` };
  if (vkeys.length === 0) {
    return {
      check: 'prefix',
      outcome: 'failed',
      message: `${key} is there, and no key of that log is here: give this log another identity or prefix, or put back the key that the one in the mirror was begun with`,
    };
  }
  try {
    const { size } = openCheckpoint(note, { verifiers: vkeys.map((vkey) => createVerifier(vkey)), origin });
    return { check: 'prefix', outcome: 'passed', message: `${origin} is mirrored there, ${size} entries of it` };
  } catch (error) {
    return {
      check: 'prefix',
      outcome: 'failed',
      message: `${key} is of another log than the one here (${messageOf(error)}): give this log another identity or prefix`,
    };
  }
}
