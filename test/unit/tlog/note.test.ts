import { describe, expect, it } from 'vitest';
import { createSigner, openNote, signNote } from '../../../src/tlog/note.ts';
import { createVerifier } from '../../../src/tlog/verifier.ts';
import { formatVkey } from '../../../src/tlog/vkey.ts';

// The example of golang.org/x/mod/sumdb/note's package documentation.
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const PETER_SEED = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1);
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const NOTE = `${TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;

describe('signed notes', () => {
  it('signs byte for byte as golang.org/x/mod/sumdb/note does', () => {
    const signer = createSigner('PeterNeumann', PETER_SEED);
    expect(formatVkey(signer.key)).toBe(PETER);
    expect(signNote(TEXT, [signer])).toBe(NOTE);
  });

  it('opens what golang.org/x/mod/sumdb/note signed', () => {
    const opened = openNote(NOTE, [createVerifier(PETER)]);
    expect(opened.text).toBe(TEXT);
    expect(opened.verified.map((one) => one.name)).toEqual(['PeterNeumann']);
  });
});
