// The mirror against a real Object Lock server on bad days: whatever the network and the server do to its requests, the bucket ends
// up whole, which Tessera's fsck confirms, and no key holds two different contents but the one that is meant to change.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { loadOrCreateKey } from '../../src/ledger/key.ts';
import { parseLeaf } from '../../src/ledger/leaf.ts';
import { openLedger } from '../../src/ledger/ledger.ts';
import { TreeReader } from '../../src/ledger/tree-reader.ts';
import type { ErrorCode } from '../../src/lib/errors.ts';
import { type BodyRecord, decodeBodyBundle, decodeLargeBody, mirrorKey } from '../../src/mirror/layout.ts';
import { startMirror } from '../../src/mirror/mirror.ts';
import type { MirrorData, MirrorStatus } from '../../src/mirror/protocol.ts';
import { openStore } from '../../src/mirror/stores/open.ts';
import type { ObjectStore } from '../../src/mirror/stores/store.ts';
import { type Fault, type FaultProxy, type Rule, startFaultProxy } from '../support/fault-proxy.ts';
import { fsck } from '../support/fsck.ts';
import { CREDENTIALS, type ObjectLockServer, startObjectLockServer } from '../support/object-lock-server.ts';
import { collect } from '../support/store-suite.ts';

const LOG_NAME = 'ledger.example/cluster-a/0';
const ORIGIN = `${LOG_NAME}/0`;
const RETENTION = { mode: 'compliance', logDays: 10, bodiesDays: 3, partialDays: 1, legalHold: false } as const;
const CHILD = fileURLToPath(new URL('../support/mirror-child.ts', import.meta.url));
/** Three full bundles, a rest, and bodies that stand alone. */
const EVENTS = 900;

let server: ObjectLockServer;
let proxy: FaultProxy;
let root: string;
let size: number;

const ledgerDir = () => join(root, 'ledger');
const publicKey = () => join(root, 'keys', 'ledger.vkey');
const shard = () => TreeReader.open(join(ledgerDir(), 'shard-000000.sqlite'));

beforeAll(async () => {
  for (const [name, value] of Object.entries(CREDENTIALS)) vi.stubEnv(name, value);
  server = await startObjectLockServer();
  proxy = await startFaultProxy(server.endpoint);
  root = mkdtempSync(join(tmpdir(), 'sealgate-mirror-faults-'));
  const ledger = await openLedger({
    dir: ledgerDir(),
    key: loadOrCreateKey(join(root, 'keys', 'ledger.key'), LOG_NAME),
    version: '0.0.0-test',
    settingsDigest: `sha256:${'0'.repeat(64)}`,
    onFatal: (error) => {
      throw error;
    },
  });
  const body = (i: number) =>
    JSON.stringify({ source: 'test', event: { i, text: 'x'.repeat(i % 300 === 7 ? 70_000 : i) } });
  await ledger.append(
    'audit',
    Array.from({ length: EVENTS }, (_, i) => ({ kind: 'event', body: Buffer.from(body(i)) })),
  );
  await ledger.close('written');
  const reader = shard();
  size = reader.head().size;
  reader.close();
});
afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
  rmSync(root, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

function mirrorData(bucket: string): MirrorData {
  return {
    ledgerDir: ledgerDir(),
    url: `s3://${bucket}/p`,
    retention: RETENTION,
    s3: { endpoint: proxy.endpoint, pathStyle: true, timeoutSeconds: 1 },
    intervalMs: 100,
    parallel: 4,
  };
}

/** Runs a mirror under a rule until the store has all, and returns the last status. */
async function pushAll(bucket: string, rule: Rule): Promise<MirrorStatus> {
  proxy.rule(rule);
  const whole = Promise.withResolvers<void>();
  const mirror = startMirror({
    data: mirrorData(bucket),
    log: () => undefined,
    onStatus: () => undefined,
    onPushed: (pushed) => {
      if (pushed.size === size) whole.resolve();
    },
  });
  onTestFinished(() => mirror.close(0));
  await whole.promise;
  proxy.rule(undefined);
  await mirror.close(10_000);
  return mirror.status() as MirrorStatus;
}

/** Straight from the server, as an auditor would. */
function auditor(bucket: string): ObjectStore {
  const clock = { now: () => Date.now() * 1000 };
  const store = openStore(`s3://${bucket}/p`, { clock, s3: { endpoint: server.endpoint, pathStyle: true } });
  onTestFinished(() => store.close());
  return store;
}

/** Everything that the checkpoint covers is there and right, and nothing was ever written otherwise. */
async function expectWhole(bucket: string): Promise<void> {
  const store = auditor(bucket);
  const dir = mkdtempSync(join(root, 'bucket-'));
  for (const { key } of await collect(store.list(`${ORIGIN}/`))) {
    const file = join(dir, key.slice(ORIGIN.length + 1));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, (await store.get(key)) as Buffer);
  }
  expect(fsck(dir, { size, origin: ORIGIN, publicKey: publicKey() })).toBe('');
  await expectBodies(store);
  const contents = new Map<string, string>();
  for (const { key, version } of await collect(store.versions(`${ORIGIN}/`))) {
    if (key === `${ORIGIN}/checkpoint`) continue;
    const content = String((await store.get(key, { version }))?.toString('base64'));
    expect(contents.get(key) ?? content, key).toBe(content);
    contents.set(key, content);
    expect(await store.retention(key, version), key).toMatchObject({ mode: 'compliance' });
  }
}

