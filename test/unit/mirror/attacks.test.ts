// Everything that whoever may write to the bucket, or more, can do to a mirror: each is found, by object and entries, with what it
// does to the history.
import { describe, expect, it } from 'vitest';
import type { FindingCode, VerifyReport } from '../../../src/ledger/verify-report.ts';
import type { LockExpectation } from '../../../src/mirror/lock-check.ts';
import { verifyMirror } from '../../../src/mirror/verify-mirror.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { miniKey, miniNote } from '../../support/mini-ledger.ts';
import { mirrorEntries } from '../../support/mirror-of.ts';

const LOG_NAME = 'ledger.example/cluster-a/0';
const ORIGIN = `${LOG_NAME}/0`;
const at = (path: string): string => `${ORIGIN}/${path}`;
const KEY = miniKey(LOG_NAME, 1);
const LARGE = 'x'.repeat(70_000);

interface Mirror {
  readonly store: MemoryStore;
  readonly vkey: string;
}

/** 600 entries, pushed at sizes 1, 400 and 600; entry 300 has a large body. */
async function mirrored(change = 'none', key = KEY): Promise<Mirror> {
  const store = new MemoryStore();
  const body = (content: unknown): Buffer => Buffer.from(JSON.stringify(content));
  const entries = Array.from({ length: 600 }, (_, n) => {
    if (n === 0) return { kind: 'start', body: body({ origin: `${key.name}/0` }) };
    return { kind: 'event', body: body(n === 300 ? LARGE : { n, change }) };
  });
  await mirrorEntries(store, key, 0, entries, [1, 400, 600]);
  return { store, vkey: key.vkey };
}

async function verify(
  { store, vkey }: Mirror,
  more: { locks?: LockExpectation; keys?: string[] } = {},
): Promise<VerifyReport> {
  return await verifyMirror(store, { keys: [vkey], nowMs: store.now.getTime(), ...more });
}

function brief({ findings }: VerifyReport): string[] {
  return findings.map(({ code, object = '', from, to, history = '' }) => {
    const entries = from === undefined ? '' : ` ${from}-${to}`;
    return `${code} ${object.slice(ORIGIN.length + 1)}${entries} ${history}`;
  });
}

/** Another bundle of the same width, well-formed. */
function other(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  const last = changed.length - 1;
  changed[last] = (changed[last] as number) ^ 1;
  return changed;
}

interface Attack {
  readonly name: string;
  readonly act: (store: MemoryStore) => void | Promise<void>;
  readonly found: readonly string[];
  readonly exit: number;
}

const BUNDLES = [
  { path: 'tile/entries/001', entries: '256-511', lost: '511-511' },
  { path: 'tile/entries/002.p/88', entries: '512-599', lost: '599-599' },
  { path: 'bodies/001', entries: '256-511', lost: '256-511' },
  { path: 'bodies/002.p/88', entries: '512-599', lost: '512-599' },
  { path: 'bodies/large/300', entries: '300-300', lost: '300-300' },
  { path: 'tile/0/001', entries: '256-511', tile: true },
  { path: 'tile/0/002.p/88', entries: '512-599', tile: true },
  { path: 'tile/1/000.p/2', entries: '0-599', tile: true },
] as const;

function onEach(): Attack[] {
  return BUNDLES.flatMap((bundle) => {
    const { path, entries } = bundle;
    const tile = 'tile' in bundle;
    const history = tile ? 'whole' : 'lost';
    const lost = 'lost' in bundle ? bundle.lost : entries;
    const key = at(path);
    const one = (code: FindingCode, range: string, said: string) => [`${code} ${path} ${range} ${said}`];
    return [
      {
        name: `${path} overwritten`,
        act: (s) => s.put(key, other(s.bytes(key))),
        found: one('object-overwritten', entries, 'whole'),
        exit: 10,
      },
      {
        name: `${path} overwritten with nothing`,
        act: (s) => s.put(key, ''),
        found: one('object-overwritten', entries, 'whole'),
        exit: 10,
      },
      {
        name: `${path} deleted behind a marker`,
        act: (s) => s.hide(key),
        found: one('object-hidden', entries, 'whole'),
        exit: 10,
      },
      {
        name: `${path} occupied before us`,
        act: (s) => s.squat(key, 'mine'),
        found: one('object-squatted', entries, 'whole'),
        exit: 10,
      },
      { name: `${path} written again as it was`, act: (s) => s.put(key, s.bytes(key)), found: [], exit: 0 },
      { name: `${path} gone`, act: (s) => s.erase(key), found: one('object-missing', entries, history), exit: 11 },
      {
        name: `${path} changed without a trace`,
        act: (s) => s.set(key, other(s.bytes(key))),
        found: one('object-changed', tile ? entries : lost, history),
        exit: 10,
      },
      {
        name: `${path} truncated`,
        act: (s) => s.set(key, s.bytes(key).subarray(0, 40)),
        found: one('object-changed', entries, history),
        exit: 10,
      },
    ] satisfies Attack[];
  });
}

