// Encodings and digests that Wasm leaves to the host.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { stringOperand } from './operands.ts';
import { type Builtin, BuiltinError } from './types.ts';

export const ENCODING: Readonly<Record<string, Builtin>> = {
  'hex.encode': (args) => Buffer.from(stringOperand(args, 1)).toString('hex'),
  'hex.decode': (args) => hexDecode(stringOperand(args, 1)),
  'base64url.encode_no_pad': (args) => Buffer.from(stringOperand(args, 1)).toString('base64url'),
  'urlquery.encode': (args) => queryEscape(stringOperand(args, 1)),
  'urlquery.decode': (args) => queryUnescape(stringOperand(args, 1)),
  'crypto.md5': (args) => digest('md5', stringOperand(args, 1)),
  'crypto.sha1': (args) => digest('sha1', stringOperand(args, 1)),
  'crypto.sha256': (args) => digest('sha256', stringOperand(args, 1)),
  'crypto.hmac.md5': (args) => hmac('md5', stringOperand(args, 1), stringOperand(args, 2)),
  'crypto.hmac.sha1': (args) => hmac('sha1', stringOperand(args, 1), stringOperand(args, 2)),
  'crypto.hmac.sha256': (args) => hmac('sha256', stringOperand(args, 1), stringOperand(args, 2)),
  'crypto.hmac.sha512': (args) => hmac('sha512', stringOperand(args, 1), stringOperand(args, 2)),
  'crypto.hmac.equal': (args) => equalBytes(Buffer.from(stringOperand(args, 1)), Buffer.from(stringOperand(args, 2))),
  'net.cidr_is_valid': ([cidr]) => typeof cidr === 'string' && isCidr(cidr),
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

/** Go's url.QueryEscape: everything but letters, digits and -_.~, with + for the space. */
function queryEscape(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

function queryUnescape(text: string): string {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) throw new BuiltinError('invalid URL escape');
  const bytes = text
    .replaceAll('+', ' ')
    .replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
  return bytes;
}

/** Go's net.ParseCIDR: an address, a slash, and a prefix length. */
function isCidr(text: string): boolean {
  const [address = '', bits = '', ...more] = text.split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  if (version === 0 || more.length > 0 || !/^\d+$/.test(bits)) return false;
  return Number(bits) <= (version === 4 ? 32 : 128);
}
