import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listShards } from '../../../src/ledger/files.ts';
import { loadOrCreateKey } from '../../../src/ledger/key.ts';
import { type Ledger, openLedger } from '../../../src/ledger/ledger.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { SealgateError } from '../../../src/lib/errors.ts';
import { decodeBodyBundle, decodeLargeBody, LARGE_BODY_BYTES } from '../../../src/mirror/layout.ts';
import { LedgerPush } from '../../../src/mirror/ledger-push.ts';
import { Patience } from '../../../src/mirror/patience.ts';
import type { Pushed } from '../../../src/mirror/shard-push.ts';
import { openStore } from '../../../src/mirror/stores/open.ts';
import type { ObjectStore } from '../../../src/mirror/stores/store.ts';
import { Uploader } from '../../../src/mirror/uploader.ts';
import { openCheckpoint } from '../../../src/tlog/checkpoint.ts';
import { decodeEntryBundle } from '../../../src/tlog/entry-bundle.ts';
import { leafHash } from '../../../src/tlog/merkle.ts';
import { createSigner, parseNote, signNote } from '../../../src/tlog/note.ts';
import { TileBuilder } from '../../../src/tlog/tile-builder.ts';
import { tilePath, tilesBetween } from '../../../src/tlog/tile-path.ts';
import { createVerifier } from '../../../src/tlog/verifier.ts';
import { checkpointsOf } from '../../support/checkpoints-of.ts';
import { collect } from '../../support/store-suite.ts';

