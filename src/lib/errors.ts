// The one error class. Every failure that a person or a program may act on carries a code from this closed list;
// docs/errors.md explains each, and a test holds the two together.

/** Every code, with the one-line meaning that docs/errors.md repeats. */
export const ERROR_CODES = {
  CONFIG_INVALID: 'a setting is unknown, misspelled or out of range',
  LEDGER_NOT_FOUND: 'the folder holds no ledger',
  LEDGER_NOT_A_LEDGER: 'a file in the folder is not a ledger shard',
  LEDGER_FORMAT_NEWER: 'the ledger was written by a newer release',
  LEDGER_MIXED: 'the folder holds shards of two ledgers',
  LEDGER_LOCKED: 'another process is writing this ledger',
  LEDGER_READ_ONLY: 'the ledger folder or file cannot be written',
  LEDGER_WRONG_KEY: 'the ledger is signed by another key',
  LEDGER_CORRUPT: 'the ledger is truncated, damaged or was changed',
  LEDGER_UNSUPPORTED_FS: 'the ledger folder is on a network file system',
  LEDGER_WRITE_FAILED: 'an append or its commit failed',
  LEDGER_SPACE_LOW: 'too little space is left for more than decisions',
  LEDGER_FULL: 'no space is left to record a decision',
  LEDGER_REMOVAL_REFUSED: 'a shard may not be removed',
  LEDGER_OVERLOADED: 'too much is waiting to be written',
  LEDGER_ROLLED_BACK: 'the ledger here is not the history that the mirror holds',
  LEDGER_CLOSED: 'the ledger is closed or closing',
  CHECKPOINT_INVALID: 'a checkpoint kept outside the ledger is malformed, altered or of another log',
  KEY_INVALID: 'a key file is missing, malformed, or of the wrong kind',
  KEY_EXPOSED: 'others than its owner may read or change a private key',
  KEY_PRIVATE: 'a private key was given where the public one belongs',
  POLICY_INVALID: 'a policy does not compile or its metadata is wrong',
  POLICY_TIMEOUT: 'a policy ran past its time limit',
  POLICY_FAILED: 'a policy failed while it ran',
  POLICY_OVERLOADED: 'too many evaluations are waiting',
  KUBE_API_FAILED: 'the Kubernetes API server does not answer, or refuses',
  REQUEST_INVALID: 'a request is malformed',
  REQUEST_TOO_LARGE: 'a request body is over the limit',
  REQUEST_TOO_DEEP: 'a JSON document is nested too deeply',
  SERVER_OVERLOADED: 'too many bytes of requests are being worked on',
  CLIENT_UNVERIFIED: 'a client certificate is not one that is trusted here',
  CERTIFICATE_INVALID: 'a certificate or its key cannot be used',
  LISTEN_FAILED: 'a listener could not be opened',
  INTERNAL: 'something failed that should not have; the log says where',
  QUERY_INVALID: 'a query asks for something that does not exist',
  QUERY_TIMEOUT: 'a query ran past its time limit',
  QUERY_UNAVAILABLE: 'the index cannot answer now',
  PEER_UNAVAILABLE: 'another replica does not answer, or not in a way that can be used',
  ENTRY_NOT_FOUND: 'the ledger holds no such entry',
  ENTRY_UNSIGNED: 'no checkpoint covers the entry yet',
  PROOF_INVALID: 'a proof file is malformed, altered or does not prove its entry',
  PROOF_OTHER_LOG: 'a proof file is of another log than the key',
  RESTORE_FAILED: 'the folder for a restore holds something else or cannot be written',
  RESTORE_UNPROVEN: 'a mirror does not prove all that a restore would write',
  EXPORT_FAILED: 'the place for an export or a proof holds something else or cannot be written',
  MIRROR_URL_INVALID: 'the URL of a mirror, or a setting of its connection, makes no sense',
  MIRROR_KEY_INVALID: 'the key of a mirrored object has characters that it cannot have',
  MIRROR_FOLDER: 'the folder of a mirror cannot be read or written',
  MIRROR_UNAVAILABLE: 'the object storage does not answer, or answers that it failed',
  MIRROR_THROTTLED: 'the object storage asks for fewer requests',
  MIRROR_TRANSFER_DAMAGED: 'what was sent to the object storage or came from it was cut off or altered on the way',
  MIRROR_BUCKET_MISSING: 'the bucket does not exist',
  MIRROR_WRONG_REGION: 'the bucket is in another region than the one set',
  MIRROR_CREDENTIALS: 'the credentials for the object storage are missing, wrong or expired',
  MIRROR_ACCESS_DENIED: 'the credentials may not do what the mirror needs',
  MIRROR_NO_OBJECT_LOCK: 'the bucket has no Object Lock',
  MIRROR_KMS: 'the KMS key cannot be used',
  MIRROR_CERTIFICATE: 'the certificate of the object storage is not trusted',
  MIRROR_CLOCK: 'the clock here and that of the object storage are too far apart',
  MIRROR_OBJECT_TOO_LARGE: 'an object of the mirror is larger than anything that belongs there',
  MIRROR_OBJECT_MALFORMED: 'an object of the mirror is not what belongs there',
  MIRROR_DIVERGED: 'the ledger and its mirror hold different histories',
  MIRROR_NOT_WHOLE: 'a shard that was read back from the mirror is not whole, or not locked as it should be',
  MIRROR_LAGGING: 'the mirror is further behind than mirror.maxLagSeconds',
  MIRROR_REFUSED: 'the object storage refused a request',
  WITNESS_STATE_INVALID: 'the memory of a witness is missing or cannot be read',
  WITNESS_UNAVAILABLE: 'a witness does not answer, or refuses to cosign',
  WITNESS_CONTRADICTS: 'a witness has cosigned another history of this log, or more of it than is here',
  WITNESS_POLICY_INVALID: 'a witness policy cannot be read',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * A failure with a closed code. The message says what happened, where, and what to do about it; it never quotes a value
 * that could be secret. `cause` keeps the error underneath.
 */
export class SealgateError extends Error {
  override readonly name = 'SealgateError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The text of anything that was thrown, for a message or a log line. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
