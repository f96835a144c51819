// A value that must never be recorded is sent in every form the API server has for it, and then searched for in everything that
// Sealgate writes or says: ledger, WAL and index on disk, decompressed bodies, log lines, metrics, API answers, verdicts.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LedgerReader } from '../../src/ledger/reader.js';
import { sealgate, startSealgate } from '../support/sealgate.js';
const CANARY = 'Canary-7f3a91-must-not-leak';
const CANARY_BASE64 = Buffer.from(CANARY).toString('base64');
const FORMS = [CANARY, CANARY_BASE64, encodeURIComponent(CANARY), Buffer.from(CANARY).toString('hex')];
/** A policy that is as careless as can be: it quotes what it was given, in messages, details and print output. */
const CARELESS = `# METADATA
# title: Careless
# custom:
#   severity: low
package admission.careless

deny contains {"msg": msg, "details": {"object": input.request.object, "old": object.get(input.request, "oldObject", null)}} if {
	input.request.kind.kind == "Secret"
	some k, v in input.request.object.data
	print("value of", k, "is", v, base64.decode(v))
	msg := sprintf("key %s has value %s, that is %s", [k, v, base64.decode(v)])
}

warn contains msg if {
	some k, v in object.get(input.request.object, "stringData", {})
	msg := sprintf("stringData %s=%s", [k, v])
}

warn contains msg if {
	token := input.request.object.spec.token
	msg := sprintf("token %s", [token])
}

warn contains msg if {
	token := input.request.object.status.token
	msg := sprintf("issued %s", [token])
}
`;
const kinds = {
    Secret: {
        kind: { group: '', version: 'v1', kind: 'Secret' },
        resource: { group: '', version: 'v1', resource: 'secrets' },
    },
    TokenReview: {
        kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenReview' },
        resource: { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews' },
    },
    TokenRequest: {
        kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
        resource: { group: '', version: 'v1', resource: 'serviceaccounts' },
        subResource: 'token',
    },
};
let serial = 0;
const uuid = () => `00000000-0000-4000-8000-${String(++serial).padStart(12, '0')}`;
function review(kind, operation, object, oldObject = null) {
    const request = {
        uid: uuid(),
        ...kinds[kind],
        operation,
        name: 'held',
        namespace: 'default',
        userInfo: { username: 'alice' },
        object,
        oldObject,
    };
    return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
}
const meta = { name: 'held', namespace: 'default' };
const secret = (extra) => ({ apiVersion: 'v1', kind: 'Secret', metadata: meta, ...extra });
const lastApplied = {
    ...meta,
    annotations: {
        'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(secret({ stringData: { password: CANARY } })),
    },
};
const REVIEWS = [
    review('Secret', 'CREATE', secret({ data: { password: CANARY_BASE64 } })),
    review('Secret', 'CREATE', secret({ stringData: { password: CANARY } })),
    review('Secret', 'UPDATE', secret({ data: { password: 'eA==' } }), secret({ data: { password: CANARY_BASE64 } })),
    review('Secret', 'UPDATE', { ...secret({ data: { password: CANARY_BASE64 } }), metadata: lastApplied }, null),
    review('Secret', 'DELETE', null, secret({ data: { password: CANARY_BASE64 } })),
    review('TokenReview', 'CREATE', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: CANARY },
    }),
    review('TokenRequest', 'CREATE', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: ['x'] },
        status: { token: CANARY, expirationTimestamp: null },
    }),
];
function event(extra) {
    const now = new Date().toISOString().replace('Z', '000Z');
    return {
        kind: 'Event',
        apiVersion: 'audit.k8s.io/v1',
        level: 'RequestResponse',
        auditID: uuid(),
        stage: 'ResponseComplete',
        requestURI: '/api/v1/namespaces/default/secrets',
        verb: 'create',
        user: { username: 'alice' },
        objectRef: { resource: 'secrets', namespace: 'default', name: 'held', apiVersion: 'v1' },
        responseStatus: { metadata: {}, code: 201 },
        requestReceivedTimestamp: now,
        stageTimestamp: now,
        ...extra,
    };
}
const EVENTS = [
    event({
        requestObject: secret({ stringData: { password: CANARY } }),
        responseObject: secret({ data: { password: CANARY_BASE64 } }),
    }),
    event({ verb: 'patch', requestObject: { stringData: { password: CANARY } } }),
    event({ verb: 'patch', requestObject: [{ op: 'replace', path: '/data/password', value: CANARY_BASE64 }] }),
    event({ verb: 'patch', requestObject: [{ op: 'add', path: '/data', value: { password: CANARY_BASE64 } }] }),
    event({
        verb: 'list',
        responseObject: {
            apiVersion: 'v1',
            kind: 'SecretList',
            items: [{ metadata: lastApplied, data: { password: CANARY_BASE64 } }],
        },
    }),
    event({
        verb: 'list',
        responseObject: { apiVersion: 'v1', kind: 'List', items: [secret({ data: { password: CANARY_BASE64 } })] },
    }),
    event({
        objectRef: { resource: 'serviceaccounts', subresource: 'token', namespace: 'default', name: 'x', apiVersion: 'v1' },
        responseObject: {
            apiVersion: 'authentication.k8s.io/v1',
            kind: 'TokenRequest',
            spec: {},
            status: { token: CANARY },
        },
    }),
    event({
        objectRef: { resource: 'tokenreviews', apiGroup: 'authentication.k8s.io', apiVersion: 'v1' },
        requestObject: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: CANARY } },
    }),
    event({
        verb: 'create',
        requestURI: `/api/v1/namespaces/default/pods/p/exec?command=curl&command=-H&command=Authorization%3A+Bearer+${CANARY}`,
        objectRef: { resource: 'pods', subresource: 'exec', namespace: 'default', name: 'p', apiVersion: 'v1' },
    }),
    event({
        verb: 'create',
        requestURI: `/api/v1/namespaces/default/pods/p/exec?command=mysql&command=--password%3D${CANARY}`,
        objectRef: { resource: 'pods', subresource: 'exec', namespace: 'default', name: 'p', apiVersion: 'v1' },
    }),
    // Not an event at all, but it holds a Secret: recorded as malformed, without the value.
    { kind: 'Event', requestObject: secret({ stringData: { password: CANARY } }) },
];
function filesBelow(dir) {
    return readdirSync(dir).flatMap((name) => {
        const path = join(dir, name);
        return statSync(path).isDirectory() ? filesBelow(path) : [path];
    });
}
describe('a value that must never be recorded', () => {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-canary-'));
    const dataDir = join(dir, 'data');
    const answers = [];
    let gate;
    async function post(port, path, body, side) {
        const client = side === 'audit' ? { cert: gate.tls('audit', 'client.crt'), key: gate.tls('audit', 'client.key') } : {};
        const agent = new Agent({ ca: gate.tls(side, 'ca.crt'), ...client });
        return new Promise((resolve, reject) => {
            const options = { method: 'POST', agent, headers: { 'content-type': 'application/json' } };
            const call = request(`https://127.0.0.1:${port}${path}`, options, (response) => {
                let text = '';
                response.setEncoding('utf8').on('data', (chunk) => {
                    text += chunk;
                });
                response.once('end', () => {
                    agent.destroy();
                    resolve(`${response.statusCode} ${text}`);
                });
            });
            call.once('error', reject);
            call.end(body);
        });
    }
    beforeAll(async () => {
        const policyDir = join(dir, 'policies');
        mkdirSync(policyDir);
        writeFileSync(join(policyDir, 'careless.rego'), CARELESS);
        gate = await startSealgate({ dataDir, policyDir, args: ['--log-level', 'trace'] });
        for (const text of REVIEWS) {
            const answer = await post(gate.ports.admission, '/v1/admit', text, 'admission');
            expect(answer, text).toMatch(/^200 /);
            answers.push(answer);
        }
        const list = JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items: EVENTS });
        expect(await post(gate.ports.audit, '/v1/audit', list, 'audit')).toBe('200 ');
        // And what is not even a review or a list: the refusal must not quote it.
        answers.push(await post(gate.ports.admission, '/v1/admit', `{"kind":"Secret","data":{"p":"${CANARY_BASE64}"`, 'admission'));
        answers.push(await post(gate.ports.admission, '/v1/admit', JSON.stringify(secret({ stringData: { p: CANARY } })), 'admission'));
        answers.push(await post(gate.ports.audit, '/v1/audit', JSON.stringify({ ...secret({}), stringData: { p: CANARY } }), 'audit'));
        answers.push(await post(gate.ports.audit, '/v1/audit', `[{"stringData":{"p":"${CANARY}"}`, 'audit'));
    }, 60_000);
    afterAll(async () => {
        await gate?.stop();
        rmSync(dir, { recursive: true, force: true });
    });
    const quoted = (text) => FORMS.filter((form) => text.includes(form));
    it('made the policy speak, so that there was something to leak', () => {
        expect(answers[0]).toContain('key password has value');
        expect(answers[0]).toContain('[redacted]');
        expect(JSON.stringify(EVENTS)).toContain(CANARY);
    });
    it('is in no answer of the webhooks', () => {
        for (const answer of answers)
            expect(quoted(answer), answer).toEqual([]);
    });
    it('is in no body of the ledger, though every request and event is there', () => {
        const reader = LedgerReader.open(join(dataDir, 'ledger'));
        const count = {};
        for (const entry of reader.entries(0, 0)) {
            count[entry.leaf.kind] = (count[entry.leaf.kind] ?? 0) + 1;
            const body = entry.body.toString();
            expect(quoted(body), body).toEqual([]);
        }
        reader.close();
        expect(count).toMatchObject({ decision: REVIEWS.length, event: EVENTS.length - 1, malformed: 1 });
    });
    it('is in no answer of the query API', async () => {
        const base = `http://127.0.0.1:${gate.ports.api}`;
        const list = await (await fetch(`${base}/v1/entries?limit=1000`)).text();
        expect(quoted(list)).toEqual([]);
        expect(list).toContain('held');
        for (let seq = 0; seq < REVIEWS.length + EVENTS.length + 2; seq++) {
            const answer = await fetch(`${base}/v1/entries/${seq}`);
            expect(answer.status).toBe(200);
            expect(quoted(await answer.text())).toEqual([]);
        }
        const cli = await sealgate('query', '--server', base, '-o', 'json');
        expect(cli.code, cli.stderr).toBe(0);
        expect(quoted(cli.stdout)).toEqual([]);
    });
    it('is in no metric and no log line', async () => {
        const metrics = await (await fetch(`http://127.0.0.1:${gate.ports.metrics}/metrics`)).text();
        expect(metrics).toContain('sealgate_');
        expect(quoted(metrics)).toEqual([]);
        expect(quoted(gate.output())).toEqual([]);
    });
    it('is in no file, neither while the WAL is there nor after the stop', async () => {
        const search = () => {
            for (const file of filesBelow(dataDir)) {
                const bytes = readFileSync(file);
                for (const form of FORMS)
                    expect(bytes.includes(form), `${form} in ${file}`).toBe(false);
            }
            return filesBelow(dataDir);
        };
        expect(search().some((file) => file.endsWith('-wal'))).toBe(true);
        expect(await gate.stop()).toBe(0);
        search();
    });
});
