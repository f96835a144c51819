import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { factsOf } from '../../../src/index/facts.js';
import { parseQuery, parseResource } from '../../../src/index/query.js';
import { BLOCK_ENTRIES, openIndexForReading } from '../../../src/index/schema.js';
import { findEntry, search } from '../../../src/index/search.js';
import { parseMicros } from '../../../src/lib/clock.js';
import { buildIndex, MemoryLedger, uuid } from './support.js';
const NEVER = { expired: () => false };
const users = ['alice', 'bob', 'system:serviceaccount:ci:deployer', 'system:serviceaccount:ci:runner', 'ünï'];
const namespaces = ['default', 'prod', 'ci', ''];
const resources = [
    ['', 'pods', ''],
    ['', 'pods', 'exec'],
    ['apps', 'deployments', ''],
    ['apps', 'deployments', 'scale'],
    ['extensions', 'deployments', ''],
];
const policies = [
    [],
    [{ policy: 'admission.images', action: 'deny' }],
    [{ policy: 'admission.access', action: 'warn' }],
];
/** Entries of every sort, over three shards and several blocks, with a clock that once steps back. */
function fill(ledger, count) {
    let seed = 7;
    const random = (below) => {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        return (seed >>> 8) % below;
    };
    const one = (list) => list[random(list.length)];
    ledger.append('start', { origin: ledger.origin(0) });
    for (let i = 1; i < count; i++) {
        if (i === 1500 || i === 3000)
            ledger.rotate();
        if (i === 2500)
            ledger.time -= 5_000_000;
        const [group, resource, subresource] = one(resources);
        const common = {
            user: one(users),
            namespace: one(namespaces),
            group,
            resource,
            subresource,
            name: `web-${random(40)}`,
        };
        if (i % 500 === 0)
            ledger.append('policy', { bundle: 'x' }, { bundle: `sha256:${'c'.repeat(64)}` });
        else if (random(3) === 0) {
            const results = one(policies);
            const allowed = results[0]?.action !== 'deny';
            ledger.decision({
                ...common,
                uid: uuid(i),
                allowed,
                results,
                operation: one(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']),
            });
        }
        else {
            const impersonated = random(9) === 0 ? { impersonated: one(users) } : {};
            ledger.event({
                ...common,
                ...impersonated,
                auditID: uuid(i),
                verb: one(['create', 'patch', 'get']),
                code: one([200, 201, 403]),
            });
        }
    }
}
const facts = new Map();
function known(entry) {
    const found = facts.get(entry) ?? { facts: factsOf(entry.leaf, entry.body), time: parseMicros(entry.leaf.time) };
    facts.set(entry, found);
    return found;
}
/** What the filter means, said without an index. */
function naive(ledger, { filter, ascending }) {
    const glob = (pattern, text) => new RegExp(`^${pattern
        .split('*')
        .map((part) => part.replace(/[^\w]/g, '\\$&'))
        .join('[^]*')}$`).test(text);
    const matches = (entry) => {
        const { facts, time } = known(entry);
        const wanted = filter.resource === undefined ? undefined : parseResource(filter.resource);
        const checks = [
            filter.since === undefined || time >= filter.since,
            filter.until === undefined || time < filter.until,
            filter.kind === undefined || facts.kind === filter.kind,
            filter.allowed === undefined || facts.allowed === filter.allowed,
            filter.policy === undefined ||
                facts.policies.some(({ policy }) => [policy, policy.slice('admission.'.length)].includes(filter.policy)),
            filter.user === undefined ||
                [facts.user, facts.impersonator].some((user) => user !== '' && glob(filter.user, user)),
            filter.namespace === undefined || (facts.namespace !== '' && glob(filter.namespace, facts.namespace)),
            filter.name === undefined || glob(filter.name, facts.name),
            filter.verb === undefined || facts.verb === filter.verb,
            filter.code === undefined || facts.code === filter.code,
            filter.uid === undefined || facts.uid === filter.uid,
            filter.auditID === undefined || facts.auditID === filter.auditID,
            wanted === undefined ||
                (facts.resource === wanted.resource &&
                    (wanted.group === undefined || facts.group === wanted.group) &&
                    (wanted.subresource === undefined || facts.subresource === wanted.subresource)),
        ];
        return checks.every(Boolean);
    };
    const found = ledger.all
        .flat()
        .filter(matches)
        .map(({ shard, seq }) => `${shard}/${seq}`);
    return ascending ? found : found.reverse();
}
describe('a query on the index', () => {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-search-'));
    const file = join(dir, 'index.sqlite');
    const ledger = new MemoryLedger();
    let db;
    beforeAll(() => {
        fill(ledger, 4 * BLOCK_ENTRIES + 300);
        buildIndex(file, ledger);
        db = openIndexForReading(file);
    });
    afterAll(() => {
        db.close();
        rmSync(dir, { recursive: true });
    });
    const ids = (page) => page.entries.map(({ shard, seq }) => `${shard}/${seq}`);
    /** All pages of a query. */
    function all(query) {
        const found = [];
        let page = search(db, query, NEVER);
        for (;;) {
            found.push(...ids(page));
            if (page.next === null)
                return found;
            const after = parseQuery([['cursor', page.next]], 0).after;
            page = search(db, { ...query, after }, NEVER);
        }
    }
    it('finds what a scan of every entry finds, in order, over pages of any size', () => {
        const times = ledger.all.flat().map((entry) => parseMicros(entry.leaf.time));
        const filter = fc.record({
            since: fc.constantFrom(...times),
            until: fc.constantFrom(...times),
            kind: fc.constantFrom('decision', 'event', 'policy', 'malformed'),
            allowed: fc.boolean(),
            policy: fc.constantFrom('images', 'admission.access', 'access', 'none'),
            user: fc.constantFrom(...users, 'system:serviceaccount:*', '*', 'x*', 'nobody', '[a]*'),
            namespace: fc.constantFrom('default', 'prod', 'p*', 'none'),
            resource: fc.constantFrom('pods', 'pods/exec', 'deployments.apps', 'deployments.apps/scale', 'deployments', 'nodes'),
            name: fc.constantFrom('web-1', 'web-3*', '*-7', 'none'),
            verb: fc.constantFrom('create', 'patch', 'connect', 'none'),
            code: fc.constantFrom(200, 403, 500),
            uid: fc.constantFrom(...Array.from({ length: 50 }, (_, i) => uuid(i * 80 + 1))),
            auditID: fc.constantFrom(...Array.from({ length: 50 }, (_, i) => uuid(i * 80 + 2))),
        }, { requiredKeys: [] });
        const few = filter.chain((whole) => fc
            .subarray(Object.keys(whole), { maxLength: 3 })
            .map((keys) => Object.fromEntries(Object.entries(whole).filter(([key]) => keys.includes(key)))));
        let hits = 0;
        fc.assert(fc.property(few, fc.boolean(), fc.integer({ min: 60, max: 1000 }), (some, ascending, limit) => {
            const query = { filter: some, ascending, limit };
            const found = all(query);
            expect(found).toEqual(naive(ledger, query));
            if (found.length > 0)
                hits++;
        }), { numRuns: 120, seed: 3 });
        expect(hits).toBeGreaterThan(40);
    });
    it('gives an entry as it stands in the ledger, whichever shard it is in', () => {
        for (const { shard, seq, leaf, body } of [ledger.get(0, 0), ledger.get(1, 77), ledger.get(2, 900)]) {
            const facts = factsOf(leaf, body);
            const found = findEntry(db, { shard, seq });
            expect(found).toMatchObject({ shard, seq, time: leaf.time, kind: leaf.kind });
            expect(found.user ?? '').toBe(facts.user);
            expect(found.uid ?? found.auditID ?? '').toBe(facts.uid || facts.auditID);
        }
        expect(findEntry(db, { shard: 2, seq: 100_000 })).toBeUndefined();
    });
    it('stops when its time is up and goes on from there', () => {
        const query = { filter: { name: '*none*' }, ascending: false, limit: 5 };
        let asked = 0;
        const page = search(db, query, { expired: () => ++asked > 2 });
        expect(page).toMatchObject({ entries: [], incomplete: true });
        expect(page.next).not.toBeNull();
        const found = [];
        let after = undefined;
        for (let pages = 0; pages < 100; pages++) {
            const next = search(db, { filter: { kind: 'policy' }, ascending: false, limit: 5, ...(after && { after }) }, { expired: () => true });
            found.push(...ids(next));
            if (next.next === null)
                break;
            after = parseQuery([['cursor', next.next]], 0).after;
        }
        expect(found).toEqual(naive(ledger, { filter: { kind: 'policy' }, ascending: false, limit: 5 }));
    });
});
describe('paging', () => {
    it('neither repeats nor loses an entry while new ones arrive', () => {
        const dir = mkdtempSync(join(tmpdir(), 'sealgate-paging-'));
        const file = join(dir, 'index.sqlite');
        const ledger = new MemoryLedger();
        for (let i = 0; i < 250; i++)
            ledger.decision({ uid: uuid(i) });
        buildIndex(file, ledger);
        const before = ledger.all
            .flat()
            .map(({ seq }) => seq)
            .reverse();
        const found = [];
        let after;
        for (;;) {
            const db = openIndexForReading(file);
            const page = search(db, { filter: {}, ascending: false, limit: 30, ...(after && { after }) }, NEVER);
            db.close();
            found.push(...page.entries.map(({ seq }) => seq));
            if (page.next === null)
                break;
            after = parseQuery([['cursor', page.next]], 0).after;
            for (let i = 0; i < 20; i++)
                ledger.decision({ uid: uuid(1000 + i) });
            buildIndex(file, ledger);
        }
        expect(found).toEqual(before);
        rmSync(dir, { recursive: true });
    });
});
