// What a client or the API server was told is still there after kill -9, and what Sealgate missed while it was down arrives later.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LedgerReader } from '../../src/ledger/reader.ts';
import { type ControlPlane, startControlPlane } from '../../tools/cluster/control-plane.ts';
import { type Ports, type Sealgate, sealgate, somePorts, startSealgate } from '../support/sealgate.ts';

interface AuditEvent {
  auditID: string;
  stage: string;
  stageTimestamp: string;
}

const key = (event: AuditEvent) => `${event.auditID} ${event.stage} ${event.stageTimestamp}`;

function record(dataDir: string): { names: Set<string>; events: Map<string, number>; starts: unknown[] } {
  const reader = LedgerReader.open(join(dataDir, 'ledger'));
  const names = new Set<string>();
  const events = new Map<string, number>();
  const starts: unknown[] = [];
  try {
    for (const entry of reader.entries(0, 0)) {
      const body = JSON.parse(entry.body.toString());
      if (entry.leaf.kind === 'decision' && entry.leaf.allowed === true) names.add(body.review.request.name as string);
      if (entry.leaf.kind === 'event') events.set(key(body.event), (events.get(key(body.event)) ?? 0) + 1);
      if (entry.leaf.kind === 'start') starts.push(body);
    }
    return { names, events, starts };
  } finally {
    reader.close();
  }
}

describe('kill -9 under load', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-crash-'));
  const dataDir = join(dir, 'data');
  const auditLog = join(dir, 'audit.log');
  let ports: Ports;
  let gate: Sealgate;
  let plane: ControlPlane;

  beforeAll(async () => {
    ports = await somePorts();
    gate = await startSealgate({ dataDir, ports });
    plane = await startControlPlane({
      dir: join(dir, 'plane'),
      auditWebhook: {
        url: `https://127.0.0.1:${ports.audit}/v1/audit`,
        ca: join(dataDir, 'tls', 'audit', 'ca.crt'),
        clientCert: join(dataDir, 'tls', 'audit', 'client.crt'),
        clientKey: join(dataDir, 'tls', 'audit', 'client.key'),
      },
      auditLogPath: auditLog,
      // The API server waits 10 s before it sends a batch again; less keeps the test short. Its five attempts must outlast three starts
      // on a busy machine: what it gives up itself is lost, and no fault of ours.
      extraArgs: ['--audit-webhook-initial-backoff=4s'],
    });
    await plane.installWebhook({
      url: `https://127.0.0.1:${ports.admission}/v1/admit`,
      caBundle: gate.tls('admission', 'ca.crt'),
    });
    await sleep(2_000);
  }, 180_000);

  afterAll(async () => {
    await plane?.stop();
    await gate?.stop();
    rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  it('loses no decision that a client was answered, and no audit event', async () => {
    const acknowledged: string[] = [];
    let failures = 0;
    let running = true;
    const client = async (id: number) => {
      for (let i = 0; running; i++) {
        const name = `load-${id}-${i}`;
        const answer = await plane
          .call('/api/v1/namespaces/default/configmaps', {
            method: 'POST',
            body: { metadata: { name }, data: { i: String(i) } },
          })
          .catch(() => undefined);
        if (answer?.status === 201) acknowledged.push(name);
        else {
          failures++;
          await sleep(50);
        }
      }
    };
    const clients = Array.from({ length: 8 }, (_, id) => client(id));
    for (let kill = 0; kill < 3; kill++) {
      await sleep(1_500 + kill * 370);
      expect(await gate.stop('SIGKILL')).toBe('SIGKILL');
      await sleep(500); // the API server finds nobody at home: failurePolicy Fail
      gate = await startSealgate({ dataDir, ports });
    }
    await sleep(1_000);
    running = false;
    await Promise.all(clients);
    expect(acknowledged.length).toBeGreaterThan(200);
    expect(failures).toBeGreaterThan(0);

    const logged = readFileSync(auditLog, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => key(JSON.parse(line) as AuditEvent));
    let found = record(dataDir);
    for (let i = 0; i < 200 && !logged.every((k) => found.events.has(k)); i++) {
      await sleep(300);
      found = record(dataDir);
    }
    expect(acknowledged.filter((name) => !found.names.has(name))).toEqual([]);
    expect(logged.filter((k) => !found.events.has(k))).toEqual([]);
    // Batches that were recorded but not answered came again: each event is on record once all the same.
    expect([...found.events].filter(([, count]) => count > 1)).toEqual([]);
    expect(found.starts).toHaveLength(4);
    expect(found.starts.at(-1)).toMatchObject({ recovery: { clean: false } });
  }, 120_000);

  it('gets what happened while it was stopped, once it is back', async () => {
    expect(await gate.stop()).toBe(0);
    // Reads need no admission, so the API server goes on, and makes events that it cannot deliver.
    for (let i = 0; i < 20; i++) await plane.call(`/api/v1/namespaces/default/configmaps/absent-${i}`);
    await sleep(2_500); // long enough for a batch to have been tried and refused
    gate = await startSealgate({ dataDir, ports });
    const missed = () =>
      readFileSync(auditLog, 'utf8')
        .split('\n')
        .filter((line) => line.includes('/configmaps/absent-'))
        .map((line) => key(JSON.parse(line) as AuditEvent));
    const logged = missed();
    expect(logged.length).toBeGreaterThanOrEqual(20);
    let found = record(dataDir);
    for (let i = 0; i < 200 && !logged.every((k) => found.events.has(k)); i++) {
      await sleep(300);
      found = record(dataDir);
    }
    expect(logged.filter((k) => !found.events.has(k))).toEqual([]);
    expect(found.starts.at(-1)).toMatchObject({ recovery: { clean: true } });
  }, 120_000);

  it('leaves a ledger that verifies', async () => {
    await plane.stop();
    expect(await gate.stop()).toBe(0);
    const ran = await sealgate('verify', dataDir, '--key', gate.vkey, '--json');
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
  }, 60_000);
});
