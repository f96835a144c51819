// The keys under which an entry is found in the Bloom filter of its block, and the one form in which values are compared.
import { createHash } from 'node:crypto';
import type { Facts } from './facts.ts';

/** A filter that compares for equality, as prefix of its keys. */
export type KeyField =
  | 'kind'
  | 'verdict'
  | 'verb'
  | 'resource'
  | 'code'
  | 'policy'
  | 'user'
  | 'namespace'
  | 'name'
  | 'id';

export function keyOf(field: KeyField, value: string): string {
  return `${field}:${value}`;
}

/** The keys of what a facet holds: what an entry shares with others of its sort. */
export function facetKeys(facts: FacetFacts): string[] {
  const keys = [keyOf('kind', facts.kind)];
  if (facts.allowed !== undefined) keys.push(keyOf('verdict', String(facts.allowed)));
  if (facts.verb !== '') keys.push(keyOf('verb', indexed(facts.verb)));
  if (facts.resource !== '') keys.push(keyOf('resource', indexed(facts.resource)));
  if (facts.code !== undefined) keys.push(keyOf('code', String(facts.code)));
  for (const { policy } of facts.policies) keys.push(keyOf('policy', indexed(policyName(policy))));
  return keys;
}

export type FacetFacts = Pick<
  Facts,
  'kind' | 'allowed' | 'dryRun' | 'verb' | 'group' | 'resource' | 'subresource' | 'code' | 'stage' | 'policies'
>;

/** `admission.images` is asked for by either name. */
export function policyName(policy: string): string {
  return policy.startsWith('admission.') ? policy.slice('admission.'.length) : policy;
}

const MAX_TEXT = 512;

/**
 * A text as the index keeps it: bounded, because clients choose names and paths, and still different for different texts. Lone
 * surrogates, which SQLite could not give back, become U+FFFD.
 */
export function indexed(text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed();
  if (whole.length <= MAX_TEXT) return whole;
  const digest = createHash('sha256').update(whole).digest('hex').slice(0, 16);
  return `${whole.slice(0, MAX_TEXT - 24).toWellFormed()}…#${digest}`;
}

const UUID = '00000000-0000-0000-0000-000000000000';
const UUID_BYTES = 16;
const HYPHEN = 0x2d;

/** A uid or auditID as it is stored: 16 bytes when it is a UUID in its usual form, else the text; null for none. */
export function packId(id: string): Buffer | string | null {
  if (id === '') return null;
  return packUuid(id) ?? indexed(id);
}

/** Its bytes, when it is a UUID with lower-case digits. */
function packUuid(id: string): Buffer | undefined {
  if (id.length !== UUID.length) return undefined;
  const bytes = Buffer.allocUnsafe(UUID_BYTES);
  let nibbles = 0;
  for (let i = 0; i < UUID.length; i++) {
    const code = id.charCodeAt(i);
    if (UUID.charCodeAt(i) === HYPHEN) {
      if (code !== HYPHEN) return undefined;
      continue;
    }
    const nibble = code >= 0x30 && code <= 0x39 ? code - 0x30 : code >= 0x61 && code <= 0x66 ? code - 0x57 : -1;
    if (nibble < 0) return undefined;
    if (nibbles % 2 === 0) bytes[nibbles >> 1] = nibble << 4;
    else bytes[nibbles >> 1] = (bytes[nibbles >> 1] as number) | nibble;
    nibbles++;
  }
  return bytes;
}

/** The id again, from its stored form. */
export function unpackId(stored: unknown): string {
  if (typeof stored === 'string') return stored;
  if (!(stored instanceof Uint8Array)) return '';
  const hex = Buffer.from(stored).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
