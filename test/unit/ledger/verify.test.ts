// Every attack of docs/verify.md on a small ledger: what the verifier says of it, and which entry it names.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findLedger, verifyLedger } from '../../../src/ledger/verify.ts';
import type { FindingCode, VerifyReport } from '../../../src/ledger/verify-report.ts';
import { verify } from '../../independent/verify.ts';
import { type MiniEntry, type MiniShard, miniNote, writeMiniShard } from '../../support/mini-ledger.ts';
import { flipByte, tamper } from '../../support/tamper.ts';
import {
  ATTACKS,
  type Expected,
  entriesOf,
  flipValue,
  KEY,
  noteAt,
  SHARD,
  STRANGER,
} from '../../support/tamper-cases.ts';

let root: string;
let folder: string;
let file: string;
beforeAll(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'sealgate-verify-test-'));
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(root, 'ledger-'));
  file = writeMiniShard(folder, SHARD);
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

function seen(report: VerifyReport): Expected {
  const findings = report.findings.map(({ code, from, to }): readonly [FindingCode, number?, number?] =>
    from === undefined || to === undefined ? [code] : [code, from, to],
  );
  return { status: report.status, findings };
}

describe('verifyLedger', () => {
  it.each(ATTACKS)('finds: $name', (attack) => {
    if (attack.change !== undefined) tamper(file, attack.change, attack.accident);
    attack.folder?.(folder, file);
    const report = verifyLedger(folder, { keys: attack.keys ?? [KEY.vkey], checkpoints: attack.outside ?? [] });
    expect(seen(report)).toEqual({ status: attack.status, findings: attack.findings });
    expect(report.exitCode).toBe({ whole: 0, tampered: 10, incomplete: 11, 'wrong-key': 12 }[attack.status]);
  });

  it('reports an unsigned tail as such, and an empty one', () => {
    tamper(file, (db) => db.prepare('DELETE FROM checkpoint WHERE size > 20').run());
    const report = verifyLedger(folder, { keys: [KEY.vkey] });
    expect(report).toMatchObject({ status: 'whole', unsignedTail: 20, shards: [{ entries: 40, signed: 20 }] });
    expect(report.notes.join()).toContain('the last 20 entries are not signed');
  });

  it('says what it could not check without an outside checkpoint, and with one that is older', () => {
    expect(verifyLedger(folder, { keys: [KEY.vkey] }).unchecked.join()).toContain(
      'cut off or an older copy was put back, and whether whoever holds the signing key wrote it anew: that takes',
    );
    expect(verifyLedger(folder, { keys: [KEY.vkey], checkpoints: [noteAt(40)] }).unchecked).toEqual([]);
    expect(verifyLedger(folder, { keys: [KEY.vkey], checkpoints: [noteAt(30)] }).unchecked.join()).toContain(
      'after entry 29',
    );
  });

  it('bounds the list of findings and counts the rest', () => {
    const entries = entriesOf(300);
    file = writeMiniShard(folder, { ...SHARD, entries, checkpoints: [300], packs: Array(300).fill(1) });
    tamper(file, (db) => {
      for (let seq = 0; seq < 300; seq++) flipByte(db, 'pack', seq, 3);
    });
    const report = verifyLedger(folder, { keys: [KEY.vkey] });
    expect(report.findings).toHaveLength(100);
    expect(report.findingCount).toBe(300);
  });

  it('keeps apart hundreds of changed leaves without going through all combinations', () => {
    const entries = entriesOf(2000);
    file = writeMiniShard(folder, { ...SHARD, entries, checkpoints: [2000], packs: [] });
    tamper(file, (db) => {
      for (let seq = 1; seq < 2000; seq += 4) flipValue(db, seq, 'time', 18);
    });
    const report = verifyLedger(folder, { keys: [KEY.vkey] });
    expect(report.status).toBe('tampered');
    expect(report.findings.slice(0, 2)).toMatchObject([
      { code: 'chain-broken', from: 1, to: 2 },
      { code: 'chain-broken', from: 5, to: 6 },
    ]);
  });

  it('checks only the bodies of the range that was asked for, and says so', () => {
    tamper(file, (db) => flipByte(db, 'pack', 9, 25));
    expect(verifyLedger(folder, { keys: [KEY.vkey], from: 10, to: 30 })).toMatchObject({
      status: 'whole',
      shards: [{ bodies: 30 }],
    });
    const report = verifyLedger(folder, { keys: [KEY.vkey], from: 5, to: 9 });
    expect(seen(report)).toEqual({ status: 'tampered', findings: [['body-changed', 9, 9]] });
    expect(report.unchecked.join()).toContain('other than 5 to 9');
  });

  it('refuses a newer format, a private key, and an unusable outside checkpoint', () => {
    const code = (run: () => unknown): string => {
      try {
        run();
      } catch (thrown) {
        return (thrown as { code: string }).code;
      }
      return 'none';
    };
    const pem = KEY.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    expect(code(() => verifyLedger(folder, { keys: [pem] }))).toBe('KEY_PRIVATE');
    expect(code(() => verifyLedger(folder, { keys: [] }))).toBe('KEY_INVALID');
    const outside = (note: string) => () => verifyLedger(folder, { keys: [KEY.vkey], checkpoints: [note] });
    expect(code(outside('anything'))).toBe('CHECKPOINT_INVALID');
    expect(code(outside(noteAt(20, STRANGER)))).toBe('LEDGER_WRONG_KEY');
    expect(code(outside(miniNote(KEY, 'elsewhere/0', 3, Buffer.alloc(32))))).toBe('CHECKPOINT_INVALID');
    tamper(file, (db) => db.pragma('user_version = 2'));
    expect(code(() => verifyLedger(folder, { keys: [KEY.vkey] }))).toBe('LEDGER_FORMAT_NEWER');
    expect(code(() => verifyLedger(path.join(folder, 'nowhere'), { keys: [KEY.vkey] }))).toBe('LEDGER_NOT_FOUND');
    fs.writeFileSync(path.join(folder, 'notes.txt'), 'not a ledger at all, but long enough to be looked at by SQLite');
    expect(code(() => verifyLedger(path.join(folder, 'notes.txt'), { keys: [KEY.vkey] }))).toBe('LEDGER_NOT_A_LEDGER');
  });
});

