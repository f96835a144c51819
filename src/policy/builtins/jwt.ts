// io.jwt.*: decoding, verification and signing of JSON Web Tokens (RFC 7519), as strict as OPA (v1/topdown/tokens.go).
import { createHmac, timingSafeEqual } from 'node:crypto';
import { compareValues, isNumber, numberOf, numberText, RegoObject, type Value } from '../terms.ts';
import { decodeBase64Url } from './base64url.ts';
import { BuiltinError } from './error.ts';
import { readJson, writeJson } from './go-json.ts';
import { ALGORITHMS, jwkSet, secretKey, type TokenKey, verificationKeys } from './jwk.ts';
import { signJws, verifyJws } from './jws.ts';
import { objectOperand, operand, stringOperand } from './operands.ts';
import type { Builtin, BuiltinContext } from './types.ts';

const ASYMMETRIC = [...ALGORITHMS].filter((algorithm) => !algorithm.startsWith('HS'));
const SYMMETRIC = [...ALGORITHMS].filter((algorithm) => algorithm.startsWith('HS'));

export const JWT: Readonly<Record<string, Builtin>> = {
  'io.jwt.decode': (args) => decode(stringOperand(args, 1)),
  'io.jwt.decode_verify': (args, context) => decodeVerify(stringOperand(args, 1), objectOperand(args, 2), context),
  'io.jwt.encode_sign': (args) =>
    encodeSign(writeJson(operand(args, 1)), writeJson(operand(args, 2)), writeJson(operand(args, 3))),
  'io.jwt.encode_sign_raw': (args) =>
    encodeSign(stringOperand(args, 1), stringOperand(args, 2), stringOperand(args, 3)),
  ...Object.fromEntries(ASYMMETRIC.map((algorithm) => [verifyName(algorithm), verifier(algorithm)])),
  ...Object.fromEntries(SYMMETRIC.map((algorithm) => [verifyName(algorithm), hmacVerifier(algorithm)])),
};

function verifyName(algorithm: string): string {
  return `io.jwt.verify_${algorithm.toLowerCase()}`;
}

interface Token {
  readonly header: RegoObject;
  /** The payload as it was encoded. */
  readonly payload: string;
  readonly signature: string;
  /** What was signed. */
  readonly signed: string;
}

function sections(token: string): [header: string, payload: string, signature: string] {
  const [header, payload, signature, ...more] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0)
    throw new BuiltinError('encoded JWT must have 3 sections');
  return [header, payload, signature];
}

function parse(text: string): Token {
  const [head, payload, signature] = sections(text);
  const header = jsonObject(decodeBase64Url(head));
  if (header.get('enc') !== undefined) throw new BuiltinError('JWT is a JWE object, which is not supported');
  return { header, payload, signature, signed: `${head}.${payload}` };
}

function jsonObject(bytes: Buffer): RegoObject {
  const value = readJson(bytes.toString('utf8'));
  if (!(value instanceof RegoObject)) throw new BuiltinError('decoded JSON type was not an Object');
  return value;
}

