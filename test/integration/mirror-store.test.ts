// The S3 store against a real Object Lock server, with a fault proxy between where the network is the matter.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ErrorCode } from '../../src/lib/errors.ts';
import { probeStore } from '../../src/mirror/probe.ts';
import { isRetryable } from '../../src/mirror/stores/errors.ts';
import { openStore } from '../../src/mirror/stores/open.ts';
import type { RetentionRule, StoreOptions } from '../../src/mirror/stores/options.ts';
import type { Finding, ProbedStore } from '../../src/mirror/stores/probed.ts';
import type { ObjectStore } from '../../src/mirror/stores/store.ts';
import { type Fault, type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { CREDENTIALS, type ObjectLockServer, startObjectLockServer } from '../support/object-lock-server.ts';
import { MAIN } from '../support/sealgate.ts';
import { collect, storeSuite } from '../support/store-suite.ts';

const RETENTION: RetentionRule = { mode: 'compliance', logDays: 10, bodiesDays: 3, partialDays: 1, legalHold: false };
const clock = { now: () => Date.now() * 1000 };

let server: ObjectLockServer;
let proxy: FaultProxy;
const opened: ObjectStore[] = [];

beforeAll(async () => {
  for (const [name, value] of Object.entries(CREDENTIALS)) vi.stubEnv(name, value);
  server = await startObjectLockServer();
  proxy = await startFaultProxy(server.endpoint);
});
afterAll(async () => {
  for (const store of opened) store.close();
  await proxy?.stop();
  await server?.stop();
  vi.unstubAllEnvs();
});

function open(bucket: string, options: Partial<StoreOptions> = {}, endpoint = proxy.endpoint): ProbedStore {
  const store = openStore(`s3://${bucket}`, {
    clock,
    retention: RETENTION,
    ...options,
    s3: { endpoint, pathStyle: true, ...options.s3 },
  });
  opened.push(store);
  return store;
}

storeSuite('a bucket', async () => open(`${await server.bucket()}/some/prefix`));

describe('what a bucket keeps', () => {
  it('is locked from the moment it is written, by class, and cannot be deleted', async () => {
    const bucket = await server.bucket();
    const store = open(bucket);
    const days = { log: 10, bodies: 3, partial: 1 } as const;
    for (const of of ['log', 'bodies', 'partial'] as const) {
      const before = Date.now();
      expect(await store.create(`of/${of}`, Buffer.from(of), of)).toBe('created');
      const [{ version } = { version: '' }] = await collect(store.versions(`of/${of}`));
      const lock = await store.retention(`of/${of}`, version);
      expect(lock).toMatchObject({ mode: 'compliance', legalHold: false });
      const until = lock?.until?.getTime() ?? 0;
      expect(until).toBeGreaterThanOrEqual(before + days[of] * 86_400_000);
      expect(until).toBeLessThanOrEqual(Date.now() + days[of] * 86_400_000 + 3000);
      await expect(
        server.admin.deleteObject({
          Bucket: bucket,
          Key: `of/${of}`,
          VersionId: version,
          BypassGovernanceRetention: true,
        }),
      ).rejects.toMatchObject({ name: 'AccessDenied' });
    }
  });

  it('has a legal hold when that is asked for, but not what a later push replaces', async () => {
    const store = open(await server.bucket(), { retention: { ...RETENTION, bodiesDays: 0, legalHold: true } });
    await store.create('log', Buffer.of(1), 'log');
    await store.create('bodies', Buffer.of(1), 'bodies');
    await store.create('partial', Buffer.of(1), 'partial');
    const locks = new Map();
    for (const { key, version } of await collect(store.versions('')))
      locks.set(key, await store.retention(key, version));
    expect(locks.get('log')).toMatchObject({ mode: 'compliance', legalHold: true });
    expect(locks.get('bodies')).toEqual({ mode: 'none', legalHold: true });
    expect(locks.get('partial')).toMatchObject({ mode: 'compliance', legalHold: false });
  });

  it('is not locked in a bucket without Object Lock when nothing is asked for', async () => {
    const store = open(await server.bucket({ objectLock: false, versioning: true }), {
      retention: { ...RETENTION, mode: 'none' },
    });
    await store.replace('a', Buffer.of(1), 'log');
    const [first] = await collect(store.versions('a'));
    expect(await store.retention('a', first?.version ?? '')).toEqual({ mode: 'none', legalHold: false });
  });

  it('stays readable in its older versions under an overwrite and a delete marker', async () => {
    const bucket = await server.bucket();
    const store = open(`${bucket}/p`);
    await store.create('a', Buffer.from('true'), 'log');
    await server.admin.putObject({ Bucket: bucket, Key: 'p/a', Body: 'forged', ChecksumAlgorithm: 'SHA256' });
    await server.admin.deleteObject({ Bucket: bucket, Key: 'p/a' });
    expect(await store.get('a')).toBeUndefined();
    expect(await collect(store.list(''))).toEqual([]);
    const versions = await collect(store.versions(''));
    expect(versions.map(({ key, deleteMarker, newest, size }) => [key, deleteMarker, newest, size])).toEqual([
      ['a', true, true, 0],
      ['a', false, false, 6],
      ['a', false, false, 4],
    ]);
    const [marker, forged, original] = versions.map(({ version }) => version) as [string, string, string];
    expect(await store.get('a', { version: marker })).toBeUndefined();
    expect(await store.retention('a', marker)).toBeUndefined();
    expect(String(await store.get('a', { version: forged }))).toBe('forged');
    expect(String(await store.get('a', { version: original }))).toBe('true');
    expect(await store.get('a', { version: '01ARZ3NDEKTSV4RRFFQ69G5FAV' })).toBeUndefined();
    // What only a marker hides does not occupy its key.
    expect(await store.create('a', Buffer.from('again'), 'log')).toBe('created');
    expect(String(await store.get('a'))).toBe('again');
  });

  it('is listed to the end, over pages, by object and by version', async () => {
    const bucket = await server.bucket();
    const store = open(`${bucket}/p`, { retention: { ...RETENTION, mode: 'none' } }, server.endpoint);
    const keys = Array.from({ length: 1005 }, (_, i) => `k/${String(i).padStart(4, '0')}`);
    for (let i = 0; i < keys.length; i += 16) {
      await Promise.all(keys.slice(i, i + 16).map((key) => store.create(key, Buffer.of(1), 'partial')));
    }
    expect((await collect(store.list('k/'))).map(({ key }) => key)).toEqual(keys);
    expect((await collect(store.versions('k/'))).map(({ key }) => key)).toEqual(keys);
  });

  it('is listed whatever keys somebody else chose', async () => {
    const bucket = await server.bucket();
    const store = open(`${bucket}/p`);
    const keys = ['p/ä ö', 'p/100%25', 'p/a+b', 'p/<&>', "p/'quoted'"].sort();
    for (const Key of keys)
      await server.admin.putObject({ Bucket: bucket, Key, Body: 'x', ChecksumAlgorithm: 'SHA256' });
    const below = keys.map((key) => key.slice(2));
    expect((await collect(store.list(''))).map(({ key }) => key)).toEqual(below);
    expect((await collect(store.versions(''))).map(({ key }) => key)).toEqual(below);
  });
});

describe('what is sent', () => {
  it('carries a checksum, a condition, the lock, the encryption, and a tag where it may expire', async () => {
    const store = open(await server.bucket(), { s3: { kmsKeyId: 'alias/ledger' } });
    const seen = proxy.requests.length;
    await Promise.allSettled([
      store.create('full', Buffer.from('body'), 'log'),
      store.replace('part', Buffer.from('body'), 'partial'),
    ]);
    const puts = proxy.requests.slice(seen).filter(({ method }) => method === 'PUT');
    const [full, part] = ['full', 'part'].map((key) => puts.find(({ path }) => path.endsWith(key))?.headers ?? {});
    expect(full).toMatchObject({
      'x-amz-checksum-sha256': createHash('sha256').update('body').digest('base64'),
      'if-none-match': '*',
      'x-amz-object-lock-mode': 'COMPLIANCE',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'alias/ledger',
    });
    expect(full).not.toHaveProperty('x-amz-tagging');
    expect(part).toMatchObject({ 'x-amz-tagging': 'sealgate-class=partial', 'x-amz-object-lock-mode': 'COMPLIANCE' });
    expect(part).not.toHaveProperty('if-none-match');
  });
});

describe('a bad answer', () => {
  const planted = async (fault: Fault) => {
    const store = open(await server.bucket());
    await store.create('there', Buffer.alloc(100_000, 'x'), 'log');
    proxy.rule(() => fault);
    try {
      return await Promise.allSettled([
        store.get('there'),
        store.create('new', Buffer.of(1), 'log'),
        collect(store.list('')),
      ]);
    } finally {
      proxy.rule(undefined);
    }
  };

  it.each<[string, Fault, ErrorCode, boolean]>([
    ['a reset', { kind: 'reset', when: 'before' }, 'MIRROR_UNAVAILABLE', true],
    ['an internal error', { kind: 'status', status: 500, code: 'InternalError' }, 'MIRROR_UNAVAILABLE', true],
    ['no service', { kind: 'status', status: 503, code: 'ServiceUnavailable' }, 'MIRROR_UNAVAILABLE', true],
    ['throttling', { kind: 'status', status: 503, code: 'SlowDown' }, 'MIRROR_THROTTLED', true],
    ['a refusal', { kind: 'status', status: 403, code: 'AccessDenied' }, 'MIRROR_ACCESS_DENIED', false],
    ['expired credentials', { kind: 'status', status: 400, code: 'ExpiredToken' }, 'MIRROR_CREDENTIALS', false],
    ['another key', { kind: 'status', status: 403, code: 'InvalidAccessKeyId' }, 'MIRROR_CREDENTIALS', false],
    ['a redirect', { kind: 'status', status: 301, code: 'PermanentRedirect' }, 'MIRROR_WRONG_REGION', false],
    ['another time', { kind: 'status', status: 403, code: 'RequestTimeTooSkewed' }, 'MIRROR_CLOCK', false],
    ['no bucket', { kind: 'status', status: 404, code: 'NoSuchBucket' }, 'MIRROR_BUCKET_MISSING', false],
    ['a disabled key', { kind: 'status', status: 400, code: 'KMS.DisabledException' }, 'MIRROR_KMS', false],
    ['nonsense', { kind: 'status', status: 418, code: 'ImATeapot' }, 'MIRROR_REFUSED', false],
  ])('is an error with a name: %s', async (_, fault, code, retryable) => {
    for (const result of await planted(fault)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code } });
      expect(isRetryable((result as PromiseRejectedResult).reason)).toBe(retryable);
    }
  });

  it('is no object: cut off, cut off and relabelled, or one bit different', async () => {
    for (const fault of [
      { kind: 'truncate', bytes: 50_000, relabel: false },
      { kind: 'truncate', bytes: 50_000, relabel: true },
      { kind: 'flip' },
    ] as const) {
      const [got] = await planted(fault);
      expect(got, JSON.stringify(fault)).toMatchObject({
        status: 'rejected',
        reason: { code: 'MIRROR_TRANSFER_DAMAGED' },
      });
    }
  });

  it('is not waited for without end: never begun, or begun and never ended', async () => {
    const bucket = await server.bucket();
    const patient = open(bucket);
    const store = open(bucket, { s3: { timeoutSeconds: 1 } });
    await patient.create('there', Buffer.alloc(100_000, 'x'), 'log');
    proxy.rule(() => ({ kind: 'stall' }));
    await expect(store.get('there')).rejects.toMatchObject({ code: 'MIRROR_UNAVAILABLE' });
    await expect(store.create('new', Buffer.of(1), 'log')).rejects.toMatchObject({ code: 'MIRROR_UNAVAILABLE' });
    proxy.rule(() => ({ kind: 'hang', bytes: 1000 }));
    await expect(store.get('there')).rejects.toSatisfy(isRetryable);
    proxy.rule(undefined);
    expect(await patient.get('there')).toHaveLength(100_000);
  });

  it('is asked for once more when the body broke off', async () => {
    const store = open(await server.bucket());
    await store.create('there', Buffer.from('whole'), 'log');
    let left = 1;
    proxy.rule(() => (left-- > 0 ? { kind: 'truncate', bytes: 2, relabel: false } : undefined));
    expect(String(await store.get('there'))).toBe('whole');
    proxy.rule(undefined);
  });

  it('leaves one object when the answer is lost or the request comes twice', async () => {
    const store = open(await server.bucket());
    for (const [key, fault] of [
      ['lost', { kind: 'reset', when: 'after' }],
      ['twice', { kind: 'duplicate' }],
    ] as const) {
      let left = 1;
      proxy.rule(({ method }) => (method === 'PUT' && left-- > 0 ? fault : undefined));
      expect(await store.create(key, Buffer.from(key), 'log')).toBe('occupied');
      proxy.rule(undefined);
      expect(String(await store.get(key))).toBe(key);
      expect(await collect(store.versions(key))).toHaveLength(1);
    }
  });
});

