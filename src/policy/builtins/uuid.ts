// uuid.parse and uuid.rfc4122 (RFC 9562), with the forms that Go's google/uuid reads.
import { numberOf, printValue, RegoObject, type Value } from '../terms.ts';
import { operand, stringOperand } from './operands.ts';
import type { Builtin, BuiltinContext } from './types.ts';

export const UUID: Readonly<Record<string, Builtin>> = {
  'uuid.parse': (args) => parse(stringOperand(args, 1)),
  'uuid.rfc4122': (args, context) => random(operand(args, 1), context),
};

/** The same for the same argument within one evaluation. */
function random(key: Value, context: BuiltinContext): Value {
  const name = `uuid.rfc4122 ${printValue(key)}`;
  const known = context.fixed.get(name);
  if (known !== undefined) return known;
  const bytes = Buffer.from(context.random(16));
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const uuid = bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  context.fixed.set(name, uuid);
  return uuid;
}

const CANONICAL = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i;

/** The bytes of the canonical form, with urn:uuid: before it, any two characters around it, or without its dashes. */
function bytesOf(text: string): Buffer | undefined {
  if (/^[0-9a-f]{32}$/i.test(text)) return Buffer.from(text, 'hex');
  let inner = text;
  if (/^urn:uuid:/i.test(text)) inner = text.slice(9);
  // Go looks only at the length and takes whatever stands around it.
  else if (Buffer.byteLength(text) === 38) inner = Buffer.from(text).subarray(1, 37).toString('latin1');
  return CANONICAL.test(inner) ? Buffer.from(inner.replaceAll('-', ''), 'hex') : undefined;
}

/** Domains of version 2 (DCE 1.1). */
const DOMAINS = ['Person', 'Group', 'Org'];

/** 100-nanosecond steps from 15 October 1582 to 1970. */
const GREGORIAN = 122_192_928_000_000_000n;

function parse(text: string): Value | undefined {
  const uuid = bytesOf(text);
  if (uuid === undefined) return undefined;
  const version = uuid.readUInt8(6) >> 4;
  const entries: [string, Value][] = [
    ['version', version],
    ['variant', variant(uuid.readUInt8(8))],
  ];
  if (version === 1 || version === 2) entries.push(...timeBased(uuid));
  if (version === 2) {
    const domain = uuid.readUInt8(9);
    entries.push(['id', uuid.readUInt32BE(0)], ['domain', DOMAINS[domain] ?? `Domain${domain}`]);
  }
  return new RegoObject(entries);
}

function variant(byte: number): string {
  if ((byte & 0xc0) === 0x80) return 'RFC4122';
  if ((byte & 0xe0) === 0xc0) return 'Microsoft';
  return (byte & 0xe0) === 0xe0 ? 'Future' : 'Reserved';
}

function timeBased(uuid: Buffer): [string, Value][] {
  const high = BigInt(uuid.readUInt16BE(6) & 0x0fff);
  const steps = (high << 48n) | (BigInt(uuid.readUInt16BE(4)) << 32n) | BigInt(uuid.readUInt32BE(0));
  const node = uuid.subarray(10);
  return [
    // Go counts the nanoseconds in an int64 and lets those before 1677 overflow.
    ['time', numberOf(BigInt.asIntN(64, (steps - GREGORIAN) * 100n).toString())],
    ['nodeid', [...node].map((byte) => byte.toString(16).padStart(2, '0')).join('-')],
    ['macvariables', macVariables(node.readUInt8(0))],
    ['clocksequence', uuid.readUInt16BE(8) & 0x3fff],
  ];
}

/** RFC 7042, section 2.1. */
function macVariables(byte: number): string {
  return `${byte & 2 ? 'local' : 'global'}:${byte & 1 ? 'multicast' : 'unicast'}`;
}
