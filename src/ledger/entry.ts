// The entry: what a leaf is made of, byte for byte. docs/ledger-format.md is the specification.

/** What an entry records; docs/ledger-format.md describes the body of each. */
export const ENTRY_KINDS = [
  'start',
  'link',
  'stop',
  'key',
  'policy',
  'decision',
  'undelivered',
  'event',
  'redelivery',
  'malformed',
  'removal',
  'anchor',
  'finding',
] as const;

export type EntryKind = (typeof ENTRY_KINDS)[number];

/** The format version that this release writes into every leaf and shard. */
export const FORMAT_VERSION = 1;

/** A leaf is an entry of a C2SP tlog-tiles entry bundle, whose length prefix has 16 bits. */
export const MAX_LEAF_BYTES = 65_535;

/** `prev` of the first entry of a shard. */
export const NO_PREVIOUS = '0'.repeat(64);

/** Keys that only some kinds have; the API server or Sealgate generated every value, so that none is personal. */
export interface LeafExtra {
  /** decision, undelivered: the uid of the AdmissionReview, a lowercase UUID. */
  readonly uid?: string;
  /** policy, decision: the digest of the policy bundle, `sha256:` and hex. */
  readonly bundle?: string;
  /** decision: whether the request was allowed. */
  readonly allowed?: boolean;
}

/** One entry on its way into the ledger. `body` is final: redacted, and stored and committed to byte for byte. */
export interface Append {
  readonly kind: EntryKind;
  readonly extra?: LeafExtra;
  readonly body: Uint8Array;
}

/** Where an append landed, once its commit is on disk. */
export interface Appended {
  readonly shard: number;
  readonly seq: number;
  /** RFC 6962 leaf hash, lowercase hex. */
  readonly leafHash: string;
}

/** A leaf, read back. */
export interface Leaf extends LeafExtra {
  readonly v: number;
  readonly seq: number;
  /** RFC 3339, UTC, six decimals. */
  readonly time: string;
  readonly kind: EntryKind;
  readonly prev: string;
  /** HMAC-SHA-256 of the body under its salt, lowercase hex. */
  readonly body: string;
  /** Bytes of the body. */
  readonly size: number;
}

/**
 * A body among the bytes that it was read with: it is bytes `start` … `end`. `latin1` is all of them as text, one character a
 * byte, which costs less once for a pack than for each body.
 */
export interface BodyText {
  readonly bytes: Buffer;
  readonly latin1: string;
  readonly start: number;
  readonly end: number;
}

/** A body by itself. */
export function bodyText(body: Uint8Array): BodyText {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return { bytes, latin1: bytes.toString('latin1'), start: 0, end: bytes.length };
}
