import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decisionEntry } from '../../../src/admission/record.ts';
import type { Verdict } from '../../../src/admission/verdict.ts';
import { BUNDLE, UID } from './support.ts';

const REVIEW = Buffer.from('{"request":{"name":"wéb"}}');
const REDACTED = {
  bytes: REVIEW,
  changed: false,
  scrub: (text: string) => text,
  scrubValue: (value: unknown) => value,
};
const PEERS = [{ address: '192.0.2.1' }, { address: '192.0.2.2', certificate: undefined }] as const;

const text: fc.Arbitrary<string> = fc.constantFrom('', 'a', 'é');
/** Most have none. */
const seldom = (list: fc.Arbitrary<string[]>) =>
  fc.tuple(list, fc.nat(4)).map(([texts, dice]) => (dice === 0 ? texts : []));
const verdicts: fc.Arbitrary<Verdict> = fc
  .record({
    allowed: fc.boolean(),
    messages: seldom(fc.array(text, { maxLength: 2 })),
    prints: seldom(fc.array(text, { maxLength: 1 })),
    evaluated: fc.array(text, { maxLength: 4 }),
    bundle: fc.constantFrom(BUNDLE, `sha256:${'c'.repeat(64)}`),
    further: fc.constantFrom({}, {}, {}, { data: { revision: 1 } }, { omitted: 2 }),
  })
  .map(({ allowed, messages, prints, evaluated, bundle, further }) => ({
    allowed,
    results: [],
    failures: messages.map((message) => ({ policy: 'p', code: 'POLICY_FAILED', message, action: 'deny' })),
    prints: prints.map((message) => ({ policy: 'p', message })),
    ...{ evaluated, bundle, ...further },
  }));
const times = fc.double({ min: 0, max: 1e6, noNaN: true });
const micros = (ms: number) => Math.round(ms * 1000) / 1000;

describe('the body of a decision', () => {
  it('is what JSON.stringify makes of its parts, whatever was written before', () => {
    const decisions = fc.tuple(fc.constantFrom(...PEERS), verdicts, times, times, times);
    void fc.assert(
      fc.property(fc.array(decisions, { maxLength: 40 }), (all) => {
        for (const [peer, verdict, receive, read, policies] of all) {
          const { body } = decisionEntry(UID, peer as never, verdict, { receive, read, policies }, REDACTED);
          const took = { receive: micros(receive), read: micros(read), policies: micros(policies) };
          const head = JSON.stringify({ caller: peer, verdict, took }).slice(0, -1);
          expect(Buffer.from(body).toString()).toBe(`${head},"review":${REVIEW}}`);
        }
      }),
      { numRuns: 300 },
    );
  });
});
