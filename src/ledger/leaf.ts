// Leaves between values and bytes, strictly: parsing accepts exactly what encoding writes (docs/ledger-format.md, "Leaf").
import { hash } from 'node:crypto';
import { SealgateError } from '../lib/errors.ts';
import {
  ENTRY_KINDS,
  type EntryKind,
  FORMAT_VERSION,
  type Leaf,
  type LeafExtra,
  MAX_LEAF_BYTES,
  NO_PREVIOUS,
} from './entry.ts';

/** Which further keys a leaf of a kind has: all of these and no others. */
const EXTRA_KEYS: Readonly<Record<EntryKind, readonly (keyof LeafExtra)[]>> = {
  start: [],
  link: [],
  stop: [],
  key: [],
  policy: ['bundle'],
  decision: ['uid', 'bundle', 'allowed'],
  undelivered: ['uid'],
  event: [],
  redelivery: [],
  malformed: [],
  removal: [],
  anchor: [],
  finding: [],
};

const UID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const BUNDLE = /^sha256:[0-9a-f]{64}$/;

const LEAF = new RegExp(
  [
    '^\\{"v":1',
    '"seq":(0|[1-9][0-9]{0,15})',
    '"time":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z)"',
    '"kind":"([a-z]+)"',
    '"prev":"([0-9a-f]{64})"',
    '"body":"([0-9a-f]{64})"',
    '"size":(0|[1-9][0-9]{0,9})(?:,"uid":"([0-9a-f-]{36})")?(?:,"bundle":"(sha256:[0-9a-f]{64})")?(?:,"allowed":(true|false))?\\}$',
  ].join(','),
);

/** What LEAF captures: the whole, the keys that every leaf has, and those that some kinds have. */
type LeafMatch = [
  ...[all: string, seq: string, time: string, kind: string, prev: string, body: string, size: string],
  ...[uid: string | undefined, bundle: string | undefined, allowed: string | undefined],
];

/** The leaf as text, which is ASCII; the values are trusted to have the form that `checkExtra` and the writer give them. */
export function encodeLeaf(leaf: Leaf): string {
  let text = `{"v":${leaf.v},"seq":${leaf.seq},"time":"${leaf.time}","kind":"${leaf.kind}","prev":"${leaf.prev}","body":"${leaf.body}","size":${leaf.size}`;
  if (leaf.uid !== undefined) text += `,"uid":"${leaf.uid}"`;
  if (leaf.bundle !== undefined) text += `,"bundle":"${leaf.bundle}"`;
  if (leaf.allowed !== undefined) text += `,"allowed":${leaf.allowed}`;
  return `${text}}`;
}

/**
 * Why `extra` cannot stand in a leaf of this kind, or undefined when it can. Asked before an entry is accepted, so that a
 * caller's mistake costs the caller's append and not the writer.
 */
export function checkExtra(kind: EntryKind, extra: LeafExtra | undefined): string | undefined {
  const wanted = EXTRA_KEYS[kind];
  if (wanted === undefined) return `there is no entry kind ${JSON.stringify(kind)}`;
  if (extra === undefined) {
    return wanted.length === 0 ? undefined : `a leaf of kind ${kind} needs the key ${wanted[0]}`;
  }
  for (const key in extra) {
    if (!(wanted as readonly string[]).includes(key)) return `a leaf of kind ${kind} has no key ${JSON.stringify(key)}`;
  }
  for (const key of wanted) {
    if (extra[key] === undefined) return `a leaf of kind ${kind} needs the key ${key}`;
  }
  if (extra.uid !== undefined && !UID.test(extra.uid)) return 'uid is not a lowercase UUID';
  if (extra.bundle !== undefined && !isBundle(extra.bundle)) return 'bundle is not sha256: and 64 hex digits';
  if (extra.allowed !== undefined && typeof extra.allowed !== 'boolean') return 'allowed is not true or false';
  return undefined;
}

/** The digest that was found to be one last: that of the policies in use is in every decision. */
let lastBundle: string | undefined;

function isBundle(text: string): boolean {
  if (text === lastBundle) return true;
  if (!BUNDLE.test(text)) return false;
  lastBundle = text;
  return true;
}

/** Reads a leaf. Throws LEDGER_CORRUPT unless the bytes are exactly what a writer of format 1 writes for their values. */
export function parseLeaf(bytes: Uint8Array): Leaf {
  if (bytes.length > MAX_LEAF_BYTES) throw corrupt(`it has ${bytes.length} bytes, more than ${MAX_LEAF_BYTES}`);
  return parseLeafText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'));
}

