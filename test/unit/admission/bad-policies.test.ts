// Policies and inputs that go wrong, through the handler with the real engine and a real ledger: each request gets its answer in
// time, and the answer, the record and the count say what went wrong and where.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAdmissionHandler } from '../../../src/admission/handler.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { startEngine } from '../../../src/policy/engine.ts';
import type { PolicyEngine } from '../../../src/policy/types.ts';
import { createRedactor } from '../../../src/redact/redactor.ts';
import { DEFAULT_REDACT_SETTINGS } from '../../../src/redact/settings.ts';
import { toolPath } from '../../support/tools.ts';
import { openTestLedger, places, tempDir } from '../ledger/temp-ledger.ts';
import { folder, removeFolders } from '../policy/support.ts';
import { jsonOf, requestOf, reviewOf } from './support.ts';

const when = (name: string, rule: string): string =>
  `# METADATA\n# custom: {match: {kinds: [${name}]}}\npackage admission.${name.toLowerCase()}\n\n${rule}\n`;
const list = JSON.stringify({ list: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, i])) });
const LOOP = ['a', 'b', 'c', 'd', 'e'].map((name) => `\tsome ${name} in data.list`).join('\n');
const POLICIES = {
  'data.json': list,
  'loops.rego': when('Loops', `deny contains "never" if {\n${LOOP}\n\te < 0\n}`),
  'grows.rego': when(
    'Grows',
    'deny contains "x" if count(numbers.range(1, 10000000 + count(input.request.name))) == 0',
  ),
  'shape.rego': when('Shape', 'deny contains {"text": "no msg"} if input.request.name'),
  'conflict.rego': when(
    'Conflict',
    'limit := 1 if input.request.name\n\nlimit := 2 if input.request.namespace\n\ndeny contains "x" if limit > 5',
  ),
  'key.rego': when(
    'Key',
    'limits[k] := v if {\n\tsome k in ["a"]\n\tsome v in [1, 2]\n}\n\ndeny contains "x" if limits.a > 5',
  ),
  'shift.rego': when('Shift', 'deny contains "x" if bits.lsh(1, 1000000000 + count(input.request.name)) == 0'),
  'text.rego': when(
    'Text',
    'deny contains sprintf(concat("", [x | some _ in numbers.range(1, 2000); x := "%1000000d"]), numbers.range(1, 2000))',
  ),
  'walks.rego': when('Walks', 'deny contains "found" if {\n\twalk(input.request.object, [_, "needle"])\n}'),
  'adds.rego': when('Adds', 'deny contains sprintf("%v", [input.request.object.n]) if input.request.object.n > 1'),
};

let engine: PolicyEngine;
/** Its limit is one of time alone: the loop comes to it long before it has filled the memory of an instance. */
let hasty: PolicyEngine;
beforeAll(async () => {
  const memory = { maxBytes: 256 * 1024 * 1024, recycleBytes: 64 * 1024 * 1024, heapMb: 256 };
  const options = { dir: folder(POLICIES), opa: toolPath('opa'), workers: 1, timeLimitMs: 20_000, maxPending: 10 };
  engine = await startEngine({ ...options, memory });
  hasty = await startEngine({ ...options, timeLimitMs: 200 });
});
afterAll(async () => {
  await engine.close();
  await hasty.close();
  removeFolders();
});

/** Asks with `body` and gives the answer, what was counted and what was recorded. */
async function ask(body: Buffer | string, asked = engine) {
  const root = tempDir();
  const decided: unknown[] = [];
  const refused: unknown[] = [];
  const handler = createAdmissionHandler({
    engine: asked,
    ledger: await openTestLedger(root),
    redactor: createRedactor(DEFAULT_REDACT_SETTINGS),
    settings: { maxDeadlineMs: 20_000, deadlineMarginMs: 100, maxDepth: 10_000, onUnrecordable: 'deny' },
    metrics: {
      decided: (outcome) => void decided.push(outcome),
      refused: (code) => void refused.push(code),
      unrecorded: () => undefined,
      undelivered: () => undefined,
      redacted: () => undefined,
    },
    log: { warn: () => undefined, error: () => undefined },
  });
  const answer = await handler(requestOf(body));
  const reader = LedgerReader.open(places(root).dir);
  const verdicts = [...reader.entries(0, 1)].map(({ body: recorded }) => JSON.parse(recorded.toString()).verdict);
  reader.close();
  return { status: answer.status, answer: jsonOf(answer), decided, refused, verdicts };
}

