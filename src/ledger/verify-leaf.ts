// Reads a leaf as docs/ledger-format.md describes it, and nothing else: one expression over the bytes is both the parser
// and the proof that writing the values again gives the same bytes. Attacker-controlled input.
import { hash } from 'node:crypto';
import { ENTRY_KINDS, type EntryKind, MAX_LEAF_BYTES } from './entry.ts';

/** A leaf's values, as far as the verifier needs them. */
export interface ReadLeaf {
  readonly seq: number;
  readonly time: string;
  readonly kind: EntryKind;
  readonly prev: string;
  readonly body: string;
  readonly size: number;
}

const TIME = '\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d\\.\\d{6}Z';
const UID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

const LEAF = new RegExp(
  `^\\{"v":1,"seq":(0|[1-9]\\d{0,14}),"time":"(${TIME})","kind":"([a-z-]{1,32})","prev":"([0-9a-f]{64})"` +
    `,"body":"([0-9a-f]{64})","size":(0|[1-9]\\d{0,14})` +
    `(?:,"uid":"(${UID})")?(?:,"bundle":"(sha256:[0-9a-f]{64})")?(?:,"allowed":(true|false))?\\}$`,
);

/** Which of uid, bundle and allowed each kind has; all of them are required where they belong. */
const EXTRAS: Readonly<Record<EntryKind, string>> = {
  start: '---',
  link: '---',
  stop: '---',
  key: '---',
  policy: '-b-',
  decision: 'uba',
  undelivered: 'u--',
  event: '---',
  redelivery: '---',
  malformed: '---',
  removal: '---',
  anchor: '---',
  finding: '---',
};

/** A record's length has 32 bits. */
const MAX_SIZE = 2 ** 32 - 1;

const KINDS: ReadonlySet<string> = new Set(ENTRY_KINDS);

function isKind(text: string): text is EntryKind {
  return KINDS.has(text);
}

/** The expression lets every month have 31 days. */
function isDay(time: string): boolean {
  const day = time.slice(0, 10);
  if (day.slice(8) < '29') return true;
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

/** The values of a leaf, or undefined when the text is not one. `text` has one character a byte. */
export function readLeaf(text: string): ReadLeaf | undefined {
  const match = LEAF.exec(text);
  if (match === null) return undefined;
  const [, seq = '', time = '', kind = '', prev = '', body = '', size = '', uid, bundle, allowed] = match;
  if (!isKind(kind) || !isDay(time) || Number(size) > MAX_SIZE) return undefined;
  const extras =
    (uid === undefined ? '-' : 'u') + (bundle === undefined ? '-' : 'b') + (allowed === undefined ? '-' : 'a');
  if (extras !== EXTRAS[kind]) return undefined;
  return { seq: Number(seq), time, kind, prev, body, size: Number(size) };
}

const scratch = Buffer.alloc(MAX_LEAF_BYTES + 1);

/** RFC 6962 leaf hash, lowercase hex. A string is taken as one byte a character. */
export function leafHashOf(leaf: string | Uint8Array): string {
  let length: number;
  if (typeof leaf === 'string') {
    length = scratch.write(leaf, 1, 'latin1');
  } else {
    length = leaf.length;
    if (length > MAX_LEAF_BYTES) throw new RangeError('leaf too long');
    scratch.set(leaf, 1);
  }
  return hash('sha256', scratch.subarray(0, length + 1), 'hex');
}
