// One entry in full, for a person: what it is, whether it verifies, its leaf and its body.
import { escapeTerminal } from './terminal.ts';

interface EntryAnswer {
  readonly shard: number;
  readonly seq: number;
  readonly origin: string;
  readonly leaf: string;
  readonly leafHash: string;
  readonly salt: string;
  readonly checks: Readonly<Record<'body' | 'previous' | 'next' | 'checkpoint', 'good' | 'bad' | 'unknown'>>;
  readonly links: readonly {
    readonly state: string;
    readonly replica?: string;
    readonly shard?: number;
    readonly seq?: number;
    readonly kind?: string;
    readonly claim?: string;
  }[];
  /** The same audit event in other ledgers. */
  readonly copies?: readonly { readonly replica: string; readonly shard: number; readonly seq: number }[];
  readonly body: unknown;
}

const CHECKS = {
  body: 'the body is the one that the leaf commits to',
  previous: 'prev is the hash of the entry before',
  next: 'the next entry follows this one',
  checkpoint: 'a signed checkpoint covers it',
} as const;

/** Of the API's answer. Control characters are made visible; JSON escapes them in the body already. */
export function formatEntry(json: string): { readonly text: string; readonly verifies: boolean } {
  const answer = JSON.parse(json) as EntryAnswer;
  const { shard, seq, origin, leaf, leafHash, salt, checks, links, copies = [] } = answer;
  const bad = Object.values(checks).includes('bad');
  const lines = [
    `Entry ${shard}/${seq} of ${origin}${bad ? ': DOES NOT VERIFY' : ''}`,
    '',
    ...Object.entries(CHECKS).map(([name, meaning]) => `  ${mark(checks[name as keyof typeof CHECKS])} ${meaning}`),
    '',
    `Leaf       ${leaf}`,
    `Leaf hash  ${leafHash}`,
    `Salt       ${salt}`,
    ...links.map((link) => `Joined     ${linkText(link)}`),
    ...copies.map((copy) => `Also in    ${copy.replica}/${copy.shard}/${copy.seq}`),
    '',
    'Body',
    JSON.stringify(answer.body, null, 2),
  ];
  const text = `${lines.map((line) => line.split('\n').map(escapeTerminal).join('\n')).join('\n')}\n`;
  return { text, verifies: !bad };
}

function mark(check: 'good' | 'bad' | 'unknown'): string {
  if (check === 'good') return 'yes     ';
  return check === 'bad' ? 'NO      ' : 'unknown ';
}

function linkText({ state, replica, shard, seq, kind, claim }: EntryAnswer['links'][number]): string {
  const place =
    seq === undefined ? '' : `${kind ?? 'entry'} ${replica === undefined ? '' : `${replica}/`}${shard}/${seq}, `;
  return `${place}${state}${claim === undefined ? '' : ` (${claim})`}`;
}
