// A volume that fills up under the real server: the audit stream is refused first, decisions go on into the reserve, then they are
// answered as configured; when there is room again everything goes on by itself, and nothing acknowledged is missing.
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { LedgerReader } from '../../src/ledger/reader.ts';
import { verifyLedger } from '../../src/ledger/verify.ts';
import { startControlPlane } from '../../tools/cluster/control-plane.ts';
import { type Sealgate, startSealgate } from '../support/sealgate.ts';
import { canMount, withMount } from '../unit/ledger/temp-ledger.ts';

const MIB = 2 ** 20;
const VOLUME_MIB = 96;

const stops: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A server whose data folder is a small volume that only it sees; `inside` is where this process sees it. */
async function onSmallVolume(args: readonly string[]) {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-space-'));
  stops.push(() => rmSync(dir, { recursive: true, force: true }));
  const gate = await startSealgate({
    dataDir: dir,
    wrap: withMount(`mount -t tmpfs -o size=${VOLUME_MIB}m none ${dir}`),
    args: ['--ledger-reserve-bytes', `${24 * MIB}`, '--ledger-low-space-bytes', `${48 * MIB}`, ...args],
  });
  stops.push(() => gate.stop('SIGKILL'));
  return { gate, dir, inside: join('/proc', String(gate.pid), 'root', dir) };
}

function post(gate: Sealgate, inside: string, side: 'admission' | 'audit', body: unknown): Promise<Answer> {
  const tls = (name: string) => readFileSync(join(inside, 'tls', side, name));
  const client = side === 'audit' ? { cert: tls('client.crt'), key: tls('client.key') } : {};
  const path = side === 'audit' ? '/v1/audit' : '/v1/admit';
  const where = { host: '127.0.0.1', port: gate.ports[side], path, method: 'POST', ca: tls('ca.crt'), ...client };
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, agent: false, headers: { 'content-type': 'application/json' } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.once('error', reject);
    sent.end(JSON.stringify(body));
  });
}

let number = 0;

function review() {
  number += 1;
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: `57064fd0-a7da-4497-94ec-${String(number).padStart(12, '0')}`,
      kind: { group: '', version: 'v1', kind: 'ConfigMap' },
      resource: { group: '', version: 'v1', resource: 'configmaps' },
      operation: 'CREATE',
      namespace: 'shop',
      name: `map-${number}`,
      userInfo: { username: 'alice' },
      object: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: `map-${number}` } },
    },
  };
}

function batch() {
  number += 1;
  const event = {
    level: 'Metadata',
    auditID: `9a2adad4-9c40-43ac-895a-${String(number).padStart(12, '0')}`,
    stage: 'ResponseComplete',
    requestURI: '/api/v1/namespaces/shop/pods',
    verb: 'create',
    user: { username: 'alice' },
    requestReceivedTimestamp: '2026-11-22T23:42:20.562880Z',
    stageTimestamp: '2026-11-22T23:42:20.568381Z',
  };
  return { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items: [event] };
}

async function readyz(gate: Sealgate): Promise<Answer> {
  const answer = await fetch(`http://127.0.0.1:${gate.ports.metrics}/readyz`);
  return { status: answer.status, text: await answer.text() };
}

async function metric(gate: Sealgate, line: RegExp): Promise<string | undefined> {
  const answer = await fetch(`http://127.0.0.1:${gate.ports.metrics}/metrics`);
  return line.exec(await answer.text())?.[0];
}

/** Leaves so many MiB free; 0 leaves nothing, not a page. */
function fill(inside: string, free: number): void {
  const ballast = join(inside, 'ballast');
  const { bavail, bsize } = statfsSync(inside);
  const there = statSync(ballast, { throwIfNoEntry: false })?.size ?? 0;
  if (free > 0) {
    writeFileSync(ballast, Buffer.alloc(Math.max(0, there + bavail * bsize - free * MIB)));
    return;
  }
  try {
    for (;;) appendFileSync(ballast, Buffer.alloc(bsize));
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  }
}