const LOG_NAME = 'log.example/cluster/0';
const ORIGIN = `${LOG_NAME}/0`;
const base = mkdtempSync(join(tmpdir(), 'sealgate-mirror-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;
const folder = () => join(base, String(++count));
const clock = { now: () => Date.now() * 1000 };

interface Line {
  level: string;
  message: string;
  code?: string;
}

/** A mirror without its thread: rounds are run by hand. */
function mirrorOf(ledgerDir: string, store: ObjectStore) {
  const pushed: Pushed[] = [];
  const lines: Line[] = [];
  const failures: string[] = [];
  const abort = new AbortController();
  const log = (level: string, fields: object, message: string) => void lines.push({ level, message, ...fields });
  const patience = new Patience({
    signal: abort.signal,
    onFailure: (error) => void failures.push(error.code),
    onSuccess: () => undefined,
    random: () => 0,
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    now: () => performance.now(),
  });
  const uploader = new Uploader(store, patience, 4, log);
  const push = new LedgerPush({ ledgerDir, uploader, log, onPushed: (one) => void pushed.push(one) });
  return { push, uploader, pushed, lines, failures, abort };
}

/** A store that tells of each write before and after it, and may fail. */
function watched(store: ObjectStore, around: { before?: (key: string) => void; after?: (key: string) => unknown }) {
  const writes: string[] = [];
  const act = async <T>(key: string, write: () => Promise<T>): Promise<T> => {
    around.before?.(key);
    const result = await write();
    writes.push(key);
    await around.after?.(key);
    return result;
  };
  const wrapped: ObjectStore = {
    url: store.url,
    create: (key, bytes, of) => act(key, () => store.create(key, bytes, of)),
    replace: (key, bytes, of) => act(key, () => store.replace(key, bytes, of)),
    get: (key, options) => store.get(key, options),
    list: (prefix) => store.list(prefix),
    versions: (prefix) => store.versions(prefix),
    retention: (key, version) => store.retention(key, version),
    close: () => store.close(),
  };
  return { store: wrapped, writes };
}

async function open(dir: string, shardEntries?: number): Promise<Ledger> {
  return await openLedger({
    dir: join(dir, 'ledger'),
    key: loadOrCreateKey(join(dir, 'ledger.key'), LOG_NAME),
    version: '0.0.0-test',
    settingsDigest: `sha256:${'0'.repeat(64)}`,
    ...(shardEntries === undefined ? {} : { shardLimits: { entries: shardEntries } }),
    onFatal: (error) => {
      throw error;
    },
  });
}

const event = (i: number) => ({
  kind: 'event' as const,
  body: Buffer.from(JSON.stringify({ event: i, pad: 'x'.repeat(i % 700) })),
});

/** So many more entries, signed. */
async function grow(
  dir: string,
  entries: number,
  options: { large?: boolean; shardEntries?: number; kind?: 'anchor' } = {},
) {
  const ledger = await open(dir, options.shardEntries);
  for (let i = 0; i < entries; i += 200) {
    const batch = Array.from({ length: Math.min(200, entries - i) }, (_, j) => event(i + j));
    await ledger.append(
      'audit',
      options.kind === 'anchor' ? batch.map(({ body }) => ({ kind: 'anchor' as const, body })) : batch,
    );
  }
  if (options.large === true) {
    await ledger.append('audit', [{ kind: 'event', body: Buffer.alloc(LARGE_BODY_BYTES + 7, 'L') }, event(1)]);
  }
  await ledger.close('grown');
}

/** Reads a mirrored shard back as an auditor would, and compares it with the ledger, leaf by leaf and body by body. */
async function expectWhole(store: ObjectStore, dir: string, shard: number): Promise<number> {
  const origin = `${LOG_NAME}/${shard}`;
  const { vkey } = loadOrCreateKey(join(dir, 'ledger.key'), LOG_NAME);
  const { size, root } = await expectCovered(store, origin, vkey);
  const builder = new TileBuilder(() => undefined);
  const reader = LedgerReader.open(join(dir, 'ledger'));
  try {
    const entries = reader.entries(shard, 0, size);
    for (let index = 0; index * 256 < size; index++) {
      const width = Math.min(256, size - index * 256);
      const path = tilePath({ kind: 'entries', index, width });
      const leaves = decodeEntryBundle((await store.get(`${origin}/${path}`))!, width);
      const bodies = decodeBodyBundle((await store.get(`${origin}/${path.replace('tile/entries', 'bodies')}`))!, width);
      for (const [i, leaf] of leaves.entries()) {
        const entry = entries.next().value!;
        builder.append(leafHash(leaf));
        const record = bodies[i]!;
        const body =
          'body' in record
            ? record.body
            : decodeLargeBody((await store.get(`${origin}/bodies/large/${entry.seq}`))!, record.large).body;
        if (!entry.leafBytes.equals(leaf) || !entry.body.equals(body) || !entry.salt.equals(record.salt)) {
          throw new Error(`entry ${entry.seq} is not the same in the mirror`);
        }
      }
    }
  } finally {
    reader.close();
  }
  expect(builder.root()).toEqual(Buffer.from(root));
  return size;
}

/** The newest checkpoint, after finding everything that it covers by name. */
async function expectCovered(store: ObjectStore, origin: string, vkey: string) {
  const note = await store.get(`${origin}/checkpoint`);
  if (note === undefined) throw new Error('there is no checkpoint');
  const checkpoint = openCheckpoint(note, { verifiers: [createVerifier(vkey)], origin });
  const there = new Set((await collect(store.list(''))).map(({ key }) => key));
  const wanted = [...tilesBetween(0, checkpoint.size)].flatMap((tile) => [
    tilePath(tile),
    ...(tile.level > 0 ? [] : [tilePath({ ...tile, kind: 'entries' })]),
    ...(tile.level > 0 ? [] : [tilePath({ ...tile, kind: 'entries' }).replace('tile/entries', 'bodies')]),
  ]);
  const missing = [...wanted, `checkpoints/${checkpoint.size}`].filter((path) => !there.has(`${origin}/${path}`));
  if (missing.length > 0) throw new Error(`size ${checkpoint.size} lacks ${missing.join(', ')}`);
  return checkpoint;
}

describe('the mirror of a ledger', () => {
  const dir = folder();
  beforeAll(() => grow(dir, 1300, { large: true }));

  it('holds every leaf and every body, large ones too, under its checkpoint', async () => {
    const store = openStore(folder(), { clock });
    const mirror = mirrorOf(join(dir, 'ledger'), store);
    await mirror.push.round(true);
    const { size } = mirror.pushed.at(-1)!;
    expect(await expectWhole(store, dir, 0)).toBe(size);
    expect(mirror.push.progress()).toEqual({ shard: 0, pushed: size, behind: 0 });
    expect(mirror.lines).toEqual([]);
    expect(mirror.uploader.counts).toMatchObject({ present: 0, occupied: 0 });
  });

  it('never shows a checkpoint before what it covers', async () => {
    const plain = openStore(folder(), { clock });
    const { vkey } = loadOrCreateKey(join(dir, 'ledger.key'), LOG_NAME);
    let looked = 0;
    const { store } = watched(plain, {
      after: async () => {
        if ((await plain.get(`${ORIGIN}/checkpoint`)) === undefined) return;
        await expectCovered(plain, ORIGIN, vkey);
        looked++;
      },
    });
    const own = folder();
    cpSync(dir, own, { recursive: true });
    const mirror = mirrorOf(join(own, 'ledger'), store);
    await mirror.push.round(true);
    for (const entries of [1, 300, 700]) {
      await grow(own, entries);
      await mirror.push.round(false);
      await mirror.push.round(true);
    }
    expect(looked).toBeGreaterThan(20);
    expect(await expectWhole(plain, own, 0)).toBe(mirror.pushed.at(-1)!.size);
  });

  it('pushes full tiles as they fill, and partial ones with a checkpoint only', async () => {
    const { store, writes } = watched(openStore(folder(), { clock }), {});
    const mirror = mirrorOf(join(dir, 'ledger'), store);
    await mirror.push.round(false);
    await mirror.uploader.finish();
    expect(writes).toContain(`${ORIGIN}/tile/0/004`);
    expect(writes).toContain(`${ORIGIN}/bodies/004`);
    expect(writes.filter((key) => key.includes('.p/') || key.includes('checkpoint'))).toEqual([]);
  });

  it('goes on after a restart from what the store holds, and writes nothing again', async () => {
    const own = folder();
    cpSync(dir, own, { recursive: true });
    const { store, writes } = watched(openStore(folder(), { clock }), {});
    await mirrorOf(join(own, 'ledger'), store).push.round(true);
    writes.length = 0;
    const again = mirrorOf(join(own, 'ledger'), store);
    await again.push.round(true);
    expect(writes).toEqual([]);
    await grow(own, 10);
    await again.push.round(true);
    const third = mirrorOf(join(own, 'ledger'), store);
    await grow(own, 10);
    await third.push.round(true);
    expect(writes.filter((key) => !key.includes('.p/') && !key.includes('checkpoint'))).toEqual([]);
    expect(third.uploader.counts).toMatchObject({ present: 0, occupied: 0 });
    expect(await expectWhole(store, own, 0)).toBe(third.pushed.at(-1)!.size);
  });

  it('is whole however often the store fails and the mirror is stopped in between', async () => {
    const plain = openStore(folder(), { clock });
    let calls = 0;
    const codes = ['MIRROR_UNAVAILABLE', 'MIRROR_THROTTLED', 'MIRROR_CREDENTIALS'] as const;
    for (let life = 0; ; life++) {
      calls = 0;
      const { store } = watched(plain, {
        before: () => {
          calls++;
          if (calls % 3 === 0) throw new SealgateError(codes[calls % 9 === 0 ? 2 : 0], 'the store failed');
          if (calls >= 5 + 7 * life) mirror.abort.abort();
        },
      });
      const mirror = mirrorOf(join(dir, 'ledger'), store);
      const ended = await mirror.push.round(true).then(
        () => true,
        () => false,
      );
      expect(mirror.lines).toEqual([]);
      if (ended) {
        expect(life).toBeGreaterThan(2);
        break;
      }
      if (life > 50) throw new Error('the mirror got nowhere');
    }
    await expectWhole(plain, dir, 0);
  });

  it('says of each push whether it brought more than anchors', async () => {
    const own = folder();
    cpSync(dir, own, { recursive: true });
    const mirror = mirrorOf(join(own, 'ledger'), openStore(folder(), { clock }));
    await mirror.push.round(true);
    const ledger = await open(own);
    const settle = async () => {
      const { size } = ledger.head();
      for (let i = 0; ledger.head().signedSize < size && i < 200; i++) await new Promise((r) => setTimeout(r, 20));
      await mirror.push.round(true);
    };
    await settle();
    await ledger.append('audit', [{ kind: 'anchor', body: Buffer.from('{}') }]);
    await settle();
    await ledger.append('audit', [{ kind: 'anchor', body: Buffer.from('{}') }, event(1)]);
    await settle();
    await ledger.close('done');
    expect(mirror.pushed.map(({ news }) => news)).toEqual([true, true, false, true]);
  });
});

describe('a ledger of several shards', () => {
  it('is pushed from the oldest to the newest, and a full one is finished once', async () => {
    const dir = folder();
    await grow(dir, 1500, { shardEntries: 600 });
    const { store, writes } = watched(openStore(folder(), { clock }), {});
    const mirror = mirrorOf(join(dir, 'ledger'), store);
    await mirror.push.round(true);
    const last = LedgerReader.open(join(dir, 'ledger'));
    const shards = last.shards();
    last.close();
    expect(shards.length).toBeGreaterThan(2);
    for (const { number, size } of shards) expect(await expectWhole(store, dir, number)).toBe(size);
    expect(mirror.pushed.map(({ shard }) => shard)).toEqual([...mirror.pushed.map(({ shard }) => shard)].sort());
    writes.length = 0;
    await mirror.push.round(true);
    expect(writes).toEqual([]);
    // The one before the newest may have been cut off while it was finished: its last tiles are locked as long as full ones.
    const again = mirrorOf(join(dir, 'ledger'), store);
    await again.push.round(true);
    expect(writes.filter((key) => key.startsWith(`${LOG_NAME}/0/`))).toEqual([]);
    expect(again.push.progress()).toMatchObject({ behind: 0 });
  });
});

describe('the mirror of a ledger with a damaged old shard', () => {
  it('says so and gets everything after it', async () => {
    const dir = folder();
    await grow(dir, 400, { shardEntries: 100 });
    const store = openStore(folder(), { clock });
    const shards = listShards(join(dir, 'ledger'));
    const damaged = shards[0]!.path;
    const bytes = readFileSync(damaged);
    chmodSync(damaged, 0o640);
    writeFileSync(damaged, bytes.fill(0xff, 4096 * 3));
    const mirror = mirrorOf(join(dir, 'ledger'), store);
    await expect(mirror.push.round(true)).rejects.toThrow(/shard-000000|malformed|corrupt/i);
    expect(shards.length).toBeGreaterThan(1);
    for (const { number } of shards.slice(1)) {
      const { vkey } = loadOrCreateKey(join(dir, 'ledger.key'), LOG_NAME);
      await expectCovered(store, `${LOG_NAME}/${number}`, vkey);
    }
  });
});

describe('a mirror whose store was tampered with', () => {
  async function mirrored() {
    const dir = folder();
    await grow(dir, 300);
    const store = openStore(folder(), { clock });
    const mirror = mirrorOf(join(dir, 'ledger'), store);
    await mirror.push.round(true);
    return { dir, store, mirror };
  }

  it('alarms at a key that somebody occupied first, and writes a new version', async () => {
    const { dir, store, mirror } = await mirrored();
    await store.create(`${ORIGIN}/tile/0/001`, Buffer.from('squatter'), 'log');
    await grow(dir, 300);
    await mirror.push.round(true);
    expect(mirror.uploader.counts.occupied).toBe(1);
    expect(mirror.lines).toMatchObject([{ level: 'error', key: `${ORIGIN}/tile/0/001` }]);
    await expectWhole(store, dir, 0);
  });

  it('alarms when the newest checkpoint was put back, removed or replaced by junk', async () => {
    const { dir, store, mirror } = await mirrored();
    const old = (await store.get(`${ORIGIN}/checkpoint`))!;
    await grow(dir, 5);
    await mirror.push.round(true);
    for (const [i, bad] of [old, Buffer.from('junk')].entries()) {
      await store.replace(`${ORIGIN}/checkpoint`, bad, 'partial');
      await grow(dir, 5);
      await mirror.push.round(true);
      expect(mirror.uploader.counts.occupied).toBe(i + 1);
      expect(await expectWhole(store, dir, 0)).toBe(mirror.pushed.at(-1)!.size);
    }
  });

  it('finds its place by the other checkpoints when the newest is junk', async () => {
    const { dir, store } = await mirrored();
    await grow(dir, 5);
    await mirrorOf(join(dir, 'ledger'), store).push.round(true);
    await store.replace(`${ORIGIN}/checkpoint`, Buffer.from('junk'), 'partial');
    await store.create(`${ORIGIN}/checkpoints/99999`, Buffer.from('junk'), 'log');
    await grow(dir, 5);
    const again = mirrorOf(join(dir, 'ledger'), store);
    await again.push.round(true);
    expect(again.uploader.counts).toMatchObject({ occupied: 1, present: 0 });
    expect(await expectWhole(store, dir, 0)).toBe(again.pushed.at(-1)!.size);
  });

  it.each([
    ['put back to an older copy', (dir: string, older: string) => [older, dir] as const],
    ['one of two copies that went their own ways', (dir: string, older: string) => [dir, older] as const],
  ])('stops at a ledger that is %s, and overwrites nothing', async (what, order) => {
    const { dir, store } = await mirrored();
    const older = folder();
    cpSync(dir, older, { recursive: true });
    const [local, mirroredOne] = order(dir, older);
    await grow(mirroredOne, 200);
    await mirrorOf(join(mirroredOne, 'ledger'), store).push.round(true);
    if (!what.startsWith('put back')) await grow(local, 500);
    const before = (await store.get(`${ORIGIN}/checkpoint`))!;
    const { store: spied, writes } = watched(store, {});
    const mirror = mirrorOf(join(local, 'ledger'), spied);
    await mirror.push.round(true);
    await mirror.push.round(true);
    expect(mirror.push.diverged).toEqual([0]);
    expect(mirror.lines).toMatchObject([{ level: 'error', code: 'MIRROR_DIVERGED' }]);
    expect(writes).toEqual([]);
    expect(await store.get(`${ORIGIN}/checkpoint`)).toEqual(before);
  });

  it('catches two replicas that share an origin while both run', async () => {
    const { dir, store, mirror } = await mirrored();
    const twin = folder();
    cpSync(dir, twin, { recursive: true });
    const other = mirrorOf(join(twin, 'ledger'), store);
    await other.push.round(true);
    await grow(twin, 20);
    await other.push.round(true);
    await grow(dir, 40);
    await mirror.push.round(true);
    expect(mirror.push.diverged).toEqual([0]);
    expect(other.push.diverged).toEqual([]);
  });

  it('is not stopped by a checkpoint that anybody may have signed, and alarms', async () => {
    const { dir, store, mirror } = await mirrored();
    const forged = (origin: string) => {
      const seed = Buffer.alloc(32, 7);
      const text = `${origin}\n9\n${Buffer.alloc(32).toString('base64')}\n`;
      return Buffer.from(signNote(text, [createSigner(LOG_NAME, seed)]));
    };
    await store.replace(`${ORIGIN}/checkpoint`, forged(ORIGIN), 'partial');
    await store.replace(`${LOG_NAME}/1/checkpoint`, forged(`${LOG_NAME}/1`), 'partial');
    await grow(dir, 5);
    await mirror.push.round(true);
    expect(mirror.push.diverged).toEqual([]);
    expect(mirror.uploader.counts.occupied).toBe(1);
    // Again after a restart, and in the place of the shard that comes next.
    await store.replace(`${ORIGIN}/checkpoint`, forged(ORIGIN), 'partial');
    await grow(dir, 400, { shardEntries: 100 });
    const again = mirrorOf(join(dir, 'ledger'), store);
    await again.push.round(true);
    expect(again.push.diverged).toEqual([]);
    expect(again.uploader.counts.occupied).toBeGreaterThan(1);
    for (const { number } of listShards(join(dir, 'ledger'))) await expectWhole(store, dir, number);
  });

  it('puts its own signature where somebody left the same checkpoint without it', async () => {
    const { dir, store, mirror } = await mirrored();
    await grow(dir, 5);
    const { size, note } = checkpointsOf(listShards(join(dir, 'ledger'))[0]!.path).at(-1)!;
    const unsigned = signNote(parseNote(note).text, [createSigner(LOG_NAME, Buffer.alloc(32, 7))]);
    await store.create(`${ORIGIN}/checkpoints/${size}`, Buffer.from(unsigned), 'log');
    await mirror.push.round(true);
    expect(await store.get(`${ORIGIN}/checkpoints/${size}`)).toEqual(Buffer.from(note));
  });

  it('does not write over the log of another key, nor over its later shards', async () => {
    const { dir, store } = await mirrored();
    await grow(dir, 400, { shardEntries: 100 });
    await mirrorOf(join(dir, 'ledger'), store).push.round(true);
    const stranger = folder();
    for (let i = 0; i < 3; i++) await grow(stranger, 400, { shardEntries: 100 });
    const { store: spied, writes } = watched(store, {});
    const mirror = mirrorOf(join(stranger, 'ledger'), spied);
    await mirror.push.round(true);
    expect(mirror.push.diverged.slice(0, 2)).toEqual([0, 1]);
    expect(writes.filter((key) => /^log\.example\/cluster\/0\/[01]\//.test(key))).toEqual([]);
    expect(mirror.lines.find(({ code }) => code === 'MIRROR_DIVERGED')!.message).toMatch(
      /not signed by the key of this shard/,
    );
  });
});