describe('the clock', () => {
  const DAY = 86_400_000;

  it('stops every locked write when it is years off here, and lets them through once it is right', async () => {
    let off = -400 * DAY;
    const bucket = await server.bucket();
    const store = open(bucket, { clock: { now: () => (Date.now() + off) * 1000 } });
    for (const wrong of [-400 * DAY, 400 * DAY, 16 * 60_000]) {
      off = wrong;
      await expect(store.create('a', Buffer.of(1), 'log')).rejects.toMatchObject({
        code: 'MIRROR_CLOCK',
        message: expect.stringMatching(/synchronise the clock/),
      });
    }
    expect(await collect(store.versions(''))).toEqual([]);
    off = 0;
    expect(await store.create('a', Buffer.of(1), 'log')).toBe('created');
    // A step while it runs, too.
    off = -400 * DAY;
    await expect(store.create('b', Buffer.of(1), 'log')).rejects.toMatchObject({ code: 'MIRROR_CLOCK' });
    expect(String(await store.get('a'))).toBe('\u0001');
  });

  it('stops them when the server says that it is another time', async () => {
    const store = open(await server.bucket());
    proxy.rule(() => ({ kind: 'date', date: new Date(Date.now() + 3 * 365 * DAY) }));
    await expect(store.create('a', Buffer.of(1), 'log')).rejects.toMatchObject({ code: 'MIRROR_CLOCK' });
    proxy.rule(undefined);
    expect(await store.create('a', Buffer.of(1), 'log')).toBe('created');
  });
});

