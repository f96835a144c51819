// The certificate that replicas keep together, against a real API server: replicas that start at once, a webhook that is registered before
// anybody answers, and requests that go on while the CA is replaced.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ManagedCertificate, openManagedCertificate } from '../../src/kube/managed-certificate.ts';
import { connectManaged } from '../../src/kube/managed-objects.ts';
import { type ControlPlane, freePorts, startControlPlane } from '../../tools/cluster/control-plane.ts';

const NAMESPACE = 'sealgate-system';
const DAY = 86_400_000;

const dir = mkdtempSync(join(tmpdir(), 'sealgate-managed-'));
let plane: ControlPlane;
let port: number;
/** The first CA is made 650 of its 900 days ago: the next one is due now. */
const clock = { now: Date.now() - 650 * DAY };
/** Real time that API servers need to hear of a changed configuration passes between steps; the keepers' clock is turned by hand. */
const SETTLE = 60_000;

beforeAll(async () => {
  plane = await startControlPlane({ dir });
  [port] = (await freePorts(1)) as [number];
  await plane.kubectl(['create', 'namespace', NAMESPACE]);
  // Registered, with Fail, and nobody there: what the replicas write must pass by it.
  await plane.installWebhook({ url: `https://127.0.0.1:${port}/`, caBundle: readFileSync(plane.caFile, 'utf8') });
});
afterAll(async () => {
  await plane?.stop();
  rmSync(dir, { recursive: true, force: true });
});

function keep(name: string): Promise<ManagedCertificate> {
  return openManagedCertificate(
    {
      dir: join(dir, name),
      hostnames: ['127.0.0.1'],
      validityDays: 90,
      caValidityDays: 900,
      settleMs: SETTLE,
      connect: () =>
        connectManaged({
          secret: 'sealgate-webhook-ca',
          webhookConfiguration: 'sealgate',
          namespace: NAMESPACE,
          kubeconfig: plane.kubeconfig,
        }),
      now: () => clock.now,
      everyMs: DAY,
      onStep: () => undefined,
      onProblem: () => undefined,
    },
    new AbortController().signal,
  );
}

/** Answers yes to everything, with the pair that is in the files at the moment. */
function webhook(keeper: ManagedCertificate): Server {
  const material = () => ({ cert: readFileSync(keeper.certFile), key: readFileSync(keeper.keyFile) });
  const server = createServer(material(), (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { uid } = JSON.parse(Buffer.concat(chunks).toString()).request;
      response.setHeader('content-type', 'application/json');
      response.setHeader('connection', 'close'); // so that every call checks the certificate anew
      const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, allowed: true } };
      response.end(JSON.stringify(review));
    });
  });
  server.listen(port, '127.0.0.1');
  return server;
}

async function secret(): Promise<Record<string, string>> {
  const { stdout } = await plane.kubectl(['get', 'secret', 'sealgate-webhook-ca', '-n', NAMESPACE, '-o', 'json']);
  return (JSON.parse(stdout) as { data: Record<string, string> }).data;
}

describe('a managed certificate', () => {
  it('is agreed on by replicas that start at once although the webhook is registered and unanswered', async () => {
    const [a, b] = await Promise.all([keep('a'), keep('b')]);
    await Promise.all([a.keep(), b.keep()]);
    expect(readFileSync(a.certFile, 'utf8')).toBe(readFileSync(b.certFile, 'utf8'));
    a.close();
    b.close();
  });

  it('changes its CA while requests go on, none of which fails', async () => {
    const made = (await secret())['ca.crt'];
    clock.now = Date.now();
    const keepers = await Promise.all([keep('a'), keep('b')]);
    const server = webhook(keepers[0] as ManagedCertificate);
    const create = (name: string) =>
      plane.call('/api/v1/namespaces/default/configmaps?dryRun=All', {
        method: 'POST',
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } },
      });
    // The API server has heard of the new bundle.
    await expect.poll(async () => (await create('first')).status, { timeout: 60_000, interval: 200 }).toBe(201);
    const failed: string[] = [];
    let answered = 0;
    let running = true;
    const load = (async () => {
      for (let i = 0; running; i++) {
        const { status, text } = await create(`load-${i}`);
        if (status === 201) answered++;
        else failed.push(`${status} ${text}`);
      }
    })();
    const seen = [Object.keys(await secret()).sort()];
    for (let turn = 0; turn < 4; turn++) {
      for (const keeper of keepers) await keeper.keep();
      server.setSecureContext({
        cert: readFileSync((keepers[0] as ManagedCertificate).certFile),
        key: readFileSync((keepers[0] as ManagedCertificate).keyFile),
      });
      seen.push(Object.keys(await secret()).sort());
      const enough = answered + 10;
      while (answered < enough && failed.length === 0) await sleep(50);
      clock.now += SETTLE;
      await sleep(3000); // what a settled step gives API servers, many times over
    }
    running = false;
    await load;
    server.close();
    expect(failed).toEqual([]);
    expect(seen.some((keys) => keys.includes('next.crt'))).toBe(true);
    expect(seen.some((keys) => keys.includes('old.crt'))).toBe(true);
    const after = await secret();
    expect(after['ca.crt']).not.toBe(made);
    expect(after['old.crt']).toBeUndefined();
    for (const keeper of keepers) keeper.close();
  });
});
