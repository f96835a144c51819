// semver.compare and semver.is_valid, as strict and as lenient as OPA (internal/semver): a leading v is allowed,
// metadata does not count.

import { BuiltinError } from './error.ts';
import { stringOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const SEMVER: Readonly<Record<string, Builtin>> = {
  'semver.compare': (args) => {
    const a = stringOperand(args, 1);
    const b = stringOperand(args, 2);
    return compare(valid(a, 1), valid(b, 2));
  },
  'semver.is_valid': ([version]) => typeof version === 'string' && parse(version) !== undefined,
};

interface Version {
  readonly release: readonly bigint[];
  readonly preRelease: readonly string[];
}

const PATTERN =
  /^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

function parse(text: string): Version | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const release = [match[1], match[2], match[3]].map((part) => BigInt(part ?? 0));
  if (release.some((part) => part >= 1n << 63n)) return undefined;
  const preRelease = match[4]?.split('.') ?? [];
  return preRelease.some((part) => /^0\d+$/.test(part)) ? undefined : { release, preRelease };
}

function valid(text: string, position: number): Version {
  const version = parse(text);
  if (version === undefined) throw new BuiltinError(`operand ${position}: string ${text} is not a valid SemVer`);
  return version;
}

function compare(a: Version, b: Version): number {
  for (let i = 0; i < 3; i++) {
    const order = sign(a.release[i] ?? 0n, b.release[i] ?? 0n);
    if (order !== 0) return order;
  }
  if (a.preRelease.length === 0 || b.preRelease.length === 0) return sign(b.preRelease.length, a.preRelease.length);
  for (let i = 0; i < Math.max(a.preRelease.length, b.preRelease.length); i++) {
    const order = compareIdentifiers(a.preRelease[i], b.preRelease[i]);
    if (order !== 0) return order;
  }
  return 0;
}

/** SemVer 2.0.0, item 11: numbers by value and before words; the shorter list first. */
function compareIdentifiers(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return sign(a === undefined ? 0 : 1, b === undefined ? 0 : 1);
  const aNumeric = /^\d+$/.test(a);
  const bNumeric = /^\d+$/.test(b);
  if (aNumeric && bNumeric) return sign(BigInt(a), BigInt(b));
  if (aNumeric !== bNumeric) return aNumeric ? -1 : 1;
  return sign(a, b);
}

/** Identifiers are ASCII, so that the order of UTF-16 units is the order of bytes. */
function sign<T extends bigint | number | string>(a: T, b: T): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
