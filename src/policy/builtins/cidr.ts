// net.cidr_*: networks of IPv4 and IPv6 addresses, read and printed as Go's net package does. Names are never looked up.
import { isIP } from 'node:net';
import { RegoObject, RegoSet, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { membersOperand, operand, stringOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const CIDR: Readonly<Record<string, Builtin>> = {
  'net.cidr_is_valid': ([cidr]) => typeof cidr === 'string' && parseNetwork(cidr) !== undefined,
  'net.cidr_contains_matches': (args) => containsMatches(operand(args, 1), operand(args, 2)),
  'net.cidr_expand': (args) => expand(network(stringOperand(args, 1))),
  'net.cidr_merge': (args) => merge(membersOperand(args, 1)),
};

type Width = 32 | 128;

interface Address {
  readonly width: Width;
  readonly value: bigint;
}

interface Network extends Address {
  readonly bits: number;
}

/** ::ffff:0:0/96, where IPv4 addresses live among those of IPv6: Go takes them for IPv4. */
const MAPPED = 0xffffn;

/** An address as a number; one of IPv4 that is written as IPv6 is one of IPv4. Undefined for any other text. */
export function parseAddress(text: string): Address | undefined {
  const version = text.includes('%') ? 0 : isIP(text);
  if (version === 4) return { width: 32, value: dotted(text) };
  if (version !== 6) return undefined;
  const value = colons(text);
  return value >> 32n === MAPPED ? { width: 32, value: value & 0xffffffffn } : { width: 128, value };
}

function dotted(text: string): bigint {
  return text.split('.').reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** The text is known to be an IPv6 address. */
function colons(text: string): bigint {
  const tail = /[^:]*\.[^:]*$/.exec(text)?.[0];
  const ipv4 = tail === undefined ? 0n : dotted(tail);
  const hex =
    tail === undefined
      ? text
      : `${text.slice(0, -tail.length)}${(ipv4 >> 16n).toString(16)}:${(ipv4 & 0xffffn).toString(16)}`;
  const [head = '', rest] = hex.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = rest === undefined || rest === '' ? [] : rest.split(':');
  const zeros = rest === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after];
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

/** net.ParseCIDR: the network with the bits of its host cleared. */
function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === undefined || !/^\d{1,9}$/.test(digits)) return undefined;
  // A mapped address counts the 96 bits before it.
  const isMapped = address.width === 32 && text.slice(0, slash).includes(':');
  const bits = Number(digits) - (isMapped ? 96 : 0);
  if (bits > address.width) return undefined;
  if (bits < 0) return masked({ width: 128, value: (MAPPED << 32n) | address.value, bits: bits + 96 });
  return masked({ ...address, bits });
}

function masked({ width, value, bits }: Network): Network {
  const host = BigInt(width - bits);
  return { width, value: (value >> host) << host, bits };
}

function network(text: string): Network {
  const parsed = parseNetwork(text);
  if (parsed === undefined) throw new BuiltinError(`invalid CIDR address: ${text}`);
  return parsed;
}

/** As Go prints it: RFC 5952 for IPv6. */
export function printAddress({ width, value }: Address): string {
  if (width === 32) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  // RFC 5952: the first of the longest runs of two or more zeros becomes ::.
  let best = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (groups[at + length] === '0') length++;
    if (length > best.length) best = { at, length };
  }
  if (best.length < 2) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}

function printNetwork(net: Network): string {
  return `${printAddress(net)}/${net.bits}`;
}

function last({ width, value, bits }: Network): bigint {
  return value | ((1n << BigInt(width - bits)) - 1n);
}

/** `text` is an address or a network. */
function contains(outer: Network, text: string): boolean {
  const address = parseAddress(text);
  const inner = address === undefined ? network(text) : { ...address, bits: address.width };
  return outer.width === inner.width && outer.value <= inner.value && last(inner) <= last(outer);
}

/**
 * The pairs of keys: the position in an array, the key of an object, the member of a set, the string itself. As in OPA nothing is
 * wrong with what is never looked at, because the other side is empty.
 */
