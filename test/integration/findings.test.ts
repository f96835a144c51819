// What no webhook can stop, done to a real API server: who did it, what, and for how long nothing was enforced is on record.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/detect/finding.ts';
import { LedgerReader } from '../../src/ledger/reader.ts';
import { type ControlPlane, startControlPlane } from '../../tools/cluster/control-plane.ts';
import { type Sealgate, sealgate, startSealgate } from '../support/sealgate.ts';

interface Found extends Finding {
  readonly event: { readonly shard: number; readonly seq: number; readonly leaf: string };
}

/** A pod that only an exempt one may be. */
const privileged = (name: string, labels: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels },
  spec: { containers: [{ name, image: 'registry.k8s.io/pause:3', securityContext: { privileged: true } }] },
});

describe('breaking the glass', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-findings-'));
  const dataDir = join(dir, 'data');
  const target = () => ({
    url: `https://127.0.0.1:${gate.ports.admission}/v1/admit`,
    caBundle: gate.tls('admission', 'ca.crt'),
  });
  let gate: Sealgate;
  let plane: ControlPlane;

  const findings = (): Found[] => {
    const reader = LedgerReader.open(join(dataDir, 'ledger'));
    try {
      const all = [...reader.entries(0, 0)].filter(({ leaf }) => leaf.kind === 'finding');
      return all.map(({ body }) => JSON.parse(body.toString()));
    } finally {
      reader.close();
    }
  };
  /** Waits for the first finding of the rule about this name, which the API server reports when it gets to it. */
  const found = async (rule: string, name: string): Promise<Found> => {
    for (let i = 0; i < 600; i++) {
      const one = findings().find((each) => each.rule === rule && each.what?.name === name && each.outcome === 'done');
      if (one !== undefined) return one;
      await sleep(100);
    }
    throw new Error(`no finding ${rule} about ${name}: ${JSON.stringify(findings().map(({ message }) => message))}`);
  };
  const run = async (user: string, ...args: string[]) => {
    const ran = await plane.kubectl(args, { user });
    expect(ran.code, ran.stderr).toBe(0);
  };
  const create = (object: object) =>
    plane.kubectl(['create', '-f', '-'], { user: 'carol', input: JSON.stringify(object) });
  /** The API server hears of a change of its webhooks within a second or so. */
  const until = async (what: () => Promise<boolean>) => {
    for (let i = 0; !(await what()); i++) {
      if (i > 300) throw new Error(`the API server goes on as before\n${gate.output()}`);
      await sleep(100);
    }
  };
  const denies = async () => (await create(privileged('never'))).stderr.includes('denied the request');

  beforeAll(async () => {
    const kubeconfig = join(dir, 'plane', 'admin.kubeconfig');
    gate = await startSealgate({
      dataDir,
      args: ['--detect-kubernetes-events-enabled', 'true', '--detect-kubernetes-events-kubeconfig', kubeconfig],
    });
    plane = await startControlPlane({
      dir: join(dir, 'plane'),
      users: ['carol', 'mallory'].map((name) => ({ name, role: 'cluster-admin' })),
      auditWebhook: {
        url: `https://127.0.0.1:${gate.ports.audit}/v1/audit`,
        ca: join(dataDir, 'tls', 'audit', 'ca.crt'),
        clientCert: join(dataDir, 'tls', 'audit', 'client.crt'),
        clientKey: join(dataDir, 'tls', 'audit', 'client.key'),
      },
    });
    await plane.installWebhook(target());
    await until(denies);
    await found('webhook-changed', 'sealgate');
  }, 180_000);

  afterAll(async () => {
    await plane?.stop();
    await gate?.stop();
    rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  it('by deleting the webhook configuration is recorded with who did it, and how long nothing was enforced', async () => {
    await run('mallory', 'delete', 'validatingwebhookconfiguration', 'sealgate');
    await until(async () => (await create(privileged('meanwhile'))).code === 0);
    const gone = await found('webhook-deleted', 'sealgate');
    expect(gone).toMatchObject({ severity: 'critical', who: { user: 'mallory' }, outcome: 'done' });
    const metrics = await (await fetch(`http://127.0.0.1:${gate.ports.metrics}/metrics`)).text();
    expect(metrics).toContain('sealgate_webhook_missing 1');

    await plane.installWebhook(target());
    await until(denies);
    const back = await found('webhook-restored', 'sealgate');
    expect(back).toMatchObject({ who: { user: 'admin' }, stretch: { since: gone.time, until: back.time } });
    expect(back.stretch?.seconds).toBeGreaterThan(0);
    // What was created in between lies in it.
    const reader = LedgerReader.open(join(dataDir, 'ledger'));
    const event = reader.get(gone.event.shard, gone.event.seq);
    reader.close();
    expect(event?.leafHash).toBe(gone.event.leaf);
    expect(JSON.parse(event?.body.toString() ?? '').event.verb).toBe('delete');
  }, 120_000);

  it('by narrowing it says which fields, and when it was as before', async () => {
    const patch = (policy: string) =>
      JSON.stringify([{ op: 'replace', path: '/webhooks/0/failurePolicy', value: policy }]);
    const change = (policy: string) =>
      run('mallory', 'patch', 'validatingwebhookconfiguration', 'sealgate', '--type=json', '-p', patch(policy));
    await change('Ignore');
    await change('Fail');
    let back: Found | undefined;
    await until(async () => {
      back = findings().find(({ message }) => message.includes('is again as it was'));
      return back !== undefined;
    });
    const altered = findings().find(({ rule, changed }) => rule === 'webhook-changed' && changed?.length === 1);
    expect(altered).toMatchObject({ severity: 'high', changed: ['admission.sealgate.dev.failurePolicy'] });
    expect(back?.stretch?.since).toBe(altered?.time);
  }, 120_000);

  it('by the exempting label says from when to when', async () => {
    const config = await plane.call('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sealgate');
    const { webhooks } = config.json() as { webhooks: object[] };
    const selector = { matchExpressions: [{ key: 'sealgate.dev/exempt', operator: 'DoesNotExist' }] };
    const value = [{ ...webhooks[0], objectSelector: selector }];
    const patch = JSON.stringify([{ op: 'replace', path: '/webhooks', value }]);
    await run('mallory', 'patch', 'validatingwebhookconfiguration', 'sealgate', '--type=json', '-p', patch);
    await until(async () => (await create(privileged('labelled', { 'sealgate.dev/exempt': 'why' }))).code === 0);
    expect(await found('exemption-set', 'labelled')).toMatchObject({ severity: 'high', who: { user: 'carol' } });
    await run('carol', 'label', 'pod', 'labelled', 'sealgate.dev/exempt-');
    const set = await found('exemption-set', 'labelled');
    expect((await found('exemption-removed', 'labelled')).stretch?.since).toBe(set.time);
  }, 120_000);

  it('and what is done to the namespace and what fails open is recorded, too; `query` shows it and `verify` is content', async () => {
    let number = 0;
    await run('mallory', 'create', 'namespace', 'sealgate-system');
    await run('mallory', '-n', 'sealgate-system', 'create', 'configmap', 'planted', '--from-literal=a=b');
    expect(await found('object-changed', 'planted')).toMatchObject({ severity: 'medium', who: { user: 'mallory' } });
    // Where people look first, and without an end: what Sealgate writes there is nothing that it finds.
    await until(async () => {
      await run('mallory', '-n', 'sealgate-system', 'create', 'configmap', `more-${number++}`);
      const { stdout } = await plane.kubectl(['-n', 'sealgate-system', 'get', 'events.events.k8s.io', '-o', 'json']);
      const events = (JSON.parse(stdout) as { items: { reason: string; note: string; type: string }[] }).items;
      return events.some(
        ({ reason, note, type }) => reason === 'ObjectChanged' && note.endsWith('(by mallory)') && type === 'Warning',
      );
    });
    expect(findings().some(({ what }) => what?.resource === 'events')).toBe(false);
    const nobody = `https://127.0.0.1:${gate.ports.metrics}/v1/admit`;
    await plane.installWebhook({ ...target(), url: nobody, failurePolicy: 'Ignore' });
    let open: Found | undefined;
    await until(async () => {
      await create(privileged(`unasked-${number++}`));
      open = findings().find(({ rule, who }) => rule === 'failed-open' && who?.user === 'carol');
      return open !== undefined;
    });
    expect(open).toMatchObject({ severity: 'high', what: { verb: 'create', resource: 'pods' } });

    const shown = await sealgate('query', '--ledger', dataDir, '--kind', 'finding', '--user', 'mallory', '--all');
    expect(shown.stdout).toMatch(/finding .*mallory .*validatingwebhookconfigur.* webhook-deleted:critical/);
    const rule = await sealgate('query', '--ledger', dataDir, '--policy', 'failed-open', '-o', 'json');
    expect(JSON.parse(rule.stdout.split('\n')[0] ?? '')).toMatchObject({ kind: 'finding', verb: 'create' });
    const verified = await sealgate('verify', dataDir, '--key', gate.vkey);
    expect(verified.code, verified.stdout).toBe(0);
  }, 120_000);
});
