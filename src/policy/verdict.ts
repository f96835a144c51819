// From the value of a deny, warn or violation rule to its messages, bounded: a policy must not be able to flood the
// record.
import { RegoObject, RegoSet, toJson, typeName, type Value } from './terms.ts';

export interface Member {
  readonly message: string;
  readonly details?: unknown;
}

/** Members of one rule that are kept; the last one says how many were left out. */
export const MAX_MEMBERS = 100;
export const MAX_MESSAGE_CHARS = 4096;
const MAX_DETAILS_CHARS = 16_384;

/** The rule's value is not a set of messages. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** The members of a rule's value; undefined (no rule body held) has none. Throws ShapeError. */
export function membersOf(rule: string, value: Value | undefined): Member[] {
  if (value === undefined) return [];
  if (!(value instanceof RegoSet)) {
    throw new ShapeError(
      `${rule} must be a set of messages, but is ${article(value)}: write "${rule} contains message if { … }"`,
    );
  }
  const members = value.members.slice(0, MAX_MEMBERS).map((member) => memberOf(rule, member));
  const left = value.members.length - members.length;
  if (left > 0) members.push({ message: `… and ${left} more` });
  return members;
}

function memberOf(rule: string, member: Value): Member {
  if (typeof member === 'string') return { message: cut(member) };
  if (!(member instanceof RegoObject)) {
    throw new ShapeError(`a member of ${rule} must be text or an object with msg, but one is ${article(member)}`);
  }
  const message = member.get('msg') ?? member.get('message');
  if (typeof message !== 'string') {
    throw new ShapeError(`an object in ${rule} must have msg or message as text; it has ${keysOf(member)}`);
  }
  const used = member.get('msg') === undefined ? 'message' : 'msg';
  const rest = member.entries.filter(([key]) => key !== used);
  return rest.length === 0 ? { message: cut(message) } : { message: cut(message), details: boundedDetails(rest) };
}

/** Other keys become the details; a single key `details` is the details, as Gatekeeper's policies write it. */
function boundedDetails(rest: readonly (readonly [Value, Value])[]): unknown {
  const [only] = rest;
  const details = toJson(rest.length === 1 && only?.[0] === 'details' ? only[1] : new RegoObject(rest));
  const size = JSON.stringify(details).length;
  return size <= MAX_DETAILS_CHARS ? details : { truncated: `details of ${size} characters were left out` };
}

function cut(message: string): string {
  return message.length <= MAX_MESSAGE_CHARS ? message : `${message.slice(0, MAX_MESSAGE_CHARS)}…`.toWellFormed();
}

function article(value: Value): string {
  const type = typeName(value);
  return type === 'null' ? type : `${/^[ao]/.test(type) ? 'an' : 'a'} ${type}`;
}

function keysOf(object: RegoObject): string {
  const keys = object.entries.map(([key]) => String(key)).slice(0, 5);
  return keys.length === 0 ? 'no keys' : keys.join(', ').slice(0, 200);
}
