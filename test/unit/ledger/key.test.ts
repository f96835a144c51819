import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, chownSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadOrCreateKey, vkeyFileOf } from '../../../src/ledger/key.ts';
import { createSigner } from '../../../src/tlog/note.ts';
import { formatVkey } from '../../../src/tlog/vkey.ts';
import { tempDir } from './temp-ledger.ts';

const exposed = expect.objectContaining({ code: 'KEY_EXPOSED', message: expect.stringContaining('chmod 600') });
const invalid = (text: string) =>
  expect.objectContaining({ code: 'KEY_INVALID', message: expect.stringContaining(text) });
const pem = (type: 'ed25519' | 'x25519') =>
  generateKeyPairSync(type as 'ed25519')
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString();

describe('ledger key', () => {
  it('is created once, readable by its owner only, with its vkey beside it', () => {
    const file = join(tempDir(), 'keys', 'ledger.key');
    const key = loadOrCreateKey(file, 'example.com/c/0');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    expect(readFileSync(vkeyFileOf(file), 'utf8')).toBe(`${key.vkey}\n`);
    expect(key.vkey).toBe(formatVkey(createSigner('example.com/c/0', key.privateKey).key));
    expect(loadOrCreateKey(file, 'example.com/c/0')).toEqual(key);
  });

  it('writes the vkey again when it was lost', () => {
    const file = join(tempDir(), 'ledger.key');
    const { vkey } = loadOrCreateKey(file, 'example.com/c/0');
    rmSync(vkeyFileOf(file));
    loadOrCreateKey(file, 'example.com/c/0');
    expect(readFileSync(vkeyFileOf(file), 'utf8')).toBe(`${vkey}\n`);
  });

  it.each([0o640, 0o604, 0o660, 0o644])('refuses a key file of mode %o', (mode) => {
    const file = join(tempDir(), 'ledger.key');
    loadOrCreateKey(file, 'example.com/c/0');
    chmodSync(file, mode);
    expect(() => loadOrCreateKey(file, 'example.com/c/0')).toThrow(exposed);
  });

  it.skipIf(process.getuid?.() !== 0)('reads the key of another user through the group, as a Secret is mounted', () => {
    const file = join(tempDir(), 'ledger.key');
    const key = loadOrCreateKey(file, 'example.com/c/0');
    chownSync(file, 65_532, 65_532);
    chmodSync(file, 0o440);
    expect(loadOrCreateKey(file, 'example.com/c/0')).toEqual(key);
    for (const mode of [0o444, 0o460, 0o441]) {
      chmodSync(file, mode);
      expect(() => loadOrCreateKey(file, 'example.com/c/0')).toThrow(exposed);
    }
  });

  it('refuses a public key, a key of another kind, a locked one, and what is no key, without quoting it', () => {
    const file = join(tempDir(), 'ledger.key');
    const refused = (content: string, why: string) => {
      writeFileSync(file, content, { mode: 0o600 });
      expect(() => loadOrCreateKey(file, 'example.com/c/0')).toThrow(invalid(why));
    };
    const { publicKey } = generateKeyPairSync('ed25519');
    refused(publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'public key');
    refused('example.com/c/0+01234567+AQIDBA==\n', 'public key');
    refused(pem('x25519'), 'x25519');
    refused('hunter2', 'PKCS#8');
    expect(() => loadOrCreateKey(file, 'example.com/c/0')).not.toThrow(/hunter2/);
  });

  it('refuses a vkey file that names another key or another log', () => {
    const file = join(tempDir(), 'ledger.key');
    loadOrCreateKey(file, 'example.com/c/0');
    expect(() => loadOrCreateKey(file, 'example.com/c/1')).toThrow(invalid('log name'));
    writeFileSync(file, pem('ed25519'));
    expect(() => loadOrCreateKey(file, 'example.com/c/0')).toThrow(invalid('changed'));
  });

  it('refuses a log name that cannot name a key', () => {
    const file = join(tempDir(), 'ledger.key');
    for (const name of ['', 'a b', 'a+b']) expect(() => loadOrCreateKey(file, name)).toThrow(invalid('log name'));
  });
});