const CHECKPOINTS: readonly Attack[] = [
  {
    name: 'an older checkpoint put back',
    act: (s) => s.put(at('checkpoint'), s.bytes(at('checkpoints/400'))),
    found: ['checkpoint-put-back checkpoint whole'],
    exit: 10,
  },
  {
    name: 'the first checkpoint put back where nothing has versions',
    act: (s) => s.set(at('checkpoint'), s.bytes(at('checkpoints/1'))),
    found: ['checkpoint-put-back checkpoint whole'],
    exit: 10,
  },
  {
    name: 'the checkpoint one push behind',
    act: (s) => s.set(at('checkpoint'), s.bytes(at('checkpoints/400'))),
    found: [],
    exit: 0,
  },
  {
    name: 'the checkpoint deleted behind a marker',
    act: (s) => s.hide(at('checkpoint')),
    found: ['object-hidden checkpoint whole'],
    exit: 10,
  },
  {
    name: 'no checkpoint any more',
    act: (s) => s.erase(at('checkpoint')),
    found: ['object-missing checkpoint whole'],
    exit: 11,
  },
  {
    name: 'the checkpoint overwritten',
    act: (s) => s.put(at('checkpoint'), 'nothing'),
    found: ['checkpoint-altered checkpoint whole'],
    exit: 10,
  },
  {
    name: 'a checkpoint of the past overwritten',
    act: (s) => s.put(at('checkpoints/400'), 'nothing'),
    found: ['object-overwritten checkpoints/400 whole'],
    exit: 10,
  },
  {
    name: 'a checkpoint of the past hidden',
    act: (s) => s.hide(at('checkpoints/400')),
    found: ['object-hidden checkpoints/400 whole'],
    exit: 10,
  },
  {
    name: 'two checkpoints swapped',
    act: (s) => {
      const [one, two] = [s.bytes(at('checkpoints/1')), s.bytes(at('checkpoints/400'))];
      s.set(at('checkpoints/1'), two);
      s.set(at('checkpoints/400'), one);
    },
    found: ['object-changed checkpoints/1 whole', 'object-changed checkpoints/400 whole'],
    exit: 10,
  },
  {
    name: 'the key of a future checkpoint occupied',
    act: (s) => s.set(at('checkpoints/9000'), 'mine'),
    found: ['checkpoint-altered checkpoints/9000 whole'],
    exit: 10,
  },
  {
    name: 'a checkpoint by another key',
    act: (s) => {
      s.put(at('checkpoint'), miniNote(miniKey(LOG_NAME, 3), ORIGIN, 5, Buffer.alloc(32)));
    },
    found: ['checkpoint-other-key checkpoint whole'],
    exit: 10,
  },
];

