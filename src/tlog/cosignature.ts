// cosignature/v1: a witness's timestamped Ed25519 signature of a checkpoint (C2SP tlog-cosignature, signature type 0x04).
import type { KeyObject } from 'node:crypto';
import { ED25519_SIGNATURE_BYTES, publicKeyFromRaw, rawPublicKey, signEd25519, verifyEd25519 } from './ed25519.ts';
import { TlogError } from './errors.ts';
import type { NoteSignature, NoteVerifier } from './note.ts';
import { keyId, type VerifierKey } from './vkey.ts';

const TIMESTAMP_BYTES = 8;

/** A cosignature that verified. */
export interface Cosignature {
  /** Name of the witness's key. */
  readonly name: string;
  readonly id: number;
  /** When the witness made it, seconds since the Unix epoch, by its own clock. */
  readonly time: number;
}

/**
 * Cosigns the text of a checkpoint (with its final newline) at `time`, whole seconds since the Unix epoch. The result
 * is a signature line for signNote's `existing` or formatNote.
 */
export function cosign(text: string, name: string, privateKey: KeyObject, time: number): NoteSignature {
  if (!Number.isSafeInteger(time) || time < 0) {
    throw new TlogError('ARGUMENT_INVALID', `the time of a cosignature is in whole seconds since 1970, not ${time}`);
  }
  const timestamp = Buffer.alloc(TIMESTAMP_BYTES);
  timestamp.writeBigUInt64BE(BigInt(time));
  const signature = signEd25519(cosignedMessage(Buffer.from(text, 'utf8'), time), privateKey);
  return {
    name,
    id: keyId(name, 'cosignature/v1', rawPublicKey(privateKey)),
    signature: Buffer.concat([timestamp, signature]),
  };
}

/** A verifier of cosignatures by a key of type cosignature/v1. Whether the time is plausible is the caller's to judge. */
export function cosignatureVerifier(key: VerifierKey): NoteVerifier {
  const publicKey = publicKeyFromRaw(key.publicKey);
  return {
    name: key.name,
    id: key.id,
    verify(text, signature) {
      const time = cosignatureTime(signature);
      if (time === undefined) return false;
      return verifyEd25519(cosignedMessage(text, time), signature.subarray(TIMESTAMP_BYTES), publicKey);
    },
  };
}

/**
 * The time in a cosignature (what follows the key ID: a big-endian uint64, then 64 bytes), or undefined when it has
 * another length or a time above 2^53−1 seconds, which no clock shows.
 */
export function cosignatureTime(signature: Uint8Array): number | undefined {
  if (signature.length !== TIMESTAMP_BYTES + ED25519_SIGNATURE_BYTES) return undefined;
  const view = new DataView(signature.buffer, signature.byteOffset, signature.byteLength);
  const time = view.getBigUint64(0);
  return time <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(time) : undefined;
}

/** C2SP tlog-cosignature, "Ed25519 signed message". */
function cosignedMessage(text: Uint8Array, time: number): Buffer {
  return Buffer.concat([Buffer.from(`cosignature/v1\ntime ${time}\n`, 'utf8'), text]);
}
