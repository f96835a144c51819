import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DetailSource, entryDetail } from '../../../src/api/detail.ts';
import type { SourceEntry } from '../../../src/index/source.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { SealgateError } from '../../../src/lib/errors.ts';
import { createVerifier } from '../../../src/tlog/verifier.ts';
import { decisionAppend, openTestLedger, uuid } from '../index/support.ts';

const dir = mkdtempSync(join(tmpdir(), 'sealgate-detail-'));
let reader: LedgerReader;
let vkey: string;

beforeAll(async () => {
  const ledger = await openTestLedger(dir);
  vkey = ledger.vkey;
  for (let i = 0; i < 5; i++) await ledger.append('decision', [decisionAppend({ uid: uuid(i) })]);
  await ledger.close('over');
  reader = LedgerReader.open(ledger.dir);
});
afterAll(() => {
  reader.close();
  rmSync(dir, { recursive: true });
});

/** The ledger with one entry replaced (or, as an error, unreadable), and other checkpoints. */
function altered(
  seq: number,
  change: (entry: SourceEntry) => SourceEntry,
  note = (text: string) => text,
): DetailSource {
  return {
    shards: () => reader.shards(),
    entries: (...range) => reader.entries(...range),
    get: (shard, at) => {
      const entry = reader.get(shard, at);
      return entry !== undefined && at === seq ? change(plain(entry)) : entry;
    },
    checkpoint: (shard, size) => {
      const found = reader.checkpoint(shard, size);
      return found && { ...found, note: note(found.note) };
    },
  };
}

/** A copy with every value in it, also those that an entry makes when it is asked. */
function plain({ shard, seq, leaf, leafBytes, leafText, leafHash, salt, body, text }: SourceEntry): SourceEntry {
  return { shard, seq, leaf, leafBytes, leafText, leafHash, salt, body, text };
}

const checksOf = (source: DetailSource, seq = 3) => entryDetail(source, 0, seq, createVerifier(vkey))?.checks;
const GOOD = { body: 'good', previous: 'good', next: 'good', checkpoint: 'good' };

describe('one entry in full', () => {
  it('verifies when nothing was touched, at both ends of the shard too', () => {
    const last = reader.shards()[0]!.size - 1;
    for (let seq = 0; seq < last; seq++) expect(checksOf(reader, seq)).toEqual(GOOD);
    expect(checksOf(reader, last)).toEqual({ ...GOOD, next: 'unknown' });
    expect(entryDetail(reader, 0, last + 1)).toBeUndefined();
    expect(entryDetail(reader, 9, 0)).toBeUndefined();
  });

  const changed = (bytes: Buffer): Buffer => Buffer.from(bytes.toString('latin1').replace('alice', 'mallo'), 'latin1');

  it.each([
    ['another body', altered(3, (entry) => ({ ...entry, body: changed(entry.body) })), { ...GOOD, body: 'bad' }],
    ['another salt', altered(3, (entry) => ({ ...entry, salt: Buffer.alloc(16) })), { ...GOOD, body: 'bad' }],
    [
      'a changed leaf',
      altered(3, (entry) => ({ ...entry, leafBytes: Buffer.concat([entry.leafBytes, Buffer.of(32)]) })),
      { ...GOOD, next: 'bad' },
    ],
    [
      'a changed entry before',
      altered(2, (entry) => ({ ...entry, leafBytes: Buffer.from('{}') })),
      { ...GOOD, previous: 'bad' },
    ],
    [
      'a changed entry behind',
      altered(4, (entry) => ({ ...entry, leaf: { ...entry.leaf, prev: '0'.repeat(64) } })),
      { ...GOOD, next: 'bad' },
    ],
    [
      'a forged checkpoint',
      altered(
        9,
        (entry) => entry,
        (note) => note.replace(/\n(\d)/, '\n9$1'),
      ),
      { ...GOOD, checkpoint: 'bad' },
    ],
    [
      'a checkpoint of another log',
      altered(
        9,
        (entry) => entry,
        (note) => note.replace('example.org', 'example.com'),
      ),
      { ...GOOD, checkpoint: 'bad' },
    ],
    ['an unreadable neighbour', altered(4, unreadable), { ...GOOD, next: 'bad' }],
  ])('shows what does not verify: %s', (_what, source, checks) => {
    expect(checksOf(source)).toEqual(checks);
  });

  it('says that signatures are unchecked without a key', () => {
    expect(entryDetail(reader, 0, 3)?.checks.checkpoint).toBe('unknown');
  });
});

function unreadable(): SourceEntry {
  throw new SealgateError('LEDGER_CORRUPT', 'damaged');
}
