import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReview } from '../../../src/admission/review.ts';
import { JsonDocument } from '../../../src/lib/json-document.ts';
import { buildBundle, type CompiledBundle, rulesOf } from '../../../src/policy/bundle.ts';
import { startBundle } from '../../../src/policy/engine.ts';
import { matches } from '../../../src/policy/match.ts';
import { RegoSet, toJson } from '../../../src/policy/terms.ts';
import type { MatchFacts, PolicyEngine } from '../../../src/policy/types.ts';
import { builtinContext } from '../../support/builtin-context.ts';
import { toolPath } from '../../support/tools.ts';
import { reviews } from './reviews.ts';
import { instanceOf, opaEval } from './support.ts';

const POLICIES = join(import.meta.dirname, '../../../policies');
const REVIEWS = reviews(3000);

let bundle: CompiledBundle;
let engine: PolicyEngine;
/** For each review what `opa eval data.admission` says. */
let judged: Record<string, Record<string, unknown[]>>[];

beforeAll(async () => {
  bundle = await buildBundle(toolPath('opa'), POLICIES);
  engine = await startBundle(bundle, { workers: 1, timeLimitMs: 5000, maxPending: 10 });
  judged = opaEval(
    POLICIES,
    '[x | some i; r := input[i]; x := data.admission with input as r]',
    JSON.stringify(REVIEWS),
  ) as typeof judged;
}, 60_000);

afterAll(() => engine.close());

/** As the admission webhook reads them. */
function factsOf(body: Buffer): MatchFacts {
  return readReview(body, new JsonDocument(), 1000).facts;
}

const byText = (values: readonly unknown[]) => values.map((value) => JSON.stringify(value)).sort();

describe('the shipped library', () => {
  it('passes its own Rego tests', () => {
    const output = execFileSync(toolPath('opa'), ['test', POLICIES], { encoding: 'utf8' });
    expect(Number(/PASS: (\d+)\//.exec(output)?.[1])).toBeGreaterThan(70);
  });

  it('gives every rule the value that opa eval gives it, on thousands of reviews, and every rule fires in some', async () => {
    expect(judged).toHaveLength(REVIEWS.length);
    const instance = await instanceOf(bundle);
    const fired = new Map<string, number>();
    REVIEWS.forEach((review, i) => {
      instance.setInput(Buffer.from(JSON.stringify(review)));
      for (const { policy, rule, entrypoint } of rulesOf(bundle.info.policies)) {
        const value = instance.evaluate(entrypoint, builtinContext());
        const ours = value === undefined ? undefined : byText((toJson(value) as unknown[]) ?? []);
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

  it('gives through the engine the verdict of opa eval on the rules that match, on thousands of reviews', async () => {
    const rules = rulesOf(bundle.info.policies);
    const asked = new Set<string>();
    let denied = 0;
    for (const [i, review] of REVIEWS.entries()) {
      const body = Buffer.from(JSON.stringify(review));
      const facts = factsOf(body);
      const evaluation = await engine.evaluate(facts, body, performance.now() + 10_000);
      for (const policy of evaluation.evaluated) asked.add(policy);
      const expected = rules
        .filter((rule) => matches(rule.match, facts))
        .flatMap(({ policy, rule, action }) => {
          const members = judged[i]?.[policy.replace('admission.', '')]?.[rule] ?? [];
          return members.map((member) => [
            policy,
            action,
            typeof member === 'string' ? member : (member as { msg: string }).msg,
          ]);
        });
      expect(evaluation.failures).toEqual([]);
      expect(byText(evaluation.results.map(({ policy, action, message }) => [policy, action, message]))).toEqual(
        byText(expected),
      );
      expect(evaluation.allowed).toBe(!expected.some(([, action]) => action === 'deny'));
      if (!evaluation.allowed) denied++;
    }
    expect(denied).toBeGreaterThan(300);
    expect(denied).toBeLessThan(2700);
    expect([...asked].sort()).toEqual(bundle.info.policies.map(({ policy }) => policy).sort());
  }, 60_000);

  it('denies the privileged pod of kubectl run, naming the container, and lets a pinned pause pod pass', async () => {
    const request = {
      uid: '00000000-0000-4000-8000-000000000001',
      operation: 'CREATE',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'default',
      name: 'shell',
      userInfo: { username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] },
    };
    const container = { name: 'shell', image: `registry.k8s.io/pause@sha256:${'0'.repeat(64)}` };
    const review = (extra: object) => ({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: { ...request, object: { spec: { containers: [{ ...container, ...extra }] } } },
    });
    const run = (extra: object) => {
      const body = Buffer.from(JSON.stringify(review(extra)));
      return engine.evaluate(factsOf(body), body, performance.now() + 10_000);
    };
    const privileged = await run({ securityContext: { privileged: true } });
    expect(privileged.allowed).toBe(false);
    expect(privileged.results.map((result) => result.message)).toContain(
      'container "shell" is privileged, which namespace default does not allow',
    );
    expect((await run({})).allowed).toBe(true);
    expect((await run({ image: 'nginx:1.27' })).allowed).toBe(true);
  });

  it('describes every policy, with a severity, controls and a title, in docs/policies.md', () => {
    const page = readFileSync(join(POLICIES, '../docs/policies.md'), 'utf8');
    for (const { policy, title, description, rules } of bundle.info.policies) {
      expect([policy, typeof title, typeof description]).toEqual([policy, 'string', 'string']);
      expect(
        rules.every((rule) => rule.controls.length > 0),
        policy,
      ).toBe(true);
      expect(page, policy).toContain(`| \`${policy}\` |`);
      for (const control of rules.flatMap((rule) => rule.controls)) expect(page, policy).toContain(control);
    }
  });
});