async function expectBodies(store: ObjectStore): Promise<void> {
  const reader = shard();
  try {
    for (let index = 0; index * 256 < size; index++) {
      const width = Math.min(256, size - index * 256);
      const bundle = (await store.get(mirrorKey(ORIGIN, { kind: 'bodies', index, width }))) as Buffer;
      const records = decodeBodyBundle(bundle, width);
      const from = index * 256;
      const sizes = reader.leaves(from, from + width).map((leaf) => parseLeaf(leaf).size);
      let seq = from;
      for (const { salt, body } of reader.bodies(from, from + width, (at) => sizes[at - from] as number)) {
        const record = records[seq - from] as BodyRecord;
        const large = async () => (await store.get(mirrorKey(ORIGIN, { kind: 'large', seq }))) as Buffer;
        const got = 'body' in record ? record : decodeLargeBody(await large(), record.large);
        expect(Buffer.from(got.body).equals(body) && Buffer.from(got.salt).equals(salt), `body ${seq}`).toBe(true);
        seq += 1;
      }
      expect(seq).toBe(from + width);
    }
  } finally {
    reader.close();
  }
}

/** The same numbers for the same seed, so that a failure can be had again: mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const FAULTS: readonly (readonly [name: string, fault: Fault, code: ErrorCode | undefined])[] = [
  ['reset before the server sees it', { kind: 'reset', when: 'before' }, undefined],
  ['reset after the server did it', { kind: 'reset', when: 'after' }, undefined],
  ['slow', { kind: 'slow', ms: 30 }, undefined],
  ['answered with 500', { kind: 'status', status: 500, code: 'InternalError' }, undefined],
  ['throttled', { kind: 'status', status: 503, code: 'SlowDown' }, undefined],
  ['refused', { kind: 'status', status: 403, code: 'AccessDenied' }, 'MIRROR_ACCESS_DENIED'],
  ['expired', { kind: 'status', status: 400, code: 'ExpiredToken' }, 'MIRROR_CREDENTIALS'],
  ['cut off', { kind: 'truncate', bytes: 10, relabel: false }, undefined],
  ['cut off without a trace', { kind: 'truncate', bytes: 10, relabel: true }, undefined],
  ['altered', { kind: 'flip' }, undefined],
  ['sent twice', { kind: 'duplicate' }, undefined],
  ['answered with another time', { kind: 'date', date: new Date(0) }, undefined],
];

describe('a mirror of which every third request is', () => {
  it.each(FAULTS)('%s gets all into the bucket, whole', async (_, fault, code) => {
    const bucket = await server.bucket();
    const before = proxy.faults;
    const status = await pushAll(bucket, ({ index }) => (index % 3 === 0 ? fault : undefined));
    expect(proxy.faults).toBeGreaterThan(before + 5);
    expect(status).toMatchObject({ pushed: size, counts: { occupied: 0 }, diverged: [] });
    if (code !== undefined) expect(status.errors[code]).toBeGreaterThan(0);
    await expectWhole(bucket);
  });
});

describe('a mirror to which everything happens at once', () => {
  const seed = Number(process.env['SEALGATE_FAULT_SEED'] ?? Date.now() % 1_000_000);

  it(`gets all into the bucket, whole (SEALGATE_FAULT_SEED=${seed})`, async () => {
    const next = random(seed);
    const bucket = await server.bucket();
    const status = await pushAll(bucket, () =>
      next() < 0.4 ? FAULTS[Math.floor(next() * FAULTS.length)]?.[1] : undefined,
    );
    expect(status).toMatchObject({ pushed: size, counts: { occupied: 0 }, diverged: [] });
    await expectWhole(bucket);
  });

  it(`goes on after kill -9 in the middle of any request (SEALGATE_FAULT_SEED=${seed})`, async () => {
    const next = random(seed + 1);
    const bucket = await server.bucket();
    for (let life = 0; life < 6 && !(await isCovered(bucket)); life++) {
      // Most requests of a push from nothing; a later life has fewer to make, and may live.
      const last = proxy.requests.length + 1 + Math.floor(next() * 25);
      const when = next() < 0.5 ? 'before' : 'after';
      await oneLife(bucket, last, when);
    }
    if (!(await isCovered(bucket))) await pushAll(bucket, () => undefined);
    await expectWhole(bucket);
  });

  async function isCovered(bucket: string): Promise<boolean> {
    const note = await auditor(bucket).get(`${ORIGIN}/checkpoint`);
    return note?.toString('utf8').startsWith(`${ORIGIN}\n${size}\n`) === true;
  }

  /** A mirror in a process of its own, which is killed at its request number `last`, or when it has pushed all. */
  async function oneLife(bucket: string, last: number, when: 'before' | 'after'): Promise<void> {
    const child = spawn(process.execPath, ['--no-warnings', CHILD, JSON.stringify(mirrorData(bucket))], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.stdout.on('data', (text: Buffer) => {
      if (String(text).includes(`pushed ${size}\n`)) child.kill('SIGKILL');
    });
    proxy.rule(({ index }) => {
      if (index < last) return undefined;
      child.kill('SIGKILL');
      return { kind: 'reset', when };
    });
    await ended;
    proxy.rule(undefined);
  }
});

describe('a mirror whose store is away', () => {
  it('says why, for as long as it is, and catches up when it is back', async () => {
    const bucket = await server.bucket();
    const refused = Promise.withResolvers<MirrorStatus>();
    const whole = Promise.withResolvers<void>();
    proxy.rule(() => ({ kind: 'status', status: 403, code: 'InvalidAccessKeyId' }));
    const mirror = startMirror({
      data: mirrorData(bucket),
      log: () => undefined,
      onStatus: (status) => {
        if (status.problem !== undefined) refused.resolve(status);
      },
      onPushed: (pushed) => {
        if (pushed.size === size) whole.resolve();
      },
    });
    onTestFinished(() => mirror.close(0));
    expect(await refused.promise).toMatchObject({ problem: { code: 'MIRROR_CREDENTIALS' }, counts: { objects: 0 } });
    proxy.rule(undefined);
    await whole.promise;
    await mirror.close(10_000);
    expect(mirror.status()?.problem).toBeUndefined();
    expect(mirror.lag({ shard: 0, size }, Date.now())).toEqual({ entries: 0, seconds: 0 });
    await expectWhole(bucket);
  });
});
