// The main job against a real kube-apiserver and etcd: verdicts reach the client, every request's decision and audit event are on
// record and name each other, and the record is complete when held against the API server's own audit log.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiException, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LedgerReader } from '../../src/ledger/reader.js';
import { startControlPlane } from '../../tools/cluster/control-plane.js';
import { sealgate, startSealgate } from '../support/sealgate.js';
const DIGEST = `registry.k8s.io/pause@sha256:${'7c'.repeat(32)}`;
function entriesOf(dataDir, kind) {
    const reader = LedgerReader.open(join(dataDir, 'ledger'));
    try {
        const found = [];
        for (const entry of reader.entries(0, 0)) {
            if (entry.leaf.kind !== kind)
                continue;
            const { uid, allowed } = entry.leaf;
            found.push({
                seq: entry.seq,
                leafHash: entry.leafHash,
                kind,
                uid,
                allowed,
                body: JSON.parse(entry.body.toString()),
            });
        }
        return found;
    }
    finally {
        reader.close();
    }
}
const key = (event) => `${event.auditID} ${event.stage} ${event.stageTimestamp}`;
describe('a real kube-apiserver with Sealgate as webhook and audit backend', () => {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-plane-'));
    const dataDir = join(dir, 'data');
    const auditLog = join(dir, 'audit.log');
    let gate;
    let plane;
    beforeAll(async () => {
        gate = await startSealgate({ dataDir });
        plane = await startControlPlane({
            dir: join(dir, 'plane'),
            users: [{ name: 'alice', groups: ['developers'], role: 'cluster-admin' }],
            auditWebhook: {
                url: `https://127.0.0.1:${gate.ports.audit}/v1/audit`,
                ca: join(dataDir, 'tls', 'audit', 'ca.crt'),
                clientCert: join(dataDir, 'tls', 'audit', 'client.crt'),
                clientKey: join(dataDir, 'tls', 'audit', 'client.key'),
            },
            auditLogPath: auditLog,
        });
        await plane.installWebhook({
            url: `https://127.0.0.1:${gate.ports.admission}/v1/admit`,
            caBundle: gate.tls('admission', 'ca.crt'),
        });
        // The API server takes a new webhook configuration up within a second or so: wait until it asks.
        for (let i = 0; entriesOf(dataDir, 'decision').length === 0; i++) {
            if (i > 100)
                throw new Error('the API server never called the webhook');
            await plane.kubectl(['create', 'configmap', 'probe', '--dry-run=server']);
            await sleep(100);
        }
    }, 180_000);
    afterAll(async () => {
        await plane?.stop();
        await gate?.stop();
        rmSync(dir, { recursive: true, force: true });
    }, 60_000);
    const alice = { user: 'alice' };
    it('denies a bad pod with the message of the policy', async () => {
        const run = await plane.kubectl(['run', 'bad', `--image=${DIGEST}`, '--privileged'], alice);
        expect(run.code).not.toBe(0);
        expect(run.stderr).toContain('admission webhook "admission.sealgate.dev" denied the request');
        expect(run.stderr).toMatch(/privileged/);
        expect((await plane.kubectl(['get', 'pod', 'bad'])).code).not.toBe(0);
        const decision = entriesOf(dataDir, 'decision').find((d) => d.body.review.request.name === 'bad');
        expect(decision?.allowed).toBe(false);
    });
    it('gives any client the denial as a Status of the API, not only kubectl', async () => {
        const config = new KubeConfig();
        config.loadFromFile(plane.kubeconfigFor('alice'));
        const pod = {
            metadata: { name: 'worse', namespace: 'default' },
            spec: { containers: [{ name: 'worse', image: DIGEST, securityContext: { privileged: true } }] },
        };
        const refusal = await config
            .makeApiClient(CoreV1Api)
            .createNamespacedPod({ namespace: 'default', body: pod })
            .catch((error) => error);
        expect(refusal).toBeInstanceOf(ApiException);
        const { code, body } = refusal;
        expect(code).toBe(403);
        expect(JSON.parse(body)).toMatchObject({ kind: 'Status', reason: 'Forbidden', code: 403 });
        expect(body).toContain('container \\"worse\\" is privileged');
    });
    it('lets a good pod pass, and warns where a policy only warns', async () => {
        const good = await plane.kubectl(['run', 'good', `--image=${DIGEST}`], alice);
        expect(good).toMatchObject({ code: 0 });
        const tagged = await plane.kubectl(['run', 'tagged', '--image=registry.k8s.io/pause:latest'], alice);
        expect(tagged.code).toBe(0);
        expect(tagged.stderr).toMatch(/^Warning: /m);
    });
    it('sees exec as CONNECT, a dry run, and a delete', async () => {
        await plane.kubectl(['exec', 'good', '--', 'true'], alice); // fails after admission: there is no node
        expect((await plane.kubectl(['run', 'dry', `--image=${DIGEST}`, '--dry-run=server'], alice)).code).toBe(0);
        expect((await plane.kubectl(['delete', 'pod', 'tagged', '--wait=false'], alice)).code).toBe(0);
        const requests = entriesOf(dataDir, 'decision').map((d) => d.body.review.request);
        expect(requests.some((r) => r.operation === 'CONNECT' && r.subResource === 'exec')).toBe(true);
        expect(requests.find((r) => r.name === 'dry')?.dryRun).toBe(true);
        expect(requests.some((r) => r.operation === 'DELETE' && r.name === 'tagged')).toBe(true);
    });
    it('stays out of Secrets', async () => {
        const canary = 'canary-that-must-stay-out';
        expect((await plane.kubectl(['create', 'secret', 'generic', 'held', `--from-literal=password=${canary}`])).code).toBe(0);
        const decision = entriesOf(dataDir, 'decision').find((d) => d.body.review.request.name === 'held');
        const text = JSON.stringify(decision);
        expect(text).toContain('[redacted]');
        expect(text).not.toContain(canary);
        expect(text).not.toContain(Buffer.from(canary).toString('base64'));
    });
    it('has the audit event of each request, which names the decision by entry and hash', async () => {
        const decisions = entriesOf(dataDir, 'decision');
        let events = [];
        const wanted = decisions;
        const named = () => {
            events = entriesOf(dataDir, 'event');
            const names = new Map();
            for (const { body } of events) {
                for (const [name, value] of Object.entries(body.event.annotations ?? {})) {
                    const uid = /\/d\.(.+)$/.exec(name)?.[1];
                    if (uid !== undefined)
                        names.set(uid, value);
                }
            }
            return names;
        };
        let names = named();
        for (let i = 0; i < 100 && !wanted.every((d) => names.has(d.uid ?? '')); i++) {
            await sleep(200);
            names = named();
        }
        const origin = gate.vkey.slice(0, gate.vkey.indexOf('+'));
        for (const decision of wanted) {
            expect(names.get(decision.uid ?? ''), JSON.stringify(decision.body.review.request)).toBe(`${origin}/0:${decision.seq}:${decision.leafHash}`);
        }
        expect(wanted.length).toBeGreaterThan(5);
    }, 60_000);
    it('misses no event that the API server logged, and has none that it did not', async () => {
        const logged = () => readFileSync(auditLog, 'utf8')
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => key(JSON.parse(line)));
        // Only what the log held a moment ago can be asked of the stream: the API server itself never stops making events.
        const before = logged();
        let recorded = new Set();
        for (let i = 0; i < 150; i++) {
            recorded = new Set(entriesOf(dataDir, 'event').map((e) => key(e.body.event)));
            if (before.every((k) => recorded.has(k)))
                break;
            await sleep(200);
        }
        expect(before.filter((k) => !recorded.has(k))).toEqual([]);
        const after = new Set(logged());
        expect([...recorded].filter((k) => !after.has(k))).toEqual([]);
        expect(before.length).toBeGreaterThan(50);
        expect(new Set(before).size).toBe(before.length);
    }, 60_000);
    it('shows a decision joined with its audit event to `sealgate query`, live and straight from the folder', async () => {
        for (const source of [
            ['--server', `http://127.0.0.1:${gate.ports.api}`],
            ['--ledger', dataDir],
        ]) {
            const ran = await sealgate('query', ...source, '--kind', 'decision', '--namespace', 'default', '--name', 'bad', '-o', 'json');
            expect(ran.code, ran.stderr).toBe(0);
            const text = ran.stdout;
            expect(text).toContain('"bad"');
            const table = await sealgate('query', ...source, '--denied');
            expect(table.stdout).toMatch(/deny|denied/);
            expect(table.stdout).toContain('bad');
        }
    });
    it('is whole to `sealgate verify` while it runs and after it stopped', async () => {
        const live = await sealgate('verify', dataDir, '--key', gate.vkey, '--json');
        expect(live.code, live.stdout + live.stderr).toBe(0);
        await plane.stop();
        expect(await gate.stop()).toBe(0);
        const after = await sealgate('verify', dataDir, '--key', gate.vkey, '--json');
        expect(after.code, after.stdout).toBe(0);
        expect(JSON.parse(after.stdout)).toMatchObject({ status: 'whole', unsignedTail: 0 });
    }, 60_000);
});