describe('a mirror', () => {
  it('is whole as it was pushed, with every body and checkpoint', async () => {
    const report = await verify(await mirrored());
    expect(brief(report)).toEqual([]);
    expect(report).toMatchObject({ status: 'whole', history: 'whole', exitCode: 0 });
    expect(report.shards).toMatchObject([
      { origin: ORIGIN, entries: 600, bodies: 600, signed: 600, checkpoints: 3, matched: 3, unsignedTail: 0 },
    ]);
  });

  it('that was attacked in any one way says so, and by which object and entries', async () => {
    const mirror = await mirrored();
    const whole = new Map([...mirror.store.objects].map(([key, kept]) => [key, [...kept]]));
    const wrong: unknown[] = [];
    for (const { name, act, found, exit } of [...onEach(), ...CHECKPOINTS]) {
      mirror.store.objects.clear();
      for (const [key, kept] of whole) mirror.store.objects.set(key, [...kept]);
      await act(mirror.store);
      const report = await verify(mirror);
      const said = { found: brief(report), exit: report.exitCode };
      if (JSON.stringify(said) !== JSON.stringify({ found, exit }))
        wrong.push({ name, said, expected: { found, exit } });
    }
    expect(wrong).toEqual([]);
  });

  it('with objects of another log in the place of its own says which', async () => {
    const mirror = await mirrored();
    const { store: theirs } = await mirrored('another');
    for (const path of ['tile/entries/001', 'tile/0/001', 'bodies/001'])
      mirror.store.set(at(path), theirs.bytes(at(path)));
    const report = await verify(mirror);
    expect(brief(report)).toEqual([
      'object-changed tile/0/001 256-511 lost',
      'object-changed tile/entries/001 256-511 lost',
    ]);
    expect(report).toMatchObject({ exitCode: 10, history: 'lost' });
  });

  it('whose key signed two histories shows both', async () => {
    const mirror = await mirrored();
    const fork = (size: number): string => miniNote(KEY, ORIGIN, size, Buffer.alloc(32, 7));
    mirror.store.put(at('checkpoints/400'), fork(400));
    expect(brief(await verify(mirror))).toEqual([
      'object-overwritten checkpoints/400 whole',
      'checkpoint-fork  0-399 ',
    ]);
    mirror.store.set(at('checkpoints/400'), mirror.store.bytes(at('checkpoints/1')));
    mirror.store.set(at('checkpoint'), fork(700));
    const report = await verify(mirror);
    expect(brief(report)).toContain('tail-missing  600-699 lost');
    expect(report).toMatchObject({ status: 'tampered', history: 'lost', shards: [{ entries: 600 }] });
  });

  it('signed by another key is another log, not a changed one', async () => {
    const { store } = await mirrored();
    const report = await verify({ store, vkey: miniKey(LOG_NAME, 5).vkey });
    expect(report).toMatchObject({ status: 'wrong-key', exitCode: 12 });
  });

  it('is put together from what is right, whatever lies beside it', async () => {
    const mirror = await mirrored();
    for (const key of mirror.store.keys()) {
      if (key.endsWith('checkpoint')) continue;
      mirror.store.squat(key, 'before');
      mirror.store.put(key, 'after');
      mirror.store.hide(key);
    }
    const report = await verify(mirror);
    expect(report).toMatchObject({ status: 'tampered', exitCode: 10, history: 'whole' });
    expect(report.shards).toMatchObject([{ entries: 600, bodies: 600, matched: 3 }]);
  });

  it('without its last bundles is incomplete from there on', async () => {
    const mirror = await mirrored();
    for (const key of mirror.store.keys()) if (/002(\.p\/88)?$|1\/000\.p\/2$/.test(key)) mirror.store.erase(key);
    const report = await verify(mirror);
    expect(report.findings.map(({ code, from, to }) => [code, from, to])).toContainEqual(['tail-missing', 400, 599]);
    expect(report).toMatchObject({ exitCode: 11, history: 'lost', shards: [{ entries: 400 }] });
  });

  it('whose locks are missing, of the weaker mode or too short says so when it is asked', async () => {
    const mirror = await mirrored();
    const days = (n: number) => new Date(mirror.store.now.getTime() + n * 86_400_000);
    const locked = async (lock: MemoryStore['lock']): Promise<string[]> => {
      for (const [key, kept] of mirror.store.objects)
        mirror.store.objects.set(
          key,
          kept.map((one) => ({ ...one, lock })),
        );
      const report = await verify(mirror, { locks: { mode: 'compliance', days: { log: 30, bodies: 30 } } });
      return [...report.findings.map(({ code }) => code), String(report.exitCode)];
    };
    expect(await locked({ mode: 'compliance', until: days(30), legalHold: false })).toEqual(['0']);
    expect(await locked({ mode: 'compliance', until: days(29), legalHold: false })).toEqual(['retention-short', '10']);
    expect(await locked({ mode: 'governance', until: days(30), legalHold: false })).toEqual([
      'retention-missing',
      '10',
    ]);
    expect(await locked({ mode: 'none', legalHold: false })).toEqual(['retention-missing', '10']);
    expect(await locked({ mode: 'none', legalHold: true })).toEqual(['0']);
  });

  it('without a full tile of a higher level is put together from below', async () => {
    const store = new MemoryStore();
    const entries = Array.from({ length: 65_600 }, (_, n) => {
      const body = JSON.stringify(n === 0 ? { origin: ORIGIN } : n);
      return { kind: n === 0 ? 'start' : 'event', body: Buffer.from(body) };
    });
    await mirrorEntries(store, KEY, 0, entries, [65_600]);
    for (const path of ['tile/1/000', 'tile/0/007', 'tile/2/000.p/1']) store.erase(at(path));
    const report = await verify({ store, vkey: KEY.vkey });
    expect(brief(report).sort()).toEqual([
      'object-missing tile/0/007 1792-2047 whole',
      'object-missing tile/1/000 0-65535 whole',
      'object-missing tile/2/000.p/1 0-65599 whole',
    ]);
    expect(report).toMatchObject({ exitCode: 11, history: 'whole', shards: [{ entries: 65_600, bodies: 65_600 }] });
  });

  it('of a log that is not there is not found', async () => {
    const { store } = await mirrored();
    const missing = verifyMirror(store, { keys: [miniKey('other.example/c/0', 9).vkey], nowMs: 0 });
    await expect(missing).rejects.toMatchObject({ code: 'LEDGER_NOT_FOUND' });
  });
});
