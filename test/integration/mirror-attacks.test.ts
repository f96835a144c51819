// What somebody with the bucket's own credentials, and more, can do to a mirror through the server's own API; the verifier sees only
// the bucket. Each attack by kind of object is in test/unit/mirror/attacks.test.ts; this shows that a real server gives away the same.
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openToRead } from '../../src/cli/store-flags.ts';
import type { VerifyReport } from '../../src/ledger/verify-report.ts';
import type { LockExpectation } from '../../src/mirror/lock-check.ts';
import { openStore } from '../../src/mirror/stores/open.ts';
import type { RetentionRule } from '../../src/mirror/stores/options.ts';
import type { ObjectStore } from '../../src/mirror/stores/store.ts';
import { verifyMirror } from '../../src/mirror/verify-mirror.ts';
import { type Fault, startFaultProxy } from '../support/fault-proxy.ts';
import { miniKey, miniNote } from '../support/mini-ledger.ts';
import { mirrorEntries } from '../support/mirror-of.ts';
import { CREDENTIALS, type ObjectLockServer, startObjectLockServer } from '../support/object-lock-server.ts';
import { MAIN } from '../support/sealgate.ts';
import { collect } from '../support/store-suite.ts';

const LOG_NAME = 'ledger.example/cluster-a/0';
const ORIGIN = `${LOG_NAME}/0`;
const KEY = miniKey(LOG_NAME, 1);
const RETENTION: RetentionRule = { mode: 'compliance', logDays: 10, bodiesDays: 3, partialDays: 1, legalHold: false };
const GOVERNANCE: RetentionRule = { ...RETENTION, mode: 'governance' };

let server: ObjectLockServer;
beforeAll(async () => {
  for (const [name, value] of Object.entries(CREDENTIALS)) vi.stubEnv(name, value);
  server = await startObjectLockServer();
});
afterAll(async () => {
  await server?.stop();
  vi.unstubAllEnvs();
});

interface Mirrored {
  readonly bucket: string;
  readonly store: ObjectStore;
  /** Of the bucket, for an object of the shard. */
  key(path: string): string;
  /** The attacker's hands. */
  put(path: string, content: string | Buffer): Promise<void>;
  hide(path: string): Promise<void>;
  /** Every version; only governance lets that happen. */
  erase(path: string): Promise<void>;
  read(path: string): Promise<Buffer>;
}

async function emptyMirror(retention: RetentionRule): Promise<Mirrored> {
  const bucket = await server.bucket();
  const clock = { now: () => Date.now() * 1000 };
  const store = openStore(`s3://${bucket}/p`, { clock, retention, s3: { endpoint: server.endpoint, pathStyle: true } });
  onTestFinished(() => store.close());
  const key = (path: string) => `p/${ORIGIN}/${path}`;
  return {
    bucket,
    store,
    key,
    async put(path, content) {
      await server.admin.putObject({ Bucket: bucket, Key: key(path), Body: content, ChecksumAlgorithm: 'SHA256' });
    },
    async hide(path) {
      await server.admin.deleteObject({ Bucket: bucket, Key: key(path) });
    },
    async erase(path) {
      for (const { version } of await collect(store.versions(`${ORIGIN}/${path}`))) {
        const target = { Bucket: bucket, Key: key(path), VersionId: version };
        await server.admin.deleteObject({ ...target, BypassGovernanceRetention: true });
      }
    },
    read: async (path) => (await store.get(`${ORIGIN}/${path}`)) as Buffer,
  };
}

/** 600 entries, pushed at sizes 400 and 600; entry 300 has a large body. */
async function push(store: ObjectStore, change = ''): Promise<void> {
  const body = (content: unknown): Buffer => Buffer.from(JSON.stringify(content));
  const entries = Array.from({ length: 600 }, (_, n) => {
    if (n === 0) return { kind: 'start', body: body({ origin: ORIGIN }) };
    return { kind: 'event', body: body(n === 300 ? 'x'.repeat(70_000) : { n, change }) };
  });
  await mirrorEntries(store, KEY, 0, entries, [400, 600]);
}

async function mirrored(retention = RETENTION): Promise<Mirrored> {
  const mirror = await emptyMirror(retention);
  await push(mirror.store);
  return mirror;
}

