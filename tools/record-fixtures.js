// Records test/fixtures from a real kube-apiserver: plays a scenario against it with kubectl while a small HTTPS server
// stands where Sealgate would be and keeps every AdmissionReview and EventList byte for byte. Usage: node tools/record-fixtures.ts
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts, startControlPlane } from './cluster/control-plane.js';
import { selfSigned } from './cluster/self-signed.js';
import { FULL_AUDIT_POLICY, playScenario } from './record-scenario.js';
import { toolVersion } from './tool-path.js';
const FIXTURES = join(import.meta.dirname, '..', 'test', 'fixtures');
/** Answers as Sealgate does: privileged pods denied, `:latest` warned about, the annotation on every answer. */
function answer(body) {
    const { request } = JSON.parse(body.toString());
    const text = JSON.stringify(request.object ?? null);
    const denied = text.includes('"privileged":true');
    return {
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: {
            uid: request.uid,
            allowed: !denied,
            ...(denied ? { status: { code: 403, message: 'privileged containers are not allowed' } } : {}),
            ...(text.includes(':latest"') ? { warnings: ['the image tag latest can change'] } : {}),
            // No ledger stands behind the recorder: whoever plays the events back puts the real entry here.
            auditAnnotations: { [`d.${request.uid}`]: `recorded.invalid/fixtures/0/0:0:${'0'.repeat(64)}` },
        },
    };
}
async function startRecorder() {
    const { certificate, key } = await selfSigned('127.0.0.1');
    const reviews = [];
    const batches = [];
    const server = createServer({ cert: certificate, key }, (request, response) => {
        const chunks = [];
        request.on('data', (chunk) => chunks.push(chunk));
        request.once('end', () => {
            const body = Buffer.concat(chunks);
            if (request.url?.startsWith('/v1/audit')) {
                batches.push(body);
                response.end();
                return;
            }
            reviews.push(body);
            response.setHeader('content-type', 'application/json').end(JSON.stringify(answer(body)));
        });
    });
    const [port] = (await freePorts(1));
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
    return {
        url: `https://127.0.0.1:${port}`,
        ca: certificate,
        reviews,
        batches,
        close: () => {
            server.close();
            server.closeAllConnections();
        },
    };
}
/** Runs the scenario once under one audit policy (undefined: manifests/audit-policy.yaml). */
async function record(auditPolicy) {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-record-'));
    const recorder = await startRecorder();
    let plane;
    try {
        const ca = join(dir, 'recorder.crt');
        writeFileSync(ca, recorder.ca);
        let policyFile;
        if (auditPolicy !== undefined) {
            policyFile = join(dir, 'policy.yaml');
            writeFileSync(policyFile, auditPolicy);
        }
        plane = await startControlPlane({
            dir,
            serviceAccounts: true,
            users: [
                { name: 'alice', groups: ['developers'], role: 'edit' },
                { name: 'carol', groups: ['platform'], role: 'cluster-admin' },
            ],
            auditWebhook: { url: `${recorder.url}/v1/audit`, ca },
            ...(policyFile === undefined ? {} : { auditPolicy: policyFile }),
        });
        await sleep(2_000); // the control plane's own start is not part of the scenario
        recorder.batches.length = 0;
        await plane.installWebhook({ url: `${recorder.url}/v1/admit`, caBundle: recorder.ca });
        await sleep(1_000); // the API server takes up webhook configurations through a watch
        await playScenario(plane);
        await sleep(3_000); // the last audit batch waits for a second
        return recorder;
    }
    finally {
        await plane?.stop();
        recorder.close();
        rmSync(dir, { recursive: true, force: true });
    }
}
/** A token of a control plane that no longer exists is harmless, but looks like a leak to scanners: its signature is blanked. */
function sanitise(bytes) {
    const text = bytes
        .toString('utf8')
        .replace(/(eyJ[\w-]+\.eyJ[\w-]+\.)([\w-]+)/g, (_, head, signature) => head + 'A'.repeat(signature.length));
    return Buffer.from(text);
}
function reviewName(review) {
    const { operation, resource, subResource, name } = review.request;
    const parts = [operation, resource.resource, subResource, name].filter((part) => part !== undefined && part !== '');
    return parts
        .join('-')
        .toLowerCase()
        .replace(/[^a-z0-9-]+/g, '_')
        .slice(0, 60);
}
function write(dir, items, name) {
    const folder = join(FIXTURES, dir);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    items.forEach((item, index) => {
        const clean = sanitise(item);
        const file = `${String(index + 1).padStart(2, '0')}-${name(JSON.parse(clean.toString()))}.json`;
        writeFileSync(join(folder, file), clean);
    });
    console.log(`${dir}: ${readdirSync(folder).length} files`);
}
const usual = await record(undefined);
const isScenario = (review) => !review.includes('"username":"system:apiserver"');
write('reviews', usual.reviews.filter(isScenario), (item) => reviewName(item));
write('audit', usual.batches, (item) => `batch-of-${item.items.length}`);
const full = await record(FULL_AUDIT_POLICY);
write('audit-full', full.batches, (item) => `batch-of-${item.items.length}`);
console.log(`kube-apiserver and kubectl ${toolVersion('kube-apiserver')}, etcd ${toolVersion('etcd')}, ${new Date().toISOString().slice(0, 10)}`);
