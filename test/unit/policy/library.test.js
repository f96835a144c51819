import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle, rulesOf } from '../../../src/policy/bundle.js';
import { startBundle } from '../../../src/policy/engine.js';
import { matches } from '../../../src/policy/match.js';
import { RegoSet, toJson } from '../../../src/policy/terms.js';
import { builtinContext } from '../../support/builtin-context.js';
import { toolPath } from '../../support/tools.js';
import { reviews } from './reviews.js';
import { instanceOf, opaEval } from './support.js';
const POLICIES = join(import.meta.dirname, '../../../policies');
const REVIEWS = reviews(3000);
let bundle;
let engine;
/** For each review what `opa eval data.admission` says. */
let judged;
beforeAll(async () => {
    bundle = await buildBundle(toolPath('opa'), POLICIES);
    engine = await startBundle(bundle, { workers: 1, timeLimitMs: 5000, maxPending: 10 });
    judged = opaEval(POLICIES, '[x | some i; r := input[i]; x := data.admission with input as r]', JSON.stringify(REVIEWS));
}, 60_000);
afterAll(() => engine.close());
function factsOf({ request }) {
    const { kind, resource } = request;
    return {
        ...kind,
        resourceGroup: resource.group,
        resource: resource.resource,
        subresource: String(request.subResource ?? ''),
        operation: String(request.operation),
        namespace: String(request.namespace ?? ''),
        name: String(request.name),
        labels: {},
    };
}
const byText = (values) => values.map((value) => JSON.stringify(value)).sort();
describe('the shipped library', () => {
    it('passes its own Rego tests', () => {
        const output = execFileSync(toolPath('opa'), ['test', POLICIES], { encoding: 'utf8' });
        expect(Number(/PASS: (\d+)\//.exec(output)?.[1])).toBeGreaterThan(70);
    });
    it('gives every rule the value that opa eval gives it, on thousands of reviews, and every rule fires in some', async () => {
        expect(judged).toHaveLength(REVIEWS.length);
        const instance = await instanceOf(bundle);
        const fired = new Map();
        REVIEWS.forEach((review, i) => {
            instance.setInput(Buffer.from(JSON.stringify(review)));
            for (const { policy, rule, entrypoint } of rulesOf(bundle.info.policies)) {
                const value = instance.evaluate(entrypoint, builtinContext());
                const ours = value === undefined ? undefined : byText(toJson(value) ?? []);
                const theirs = judged[i]?.[policy.replace('admission.', '')]?.[rule];
                if (value instanceof RegoSet && value.members.length > 0)
                    fired.set(entrypoint, (fired.get(entrypoint) ?? 0) + 1);
                if (theirs === undefined || JSON.stringify(ours) !== JSON.stringify(byText(theirs))) {
                    expect({ entrypoint, review, ours }).toEqual({ entrypoint, review, ours: theirs && byText(theirs) });
                }
            }
        });
        const silent = rulesOf(bundle.info.policies).filter(({ entrypoint }) => {
            const count = fired.get(entrypoint) ?? 0;
            return count === 0 || count === REVIEWS.length;
        });
        expect(silent.map((rule) => rule.entrypoint)).toEqual([]);
    }, 60_000);
    it('gives through the engine the results of exactly the rules that match', async () => {
        const rules = rulesOf(bundle.info.policies);
        let denied = 0;
        for (const [i, review] of REVIEWS.slice(0, 500).entries()) {
            const facts = factsOf(review);
            const evaluation = await engine.evaluate(facts, Buffer.from(JSON.stringify(review)), performance.now() + 10_000);
            const expected = rules
                .filter((rule) => matches(rule.match, facts))
                .flatMap(({ policy, rule, action }) => {
                const members = judged[i]?.[policy.replace('admission.', '')]?.[rule] ?? [];
                return members.map((member) => [
                    policy,
                    action,
                    typeof member === 'string' ? member : member.msg,
                ]);
            });
            expect(evaluation.failures).toEqual([]);
            expect(byText(evaluation.results.map(({ policy, action, message }) => [policy, action, message]))).toEqual(byText(expected));
            expect(evaluation.allowed).toBe(!expected.some(([, action]) => action === 'deny'));
            if (!evaluation.allowed)
                denied++;
        }
        expect(denied).toBeGreaterThan(50);
        expect(denied).toBeLessThan(450);
    }, 60_000);
    it('denies the privileged pod of kubectl run, naming the container, and lets a pinned pause pod pass', async () => {
        const request = {
            operation: 'CREATE',
            kind: { group: '', version: 'v1', kind: 'Pod' },
            resource: { group: '', version: 'v1', resource: 'pods' },
            namespace: 'default',
            name: 'shell',
            userInfo: { username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] },
        };
        const container = { name: 'shell', image: `registry.k8s.io/pause@sha256:${'0'.repeat(64)}` };
        const review = (extra) => ({
            request: { ...request, object: { spec: { containers: [{ ...container, ...extra }] } } },
        });
        const run = (extra) => {
            const body = review(extra);
            return engine.evaluate(factsOf(body), Buffer.from(JSON.stringify(body)), performance.now() + 10_000);
        };
        const privileged = await run({ securityContext: { privileged: true } });
        expect(privileged.allowed).toBe(false);
        expect(privileged.results.map((result) => result.message)).toContain('container "shell" is privileged, which namespace default does not allow');
        expect((await run({})).allowed).toBe(true);
        expect((await run({ image: 'nginx:1.27' })).allowed).toBe(true);
    });
    it('describes every policy, with a severity, controls and a title, in docs/policies.md', () => {
        const page = readFileSync(join(POLICIES, '../docs/policies.md'), 'utf8');
        for (const { policy, title, description, rules } of bundle.info.policies) {
            expect([policy, typeof title, typeof description]).toEqual([policy, 'string', 'string']);
            expect(rules.every((rule) => rule.controls.length > 0), policy).toBe(true);
            expect(page, policy).toContain(`| \`${policy}\` |`);
            for (const control of rules.flatMap((rule) => rule.controls))
                expect(page, policy).toContain(control);
        }
    });
});
