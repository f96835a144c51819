// Requests while replicas come and go: an upgrade, an eviction and a smaller number of replicas fail none of them, a kill those that the
// replica held at most; and whatever the API server said yes or no to is on record.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { LedgerReader } from '../../src/ledger/reader.ts';
import { type Cluster, cluster, NAMESPACE, podsAndLogs, SOON, upgrade } from './cluster.ts';

let here: Cluster;
beforeAll(async () => {
  here = await cluster();
});

const CLIENTS = 8;

interface Load {
  /** Names of the objects whose creation the API server answered, by policy. */
  readonly answered: Set<string>;
  /** What went wrong otherwise. */
  readonly failed: string[];
  /** Ends it, after at least so many more answers. */
  stop(more: number): Promise<void>;
}

let loads = 0;

/** Dry-run creations through the API server, which reach the webhook as any other and leave nothing behind. */
function startLoad(): Load {
  const run = ++loads;
  const answered = new Set<string>();
  const failed: string[] = [];
  let sent = 0;
  let until = Number.POSITIVE_INFINITY;
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (answered.size < until) {
      const name = `load-${run}-${sent++}`;
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } };
      const answer = await here.plane.call('/api/v1/namespaces/default/configmaps?dryRun=All', {
        method: 'POST',
        body,
      });
      if (answer.status === 201) answered.add(name);
      else failed.push(`${new Date().toISOString()} ${answer.status} ${answer.text}`);
      await sleep(20);
    }
  });
  return {
    answered,
    failed,
    async stop(more) {
      until = answered.size + more;
      await Promise.all(clients);
    },
  };
}

interface Recorded {
  /** Of the objects that decisions are about. */
  readonly names: ReadonlySet<string>;
  /** `<uid> <origin>:<seq>:<leaf hash>` of every decision, as its answer carries it. */
  readonly ties: ReadonlySet<string>;
}

/** What is on all volumes. */
function recorded(): Recorded {
  const names = new Set<string>();
  const ties = new Set<string>();
  const volumes = join(here.dir, 'volumes');
  for (const volume of readdirSync(volumes)) {
    if (!existsSync(join(volumes, volume, 'ledger'))) continue; // a volume that no replica has used
    const reader = LedgerReader.open(join(volumes, volume, 'ledger'));
    for (const { number, origin } of reader.shards()) {
      for (const { seq, leaf, leafHash, body } of reader.entries(number, 0)) {
        if (leaf.kind !== 'decision') continue;
        ties.add(`${leaf.uid} ${origin}:${seq}:${leafHash}`);
        const name = /"name":"(load-\d+-\d+)"/.exec(body.toString())?.[1];
        if (name !== undefined) names.add(name);
      }
    }
    reader.close();
  }
  return { names, ties };
}

/** The same from the API server's own audit log: what was allowed with a decision, by the name of the object. */
function allowedByApiServer(): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of readFileSync(here.auditLog, 'utf8').trimEnd().split('\n')) {
    const { responseStatus, objectRef, annotations } = JSON.parse(line) as {
      responseStatus?: { code?: number };
      objectRef?: { name?: string };
      annotations?: Record<string, string>;
    };
    if (responseStatus?.code !== 201) continue;
    for (const [key, tie] of Object.entries(annotations ?? {})) {
      const uid = /^admission\.sealgate\.dev\/d\.(.+)$/.exec(key)?.[1];
      if (uid !== undefined) found.set(objectRef?.name ?? '', `${uid} ${tie}`);
    }
  }
  return found;
}

function missing({ answered }: Load): string[] {
  const { names } = recorded();
  return [...answered].filter((name) => !names.has(name));
}

async function ready(replicas: number): Promise<void> {
  await expect
    .poll(async () => {
      const { stdout } = await here.kubectl('get', 'statefulset', 'sealgate', '-n', NAMESPACE, '-o', 'json');
      const { status } = JSON.parse(stdout) as { status: Record<string, number> };
      return [status['readyReplicas'] ?? 0, status['replicas']];
    }, SOON)
    .toEqual([replicas, replicas]);
}

/** The process of a replica, by what the kernel says of it. */
function processOf(pod: string): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (environment.includes(`POD_NAME=${pod}`) && command.includes('main.js\0serve')) return Number(pid);
    } catch {
      // it has ended meanwhile
    }
  }
  throw new Error(`${pod} has no process`);
}

describe('requests while', () => {
  it('a rolling upgrade replaces every replica', async () => {
    const load = startLoad();
    const upgraded = await upgrade(here, 'podAnnotations.round=two');
    expect(upgraded.code, `${upgraded.stderr}\n${await podsAndLogs(here)}`).toBe(0);
    await load.stop(50);
    expect(load.failed).toEqual([]);
    expect(missing(load)).toEqual([]);
  });

  it('a replica is evicted', async () => {
    const load = startLoad();
    const uid = async () =>
      (await here.kubectl('get', 'pod', 'sealgate-1', '-n', NAMESPACE, '-o', 'jsonpath={.metadata.uid}')).stdout;
    const before = await uid();
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: 'sealgate-1', namespace: NAMESPACE },
    };
    const path = `/api/v1/namespaces/${NAMESPACE}/pods/sealgate-1/eviction`;
    expect((await here.plane.call(path, { method: 'POST', body: eviction })).status).toBe(201);
    await expect.poll(uid, SOON).not.toBe(before);
    await ready(2);
    await load.stop(50);
    expect(load.failed).toEqual([]);
    expect(missing(load)).toEqual([]);
  });

  it('their number grows and shrinks', async () => {
    const load = startLoad();
    for (const replicas of [3, 1, 2]) {
      await here.kubectl('scale', 'statefulset', 'sealgate', '-n', NAMESPACE, `--replicas=${replicas}`);
      await ready(replicas);
    }
    await load.stop(50);
    expect(load.failed).toEqual([]);
    expect(missing(load)).toEqual([]);
  });

  it('a replica is killed: those that it held fail at most, and nothing that was answered is missing', async () => {
    const load = startLoad();
    await expect.poll(() => load.answered.size, SOON).toBeGreaterThan(50);
    process.kill(processOf('sealgate-0'), 'SIGKILL');
    await expect
      .poll(async () => {
        const { stdout } = await here.kubectl('get', 'pod', 'sealgate-0', '-n', NAMESPACE, '-o', 'json');
        return JSON.parse(stdout).status.containerStatuses[0];
      }, SOON)
      .toMatchObject({ ready: true, restartCount: 1 });
    await load.stop(50);
    const lost = load.failed.length;
    process.stdout.write(
      `killed with ${CLIENTS} clients: ${lost} requests failed, ${load.answered.size} were answered\n`,
    );
    expect(load.failed.filter((text) => !/ 500 .*failed calling webhook/.test(text))).toEqual([]);
    expect(missing(load)).toEqual([]);
    // The API server says the same, with position and hash of each decision.
    const allowed = allowedByApiServer();
    expect([...load.answered].filter((name) => !allowed.has(name))).toEqual([]);
    const { ties } = recorded();
    expect([...allowed.values()].filter((tie) => !ties.has(tie))).toEqual([]);
  });
});