describe('a bucket that is not as it should be', () => {
  it('is named when it does not exist', async () => {
    const store = open('no-such-bucket');
    const message = expect.stringMatching(/create the bucket no-such-bucket with Object Lock/);
    await expect(store.create('a', Buffer.of(1), 'log')).rejects.toMatchObject({
      code: 'MIRROR_BUCKET_MISSING',
      message,
    });
    await expect(store.get('a')).rejects.toMatchObject({ code: 'MIRROR_BUCKET_MISSING', message });
    await expect(collect(store.list(''))).rejects.toMatchObject({ code: 'MIRROR_BUCKET_MISSING', message });
  });

  it('is refused for a locked write when it has no Object Lock', async () => {
    const store = open(await server.bucket({ objectLock: false, versioning: true }));
    await expect(store.create('a', Buffer.of(1), 'log')).rejects.toMatchObject({ code: 'MIRROR_NO_OBJECT_LOCK' });
    await expect(store.replace('a', Buffer.of(1), 'partial')).rejects.toMatchObject({ code: 'MIRROR_NO_OBJECT_LOCK' });
  });

  it('is in the region that the message names', async () => {
    const store = open(await server.bucket(), { s3: { region: 'eu-north-1' } });
    await expect(store.create('a', Buffer.of(1), 'log')).rejects.toMatchObject({
      code: 'MIRROR_WRONG_REGION',
      message: expect.stringContaining('us-east-1'),
    });
  });

  it('is away when nothing listens there', async () => {
    const gone = await startFaultProxy(server.endpoint);
    await gone.stop();
    await expect(open(await server.bucket(), {}, gone.endpoint).get('a')).rejects.toMatchObject({
      code: 'MIRROR_UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

describe('credentials', () => {
  it('are missing, and the message says where they come from', async () => {
    const bucket = await server.bucket();
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    try {
      await expect(open(bucket).get('a')).rejects.toMatchObject({
        code: 'MIRROR_CREDENTIALS',
        message: expect.stringMatching(/web identity/),
      });
    } finally {
      vi.stubEnv('AWS_ACCESS_KEY_ID', CREDENTIALS.AWS_ACCESS_KEY_ID);
    }
  });

  it('are wrong', async () => {
    const bucket = await server.bucket();
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'another');
    try {
      await expect(open(bucket).create('a', Buffer.of(1), 'log')).rejects.toMatchObject({ code: 'MIRROR_CREDENTIALS' });
    } finally {
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', CREDENTIALS.AWS_SECRET_ACCESS_KEY);
    }
  });

  it('come from a web identity, by way of STS', async () => {
    const bucket = await server.bucket();
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-identity-'));
    const asked: string[] = [];
    const sts = createServer((req, res) => {
      void (async () => {
        for await (const chunk of req) asked.push(String(chunk));
        res.writeHead(200, { 'content-type': 'text/xml' });
        res.end(
          `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>` +
            `<Credentials><AccessKeyId>${CREDENTIALS.AWS_ACCESS_KEY_ID}</AccessKeyId><SecretAccessKey>${CREDENTIALS.AWS_SECRET_ACCESS_KEY}</SecretAccessKey>` +
            `<SessionToken></SessionToken><Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials>` +
            `</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
        );
      })();
    });
    await new Promise<void>((resolve) => sts.listen(0, '127.0.0.1', resolve));
    writeFileSync(join(dir, 'token'), 'the.pod.token');
    const identity = {
      AWS_ACCESS_KEY_ID: undefined,
      AWS_SECRET_ACCESS_KEY: undefined,
      AWS_WEB_IDENTITY_TOKEN_FILE: join(dir, 'token'),
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/sealgate',
      AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${(sts.address() as AddressInfo).port}`,
    };
    for (const [name, value] of Object.entries(identity)) vi.stubEnv(name, value);
    try {
      expect(await open(bucket).create('a', Buffer.of(1), 'log')).toBe('created');
      expect(asked.join('')).toContain('the.pod.token');
    } finally {
      for (const name of Object.keys(identity)) vi.stubEnv(name, undefined);
      for (const [name, value] of Object.entries(CREDENTIALS)) vi.stubEnv(name, value);
      sts.close();
      rmSync(dir, { recursive: true });
    }
  });
});

describe('TLS and proxies', () => {
  it('trusts only the CA that is given, and goes through the proxy that is given', async () => {
    const secure = await startObjectLockServer({ tls: true });
    const through: string[] = [];
    const tunnel = createServer().on('connect', (req, socket, head) => {
      through.push(req.url ?? '');
      const [host, port] = (req.url ?? '').split(':');
      const upstream = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
      });
      for (const end of [socket, upstream]) end.on('error', () => end.destroy());
    });
    await new Promise<void>((resolve) => tunnel.listen(0, '127.0.0.1', resolve));
    try {
      await expect(open('bucket', {}, secure.endpoint).get('a')).rejects.toMatchObject({
        code: 'MIRROR_CERTIFICATE',
        message: expect.stringContaining('mirror.s3.caFile'),
      });
      const proxyUrl = `http://127.0.0.1:${(tunnel.address() as AddressInfo).port}`;
      const store = open('bucket', { s3: { caFile: secure.caFile, proxy: proxyUrl } }, secure.endpoint);
      // Reached, trusted and signed in: only the bucket is missing.
      await expect(store.get('a')).rejects.toMatchObject({ code: 'MIRROR_BUCKET_MISSING' });
      expect(through).toEqual([new URL(secure.endpoint).host]);
    } finally {
      tunnel.closeAllConnections();
      tunnel.close();
      await secure.stop();
    }
  });
});

describe('the probe of a bucket', () => {
  const probe = (store: ProbedStore, nonce = 'n') => collect(probeStore(store, { nonce }));
  const outcomes = (findings: readonly Finding[]) => Object.fromEntries(findings.map((f) => [f.check, f.outcome]));

  it('proves what the mirror relies on, by trying it', async () => {
    const store = open(`${await server.bucket()}/p`);
    expect(outcomes(await probe(store))).toEqual({
      connection: 'passed',
      clock: 'passed',
      versioning: 'passed',
      'object lock': 'passed',
      writing: 'passed',
      creating: 'passed',
      overwriting: 'passed',
      lock: 'passed',
      deleting: 'passed',
    });
    // Short: the probe itself should not stay for years.
    for (const { key, version } of await collect(store.versions('probe/'))) {
      const until = (await store.retention(key, version))?.until?.getTime() ?? 0;
      expect(until).toBeLessThan(Date.now() + 120_000);
    }
  });

  it('warns of governance that the own credentials can bypass', async () => {
    const store = open(await server.bucket(), { retention: { ...RETENTION, mode: 'governance' } });
    const findings = await probe(store);
    expect(outcomes(findings)).toMatchObject({ lock: 'passed', deleting: 'passed', bypassing: 'warned' });
    expect(await collect(store.versions('probe/'))).toEqual([]);
  });

  it('says so when the bucket has no Object Lock, no versioning, or nothing is asked of it', async () => {
    const without = await server.bucket({ objectLock: false, versioning: true });
    const findings = await probe(open(without));
    expect(outcomes(findings)).toMatchObject({ versioning: 'passed', 'object lock': 'failed', store: 'failed' });
    expect(findings.at(-1)?.message).toMatch(/MIRROR_NO_OBJECT_LOCK/);

    const plain = await server.bucket({ objectLock: false, versioning: false });
    expect(outcomes(await probe(open(plain)))).toMatchObject({ versioning: 'failed', 'object lock': 'failed' });

    const none = open(plain, { retention: { ...RETENTION, mode: 'none' } });
    expect(outcomes(await probe(none))).toMatchObject({
      versioning: 'warned',
      'object lock': 'warned',
      writing: 'passed',
    });
  });

  it('warns of each class that is not locked', async () => {
    const retention = { ...RETENTION, logDays: 0, bodiesDays: 0, partialDays: 0 };
    const findings = await probe(open(await server.bucket(), { retention }));
    expect(findings.filter(({ check, outcome }) => check === 'retention' && outcome === 'warned')).toHaveLength(3);
  });

  it('ends with the reason when the bucket cannot be reached', async () => {
    expect(await probe(open('no-such-bucket'))).toEqual([
      {
        check: 'store',
        outcome: 'failed',
        message: expect.stringMatching(/^MIRROR_BUCKET_MISSING: .*create the bucket/),
      },
    ]);
  });

  it('fails a clock that is off, and a lock that does not hold', async () => {
    const store = open(await server.bucket());
    proxy.rule(() => ({ kind: 'date', date: new Date(Date.now() - 86_400_000) }));
    const findings = await probe(store);
    expect(outcomes(findings)).toMatchObject({ clock: 'failed', store: 'failed' });
    // A server that says "deleted" where it should refuse.
    proxy.rule(({ method }) => (method === 'DELETE' ? { kind: 'status', status: 204, code: '' } : undefined));
    expect(outcomes(await probe(store, 'm'))).toMatchObject({ lock: 'passed', deleting: 'failed' });
    proxy.rule(undefined);
  });
});

describe('the permissions that docs/mirror.md gives the pod', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/mirror.md'), 'utf8');
  const section = page.slice(page.indexOf('### Permissions of the pod'));
  const policy = JSON.parse(/^```json\n(.*?)^```/ms.exec(section)?.[1] ?? '') as {
    Statement: { Action: string[]; Resource: string; Principal?: object }[];
  };

  const actAs = async <T>(name: string, act: (bucket: string) => Promise<T>): Promise<T> => {
    const bucket = await server.bucket();
    const user = await server.user(name);
    const Statement = policy.Statement.map((statement) => ({
      ...statement,
      Principal: { AWS: [name] },
      Resource: statement.Resource.replace('audit-example-com', bucket),
    }));
    await server.admin.putBucketPolicy({ Bucket: bucket, Policy: JSON.stringify({ ...policy, Statement }) });
    vi.stubEnv('AWS_ACCESS_KEY_ID', user.accessKeyId);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', user.secretAccessKey);
    try {
      return await act(bucket);
    } finally {
      for (const [variable, value] of Object.entries(CREDENTIALS)) vi.stubEnv(variable, value);
    }
  };

  it('suffice for all that a mirror does, and for nothing that deletes', async () => {
    await actAs('pod', async (bucket) => {
      const store = open(`${bucket}/sealgate`);
      const findings = await collect(probeStore(store, { nonce: 'n' }));
      expect(findings.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
      await store.replace('o/checkpoint', Buffer.from('1'), 'partial');
      const [version] = await collect(store.versions('o/'));
      expect(String(await store.get('o/checkpoint', { version: version?.version ?? '' }))).toBe('1');
      expect(await store.retention('o/checkpoint', version?.version ?? '')).toMatchObject({ mode: 'compliance' });
      expect(await store.get('o/absent')).toBeUndefined();
    });
  });

  it('end at the prefix, and the message then says what to allow', async () => {
    await actAs('stranger', async (bucket) => {
      const store = open(`${bucket}/elsewhere`);
      await expect(store.create('a', Buffer.of(1), 'log')).rejects.toMatchObject({
        code: 'MIRROR_ACCESS_DENIED',
        message: expect.stringMatching(/allow s3:PutObject, s3:PutObjectRetention/),
      });
    });
  });
});

describe('sealgate mirror check', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-mirror-check-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  const check = async (url: string, ...args: string[]) => {
    const all = ['mirror', 'check', '--data-dir', dir, '--mirror-url', url, ...args];
    const s3 = ['--mirror-s3-endpoint', server.endpoint, '--mirror-s3-path-style'];
    const env = { ...process.env, ...CREDENTIALS };
    return await new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [MAIN, ...all, ...s3], { env }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
    });
  };

  it('ends with 0 when the bucket is fit, and says what it has tried', async () => {
    const { code, stdout, stderr } = await check(`s3://${await server.bucket()}/p`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ok {4}object lock: /m);
    expect(stdout).toMatch(/^ok {4}prefix: nothing is mirrored/m);
    expect(stdout).toMatch(/^FIT: s3:\/\/bucket-\d+\/p does what is asked of it\.\n$/m);
  });

  it('ends with 14 when it is not, also as JSON', async () => {
    const { code, stdout } = await check('s3://no-such-bucket', '--json');
    expect(code).toBe(14);
    expect(JSON.parse(stdout)).toMatchObject({
      report: 1,
      url: 's3://no-such-bucket',
      fit: false,
      findings: [{ check: 'store', outcome: 'failed' }],
    });
  });

  it('takes a folder, with its warnings', async () => {
    const { code, stdout } = await check(join(dir, 'mirror'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^WARN {2}disk: it is on the same disk/m);
    expect(stdout).toMatch(/2 to think about/);
  });

  it('ends with 1 without a mirror or with a URL that is none, and with 2 for what makes no sense', async () => {
    expect(await check('')).toMatchObject({ code: 1, stderr: expect.stringContaining('CONFIG_INVALID') });
    expect(await check('gs://bucket')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('MIRROR_URL_INVALID'),
    });
    expect(await check('s3://bucket', '--nonsense')).toMatchObject({ code: 2 });
  });
});
