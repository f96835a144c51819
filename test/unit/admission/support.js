export const BUNDLE = `sha256:${'b'.repeat(64)}`;
export const UID = '57064fd0-a7da-4497-94ec-85d0b6b42899';
export function requestOf(body, rest = {}) {
    const { search = '', ...given } = rest;
    return {
        method: 'POST',
        path: '/v1/admit',
        query: new URLSearchParams(search),
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(body),
        peer: { address: '192.0.2.1' },
        receivedAt: performance.now(),
        signal: new AbortController().signal,
        ...given,
    };
}
export function reviewOf(request = {}) {
    return {
        kind: 'AdmissionReview',
        apiVersion: 'admission.k8s.io/v1',
        request: {
            uid: UID,
            kind: { group: '', version: 'v1', kind: 'Pod' },
            resource: { group: '', version: 'v1', resource: 'pods' },
            operation: 'CREATE',
            namespace: 'shop',
            name: 'web',
            userInfo: { username: 'alice' },
            object: { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'web', labels: { app: 'web' } } },
            oldObject: null,
            dryRun: false,
            ...request,
        },
    };
}
export function result(message, rest = {}) {
    return {
        policy: 'admission.images',
        rule: 'deny',
        action: 'deny',
        severity: 'high',
        message,
        controls: [],
        ...rest,
    };
}
export function evaluation(rest = {}) {
    const base = { allowed: true, results: [], failures: [], prints: [], evaluated: ['admission.images'] };
    return { ...base, bundle: BUNDLE, ms: 1, ...rest };
}
/** An engine that answers `said` (or what it returns or rejects with), and remembers what it was asked. */
export function engineSaying(said) {
    const asked = [];
    return {
        asked,
        bundle: { digest: BUNDLE, files: [], policies: [] },
        evaluate: (facts, input, deadline) => {
            asked.push({ facts, input: Buffer.from(input).toString(), deadline });
            return typeof said === 'function' ? said() : Promise.resolve(said);
        },
    };
}
export function jsonOf(answer) {
    return JSON.parse(Buffer.from(answer.body ?? '').toString());
}