const about = (kind: string, object: object = {}): string =>
  JSON.stringify(reviewOf({ kind: { group: '', version: 'v1', kind }, object }));

describe('a policy that', () => {
  it.each([
    ['loops', 'Loops', 'POLICY_TIMEOUT', /within 200 ms .*\(deny at loops\.rego:5\)/],
    ['allocates without bound', 'Grows', 'POLICY_FAILED', /needs more memory .*\(deny at grows\.rego:5\)/],
    ['returns the wrong shape', 'Shape', 'POLICY_FAILED', /must have msg or message .*\(deny at shape\.rego:5\)/],
    [
      'gives one rule two values',
      'Conflict',
      'POLICY_FAILED',
      /conflict\.rego:7.*two values.*\(deny at conflict\.rego:9\)/,
    ],
    [
      'gives one key two values',
      'Key',
      'POLICY_FAILED',
      /key\.rego:5.*two values for one key.*\(deny at key\.rego:10\)/,
    ],
    ['shifts a bit out of sight', 'Shift', 'POLICY_FAILED', /number that is too large.*\(deny at shift\.rego:5\)/],
    ['makes a text without end', 'Text', 'POLICY_FAILED', /text that is too long \(deny at text\.rego:5\)/],
  ])(
    '%s denies, and the answer, the record and the count name it with file, line and rule',
    async (_, kind, code, message) => {
      const { answer, decided, verdicts } = await ask(about(kind), kind === 'Loops' ? hasty : engine);
      expect(answer.response.allowed).toBe(false);
      expect(answer.response.status.message).toContain(code);
      expect(answer.response.status.message).toMatch(message);
      expect(decided).toEqual(['failed']);
      const policy = `admission.${kind.toLowerCase()}`;
      const failure = { policy, code, action: 'deny', message: expect.stringMatching(message) };
      expect(verdicts).toMatchObject([{ allowed: false, failures: [failure], evaluated: [policy] }]);
      // And the next request finds the engine whole.
      expect((await ask(about('Walks', { a: 'needle' }))).decided).toEqual(['denied']);
    },
  );
});

describe('an input', () => {
  it('with numbers beyond every machine type reaches the policy and the record as it was written', async () => {
    for (const number of ['123456789012345678901234567890', '1e400', '0.1000000000000000055511151231257827']) {
      const body = about('Adds', { n: 0 }).replace('"n":0', `"n":${number}`);
      const { decided, verdicts } = await ask(body);
      expect(decided, number).toEqual([number.startsWith('0') ? 'allowed' : 'denied']);
      if (!number.startsWith('0')) expect(verdicts[0].results[0].message).toBe(number);
    }
  });

  it('nested as deep as is let in is decided and recorded, and a policy that cannot hold it fails alone', async () => {
    const nested = (body: string): string =>
      body.replace('"deep":0', `"deep":${'['.repeat(9_000)}${']'.repeat(9_000)}`);
    const taken = await ask(nested(about('Adds', { n: 2, deep: 0 })));
    expect(taken).toMatchObject({ decided: ['denied'], verdicts: [{ results: [{ message: '2' }], failures: [] }] });
    // The paths of all values in it are a value of some hundred MiB.
    const walked = await ask(nested(about('Walks', { deep: 0 })));
    const failure = { code: 'POLICY_FAILED', message: expect.stringContaining('(deny at walks.rego:5)') };
    expect(walked).toMatchObject({ decided: ['failed'], verdicts: [{ failures: [failure] }] });
  });

  it('of 8 MiB of text is decided and recorded', async () => {
    const { decided, verdicts } = await ask(about('Walks', { text: 'x'.repeat(8 * 1024 * 1024), last: 'needle' }));
    expect(decided).toEqual(['denied']);
    expect(verdicts).toMatchObject([{ failures: [], results: [{ message: 'found' }] }]);
  });

  it('that is not UTF-8, or nested deeper, is refused, counted, and decides nothing', async () => {
    const text = about('Walks', { name: 'MARK' });
    const [before = '', after = ''] = text.split('MARK');
    const bad = Buffer.concat([Buffer.from(before), Buffer.from([0xff, 0xc0, 0x80]), Buffer.from(after)]);
    expect(await ask(bad)).toMatchObject({ status: 400, refused: ['REQUEST_INVALID'], decided: [], verdicts: [] });
    const deep = text.replace('"MARK"', `${'['.repeat(20_000)}${']'.repeat(20_000)}`);
    expect(await ask(deep)).toMatchObject({ status: 400, refused: ['REQUEST_TOO_DEEP'], decided: [], verdicts: [] });
  });
});
