import { describe, expect, it } from 'vitest';
import { factsOf } from '../../../src/index/facts.js';
import { MemoryLedger, uuid } from './support.js';
const ledger = new MemoryLedger();
const ofDecision = (options) => {
    const { leaf, body } = ledger.decision(options);
    return factsOf(leaf, body);
};
const ofEvent = (options) => {
    const { leaf, body } = ledger.event(options);
    return factsOf(leaf, body);
};
describe('the facts of an entry', () => {
    it('are who asked for what, and what was decided', () => {
        const results = [
            { policy: 'admission.images', action: 'deny' },
            { policy: 'admission.images', action: 'deny' },
            { policy: 'admission.access', action: 'warn' },
        ];
        const failures = [{ policy: 'admission.slow', action: 'deny' }];
        const options = {
            uid: uuid(1),
            allowed: false,
            results,
            failures,
            operation: 'UPDATE',
            dryRun: true,
            subresource: 'scale',
        };
        expect(ofDecision({ ...options, group: 'apps', resource: 'deployments' })).toMatchObject({
            ...{
                kind: 'decision',
                allowed: false,
                verb: 'update',
                group: 'apps',
                resource: 'deployments',
                subresource: 'scale',
            },
            ...{ user: 'alice', namespace: 'default', name: 'web', uid: uuid(1), dryRun: true },
            policies: [
                { policy: 'admission.access', action: 'warn' },
                { policy: 'admission.images', action: 'deny' },
                { policy: 'admission.slow', action: 'deny', failed: true },
            ],
        });
    });
    it('name an object that was created with generateName', () => {
        const object = { metadata: { generateName: 'web-', name: 'web-x7k2p' } };
        expect(ofDecision({ uid: uuid(1), name: '', object }).name).toBe('web-x7k2p');
        expect(ofEvent({ auditID: uuid(2), name: '', responseObject: object }).name).toBe('web-x7k2p');
    });
    it('are of the user who was impersonated, and of the one who did it', () => {
        expect(ofEvent({ auditID: uuid(2), user: 'admin', impersonated: 'alice' })).toMatchObject({
            user: 'alice',
            impersonator: 'admin',
        });
    });
    it('are not taken from what the client wrote into the object', () => {
        const object = {
            metadata: { name: 'x' },
            request: { uid: 'fake' },
            verdict: { allowed: true },
            userInfo: { username: 'root' },
        };
        expect(ofDecision({ uid: uuid(1), allowed: false, object })).toMatchObject({
            user: 'alice',
            allowed: false,
            uid: uuid(1),
        });
        expect(ofEvent({ auditID: uuid(2) })).toMatchObject({ verb: 'create', user: 'alice', name: 'web' });
    });
    it('hold the path of a request that is about no resource, without its query, and know a dry run by it', () => {
        expect(ofEvent({ auditID: uuid(2), uri: '/healthz?verbose=1' })).toMatchObject({
            name: '/healthz',
            resource: '',
            dryRun: false,
        });
        expect(ofEvent({ auditID: uuid(2), uri: '/api/v1/pods?fieldManager=x&dryRun=All', resource: 'pods' }).dryRun).toBe(true);
    });
    it('hold every claim about a decision, whichever webhook name it came under, and nothing else of the annotations', () => {
        const annotations = { [`a.b/d.${uuid(1)}`]: 'x:1:y', [`c/d.${uuid(2)}`]: 'z', 'c/d.no-uid': 'q', 'c/e': 'r' };
        expect(ofEvent({ auditID: uuid(2), annotations }).claims).toEqual([
            { uid: uuid(1), reference: 'x:1:y' },
            { uid: uuid(2), reference: 'z' },
        ]);
    });
    it('are those of the leaf when the body is not what its kind promises', () => {
        for (const body of [
            '',
            '[]',
            '{"event":7}',
            '{"review":{"request":[]},"verdict":null}',
            '{"event":{"user":"x","code":{}',
        ]) {
            const { leaf } = ledger.decision({ uid: uuid(9), allowed: false });
            expect(factsOf(leaf, Buffer.from(body))).toMatchObject({
                kind: 'decision',
                allowed: false,
                uid: uuid(9),
                user: '',
            });
            const event = ledger.append('event', body);
            expect(factsOf(event.leaf, event.body)).toMatchObject({ kind: 'event', auditID: '', claims: [] });
        }
    });
});
