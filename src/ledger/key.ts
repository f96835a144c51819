// The signing key of a log: a PKCS#8 PEM file that only its owner can read, and beside it the verifying key as a vkey.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { rawPublicKey, seedOf } from '../tlog/ed25519.ts';
import { formatVkey, isKeyName, makeVerifierKey, parseVkey, type SignatureType } from '../tlog/vkey.ts';
import { fsyncAncestors, fsyncPath } from './files.ts';

export interface LedgerKey {
  /** The log name, which is the C2SP key name: `<domain>/<cluster>/<replica>`. */
  readonly name: string;
  /** The verifying key, one line. */
  readonly vkey: string;
  /** Raw Ed25519 seed, 32 bytes. Secret. */
  readonly privateKey: Uint8Array;
}

export interface KeyFileOptions {
  /** Where the verifying key is kept for people. Default: beside the key, the same name ending in `.vkey`. */
  readonly vkeyFile?: string;
  /** The key before this one: a vkey file that still names it is brought up to date. */
  readonly previous?: LedgerKey | undefined;
  /** What the key signs. Default: `ed25519`, a log's notes. */
  readonly type?: SignatureType;
}

/**
 * The key in `file`, which is created when it does not exist (mode 0600, durable), with its vkey in the vkey file. Throws
 * KEY_EXPOSED for a key that others can read, KEY_INVALID for one that is not a private Ed25519 key, or whose vkey file names another key or log.
 */
export function loadOrCreateKey(file: string, logName: string, options: KeyFileOptions = {}): LedgerKey {
  return withKeyFile(file, () => {
    requireKeyName(logName);
    if (!existsSync(file)) createKeyFile(file);
    const key = readKeyFile(file, logName, options.type);
    keepVkeyFile(options.vkeyFile ?? vkeyFileOf(file), file, key, options.previous);
    return key;
  });
}

/** The key in `file`, which has to exist. Throws KEY_EXPOSED and KEY_INVALID as loadOrCreateKey does. */
export function loadKey(file: string, logName: string): LedgerKey {
  return withKeyFile(file, () => {
    requireKeyName(logName);
    return readKeyFile(file, logName);
  });
}

/** Creates a key file and its vkey file. Throws KEY_INVALID when one of them exists. */
export function createKey(file: string, logName: string): LedgerKey {
  return withKeyFile(file, () => {
    requireKeyName(logName);
    for (const path of [file, vkeyFileOf(file)]) {
      if (existsSync(path))
        throw new SealgateError('KEY_INVALID', `${path} exists: it is not replaced, give another name`);
    }
    return loadOrCreateKey(file, logName);
  });
}

/** `ledger.key` → `ledger.previous.key`, in the same folder. */
export function previousFileOf(file: string): string {
  const { dir, name, ext } = parse(file);
  return join(dir, `${name}.previous${ext}`);
}

/**
 * Puts a new key in the place of the one in `file`; the old one becomes its previous file, until the rotation is recorded,
 * which the next start does. Run again after a crash it goes on where it stopped. Throws KEY_INVALID when there is no key,
 * or an earlier rotation has left its old key there.
 */
export function replaceKey(file: string): { readonly previous: LedgerKey; readonly next: LedgerKey } {
  return withKeyFile(file, () => {
    const vkeyFile = vkeyFileOf(file);
    if (!existsSync(file) || !existsSync(vkeyFile)) {
      throw new SealgateError(
        'KEY_INVALID',
        `${file} and ${vkeyFile} are not both there: name the key that the ledger was written with, as it was made by sealgate`,
      );
    }
    const logName = parseVkey(readFileSync(vkeyFile, 'utf8').trim()).name;
    const previousFile = previousFileOf(file);
    // The first of the two renames below may have been the last thing that an interrupted run did.
    if (existsSync(previousFile) && !sameFile(previousFile, file)) {
      throw new SealgateError(
        'KEY_INVALID',
        `${previousFile} is still there: start Sealgate, which records the rotation before this one, then delete that file and try again`,
      );
    }
    const previous = readKeyFile(file, logName);
    if (!existsSync(previousFile)) linkSync(file, previousFile);
    keepVkeyFile(vkeyFileOf(previousFile), previousFile, previous, undefined);
    fsyncPath(dirname(file));
    replaceDurably(file, newKey(), 0o600);
    const next = readKeyFile(file, logName);
    keepVkeyFile(vkeyFile, file, next, previous);
    return { previous, next };
  });
}

