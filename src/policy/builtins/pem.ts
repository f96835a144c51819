// PEM blocks (RFC 7468), found as Go's encoding/pem finds them.

export interface PemBlock {
  readonly type: string;
  /** The DER inside. */
  readonly der: Buffer;
  /** The block with its markers. */
  readonly text: string;
  /** Whether header lines stand before the data, as in an encrypted key. */
  readonly hasHeaders: boolean;
  /** What follows the block. */
  readonly rest: string;
}

const BEGIN = '-----BEGIN ';
const DASHES = '-----';

/** The first block of the text, or undefined. What stands before it, and what only looks like one, is passed over. */
export function decodePem(text: string): PemBlock | undefined {
  let at = text.startsWith(BEGIN) ? 0 : nextLine(text, 0);
  for (; at >= 0; at = nextLine(text, at)) {
    const block = blockAt(text, at);
    if (block !== undefined) return block;
  }
  return undefined;
}

/** Where the next line that begins a block begins, or -1. */
function nextLine(text: string, from: number): number {
  const found = text.indexOf(`\n${BEGIN}`, from);
  return found < 0 ? -1 : found + 1;
}

function blockAt(text: string, start: number): PemBlock | undefined {
  const lineEnd = text.indexOf('\n', start);
  if (lineEnd < 0) return undefined;
  const line = text.slice(start, lineEnd).trimEnd();
  if (!line.endsWith(DASHES)) return undefined;
  const type = line.slice(BEGIN.length, -DASHES.length);
  const marker = `\n-----END ${type}${DASHES}`;
  const end = text.indexOf(marker, lineEnd);
  if (end < 0) return undefined;
  const lines = text.slice(lineEnd + 1, end + 1).split('\n');
  const data = lines.filter((candidate) => !candidate.includes(':'));
  const base64 = data.join('').replace(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  const after = text.slice(end + marker.length);
  return {
    type,
    der: Buffer.from(base64, 'base64'),
    text: text.slice(start, end + marker.length),
    hasHeaders: data.length < lines.length,
    rest: after.replace(/^[ \t\r]*\n/, ''),
  };
}

/** Every block of the text. */
export function decodePemAll(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (let block = decodePem(text); block !== undefined; block = decodePem(block.rest)) blocks.push(block);
  return blocks;
}