function containsMatches(cidrs: Value, candidates: Value): RegoSet {
  const pairs: Value[] = [];
  for (const [outer, outerKey] of matchTerms(cidrs, 1)) {
    let net: Network | undefined;
    for (const [inner, innerKey] of matchTerms(candidates, 2)) {
      net ??= network(outer);
      if (contains(net, inner)) pairs.push([outerKey, innerKey]);
    }
  }
  return new RegoSet(pairs);
}

function* matchTerms(value: Value, position: number): Generator<readonly [text: string, key: Value]> {
  if (typeof value === 'string') yield [value, value];
  else if (Array.isArray(value)) for (const [i, item] of value.entries()) yield [matchText(item, position), i];
  else if (value instanceof RegoSet) for (const item of value.members) yield [matchText(item, position), item];
  else if (value instanceof RegoObject) for (const [key, item] of value.entries) yield [matchText(item, position), key];
}

function matchText(item: Value, position: number): string {
  const text = Array.isArray(item) ? item[0] : item;
  if (typeof text !== 'string')
    throw new BuiltinError(`operand ${position}: element must be string or non-empty array`);
  return text;
}

/** More addresses than this are more than a policy can want, and than a worker should hold. */
const MAX_ADDRESSES = 1n << 18n;

function expand(net: Network): RegoSet {
  const count = last(net) - net.value + 1n;
  if (count > MAX_ADDRESSES) throw new RangeError(`net.cidr_expand: ${count} addresses are more than ${MAX_ADDRESSES}`);
  const addresses = Array.from({ length: Number(count) }, (_, i) =>
    printAddress({ width: net.width, value: net.value + BigInt(i) }),
  );
  return new RegoSet(addresses);
}

interface Range {
  readonly width: Width;
  readonly first: bigint;
  readonly last: bigint;
  /** How it is printed when it was merged with no other. */
  readonly alone: string | undefined;
}

/** The fewest networks that cover the same addresses. */
function merge(items: readonly Value[]): RegoSet {
  const ranges = items.map(rangeOf);
  return new RegoSet(([32, 128] as const).flatMap((width) => joined(ranges.filter((range) => range.width === width))));
}

function rangeOf(item: Value): Range {
  if (typeof item !== 'string') throw new BuiltinError('element must be string');
  const address = parseAddress(item);
  if (address === undefined) {
    const net = network(item);
    return { width: net.width, first: net.value, last: last(net), alone: printNetwork(net) };
  }
  if (address.width === 128) throw new BuiltinError('IPv6 invalid: needs prefix length');
  // OPA gives an address without a prefix the one of its class: net.IP.DefaultMask.
  const top = address.value >> 24n;
  const bits = top < 0x80n ? 8 : top < 0xc0n ? 16 : 24;
  const net = masked({ ...address, bits });
  return { width: 32, first: net.value, last: last(net), alone: `${printAddress(address)}/${bits}` };
}

function joined(ranges: readonly Range[]): string[] {
  const sorted = ranges.toSorted((a, b) => Number(a.first - b.first) || Number(a.last - b.last));
  const merged: Range[] = [];
  for (const range of sorted) {
    const before = merged.at(-1);
    if (before === undefined || range.first > before.last + 1n) merged.push(range);
    else
      merged[merged.length - 1] = {
        ...before,
        last: range.last > before.last ? range.last : before.last,
        alone: undefined,
      };
  }
  return merged.flatMap((range) => (range.alone === undefined ? cover(range) : [range.alone]));
}

/** The fewest networks from first to last. */
function cover({ width, first, last: end }: Range): string[] {
  const networks: string[] = [];
  for (let value = first; value <= end; ) {
    let host = 0;
    while (host < width && value % (1n << BigInt(host + 1)) === 0n && value + (1n << BigInt(host + 1)) - 1n <= end)
      host++;
    networks.push(printNetwork({ width, value, bits: width - host }));
    value += 1n << BigInt(host);
  }
  return networks;
}
