// Proofs of single entries as C2SP tlog-proof files. The extra line carries the leaf and, unless it is left out, the body
// with its salt; none of that is signed, and all of it is checked against what is.
import { isUtf8 } from 'node:buffer';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { TlogError } from '../tlog/errors.ts';
import { checkInclusion, makeInclusionProof } from '../tlog/inclusion.ts';
import { leafHash } from '../tlog/merkle.ts';
import { formatTlogProof, MAX_PROOF_BYTES } from '../tlog/tlog-proof.ts';
import { commitment } from './commitment.ts';
import type { Leaf } from './entry.ts';
import { parseLeaf } from './leaf.ts';
import type { TreeHead, TreeReader } from './tree-reader.ts';

/** The JSON object in the extra line. `salt` and `body` are there together or not at all. */
export interface ProofExtra {
  /** The leaf, byte for byte; leaves are ASCII. */
  readonly leaf: string;
  /** 16 bytes in lowercase hex. */
  readonly salt?: string;
  readonly body?: string;
}

/** Whether the proof holds the body, else why not: not wanted, too large for a proof file, or not text. */
export type BodyInProof = 'included' | 'left-out' | 'too-large' | 'not-text';

export interface EntryProof {
  readonly origin: string;
  readonly seq: number;
  /** Entries that its checkpoint covers. */
  readonly size: number;
  readonly body: BodyInProof;
  /** The file's content. */
  readonly text: string;
}

/**
 * Makes the proof of entry `seq` under the newest checkpoint, and checks it before returning it. Throws ENTRY_NOT_FOUND,
 * ENTRY_UNSIGNED when no checkpoint covers the entry yet, LEDGER_CORRUPT when entry, body or tree do not fit together.
 */
export function proveEntry(shard: TreeReader, seq: number, options: { readonly body: boolean }): EntryProof {
  const head = shard.head();
  if (seq >= head.size) throw notCovered(shard, seq, head);
  const [bytes] = shard.leaves(seq, seq + 1);
  if (bytes === undefined) throw shard.corrupt(`entry ${seq} is missing`);
  const leaf = readLeaf(shard, seq, bytes);
  const hash = leafHash(bytes);
  const hashes = makeInclusionProof(seq, head.size, shard.nodes(head.size));
  try {
    checkInclusion(seq, head.size, hash, hashes, head.root);
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
    throw shard.corrupt(`entry ${seq} is not in the tree that the checkpoint of size ${head.size} signed`, error);
  }
  const format = (extra: ProofExtra): string =>
    formatTlogProof({ extra: Buffer.from(JSON.stringify(extra)), index: seq, hashes, checkpoint: head.note });
  const bare: ProofExtra = { leaf: bytes.toString('latin1') };
  const made = (body: BodyInProof, text: string): EntryProof => ({
    origin: head.origin,
    seq,
    size: head.size,
    body,
    text,
  });
  if (!options.body) return made('left-out', format(bare));
  const { salt, body } = shard.body(seq, leaf.size);
  if (body.length !== leaf.size || commitment(salt, body) !== leaf.body) {
    throw shard.corrupt(`the body of entry ${seq} is not the one that its leaf commits to`);
  }
  if (!isUtf8(body)) return made('not-text', format(bare));
  // Base64 makes it a third longer: what cannot fit need not be written down to see it.
  const text =
    body.length > MAX_PROOF_BYTES
      ? undefined
      : format({ ...bare, salt: salt.toString('hex'), body: body.toString('utf8') });
  if (text === undefined || Buffer.byteLength(text) > MAX_PROOF_BYTES) return made('too-large', format(bare));
  return made('included', text);
}

function readLeaf(shard: TreeReader, seq: number, bytes: Buffer): Leaf {
  let leaf: Leaf;
  try {
    leaf = parseLeaf(bytes);
  } catch (error) {
    throw shard.corrupt(`entry ${seq}: ${messageOf(error)}`, error);
  }
  if (leaf.seq !== seq) throw shard.corrupt(`entry ${seq} says that it is entry ${leaf.seq}`);
  return leaf;
}

function notCovered(shard: TreeReader, seq: number, head: TreeHead): SealgateError {
  const size = shard.size();
  if (seq >= size) {
    return new SealgateError(
      'ENTRY_NOT_FOUND',
      `${shard.file} holds entries 0 to ${size - 1}, there is no entry ${seq}`,
    );
  }
  return new SealgateError(
    'ENTRY_UNSIGNED',
    `entry ${seq} of ${shard.file} is recorded, but the newest checkpoint covers only entries 0 to ${head.size - 1}: while Sealgate runs, the next one is signed within a second (checkpoint interval), so try again; if it does not run, when it starts again`,
  );
}