/** The same for a leaf as text. What it accepts is ASCII, and so the same text whatever it was decoded with. */
export function parseLeafText(leafText: string): Leaf {
  if (leafText.length > MAX_LEAF_BYTES) throw corrupt(`it is longer than ${MAX_LEAF_BYTES} bytes`);
  const usual = parseUsualLeaf(leafText);
  if (usual !== undefined) return usual;
  const match = LEAF.exec(leafText);
  if (match === null) throw corrupt('it does not have the form of a leaf');
  const [, seqText, time, kind, prev, body, sizeText, uid, bundle, allowed] = match as unknown as LeafMatch;
  const seq = Number(seqText);
  const size = Number(sizeText);
  if (!Number.isSafeInteger(seq) || size > 0xffff_ffff) throw corrupt('a number in it is out of range');
  if (!exists(time)) throw corrupt(`${time} is not a time`);
  if (!isKind(kind)) throw corrupt(`there is no entry kind ${kind}`);
  const leaf = { v: FORMAT_VERSION, seq, time, kind, prev, body, size };
  const extra: LeafExtra = {
    ...(uid === undefined ? {} : { uid }),
    ...(bundle === undefined ? {} : { bundle }),
    ...(allowed === undefined ? {} : { allowed: allowed === 'true' }),
  };
  const wrong = checkExtra(kind, extra);
  if (wrong !== undefined) throw corrupt(wrong);
  return { ...leaf, ...extra };
}

/** Nearly every leaf: that of an event or of a decision, its numbers of few digits. Nothing is captured, which is half of the work otherwise. */
const USUAL_LEAF =
  /^\{"v":1,"seq":(?:0|[1-9][0-9]{0,14}),"time":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z","kind":"(?:event","prev":"[0-9a-f]{64}","body":"[0-9a-f]{64}","size":(?:0|[1-9][0-9]{0,8})|decision","prev":"[0-9a-f]{64}","body":"[0-9a-f]{64}","size":(?:0|[1-9][0-9]{0,8}),"uid":"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}","bundle":"sha256:[0-9a-f]{64}","allowed":(?:true|false))\}$/;

const UID_CHARS = '00000000-0000-0000-0000-000000000000'.length;
const BUNDLE_CHARS = 'sha256:'.length + NO_PREVIOUS.length;

/** The leaf of an event or a decision; undefined for another, of which LEAF has to judge. */
function parseUsualLeaf(leaf: string): Leaf | undefined {
  if (!USUAL_LEAF.test(leaf)) return undefined;
  const seq = '{"v":1,"seq":'.length;
  const seqEnd = leaf.indexOf(',', seq);
  const time = seqEnd + ',"time":"'.length;
  const timeEnd = time + '0000-00-00T00:00:00.000000Z'.length;
  const timeText = leaf.slice(time, timeEnd);
  if (!exists(timeText)) return undefined;
  const kind = timeEnd + '","kind":"'.length;
  const isEvent = leaf.startsWith('e', kind);
  const prev = kind + (isEvent ? 'event","prev":"' : 'decision","prev":"').length;
  const prevEnd = prev + NO_PREVIOUS.length;
  const body = prevEnd + '","body":"'.length;
  const bodyEnd = body + NO_PREVIOUS.length;
  const size = bodyEnd + '","size":'.length;
  const v = FORMAT_VERSION;
  const number = Number(leaf.slice(seq, seqEnd));
  const prevText = leaf.slice(prev, prevEnd);
  const bodyText = leaf.slice(body, bodyEnd);
  if (isEvent) {
    const bytes = Number(leaf.slice(size, -1));
    return { v, seq: number, time: timeText, kind: 'event', prev: prevText, body: bodyText, size: bytes };
  }
  const sizeEnd = leaf.indexOf(',', size);
  const uid = sizeEnd + ',"uid":"'.length;
  const bundle = uid + UID_CHARS + '","bundle":"'.length;
  const allowed = bundle + BUNDLE_CHARS + '","allowed":'.length;
  return {
    v,
    seq: number,
    time: timeText,
    kind: 'decision',
    prev: prevText,
    body: bodyText,
    size: Number(leaf.slice(size, sizeEnd)),
    uid: leaf.slice(uid, uid + UID_CHARS),
    bundle: leaf.slice(bundle, bundle + BUNDLE_CHARS),
    allowed: leaf.startsWith('t', allowed),
  };
}

/** RFC 6962 leaf hash, SHA-256(0x00 ‖ leaf), as lowercase hex: the `prev` of the next leaf. */
export function leafHashHex(leaf: Uint8Array): string {
  const input = Buffer.allocUnsafe(leaf.length + 1);
  input[0] = 0x00;
  input.set(leaf, 1);
  return hash('sha256', input, 'hex');
}

function isKind(kind: string): kind is EntryKind {
  return (ENTRY_KINDS as readonly string[]).includes(kind);
}

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Whether there is such a time; its form is checked before. By arithmetic: formatting it anew would take 2 µs. */
function exists(time: string): boolean {
  const year = Number(time.slice(0, 4));
  const month = two(time, 5);
  const day = two(time, 8);
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = (DAYS[month - 1] ?? 0) + (leap ? 1 : 0);
  return day >= 1 && day <= days && two(time, 11) <= 23 && two(time, 14) <= 59 && two(time, 17) <= 59;
}

/** The two digits that stand there. */
function two(digits: string, at: number): number {
  return (digits.charCodeAt(at) - 0x30) * 10 + digits.charCodeAt(at + 1) - 0x30;
}

function corrupt(why: string): SealgateError {
  return new SealgateError('LEDGER_CORRUPT', `not a leaf of format ${FORMAT_VERSION}: ${why}`);
}