async function verify({ store }: Mirrored, locks?: LockExpectation): Promise<VerifyReport> {
  return await verifyMirror(store, { keys: [KEY.vkey], nowMs: Date.now(), ...(locks === undefined ? {} : { locks }) });
}

const brief = ({ findings, exitCode, history }: VerifyReport) => ({
  exitCode,
  history,
  found: findings.map(({ code, object = '' }) => `${code} ${object.slice(ORIGIN.length + 1)}`),
});

describe('a mirror in a bucket', () => {
  it('is whole as it was pushed', async () => {
    expect(brief(await verify(await mirrored()))).toEqual({ exitCode: 0, history: 'whole', found: [] });
  });

  const PATHS = ['tile/entries/001', 'tile/0/001', 'bodies/001', 'bodies/large/300', 'checkpoints/400'];

  it('that was overwritten says so, and its history is still whole in the older versions', async () => {
    const mirror = await mirrored();
    for (const path of PATHS) await mirror.put(path, 'forged');
    const { exitCode, history, found } = brief(await verify(mirror));
    expect({ exitCode, history }).toEqual({ exitCode: 10, history: 'whole' });
    expect(found.sort()).toEqual(PATHS.map((path) => `object-overwritten ${path}`).sort());
  });

  it('that was deleted says so, and its history is still whole behind the markers', async () => {
    const mirror = await mirrored();
    for (const path of PATHS) await mirror.hide(path);
    const { exitCode, history, found } = brief(await verify(mirror));
    expect({ exitCode, history }).toEqual({ exitCode: 10, history: 'whole' });
    expect(found.sort()).toEqual(PATHS.map((path) => `object-hidden ${path}`).sort());
  });

  it('whose versions somebody wants to delete keeps them all', async () => {
    const mirror = await mirrored();
    for (const path of PATHS) await expect(mirror.erase(path), path).rejects.toMatchObject({ name: 'AccessDenied' });
    expect(brief(await verify(mirror))).toEqual({ exitCode: 0, history: 'whole', found: [] });
  });

  it('whose versions are gone, because governance let them go, is incomplete', async () => {
    const mirror = await mirrored(GOVERNANCE);
    await mirror.erase('bodies/large/300');
    await mirror.erase('tile/0/001');
    expect(brief(await verify(mirror))).toEqual({
      exitCode: 11,
      history: 'lost',
      found: ['object-missing tile/0/001', 'object-missing bodies/large/300'],
    });
  });

  it('whose keys somebody occupied first is written as new versions', async () => {
    const mirror = await emptyMirror(RETENTION);
    for (const path of PATHS) await mirror.put(path, 'mine');
    // What the pod does with a key that is occupied by something else.
    const store = {
      async create(key, bytes, of) {
        if ((await mirror.store.create(key, bytes, of)) === 'occupied') await mirror.store.replace(key, bytes, of);
        return 'created';
      },
      replace: (key, bytes, of) => mirror.store.replace(key, bytes, of),
    } as ObjectStore;
    await push(store);
    const { exitCode, history, found } = brief(await verify(mirror));
    expect({ exitCode, history }).toEqual({ exitCode: 10, history: 'whole' });
    expect(found.sort()).toEqual(PATHS.map((path) => `object-squatted ${path}`).sort());
  });

  it('whose checkpoint was put back, removed, or is by another key says which', async () => {
    const mirror = await mirrored();
    await mirror.put('checkpoint', await mirror.read('checkpoints/400'));
    expect(brief(await verify(mirror)).found).toEqual(['checkpoint-put-back checkpoint']);
    await mirror.put('checkpoint', miniNote(miniKey(LOG_NAME, 3), ORIGIN, 5, Buffer.alloc(32)));
    expect(brief(await verify(mirror)).found).toEqual(['checkpoint-other-key checkpoint']);
    await mirror.hide('checkpoint');
    // What was under the marker is not forgotten.
    expect(brief(await verify(mirror))).toEqual({
      exitCode: 10,
      history: 'whole',
      found: ['checkpoint-other-key checkpoint', 'object-hidden checkpoint'],
    });
  });

  it('with an object cut off, or of another log, in the place of the right one names it', async () => {
    const mirror = await mirrored(GOVERNANCE);
    const other = await emptyMirror(GOVERNANCE);
    await push(other.store, 'another');
    const cut = (await mirror.read('bodies/001')).subarray(0, 100);
    await mirror.erase('bodies/001');
    await mirror.put('bodies/001', cut);
    await mirror.erase('tile/entries/001');
    await mirror.put('tile/entries/001', await other.read('tile/entries/001'));
    const { exitCode, history, found } = brief(await verify(mirror));
    expect({ exitCode, history }).toEqual({ exitCode: 10, history: 'lost' });
    expect(found.sort()).toEqual(['object-changed bodies/001', 'object-changed tile/entries/001']);
  });

  it('whose locks are missing, weaker or shortened says so when it is asked', async () => {
    const wanted = { mode: 'compliance', days: { log: 10, bodies: 3 } } as const;
    const codes = async (mirror: Mirrored, locks: LockExpectation) =>
      (await verify(mirror, locks)).findings.map(({ code }) => code);
    expect(await codes(await mirrored(), wanted)).toEqual([]);
    expect(await codes(await mirrored({ ...RETENTION, logDays: 0 }), wanted)).toEqual(['retention-missing']);
    const governed = await mirrored(GOVERNANCE);
    expect(await codes(governed, wanted)).toEqual(['retention-missing']);
    const asGoverned = { ...wanted, mode: 'governance' } as const;
    expect(await codes(governed, asGoverned)).toEqual([]);
    await server.admin.putObjectRetention({
      Bucket: governed.bucket,
      Key: governed.key('tile/entries/000'),
      Retention: { Mode: 'GOVERNANCE', RetainUntilDate: new Date(Date.now() + 86_400_000) },
      BypassGovernanceRetention: true,
    });
    expect(await codes(governed, asGoverned)).toEqual(['retention-short']);
  });

  it('is verified through a network on which every third request fails', async () => {
    const { bucket } = await mirrored();
    const faults: readonly Fault[] = [
      { kind: 'reset', when: 'before' },
      { kind: 'status', status: 500, code: 'InternalError' },
      { kind: 'status', status: 503, code: 'SlowDown' },
      { kind: 'truncate', bytes: 10, relabel: false },
      { kind: 'flip' },
    ];
    const proxy = await startFaultProxy(server.endpoint, ({ index, path }) => {
      const fault = index % 3 === 0 ? faults[(index / 3) % faults.length] : undefined;
      // Nothing but TLS tells that one bit of a listing is another.
      return fault?.kind === 'flip' && !path.includes(ORIGIN) ? undefined : fault;
    });
    onTestFinished(() => proxy.stop());
    const store = openToRead(`s3://${bucket}/p`, { endpoint: proxy.endpoint, pathStyle: true });
    onTestFinished(() => store.close());
    const report = await verifyMirror(store, { keys: [KEY.vkey], nowMs: Date.now() });
    expect(brief(report)).toEqual({ exitCode: 0, history: 'whole', found: [] });
    expect(proxy.faults).toBeGreaterThan(faults.length);
  });

  it('is verified by its URL on the command line, with the same exit codes', async () => {
    const mirror = await mirrored();
    const run = async () => {
      const s3 = ['--endpoint', server.endpoint, '--path-style'];
      const locks = ['--retention', 'compliance', '--min-days', '10', '--min-body-days', '3'];
      const args = ['verify', `s3://${mirror.bucket}/p`, '--key', KEY.vkey, ...s3, ...locks, '--json'];
      return await new Promise<{ code: number; report: VerifyReport }>((resolve) => {
        execFile(process.execPath, [MAIN, ...args], (error, stdout) =>
          resolve({ code: error === null ? 0 : Number(error.code), report: JSON.parse(stdout) as VerifyReport }),
        );
      });
    };
    expect(await run()).toMatchObject({ code: 0, report: { status: 'whole', history: 'whole' } });
    await mirror.put('bodies/000', 'forged');
    expect(await run()).toMatchObject({
      code: 10,
      report: { status: 'tampered', history: 'whole', findings: [{ code: 'object-overwritten', from: 0, to: 255 }] },
    });
  });
});
