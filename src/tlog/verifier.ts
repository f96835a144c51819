// From a vkey of any supported type to what checks its signatures.
import { cosignatureVerifier } from './cosignature.ts';
import { ed25519Verifier, type NoteVerifier } from './note.ts';
import { parseVkey, type VerifierKey } from './vkey.ts';

/** Throws what parseVkey throws. */
export function createVerifier(vkey: string | VerifierKey): NoteVerifier & { key: VerifierKey } {
  const key = typeof vkey === 'string' ? parseVkey(vkey) : vkey;
  switch (key.type) {
    case 'ed25519':
      return { ...ed25519Verifier(key), key };
    case 'cosignature/v1':
      return { ...cosignatureVerifier(key), key };
  }
}