function decode(text: string): Value {
  const token = parse(text);
  const payload = decodeBase64Url(token.payload);
  // A token in a token comes in quotes.
  if (token.header.get('cty') === 'JWT') return decode(payload.toString('utf8').replace(/^["']+|["']+$/g, ''));
  return [token.header, jsonObject(payload), decodeBase64Url(token.signature).toString('hex')];
}

interface Header {
  readonly alg: string;
  readonly kid: string;
  readonly cty: string;
  /** False when there is no algorithm, or a critical parameter that nobody here knows. */
  readonly valid: boolean;
}

const PARAMETERS = ['alg', 'kid', 'typ', 'cty'];

function headerOf(header: RegoObject): Header {
  const text = (name: string): string => {
    const value = header.get(name) ?? '';
    if (typeof value !== 'string') throw new BuiltinError(`${name}: must be a string`);
    return value;
  };
  const [alg = '', kid = '', , cty = ''] = PARAMETERS.map(text);
  const unknown = header.entries
    .map(([name]) => name)
    .filter((name) => ![...PARAMETERS, 'crit'].includes(String(name)));
  const critical = criticalOf(header.get('crit'));
  return { alg, kid, cty, valid: alg !== '' && !unknown.some((name) => critical.includes(name)) };
}

function criticalOf(crit: Value | undefined): readonly Value[] {
  if (crit === undefined) return [];
  if (!Array.isArray(crit)) throw new BuiltinError('crit: must be a list');
  if (!crit.some((name) => typeof name === 'string')) throw new BuiltinError('crit: must be a nonempty list');
  return crit;
}

function verifier(algorithm: string): Builtin {
  return (args) => {
    const text = stringOperand(args, 1);
    const [, , signatureText] = sections(text);
    const keys = verificationKeys(stringOperand(args, 2));
    const signature = decodeBase64Url(signatureText);
    const token = parse(text);
    const { alg, kid } = headerOf(token.header);
    const jws = { algorithm, text: token.signed, signature };
    // The built-in names the algorithm, and needs a public key.
    const fits = ({ key }: TokenKey): boolean => key.type === 'public' && verifyJws(jws, key, true);
    return trusts(keys, kid, alg, fits);
  };
}

/** The key that the token names, if there is one; else any that is not of another algorithm. */
function trusts(keys: readonly TokenKey[], kid: string, alg: string, fits: (key: TokenKey) => boolean): boolean {
  const named = kid === '' ? undefined : keys.find((key) => key.kid === kid);
  if (named !== undefined) return fits(named);
  return keys.some((key) => (key.alg === '' || key.alg === alg) && fits(key));
}

function hmacVerifier(algorithm: string): Builtin {
  return (args) => {
    const [header, payload, signature] = sections(stringOperand(args, 1));
    const hmac = createHmac(`sha${algorithm.slice(2)}`, stringOperand(args, 2));
    const expected = hmac.update(`${header}.${payload}`).digest();
    const given = decodeBase64Url(signature);
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
}

interface Constraints {
  readonly keys: readonly TokenKey[] | undefined;
  readonly secret: string;
  readonly alg: string;
  readonly iss: string;
  readonly aud: string;
  /** Nanoseconds since the epoch, as a float64: OPA compares it so. */
  readonly time: number;
}

const CONSTRAINTS = ['cert', 'secret', 'alg', 'iss', 'aud', 'time'];

function constraintsOf(given: RegoObject, context: BuiltinContext): Constraints {
  const text = (name: string): string => {
    const value = given.get(name) ?? '';
    if (typeof value !== 'string') throw new BuiltinError(`${name} constraint: must be a string`);
    return value;
  };
  for (const [name] of given.entries) {
    if (typeof name !== 'string' || !CONSTRAINTS.includes(name))
      throw new BuiltinError(`unknown token validation constraint: ${String(name)}`);
  }
  const keys = given.get('cert') === undefined ? undefined : verificationKeys(text('cert'));
  const secret = text('secret');
  if ((keys === undefined) === (secret === '')) throw new BuiltinError('there must be one key constraint');
  const time = given.get('time') ?? numberOf(context.now.toString());
  if (!isNumber(time) || Number(numberText(time)) < 0)
    throw new BuiltinError('token time constraint: must be a number that is not negative');
  return { keys, secret, alg: text('alg'), iss: text('iss'), aud: text('aud'), time: Number(numberText(time)) };
}

/** [valid, header, payload]; the latter two are empty unless everything holds. */
function decodeVerify(text: string, given: RegoObject, context: BuiltinContext): Value {
  const constraints = constraintsOf(given, context);
  const unverified = [false, new RegoObject([]), new RegoObject([])];
  let token = parse(text);
  for (;;) {
    const header = headerOf(token.header);
    if (!header.valid || (constraints.alg !== '' && constraints.alg !== header.alg)) return unverified;
    if (!isSigned(token, header, constraints)) return unverified;
    if (header.cty.toUpperCase() !== 'JWT') break;
    token = parse(decodeBase64Url(token.payload).toString('utf8'));
  }
  const payload = jsonObject(decodeBase64Url(token.payload));
  return meets(payload, constraints) ? [true, token.header, payload] : unverified;
}

function isSigned(token: Token, { alg, kid }: Header, { keys, secret }: Constraints): boolean {
  const signature = decodeBase64Url(token.signature);
  if (!ALGORITHMS.has(alg)) return false;
  const jws = { algorithm: alg, text: token.signed, signature };
  if (keys === undefined) return verifyJws(jws, secretKey(secret));
  return trusts(keys, kid, alg, ({ key }) => verifyJws(jws, key));
}

/** The registered claims: issuer, audience, and the time at which the token is valid. */
function meets(payload: RegoObject, { iss, aud, time }: Constraints): boolean {
  const issuer = payload.get('iss');
  if (iss !== '' && issuer !== undefined && typeof issuer !== 'string')
    throw new BuiltinError('iss value must be a string');
  if (iss !== '' && issuer !== iss) return false;
  if (!isAudience(payload.get('aud'), aud)) return false;
  const seconds = numberOf(String(time / 1e9));
  const expires = claimTime(payload, 'exp');
  if (expires !== undefined && compareValues(seconds, expires) >= 0) return false;
  const begins = claimTime(payload, 'nbf');
  return begins === undefined || compareValues(seconds, begins) >= 0;
}

function isAudience(audience: Value | undefined, wanted: string): boolean {
  if (audience === undefined) return wanted === '';
  return Array.isArray(audience) ? audience.includes(wanted) : audience === wanted;
}

function claimTime(payload: RegoObject, name: string): Value | undefined {
  const value = payload.get(name);
  if (value !== undefined && !isNumber(value)) throw new BuiltinError(`${name} value must be a number`);
  return value;
}

function encodeSign(header: string, payload: string, jwk: string): string {
  const [key] = jwkSet(jwk);
  if (key === undefined) throw new BuiltinError('no keys found in JWK set');
  const parameters = readJson(header);
  if (!(parameters instanceof RegoObject)) throw new BuiltinError("missing or invalid 'alg' header");
  const alg = parameters.get('alg');
  if (typeof alg !== 'string') throw new BuiltinError("missing or invalid 'alg' header");
  if (!ALGORITHMS.has(alg)) throw new BuiltinError(`unknown JWS algorithm: ${alg}`);
  const type = parameters.get('typ');
  // Throws when the payload is not JSON.
  if (typeof type !== 'string' || type === 'JWT') readJson(payload);
  const signed = `${Buffer.from(header).toString('base64url')}.${Buffer.from(payload).toString('base64url')}`;
  return `${signed}.${signJws(alg, key.key, signed).toString('base64url')}`;
}
