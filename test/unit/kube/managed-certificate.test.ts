// The certificate that replicas keep together, over years of a clock that the test turns: at every moment the API server trusts the CA
// of every certificate that a replica shows.
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ManagedCertificate } from '../../../src/kube/managed-certificate.ts';
import { openManagedCertificate } from '../../../src/kube/managed-certificate.ts';
import { ConflictError, type ManagedObjects } from '../../../src/kube/managed-objects.ts';
import { SealgateError } from '../../../src/lib/errors.ts';

const DAY = 86_400_000;
const SETTLE = 900_000;
const NAME = 'sealgate-admission.sealgate-system.svc';

type Data = Readonly<Record<string, string>>;

/** The two objects, with versions; `fault` may throw before a call, or after it: then it was done and nobody heard of it. */
class Cluster implements ManagedObjects {
  secret: { value: Data; version: string } | undefined;
  bundle = { value: [''], version: '1' };
  writes = 0;
  fault: (call: string, when: 'before' | 'after') => void = () => undefined;

  readSecret(): Promise<{ value: Data; version: string } | undefined> {
    return this.#call('readSecret', () => this.secret);
  }

  createSecret(value: Data): Promise<void> {
    return this.#call('createSecret', () => {
      if (this.secret !== undefined) throw new ConflictError('it is there');
      this.secret = { value, version: String(++this.writes) };
    });
  }

  replaceSecret(value: Data, version: string): Promise<void> {
    return this.#call('replaceSecret', () => {
      if (this.secret?.version !== version) throw new ConflictError('another version');
      this.secret = { value, version: String(++this.writes) };
    });
  }

  readBundles(): Promise<{ value: readonly string[]; version: string } | undefined> {
    return this.#call('readBundles', () => this.bundle);
  }

  writeBundle(bundle: string, version: string): Promise<void> {
    return this.#call('writeBundle', () => {
      if (this.bundle.version !== version) throw new ConflictError('another version');
      this.bundle = { value: this.bundle.value.map(() => bundle), version: String(++this.writes) };
    });
  }

  async #call<T>(name: string, act: () => T): Promise<T> {
    await Promise.resolve();
    this.fault(name, 'before');
    const done = act();
    this.fault(name, 'after');
    return done;
  }
}

interface Replica {
  readonly keeper: ManagedCertificate;
  readonly dir: string;
  readonly problems: (string | undefined)[];
  shown(): X509Certificate;
}

async function replica(cluster: Cluster, clock: { now: number }, dir = newDir()): Promise<Replica> {
  const problems: (string | undefined)[] = [];
  const keeper = await openManagedCertificate(
    {
      dir,
      hostnames: [NAME],
      validityDays: 90,
      caValidityDays: 900,
      settleMs: SETTLE,
      connect: () => Promise.resolve(cluster),
      now: () => clock.now,
      everyMs: DAY, // only when the test says so
      random: () => 0,
      onStep: () => undefined,
      onProblem: (error) => problems.push(error?.message),
    },
    new AbortController().signal,
  );
  onTestFinished(() => keeper.close());
  return { keeper, dir, problems, shown: () => new X509Certificate(readFileSync(keeper.certFile)) };
}

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-managed-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'tls');
}

function trusted({ bundle }: Cluster, certificate: X509Certificate): boolean {
  const cas = (bundle.value[0] ?? '').match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  return cas.some((pem) => certificate.verify(new X509Certificate(pem).publicKey));
}

const START = Date.UTC(2026, 0, 1);

