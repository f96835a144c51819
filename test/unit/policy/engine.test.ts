import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type EngineOptions, startEngine } from '../../../src/policy/engine.ts';
import type { MatchFacts, PolicyEngine } from '../../../src/policy/types.ts';
import { toolPath } from '../../support/tools.ts';

const POD: MatchFacts = {
  group: '',
  version: 'v1',
  kind: 'Pod',
  resource: 'pods',
  subresource: '',
  operation: 'CREATE',
  namespace: 'default',
  name: 'web',
  labels: {},
};

const dirs: string[] = [];
const engines: PolicyEngine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});

function folder(files: Record<string, string>): string {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-engine-'));
  dirs.push(dir);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return dir;
}

async function engineOf(files: Record<string, string>, options: Partial<EngineOptions> = {}): Promise<PolicyEngine> {
  const defaults = { dir: folder(files), opa: toolPath('opa'), workers: 1, timeLimitMs: 2000, maxPending: 100 };
  const engine = await startEngine({ ...defaults, ...options });
  engines.push(engine);
  return engine;
}

function evaluate(engine: PolicyEngine, input: unknown, facts: Partial<MatchFacts> = {}, ms = 5000) {
  const bytes = Buffer.from(typeof input === 'string' ? input : JSON.stringify(input));
  return engine.evaluate({ ...POD, ...facts }, bytes, performance.now() + ms);
}

const NAMES = `# METADATA
# title: Names
# custom:
#   severity: high
#   controls: [X-1]
#   remediation: Rename it.
package admission.names

deny contains sprintf("name %v is taken", [input.request.name]) if input.request.name == data.taken

warn contains {"msg": "odd", "name": input.request.name} if startswith(input.request.name, "odd")
`;

describe('the policy engine', () => {
  it('gives each member of each rule as a result with its policy, action, severity, controls and details', async () => {
    const engine = await engineOf({ 'names.rego': NAMES, 'data.json': '{"taken": "odd-web"}' });
    const evaluation = await evaluate(engine, { request: { name: 'odd-web' } });
    expect(evaluation).toMatchObject({
      allowed: false,
      failures: [],
      prints: [],
      evaluated: ['admission.names'],
      bundle: engine.bundle.digest,
      results: [
        {
          policy: 'admission.names',
          rule: 'deny',
          action: 'deny',
          severity: 'high',
          message: 'name odd-web is taken',
          controls: ['X-1'],
          remediation: 'Rename it.',
        },
        { rule: 'warn', action: 'warn', message: 'odd', details: { name: 'odd-web' } },
      ],
    });
    expect((await evaluate(engine, { request: { name: 'fine' } })).allowed).toBe(true);
  });

  it('keeps the verdicts of the other policies when one fails', async () => {
    const engine = await engineOf({
      'a.rego': 'package admission.a\n\ndeny := {"one"} if input.x\n\ndeny := {"two"} if input.y\n',
      'b.rego': 'package admission.b\n\ndeny contains "b says no" if input.x\n',
      'c.rego': 'package admission.c\n\ndeny contains 7 if input.x\n',
    });
    const evaluation = await evaluate(engine, { x: true, y: true });
    expect(evaluation.results.map((result) => result.message)).toEqual(['b says no']);
    expect(evaluation.failures).toMatchObject([
      { policy: 'admission.a', code: 'POLICY_FAILED', action: 'deny', message: expect.stringContaining('a.rego:5') },
      { policy: 'admission.c', code: 'POLICY_FAILED', message: expect.stringContaining('one is a number') },
    ]);
  });
});
