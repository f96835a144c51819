// The signing key of a log: a PKCS#8 PEM file that only its owner can read, and beside it the verifying key as a vkey.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { seedOf } from '../tlog/ed25519.ts';
import { createSigner } from '../tlog/note.ts';
import { formatVkey, isKeyName } from '../tlog/vkey.ts';
import { fsyncAncestors, fsyncPath } from './files.ts';

export interface LedgerKey {
  /** The log name, which is the C2SP key name: `<domain>/<cluster>/<replica>`. */
  readonly name: string;
  /** The verifying key, one line. */
  readonly vkey: string;
  /** Raw Ed25519 seed, 32 bytes. Secret. */
  readonly privateKey: Uint8Array;
}

/**
 * The key in `file`, which is created when it does not exist (mode 0600, durable), with its vkey beside it under the same
 * name ending in `.vkey`. Throws KEY_INVALID for a key that others can read, that is not a private Ed25519 key, or whose
 * vkey file names another key or log.
 */
export function loadOrCreateKey(file: string, logName: string): LedgerKey {
  if (!isKeyName(logName)) {
    throw new SealgateError(
      'KEY_INVALID',
      `the log name ${JSON.stringify(logName)} cannot name a key: it must not be empty nor hold spaces or "+"`,
    );
  }
  try {
    if (!existsSync(file)) createKeyFile(file);
    const key = readKeyFile(file, logName);
    keepVkeyFile(vkeyFileOf(file), file, key);
    return key;
  } catch (error) {
    if (error instanceof SealgateError) throw error;
    throw invalid(`the key file ${file} cannot be read or created: ${messageOf(error)}`, error);
  }
}

/** `ledger.key` → `ledger.vkey`, in the same folder. */
export function vkeyFileOf(file: string): string {
  const { dir, name } = parse(file);
  return join(dir, `${name}.vkey`);
}

/** Written under another name, synced, then linked: whoever sees the name sees the whole key, and nobody's is replaced. */
function createKeyFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const { privateKey } = generateKeyPairSync('ed25519');
  fsyncAncestors(dirname(file));
  writeDurably(file, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600);
}

function readKeyFile(file: string, logName: string): LedgerKey {
  const stat = statSync(file);
  if (!stat.isFile()) throw new SealgateError('KEY_INVALID', `${file} is not a file`);
  const mode = stat.mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new SealgateError(
      'KEY_INVALID',
      `${file} has mode ${mode.toString(8).padStart(4, '0')}: others than its owner could read or change the signing key; chmod 600 it, and make a new key if somebody may have`,
    );
  }
  const text = readFileSync(file, 'utf8');
  if (/-----BEGIN [A-Z ]*PUBLIC KEY-----/.test(text) || /^[^\s+]+\+[0-9a-f]{8}\+/.test(text)) {
    throw new SealgateError(
      'KEY_INVALID',
      `${file} holds a public key; the ledger signs with the private one (PKCS#8 PEM)`,
    );
  }
  let privateKey: ReturnType<typeof createPrivateKey>;
  try {
    privateKey = createPrivateKey({ key: text, format: 'pem' });
  } catch (error) {
    // The text of the error is OpenSSL's and never quotes the key.
    throw invalid(`${file} does not hold an unencrypted private key in PKCS#8 PEM (${messageOf(error)})`, error);
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new SealgateError(
      'KEY_INVALID',
      `${file} holds a ${privateKey.asymmetricKeyType} key; the ledger signs with Ed25519`,
    );
  }
  return {
    name: logName,
    vkey: formatVkey(createSigner(logName, privateKey).key),
    privateKey: new Uint8Array(seedOf(privateKey)),
  };
}

/** Writes the vkey file, or checks that the one there is this key's: auditors have copies of it. */
function keepVkeyFile(vkeyFile: string, keyFile: string, key: LedgerKey): void {
  const existing = statSync(vkeyFile, { throwIfNoEntry: false });
  if (existing === undefined) {
    writeDurably(vkeyFile, `${key.vkey}\n`, 0o644);
    return;
  }
  const text = readFileSync(vkeyFile, 'utf8').trim();
  if (text === key.vkey) return;
  throw new SealgateError(
    'KEY_INVALID',
    `${vkeyFile} says ${JSON.stringify(text.slice(0, 200))}, but ${keyFile} and the log name make ${key.vkey}: the key or the log name was changed; put back what was, or move the ledger and its keys away to begin a new log`,
  );
}

function writeDurably(file: string, content: string, mode: number): void {
  const draft = `${file}.${process.pid}.new`;
  rmSync(draft, { force: true });
  try {
    writeFileSync(draft, content, { mode, flag: 'wx' });
    fsyncPath(draft);
    linkSync(draft, file);
  } catch (error) {
    // Somebody else was quicker: theirs is used.
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  fsyncPath(dirname(file));
}

function invalid(text: string, cause: unknown): SealgateError {
  return new SealgateError('KEY_INVALID', text, { cause });
}