describe('the managed certificate', () => {
  it('is made once by replicas that start at the same time, and is trusted', async () => {
    const cluster = new Cluster();
    const clock = { now: START };
    const replicas = await Promise.all(Array.from({ length: 4 }, () => replica(cluster, clock)));
    const prints = new Set(replicas.map(({ shown }) => shown().fingerprint256));
    expect(prints.size).toBe(1);
    for (const { shown, problems } of replicas) {
      expect(trusted(cluster, shown())).toBe(true);
      expect(shown().checkHost(NAME)).toBe(NAME);
      expect(problems).toEqual([]);
    }
  });

  it('is renewed, and its CA replaced, without a moment at which what a replica shows is not trusted', async () => {
    const cluster = new Cluster();
    const clock = { now: START };
    const replicas = await Promise.all([replica(cluster, clock), replica(cluster, clock)]);
    const cas = new Set<string>();
    const pairs = new Set<string>();
    let both = 0;
    for (let look = 0; look < 3 * 900; look++) {
      // A look every day, and more often while a step waits; the replicas take turns, so that one of them is always behind.
      const busy = cluster.secret?.value['next.crt'] !== undefined || cluster.secret?.value['old.crt'] !== undefined;
      clock.now += busy ? SETTLE / 3 : DAY;
      await replicas[look % 2]?.keeper.keep();
      for (const { shown } of replicas) {
        expect(trusted(cluster, shown()), `look ${look}`).toBe(true);
        expect(shown().validToDate.getTime(), `look ${look}`).toBeGreaterThan(clock.now);
        pairs.add(shown().fingerprint256);
      }
      cas.add(cluster.secret?.value['ca.crt'] ?? '');
      if ((cluster.bundle.value[0] ?? '').split('BEGIN').length > 2) both++;
    }
    expect(cas.size).toBeGreaterThan(3);
    expect(pairs.size).toBeGreaterThan(30);
    expect(both).toBeGreaterThan(8);
    // Where nothing is due, only the CA in use is trusted.
    expect((cluster.bundle.value[0] ?? '').split('BEGIN')).toHaveLength(2);
  });

  it('goes on after a failure at any call, of any replica', async () => {
    const cluster = new Cluster();
    const clock = { now: START };
    const replicas = await Promise.all([replica(cluster, clock), replica(cluster, clock)]);
    let writes = 0;
    let failed = 0;
    // Each write fails before and after it is done, and then works.
    cluster.fault = (call, when) => {
      if (call.startsWith('read') || (when === 'before' ? writes++ % 3 !== 0 : writes % 3 !== 2)) return;
      failed++;
      throw new SealgateError('KUBE_API_FAILED', 'the API is away');
    };
    const ca = cluster.secret?.value['ca.crt'];
    clock.now += 700 * DAY;
    for (let look = 0; look < 60; look++) {
      clock.now += SETTLE / 2;
      await replicas[look % 2]?.keeper.keep().catch(() => undefined);
      for (const { shown } of replicas) expect(trusted(cluster, shown()), `look ${look}`).toBe(true);
    }
    expect(failed).toBeGreaterThan(4);
    expect(cluster.secret?.value['ca.crt']).not.toBe(ca);
    expect(cluster.secret?.value['old.crt']).toBeUndefined();
  });

  it('waits from the moment at which the API server trusts the new CA, however long nobody could tell it', async () => {
    const cluster = new Cluster();
    const clock = { now: START };
    const { keeper, shown } = await replica(cluster, clock);
    const first = shown().fingerprint256;
    clock.now += 650 * DAY;
    cluster.fault = (call) => {
      if (call === 'writeBundle') throw new SealgateError('KUBE_API_FAILED', 'not allowed');
    };
    for (let look = 0; look < 5; look++) {
      await expect(keeper.keep()).rejects.toThrow('not allowed');
      clock.now += SETTLE;
    }
    cluster.fault = () => undefined;
    const ca = cluster.secret?.value['ca.crt'];
    await keeper.keep();
    clock.now += SETTLE - 1;
    await keeper.keep();
    expect(cluster.secret?.value['ca.crt']).toBe(ca);
    expect(trusted(cluster, shown())).toBe(true);
    clock.now += 1;
    await keeper.keep();
    expect(cluster.secret?.value['ca.crt']).not.toBe(ca);
    expect(shown().fingerprint256).not.toBe(first);
    expect(trusted(cluster, shown())).toBe(true);
  });

  it('starts with the pair on the volume while the API is away, and says so until it is back', async () => {
    const cluster = new Cluster();
    const clock = { now: START };
    const first = await replica(cluster, clock);
    cluster.fault = () => {
      throw new SealgateError('KUBE_API_FAILED', 'the API is away');
    };
    const again = await replica(cluster, clock, first.dir);
    expect(again.shown().fingerprint256).toBe(first.shown().fingerprint256);
    expect(again.problems).toEqual(['the API is away']);
  });

  it('waits for the API when there is no pair yet', async () => {
    const cluster = new Cluster();
    let tries = 0;
    cluster.fault = (call, when) => {
      if (call === 'readBundles' && when === 'before' && ++tries < 3)
        throw new SealgateError('KUBE_API_FAILED', 'not yet');
    };
    const { shown, problems } = await replica(cluster, { now: START });
    expect(trusted(cluster, shown())).toBe(true);
    expect(problems).toEqual(['not yet', undefined]);
  });

  it('puts back what others change in the webhook configuration, and refuses a Secret that it cannot read', async () => {
    const cluster = new Cluster();
    const clock = { now: START };
    const { keeper, shown } = await replica(cluster, clock);
    cluster.bundle = { value: ['', 'junk'], version: '99' };
    await keeper.keep();
    expect(trusted(cluster, shown())).toBe(true);
    expect(new Set(cluster.bundle.value).size).toBe(1);
    cluster.secret = { value: { 'ca.crt': 'bm9uZQ==' }, version: '100' };
    await expect(keeper.keep()).rejects.toThrow(/lacks tls.crt.*delete it to have a new CA made/);
  });
});
