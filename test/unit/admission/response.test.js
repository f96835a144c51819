import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deadlineOf, parseTimeout } from '../../../src/admission/deadline.js';
import { annotationOf, boundedWarnings, responseBody } from '../../../src/admission/response.js';
import { failedVerdict } from '../../../src/admission/verdict.js';
import { BUNDLE, evaluation, result, UID } from './support.js';
const LEAF_HASH = 'a'.repeat(64);
const respond = (verdict) => JSON.parse(responseBody(UID, verdict, 'x:0:y'));
describe('the response', () => {
    it('of an allowed request has the uid, the annotation, and nothing that it does not need', () => {
        expect(respond(evaluation())).toEqual({
            apiVersion: 'admission.k8s.io/v1',
            kind: 'AdmissionReview',
            response: { uid: UID, allowed: true, auditAnnotations: { [`d.${UID}`]: 'x:0:y' } },
        });
    });
    it('of a denied one has every denial and the warnings, and no result that is only recorded', () => {
        const results = [
            result('image has no digest', { remediation: 'Name it by digest.' }),
            result('no\nprobe', { policy: 'admission.probes' }),
            result('old API', { action: 'warn' }),
            result('seen', { action: 'audit' }),
        ];
        const failures = [
            { policy: 'admission.slow', code: 'POLICY_TIMEOUT', message: 'took 1 s', action: 'deny' },
            { policy: 'admission.broken', code: 'POLICY_FAILED', message: 'div by zero', action: 'warn' },
        ];
        expect(respond(evaluation({ allowed: false, results, failures })).response).toMatchObject({
            allowed: false,
            status: {
                code: 403,
                reason: 'Forbidden',
                message: 'admission.images: image has no digest (Name it by digest.); admission.probes: no probe; ' +
                    'admission.slow gave no answer (POLICY_TIMEOUT): took 1 s',
            },
            warnings: ['admission.images: old API', 'admission.broken gave no answer (POLICY_FAILED): div by zero'],
        });
    });
    it('asks the client to come again when it was only load', () => {
        const { status } = respond(failedVerdict('POLICY_OVERLOADED', 'too many', BUNDLE)).response;
        expect(status).toMatchObject({ code: 429, reason: 'TooManyRequests', details: { retryAfterSeconds: 1 } });
        expect(respond(failedVerdict('POLICY_FAILED', 'x', BUNDLE)).response.status.code).toBe(403);
    });
    it('bounds the message of a denial', () => {
        const results = Array.from({ length: 100 }, () => result('x'.repeat(1000)));
        const { message } = respond(evaluation({ allowed: false, results })).response.status;
        expect(message.length).toBe(4096);
        expect(message.endsWith('…')).toBe(true);
    });
    it('names the entry by the shard that it is in', () => {
        const appended = { shard: 3, seq: 17, leafHash: LEAF_HASH };
        expect(annotationOf('a.example/c/0/2', appended)).toBe(`a.example/c/0/3:17:${LEAF_HASH}`);
    });
});
describe('warnings', () => {
    it('arrive as they are while they fit', () => {
        const warnings = ['a', 'x'.repeat(4000)];
        expect(boundedWarnings(warnings)).toEqual(warnings);
    });
    it('are cut, and counted when they are left out, beyond 4,096 characters', () => {
        const cut = boundedWarnings(['x'.repeat(3000), 'y'.repeat(3000), 'short']);
        expect(cut.map((text) => text.length)).toEqual([256, 256, 5]);
        const many = boundedWarnings(Array.from({ length: 100 }, () => 'z'.repeat(300)));
        expect(many.at(-1)).toMatch(/^… and \d+ more warnings$/);
        expect(many.length - 1 + Number(/\d+/.exec(many.at(-1))[0])).toBe(100);
    });
    it('never exceed what the API server passes on, nor hold what a header may not', () => {
        const text = fc.string({ unit: 'binary', maxLength: 3000 });
        void fc.assert(fc.property(fc.array(text, { maxLength: 30 }), (warnings) => {
            const bounded = boundedWarnings(warnings);
            expect(bounded.join('').length).toBeLessThanOrEqual(4096);
            for (const line of bounded) {
                expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\u202e]/u);
                expect(line.isWellFormed()).toBe(true);
            }
        }));
        expect(boundedWarnings(['\u0000', 'a\r\n\tb', '\ud800x'])).toEqual(['a b', '\ufffdx']);
    });
});
describe('the deadline', () => {
    it.each([
        ['10s', 10_000],
        ['5', 5000],
        ['1m30s', 90_000],
        ['500ms', 500],
        ['1.5s', 1500],
        ['1h0m1s', 3_601_000],
        ['100us', 0.1],
        [null, undefined],
        ['', undefined],
        ['0s', undefined],
        ['-5s', undefined],
        ['10 s', undefined],
        ['s', undefined],
        ['1'.repeat(100), undefined],
        ['10x', undefined],
    ])('reads a timeout of %s', (text, ms) => {
        if (ms === undefined)
            expect(parseTimeout(text)).toBeUndefined();
        else
            expect(parseTimeout(text)).toBeCloseTo(ms, 6);
    });
    it('is the shorter of the timeout and the setting, less the margin, and never less than half', () => {
        const settings = { maxDeadlineMs: 20_000, deadlineMarginMs: 200 };
        expect(deadlineOf(1000, '10s', settings)).toBe(10_800);
        expect(deadlineOf(1000, '30s', settings)).toBe(20_800);
        expect(deadlineOf(1000, null, settings)).toBe(20_800);
        expect(deadlineOf(1000, '100ms', settings)).toBe(1050);
    });
});