/** Entries that no checkpoint covers. */
async function unsigned(gate: Sealgate): Promise<number> {
  const [size, signed] = await Promise.all(
    ['size', 'signed_size'].map((name) => metric(gate, new RegExp(`^sealgate_ledger_${name} \\d+$`, 'm'))),
  );
  return Number(size?.split(' ')[1]) - Number(signed?.split(' ')[1]);
}

/** The answers of the server, for the ledger to be held against. */
class Acknowledged {
  readonly decisions: string[] = [];
  readonly events: string[] = [];
}

describe('a volume that fills up', () => {
  it.for([
    ['deny', { allowed: false, code: 503 }],
    ['allow', { allowed: true, code: undefined }],
    ['error', undefined],
  ] as const)('with onUnrecordable: %s', { timeout: 120_000 }, async ([onUnrecordable, unrecorded], { skip }) => {
    skip(!canMount(), 'a small volume takes mount(8): Linux, and root or user namespaces');
    const { gate, inside } = await onSmallVolume(['--admission-on-unrecordable', onUnrecordable]);
    const known = new Acknowledged();
    const decide = async (): Promise<{ answer: Answer; recorded: boolean; response?: Record<string, unknown> }> => {
      const body = review();
      const answer = await post(gate, inside, 'admission', body);
      if (answer.status !== 200) return { answer, recorded: false };
      const { response } = JSON.parse(answer.text);
      const annotation = response.auditAnnotations?.[`d.${body.request.uid}`];
      if (annotation !== undefined) known.decisions.push(annotation.split('/').at(-1));
      return { answer, recorded: annotation !== undefined, response };
    };
    const report = async (): Promise<Answer> => {
      const body = batch();
      const answer = await post(gate, inside, 'audit', body);
      if (answer.status === 200) known.events.push(body.items[0]!.auditID);
      return answer;
    };
    expect((await report()).status).toBe(200);
    expect((await decide()).recorded).toBe(true);
    expect(await readyz(gate)).toEqual({ status: 200, text: 'ok\n' });

    // Low: everything is taken, and readiness says what is coming.
    fill(inside, 40);
    await expect.poll(async () => (await readyz(gate)).text, { timeout: 5000 }).toContain('[+]space ok: low');
    expect((await report()).status).toBe(200);

    // The reserve: only decisions.
    fill(inside, 20);
    await expect.poll(async () => (await report()).status, { timeout: 5000 }).toBe(503);
    expect(JSON.parse((await report()).text).code).toBe('LEDGER_SPACE_LOW');
    expect(await metric(gate, /^sealgate_audit_refused_total\{code="LEDGER_SPACE_LOW"\} \d+$/m)).toBeDefined();
    for (let i = 0; i < 50; i++) expect((await decide()).recorded).toBe(true);
    expect(await readyz(gate)).toMatchObject({
      status: 200,
      text: expect.stringContaining('audit batches are refused'),
    });

    // Nothing left: as configured.
    fill(inside, 0);
    let last = await decide();
    for (let i = 0; last.recorded; i++) {
      expect(i).toBeLessThan(3000);
      fill(inside, 0);
      last = await decide();
    }
    if (unrecorded === undefined) {
      expect(last.answer.status).toBe(503);
      expect(JSON.parse(last.answer.text).code).toBe('LEDGER_FULL');
    } else {
      expect(last.response).toMatchObject({ allowed: unrecorded.allowed });
      expect((last.response?.['status'] as { code?: number } | undefined)?.code).toBe(unrecorded.code);
      expect(last.answer.text).toContain('LEDGER_FULL');
    }
    expect((await report()).status).toBe(503);
    expect(await readyz(gate)).toMatchObject({ status: 503, text: expect.stringContaining('[-]space failed') });
    expect(await metric(gate, /^sealgate_ledger_space\{level="full"\} 1$/m)).toBeDefined();
    expect(await metric(gate, /^sealgate_admission_unrecorded_total\{code="LEDGER_FULL",.*$/m)).toBeDefined();

    // Room again: everything goes on, by itself.
    rmSync(join(inside, 'ballast'));
    await expect.poll(async () => (await readyz(gate)).text, { timeout: 5000 }).toBe('ok\n');
    expect((await decide()).recorded).toBe(true);
    expect((await report()).status).toBe(200);
    for (const level of ['low', 'reserve', 'full', 'plenty']) {
      expect(gate.output()).toMatch(new RegExp(`"level":"${level}","before":`));
    }

    // Within a second all of it is signed; then a copy of the idle files is whole and holds all that was acknowledged.
    await expect.poll(() => unsigned(gate), { timeout: 10_000 }).toBe(0);
    const copy = mkdtempSync(join(tmpdir(), 'sealgate-space-copy-'));
    stops.push(() => rmSync(copy, { recursive: true, force: true }));
    cpSync(join(inside, 'ledger'), copy, { recursive: true });
    const vkey = readFileSync(join(inside, 'keys', 'ledger.vkey'), 'utf8').trim();
    expect(verifyLedger(copy, { keys: [vkey] })).toMatchObject({ status: 'whole', findings: [], unsignedTail: 0 });
    const reader = LedgerReader.open(copy);
    const decisions = new Set<string>();
    const events = new Set<string>();
    for (const { shard, seq, leaf, leafHash, body } of reader.entries(0, 0)) {
      if (leaf.kind === 'decision') decisions.add(`${shard}:${seq}:${leafHash}`);
      if (leaf.kind === 'event') events.add(JSON.parse(body.toString()).event.auditID);
    }
    reader.close();
    for (const one of known.decisions) expect(decisions).toContain(one);
    for (const one of known.events) expect(events).toContain(one);
  });

  it('refuses through the API server what it cannot record, even under failurePolicy Ignore, until there is room', {
    timeout: 180_000,
  }, async ({ skip }) => {
    skip(!canMount(), 'a small volume takes mount(8): Linux, and root or user namespaces');
    const { gate, dir, inside } = await onSmallVolume([]);
    const plane = await startControlPlane({ dir: join(dir, '..', `${basename(dir)}-plane`) });
    stops.push(async () => {
      await plane.stop();
      rmSync(join(dir, '..', `${basename(dir)}-plane`), { recursive: true, force: true });
    });
    await plane.installWebhook({
      url: `https://127.0.0.1:${gate.ports.admission}/v1/admit`,
      caBundle: readFileSync(join(inside, 'tls', 'admission', 'ca.crt'), 'utf8'),
      failurePolicy: 'Ignore',
    });
    const create = (name: string) =>
      plane.call('/api/v1/namespaces/default/configmaps', { method: 'POST', body: { metadata: { name } } });
    await expect.poll(async () => (await create(`first-${number++}`)).status, { timeout: 20_000 }).toBe(201);
    // Until the API server asks, everything passes.
    const decided = /^sealgate_admission_decisions_total\{outcome="allowed"\} [1-9]\d*$/m;
    await expect
      .poll(async () => (await create(`asked-${number++}`)).status === 201 && (await metric(gate, decided)), {
        timeout: 20_000,
      })
      .toBeTruthy();
    fill(inside, 0);
    let refused = await create('full');
    for (let i = 0; refused.status === 201; i++) {
      expect(i).toBeLessThan(3000);
      fill(inside, 0);
      refused = await create(`full-${i}`);
    }
    expect(refused.status).toBe(503);
    expect(refused.json()).toMatchObject({
      reason: 'ServiceUnavailable',
      message: expect.stringMatching(/denied the request: .*LEDGER_FULL/),
      details: { retryAfterSeconds: 1 },
    });
    rmSync(join(inside, 'ballast'));
    expect((await create('again')).status).toBe(201);
  });
});
