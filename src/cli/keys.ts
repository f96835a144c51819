// Reads what the offline commands are given besides a ledger: verifying keys, and small text files such as a checkpoint.
import fs from 'node:fs';
import { SealgateError } from '../lib/errors.ts';
import { refusedBySystem } from './failure.ts';

const MAX_TEXT_BYTES = 1024 * 1024;

/** Vkeys from an argument, which is one or names a file with one a line; "#" begins a comment. Throws KEY_INVALID, KEY_PRIVATE. */
export function readKey(argument: string): string[] {
  const isText = /^[^\s+]+\+[0-9a-fA-F]{8}\+/.test(argument) || /^(PRIVATE\+KEY\+|-----BEGIN )/.test(argument);
  if (!isText && !fs.existsSync(argument)) {
    throw new SealgateError(
      'KEY_INVALID',
      `${argument} does not exist, and is not a vkey itself (<name>+<key ID>+<base64>)`,
    );
  }
  const text = isText ? argument : readText(argument, 'KEY_INVALID');
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw new SealgateError(
      'KEY_PRIVATE',
      `${isText ? 'the text given with --key' : argument} is a private key: verifying takes the public one (ledger.vkey), and nobody but the writer should have the other`,
    );
  }
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.length === 0) throw new SealgateError('KEY_INVALID', `${argument} holds no key`);
  return lines;
}

/** The content of a small text file. Throws `code` when it cannot be read or is larger than a key or a checkpoint can be. */
export function readText(file: string, code: 'KEY_INVALID' | 'CHECKPOINT_INVALID'): string {
  try {
    if (fs.statSync(file).size <= MAX_TEXT_BYTES) return fs.readFileSync(file, 'utf8');
  } catch (cause) {
    throw refusedBySystem(code, `${file} cannot be read`, cause);
  }
  throw new SealgateError(code, `${file} is larger than a key or a checkpoint can be`);
}
