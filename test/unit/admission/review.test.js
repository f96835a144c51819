import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readReview } from '../../../src/admission/review.js';
import { JsonDocument } from '../../../src/lib/json-document.js';
import { reviewOf, UID } from './support.js';
const FIXTURES = join(import.meta.dirname, '../../fixtures/reviews');
const read = (body, depth = 10_000) => readReview(Buffer.from(body), new JsonDocument(), depth);
const without = (key) => {
    const review = reviewOf();
    delete review.request[key];
    return JSON.stringify(review);
};
describe('reading an AdmissionReview', () => {
    it('gives the uid and what decides which policies look at it', () => {
        const request = { subResource: 'scale', resource: { group: 'apps', version: 'v1', resource: 'deployments' } };
        expect(read(JSON.stringify(reviewOf(request)))).toEqual({
            uid: UID,
            facts: {
                group: '',
                version: 'v1',
                kind: 'Pod',
                resourceGroup: 'apps',
                resource: 'deployments',
                subresource: 'scale',
                operation: 'CREATE',
                namespace: 'shop',
                name: 'web',
                labels: { app: 'web' },
            },
        });
    });
    it('reads every review that a real API server sent, of every operation', () => {
        const operations = new Set();
        for (const name of readdirSync(FIXTURES)) {
            const body = readFileSync(join(FIXTURES, name));
            const { request } = JSON.parse(body.toString());
            const { uid, facts } = read(body);
            const subject = request.object ?? request.oldObject;
            expect({ uid, ...facts }).toMatchObject({
                uid: request.uid,
                kind: request.kind.kind,
                resource: request.resource.resource,
                subresource: request.subResource ?? '',
                namespace: request.namespace ?? '',
                name: request.name ?? '',
                labels: subject?.metadata?.labels ?? {},
            });
            operations.add(facts.operation);
        }
        expect([...operations].toSorted()).toEqual(['CONNECT', 'CREATE', 'DELETE', 'UPDATE']);
    });
    it('takes the labels of the old object where there is no new one, and none where there is neither', () => {
        const oldObject = { metadata: { labels: { app: 'old', bad: 1 } } };
        const labels = (request) => read(JSON.stringify(reviewOf({ operation: 'DELETE', ...request }))).facts.labels;
        expect(labels({ object: null, oldObject })).toEqual({ app: 'old' });
        expect(labels({ object: undefined, oldObject: undefined })).toEqual({});
        expect(labels({ object: null, oldObject: null })).toEqual({});
        expect(labels({ object: { metadata: { labels: 'no' } }, oldObject })).toEqual({});
    });
    it('tolerates lone surrogates and NUL in strings', () => {
        const text = JSON.stringify(reviewOf({ name: 'NAME' })).replace('NAME', '\\ud800\\u0000');
        expect(read(text).facts.name).toBe('\ud800\u0000');
    });
    it.each([
        ['nothing', '', 'ends where a value should be at byte 0'],
        ['no JSON', 'hello', 'has something that is no value at byte 0'],
        ['JSON that goes on', `${JSON.stringify(reviewOf())}{}`, 'goes on after its end'],
        ['JSON that is cut off', JSON.stringify(reviewOf()).slice(0, -3), 'at byte'],
        ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'not UTF-8'],
        ['a list', '[]', 'not a JSON object'],
        ['another version', JSON.stringify({ ...reviewOf(), apiVersion: 'admission.k8s.io/v1beta1' }), 'apiVersion is not'],
        ['another kind', JSON.stringify({ ...reviewOf(), kind: 'Review' }), 'kind is not AdmissionReview'],
        ['no request', JSON.stringify({ ...reviewOf(), request: undefined }), 'has no request'],
        ['a request that is null', JSON.stringify({ ...reviewOf(), request: null }), 'has no request'],
        ['no uid', without('uid'), 'request.uid is missing'],
        ['a uid that is not a UUID', JSON.stringify(reviewOf({ uid: 'x' })), 'request.uid is not a UUID'],
        ['a uid that is a number', JSON.stringify(reviewOf({ uid: 1 })), 'request.uid is missing'],
        ['no operation', without('operation'), 'request.operation'],
        ['an operation that does not exist', JSON.stringify(reviewOf({ operation: 'GET' })), 'request.operation'],
        ['no kind', without('kind'), 'request.kind.group'],
        ['no resource', without('resource'), 'request.resource.group'],
        ['a name that is no string', JSON.stringify(reviewOf({ name: {} })), 'request.name'],
    ])('refuses %s, saying what is wrong', (_, body, message) => {
        expect(() => read(body)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
        expect(() => read(body)).toThrow(message);
    });
    it('takes an object as deep as the limit and refuses one that is deeper', () => {
        const deep = (levels) => JSON.stringify(reviewOf({ object: 0 })).replace(':0', `:${'['.repeat(levels)}${']'.repeat(levels)}`);
        expect(read(deep(64), 64).uid).toBe(UID);
        expect(() => read(deep(70), 64)).toThrow(expect.objectContaining({ code: 'REQUEST_TOO_DEEP' }));
        expect(() => read(deep(100_000))).toThrow(expect.objectContaining({ code: 'REQUEST_TOO_DEEP' }));
    });
    it('quotes nothing of the request in an error', () => {
        const canary = 'canary-value';
        for (const request of [{ uid: canary }, { operation: canary }, { kind: canary }, { name: [canary] }]) {
            try {
                read(JSON.stringify(reviewOf(request)));
                expect.unreachable();
            }
            catch (error) {
                expect(String(error)).not.toContain(canary);
            }
        }
    });
});