function sameFile(one: string, other: string): boolean {
  return statSync(one).ino === statSync(other).ino;
}

function withKeyFile<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof SealgateError) throw error;
    throw invalid(`the key file ${file} cannot be read or created: ${messageOf(error)}`, error);
  }
}

function requireKeyName(logName: string): void {
  if (isKeyName(logName)) return;
  throw new SealgateError(
    'KEY_INVALID',
    `the log name ${JSON.stringify(logName)} cannot name a key: it must not be empty nor hold spaces or "+"`,
  );
}

/** `ledger.key` → `ledger.vkey`, in the same folder. */
export function vkeyFileOf(file: string): string {
  const { dir, name } = parse(file);
  return join(dir, `${name}.vkey`);
}

/** Written under another name, synced, then linked: whoever sees the name sees the whole key, and nobody's is replaced. */
function createKeyFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  fsyncAncestors(dirname(file));
  writeDurably(file, newKey(), 0o600);
}

/** A new private key, PKCS#8 PEM. */
function newKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function readKeyFile(file: string, logName: string, type: SignatureType = 'ed25519'): LedgerKey {
  const stat = statSync(file);
  if (!stat.isFile()) throw new SealgateError('KEY_INVALID', `${file} is not a file`);
  const mode = stat.mode & 0o777;
  // A mounted Secret belongs to root and is read through the pod's own group (fsGroup): that bit, and no other, is in order there.
  const allowed = stat.uid === process.getuid?.() ? 0o700 : 0o740;
  if ((mode & ~allowed) !== 0) {
    throw new SealgateError(
      'KEY_EXPOSED',
      `${file} has mode ${mode.toString(8).padStart(4, '0')}: others than its owner could read or change the signing key; chmod 600 it (a Secret: defaultMode 0440 and fsGroup), and make a new key if somebody may have`,
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
    vkey: formatVkey(makeVerifierKey(logName, type, rawPublicKey(privateKey))),
    privateKey: new Uint8Array(seedOf(privateKey)),
  };
}

/** Writes the vkey file, or checks that the one there is this key's: auditors have copies of it. */
function keepVkeyFile(vkeyFile: string, keyFile: string, key: LedgerKey, previous: LedgerKey | undefined): void {
  const existing = statSync(vkeyFile, { throwIfNoEntry: false });
  if (existing === undefined) {
    mkdirSync(dirname(vkeyFile), { recursive: true, mode: 0o700 });
    writeDurably(vkeyFile, `${key.vkey}\n`, 0o644);
    return;
  }
  const text = readFileSync(vkeyFile, 'utf8').trim();
  if (text === key.vkey) return;
  if (text === previous?.vkey) {
    replaceDurably(vkeyFile, `${key.vkey}\n`, 0o644);
    return;
  }
  throw new SealgateError(
    'KEY_INVALID',
    `${vkeyFile} says ${JSON.stringify(text.slice(0, 200))}, but ${keyFile} and the log name make ${key.vkey}: the key or the log name was changed; put back what was, rotate the key in order (docs/keys.md), or move the ledger and its keys away to begin a new log`,
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

/** Under another name first: whoever opens the file sees the old content or the new. */
function replaceDurably(file: string, content: string, mode: number): void {
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  writeFileSync(draft, content, { mode, flag: 'wx' });
  fsyncPath(draft);
  renameSync(draft, file);
  fsyncPath(dirname(file));
}

function invalid(text: string, cause: unknown): SealgateError {
  return new SealgateError('KEY_INVALID', text, { cause });
}