describe('a ledger of several shards', () => {
  const second: MiniShard = { ...SHARD, number: 1, entries: entriesOf(12, KEY, 1), checkpoints: [12], packs: [] };
  const third: MiniShard = { ...SHARD, number: 2, entries: entriesOf(12, KEY, 2), checkpoints: [12], packs: [] };
  const name = (number: number): string => path.join(folder, `shard-00000${number}.sqlite`);
  beforeEach(() => {
    writeMiniShard(folder, second);
    writeMiniShard(folder, third);
  });

  const result = (keys = [KEY.vkey]) => {
    const report = verifyLedger(folder, { keys });
    return { status: report.status, findings: report.findings.map(({ code, shard }) => `${shard} ${code}`) };
  };

  it('is whole when all are', () => {
    expect(result()).toEqual({ status: 'whole', findings: [] });
  });

  it('names a missing shard', () => {
    fs.rmSync(name(1));
    expect(result()).toEqual({ status: 'incomplete', findings: ['1 shard-missing'] });
  });

  it('names a missing first shard', () => {
    fs.rmSync(name(0));
    expect(result()).toEqual({ status: 'incomplete', findings: ['0 shard-missing'] });
  });

  it('names a missing last shard when an outside checkpoint is of it', () => {
    fs.rmSync(name(2));
    const outside = miniNote(KEY, `${KEY.name}/2`, 12, Buffer.alloc(32));
    const report = verifyLedger(folder, { keys: [KEY.vkey], checkpoints: [outside] });
    expect(report).toMatchObject({ status: 'incomplete', findings: [{ code: 'shard-missing', shard: 2 }] });
  });

  it('names a shard that stands in the place of another', () => {
    fs.copyFileSync(name(2), name(1));
    expect(result().status).toBe('tampered');
    expect(result().findings).toContain('1 shard-replaced');
  });

  const link = (change: (body: { previous: Record<string, unknown> }) => void): MiniEntry => {
    const body = JSON.parse(entriesOf(1, KEY, 2)[0]!.body.toString());
    change(body);
    return { kind: 'link', body: Buffer.from(JSON.stringify(body)) };
  };
  const rest = entriesOf(12, KEY, 2).slice(1);
  const LINKED: readonly [string, MiniShard, string, string][] = [
    [
      'an older copy put back',
      { ...second, entries: second.entries.slice(0, 8), checkpoints: [8] },
      'incomplete',
      '1 rolled-back',
    ],
    [
      'one written on',
      { ...second, entries: entriesOf(14, KEY, 1), checkpoints: [12, 14] },
      'tampered',
      '1 link-broken',
    ],
    ['one rewritten by the key', { ...second, entries: entriesOf(12, KEY, 1, 'anew') }, 'tampered', '1 link-broken'],
    ['one without its last checkpoint', { ...second, checkpoints: [5] }, 'tampered', '1 link-broken'],
    [
      'a first entry that is no link',
      { ...third, entries: [{ kind: 'start', body: rest[0]!.body }, ...rest] },
      'tampered',
      '2 start-mismatch',
    ],
    [
      'a link to another shard',
      { ...third, entries: [link((body) => Object.assign(body.previous, { shard: 0 })), ...rest] },
      'tampered',
      '2 link-broken',
    ],
    [
      'a link of another size',
      { ...third, entries: [link((body) => Object.assign(body.previous, { size: 11 })), ...rest] },
      'tampered',
      '2 link-broken',
    ],
    [
      'a link by another key',
      {
        ...third,
        entries: [link((body) => Object.assign(body.previous, { checkpoint: noteAt(12, STRANGER) })), ...rest],
      },
      'tampered',
      '2 link-broken',
    ],
    [
      'a link that holds nothing',
      { ...third, entries: [link((body) => Object.assign(body, { previous: 1 })), ...rest] },
      'tampered',
      '2 link-broken',
    ],
  ];
  it.each(LINKED)('finds %s by the links, and the independent verifier agrees', (_name, shard, status, finding) => {
    writeMiniShard(folder, shard);
    expect(result()).toEqual({ status, findings: expect.arrayContaining([finding]) });
    expect(verify(folder, KEY.vkey).status).toBe(status);
  });

  it('names a shard of another log, whether its key is known or not', () => {
    writeMiniShard(folder, { ...second, key: STRANGER, entries: entriesOf(12, STRANGER, 1) });
    expect(result()).toEqual({ status: 'tampered', findings: ['1 checkpoint-other-key'] });
    expect(result([KEY.vkey, STRANGER.vkey])).toEqual({ status: 'tampered', findings: ['1 log-mixed'] });
  });

  it('names a damaged shard and goes on with the others', () => {
    fs.writeFileSync(name(1), Buffer.alloc(9000, 1));
    expect(result()).toEqual({ status: 'tampered', findings: ['1 database-damaged'] });
    expect(verifyLedger(folder, { keys: [KEY.vkey] }).shards.map(({ shard }) => shard)).toEqual([0, 2]);
  });

  it('verifies one shard when asked, by number or by path, and says that the others were not', () => {
    fs.rmSync(name(0));
    const one = verifyLedger(folder, { keys: [KEY.vkey], shard: 1 });
    expect(one).toMatchObject({ status: 'whole', shards: [{ shard: 1, entries: 12 }] });
    expect(one.unchecked.join()).toContain('shards other than 1');
    const byPath = verifyLedger(name(2), { keys: [KEY.vkey] });
    expect(byPath).toMatchObject({ status: 'whole', shards: [{ shard: 2 }] });
    expect(byPath.unchecked.join()).toContain('other shards');
  });

  it('takes the number of a file under another name from its checkpoints, and names one that stands under the name of another', () => {
    const copy = path.join(folder, 'from-backup.db');
    fs.copyFileSync(name(2), copy);
    expect(verifyLedger(copy, { keys: [KEY.vkey] })).toMatchObject({
      status: 'whole',
      shards: [{ shard: 2, entries: 12 }],
    });
    expect(verify(copy, KEY.vkey)).toMatchObject({ status: 'whole', shards: [{ shard: 2 }] });
    const outside = miniNote(KEY, `${KEY.name}/2`, 30, Buffer.alloc(32));
    expect(verifyLedger(copy, { keys: [KEY.vkey], checkpoints: [outside] }).status).toBe('incomplete');
    expect(verifyLedger(copy, { keys: [STRANGER.vkey] }).status).toBe('wrong-key');
    const wrong = path.join(root, 'shard-000007.sqlite');
    fs.copyFileSync(name(2), wrong);
    const report = verifyLedger(wrong, { keys: [KEY.vkey] });
    expect(report.findings.map(({ code }) => code)).toContain('shard-replaced');
    expect([report.status, verify(wrong, KEY.vkey).status]).toEqual(['tampered', 'tampered']);
    fs.rmSync(wrong);
  });

  it('of which one is asked for that is not there says which there are', () => {
    expect(() => verifyLedger(folder, { keys: [KEY.vkey], shard: 7 })).toThrow(
      expect.objectContaining({ code: 'LEDGER_NOT_FOUND', message: expect.stringContaining('no shard 7 in') }),
    );
    expect(() => verifyLedger(folder, { keys: [KEY.vkey], shard: 7 })).toThrow(/, only 0 to 2$/);
  });

  it('is found in a data folder, and unfinished shards are left out', () => {
    const data = fs.mkdtempSync(path.join(root, 'data-'));
    fs.cpSync(folder, path.join(data, 'ledger'), { recursive: true });
    fs.writeFileSync(path.join(data, 'ledger', 'shard-000003.sqlite.new'), 'x');
    expect([...findLedger(data).shards.keys()]).toEqual([0, 1, 2]);
    expect(verifyLedger(data, { keys: [KEY.vkey] }).notes.join()).toContain('shard-000003.sqlite.new');
  });
});
