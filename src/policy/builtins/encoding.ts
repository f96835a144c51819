// Encodings and digests that Wasm leaves to the host.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { BuiltinError } from './error.ts';
import { stringOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const ENCODING: Readonly<Record<string, Builtin>> = {
  'hex.encode': (args) => Buffer.from(stringOperand(args, 1)).toString('hex'),
  'hex.decode': (args) => hexDecode(stringOperand(args, 1)),
  'base64url.encode_no_pad': (args) => Buffer.from(stringOperand(args, 1)).toString('base64url'),
  'crypto.md5': (args) => digest('md5', stringOperand(args, 1)),
  'crypto.sha1': (args) => digest('sha1', stringOperand(args, 1)),
  'crypto.sha256': (args) => digest('sha256', stringOperand(args, 1)),
  'crypto.hmac.md5': (args) => hmac('md5', stringOperand(args, 1), stringOperand(args, 2)),
  'crypto.hmac.sha1': (args) => hmac('sha1', stringOperand(args, 1), stringOperand(args, 2)),
  'crypto.hmac.sha256': (args) => hmac('sha256', stringOperand(args, 1), stringOperand(args, 2)),
  'crypto.hmac.sha512': (args) => hmac('sha512', stringOperand(args, 1), stringOperand(args, 2)),
  'crypto.hmac.equal': (args) => equalBytes(Buffer.from(stringOperand(args, 1)), Buffer.from(stringOperand(args, 2))),
};

function digest(algorithm: string, text: string): string {
  return createHash(algorithm).update(text).digest('hex');
}

function hmac(algorithm: string, text: string, key: string): string {
  return createHmac(algorithm, key).update(text).digest('hex');
}

function equalBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function hexDecode(text: string): string {
  if (text.length % 2 !== 0 || /[^0-9a-fA-F]/.test(text))
    throw new BuiltinError('encoding/hex: invalid byte or odd length');
  return Buffer.from(text, 'hex').toString('utf8');
}
