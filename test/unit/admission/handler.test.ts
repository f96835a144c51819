import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createAdmissionHandler } from '../../../src/admission/handler.ts';
import type { AdmissionParts } from '../../../src/admission/types.ts';
import type { Append } from '../../../src/ledger/entry.ts';
import { type Entry, LedgerReader } from '../../../src/ledger/reader.ts';
import { SealgateError } from '../../../src/lib/errors.ts';
import { createRedactor } from '../../../src/redact/redactor.ts';
import { DEFAULT_REDACT_SETTINGS } from '../../../src/redact/settings.ts';
import { openTestLedger, places, tempDir } from '../ledger/temp-ledger.ts';
import { BUNDLE, engineSaying, evaluation, jsonOf, requestOf, result, reviewOf, UID } from './support.ts';

const CANARY = 'canary-value-that-must-never-be-recorded';
const SETTINGS = { maxDeadlineMs: 5000, deadlineMarginMs: 100, maxDepth: 10_000, onUnrecordable: 'deny' } as const;

/** A handler, and everything that its metrics and log were told. */
function handlerWith(parts: Pick<AdmissionParts, 'engine' | 'ledger'> & Partial<AdmissionParts>) {
  const told: unknown[][] = [];
  const tell =
    (name: string) =>
    (...values: unknown[]) =>
      void told.push([name, ...values]);
  const handler = createAdmissionHandler({
    redactor: createRedactor(DEFAULT_REDACT_SETTINGS),
    settings: SETTINGS,
    metrics: {
      decided: tell('decided'),
      refused: tell('refused'),
      unrecorded: tell('unrecorded'),
      undelivered: tell('undelivered'),
      redacted: tell('redacted'),
    },
    log: { warn: tell('warn'), error: tell('error') },
    ...parts,
  });
  const named = (name: string) => told.filter(([one]) => one === name).map(([, ...values]) => values);
  return { handler, told, named };
}

/** A ledger that takes nothing, or does with an append what it is told to. */
function ledgerThat(append: (entries: readonly Append[]) => Promise<never[]>) {
  return {
    origin: 'a.example/c/0/0',
    append: (_: 'decision', entries: readonly Append[]) => append(entries),
  };
}

async function recordedIn(root: string): Promise<(Entry & { json: Record<string, never> })[]> {
  const reader = LedgerReader.open(places(root).dir);
  try {
    return [...reader.entries(0, 1)].map((entry) => Object.assign(entry, { json: JSON.parse(entry.body.toString()) }));
  } finally {
    reader.close();
  }
}

describe('the admission handler', () => {
  it('answers after the decision is in the ledger, with the entry that holds it', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    const said = evaluation({
      allowed: false,
      results: [result('image has no digest', { details: { image: 'x' }, controls: ['X-1'] })],
      prints: [{ policy: 'admission.images', message: 'looked' }],
    });
    const engine = engineSaying(said);
    const { handler, named } = handlerWith({ engine, ledger });
    const body = JSON.stringify(reviewOf());
    const certificate = { commonName: 'kube-apiserver', organizations: [], fingerprint: 'f'.repeat(64) };
    const answer = await handler(requestOf(body, { peer: { address: '192.0.2.7', certificate } }));

    const [entry] = await recordedIn(root);
    expect(entry?.leaf).toMatchObject({ kind: 'decision', uid: UID, bundle: BUNDLE, allowed: false });
    expect(entry?.json).toEqual({
      caller: { address: '192.0.2.7', certificate },
      verdict: {
        allowed: false,
        results: said.results,
        failures: [],
        prints: said.prints,
        evaluated: said.evaluated,
        bundle: BUNDLE,
      },
      took: { receive: expect.any(Number), read: expect.any(Number), policies: expect.any(Number) },
      review: JSON.parse(body),
    });
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(jsonOf(answer).response).toMatchObject({
      uid: UID,
      allowed: false,
      auditAnnotations: { [`d.${UID}`]: `${ledger.origin}:1:${entry?.leafHash}` },
    });
    expect(engine.asked).toEqual([
      expect.objectContaining({ input: body, facts: expect.objectContaining({ name: 'web' }) }),
    ]);
    expect(named('decided')).toEqual([['denied', expect.any(Number)]]);
  });

  it('records the review byte for byte: numbers, order, escapes, duplicates, surrogates and NUL', async () => {
    const root = tempDir();
    const { handler } = handlerWith({ engine: engineSaying(evaluation()), ledger: await openTestLedger(root) });
    const odd = '{"n":12345678901234567890.10,"b":1,"a":"\\u0041\\/\\ud800\\u0000","a":"é"}';
    const body = `\n${JSON.stringify(reviewOf({ object: 0 })).replace(':0', ` : ${odd}`)} `;
    expect((await handler(requestOf(body))).status).toBe(200);
    const [entry] = await recordedIn(root);
    expect(entry?.body.toString()).toContain(`,"review":${body.trim()}}`);
  });

  it('takes the uid in capitals, answers with it as it came and records it in lower case', async () => {
    const root = tempDir();
    const { handler } = handlerWith({ engine: engineSaying(evaluation()), ledger: await openTestLedger(root) });
    const answer = await handler(requestOf(JSON.stringify(reviewOf({ uid: UID.toUpperCase() }))));
    expect(jsonOf(answer).response.uid).toBe(UID.toUpperCase());
    expect((await recordedIn(root))[0]?.leaf.uid).toBe(UID);
  });

  it('lets no removed value out: not in the entry, the answer, the metrics or the log', async () => {
    const root = tempDir();
    const base64 = Buffer.from(CANARY).toString('base64');
    const quotes = `has ${CANARY} and ${base64}`;
    const failure = { policy: 'admission.x', code: 'POLICY_FAILED', message: quotes, action: 'deny' } as const;
    const said = evaluation({
      allowed: false,
      results: [result(quotes, { details: { [CANARY]: [quotes] } }), result(quotes, { action: 'warn' })],
      failures: [failure, { ...failure, action: 'warn' }],
      prints: [{ policy: 'admission.x', message: quotes }],
    });
    const object = { kind: 'Secret', apiVersion: 'v1', metadata: { name: 's' }, data: { a: base64 } };
    const body = JSON.stringify(reviewOf({ object }));
    const engine = engineSaying(said);
    const outputs: string[] = [];
    for (const ledger of [
      await openTestLedger(root),
      ledgerThat(() => Promise.reject(new SealgateError('LEDGER_WRITE_FAILED', 'no'))),
    ]) {
      for (const onUnrecordable of ['deny', 'allow', 'error'] as const) {
        const settings = { ...SETTINGS, onUnrecordable };
        const { handler, told } = handlerWith({ engine, ledger, settings });
        outputs.push(JSON.stringify([jsonOf(await handler(requestOf(body))), told]));
      }
    }
    outputs.push(...(await recordedIn(root)).map((entry) => entry.body.toString()));
    expect(outputs).toHaveLength(9);
    for (const output of outputs) {
      expect(output).not.toContain(CANARY);
      expect(output).not.toContain(base64.slice(0, -2));
    }
    expect(engine.asked[0]?.input).toContain(base64);
  });

  it('decides every review that a real API server sent, one after the other and all at once', async () => {
    const root = tempDir();
    const engine = engineSaying(evaluation());
    const { handler } = handlerWith({ engine, ledger: await openTestLedger(root) });
    const folder = join(import.meta.dirname, '../../fixtures/reviews');
    const names = [
      '04-create-pods-debug',
      '12-connect-pods-exec-debug',
      '16-create-secrets-database',
      '36-delete-pods',
    ];
    const bodies = names.map((name) => readFileSync(join(folder, `${name}.json`)));
    const answers = await Promise.all([...bodies, ...bodies].map((body) => handler(requestOf(body))));
    const entries = await recordedIn(root);
    expect(entries).toHaveLength(8);
    expect(Math.min(...engine.scanned)).toBeGreaterThan(20);
    answers.forEach((answer, i) => {
      const { uid } = JSON.parse(bodies[i % 4]!.toString()).request;
      const [origin, seq, hash] = jsonOf(answer).response.auditAnnotations[`d.${uid}`].split(':');
      expect(origin).toMatch(/\/0$/);
      const entry = entries.find((one) => one.seq === Number(seq));
      expect([entry?.leafHash, entry?.leaf.uid]).toEqual([hash, uid]);
    });
  });
});

describe('a request that is no review', () => {
  const ledger = ledgerThat(() => expect.unreachable());
  const engine = engineSaying(() => expect.unreachable());

  it.each([
    ['another method', { method: 'GET' }, 405],
    ['no content type', { headers: {} }, 415],
    ['another content type', { headers: { 'content-type': 'application/vnd.kubernetes.protobuf' } }, 415],
    ['another charset', { headers: { 'content-type': 'application/json; charset=utf-16' } }, 415],
    ['a content encoding', { headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } }, 415],
    ['an unknown encoding', { headers: { 'content-type': 'application/json', 'content-encoding': 'x' } }, 415],
    ['no JSON', { body: Buffer.from('x') }, 400],
    ['too deep a body', { body: Buffer.from('['.repeat(20_000)) }, 400],
  ])('with %s gets a clean HTTP error and makes no entry', async (_, rest, status) => {
    const { handler, named } = handlerWith({ engine, ledger });
    const answer = await handler(requestOf(JSON.stringify(reviewOf()), rest));
    expect(answer).toMatchObject({ status, headers: { 'content-type': 'application/json' } });
    const { code, message } = jsonOf(answer);
    expect(code).toMatch(/^REQUEST_/);
    expect(message.length).toBeGreaterThan(5);
    expect(named('refused')).toEqual([[code]]);
  });

  it('is one whatever the content type says about UTF-8', async () => {
    for (const type of ['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"']) {
      const taken = ledgerThat(() => Promise.reject(new SealgateError('LEDGER_CLOSED', 'closed')));
      const settings = { ...SETTINGS, onUnrecordable: 'error' } as const;
      const { handler } = handlerWith({ engine: engineSaying(evaluation()), ledger: taken, settings });
      const headers = { 'content-type': type, 'content-encoding': 'identity' };
      expect((await handler(requestOf(JSON.stringify(reviewOf()), { headers }))).status).toBe(503);
    }
  });
});

describe('policies that give no verdict', () => {
  it.each([
    ['are overloaded', new SealgateError('POLICY_OVERLOADED', 'too many are waiting'), 'POLICY_OVERLOADED', 429],
    ['fail in an unknown way', new TypeError('x is not a function'), 'POLICY_FAILED', 403],
  ])('because they %s are a recorded denial', async (_, error, code, status) => {
    const root = tempDir();
    const engine = engineSaying(() => Promise.reject(error));
    const { handler, named } = handlerWith({ engine, ledger: await openTestLedger(root) });
    const { response } = jsonOf(await handler(requestOf(JSON.stringify(reviewOf()))));
    expect(response).toMatchObject({ allowed: false, status: { code: status } });
    expect(response.status.message).toContain(code);
    const [entry] = await recordedIn(root);
    expect(entry?.leaf).toMatchObject({ allowed: false, bundle: BUNDLE });
    expect(entry?.json['verdict']).toMatchObject({ allowed: false, failures: [{ code, action: 'deny' }] });
    expect(named('decided')).toEqual([['failed', expect.any(Number)]]);
  });

  it('within the deadline of the call are a recorded denial, in time', async () => {
    const root = tempDir();
    const engine = engineSaying(() => new Promise(() => undefined));
    const settings = { ...SETTINGS, deadlineMarginMs: 900 };
    const { handler } = handlerWith({ engine, ledger: await openTestLedger(root), settings });
    const request = requestOf(JSON.stringify(reviewOf()), { search: '?timeout=1s' });
    const { response } = jsonOf(await handler(request));
    expect(performance.now() - request.receivedAt).toBeLessThan(1000);
    expect(response.status.message).toContain('POLICY_TIMEOUT');
    expect(engine.asked[0]?.deadline).toBeCloseTo(request.receivedAt + 500, 0);
    expect((await recordedIn(root))[0]?.leaf.allowed).toBe(false);
  });

  it('because the time was up before they began are not asked at all', async () => {
    const root = tempDir();
    const engine = engineSaying(evaluation());
    const { handler } = handlerWith({ engine, ledger: await openTestLedger(root) });
    const receivedAt = performance.now() - 6000;
    const { response } = jsonOf(await handler(requestOf(JSON.stringify(reviewOf()), { receivedAt })));
    expect(response).toMatchObject({ allowed: false });
    expect(engine.asked).toEqual([]);
    expect((await recordedIn(root))[0]?.json['verdict']).toMatchObject({ failures: [{ code: 'POLICY_TIMEOUT' }] });
  });

  it('and a rejection that comes after the deadline harm nothing', async () => {
    const root = tempDir();
    const engine = engineSaying(async () => {
      await sleep(300);
      throw new SealgateError('POLICY_OVERLOADED', 'late');
    });
    const settings = { ...SETTINGS, deadlineMarginMs: 50 };
    const { handler } = handlerWith({ engine, ledger: await openTestLedger(root), settings });
    const request = requestOf(JSON.stringify(reviewOf()), { search: '?timeout=100ms' });
    expect(jsonOf(await handler(request)).response.status.message).toContain('POLICY_TIMEOUT');
    await sleep(300);
  });
});

describe('a client that left', () => {
  it('after the commit is recorded as such', async () => {
    const root = tempDir();
    const { handler, named } = handlerWith({ engine: engineSaying(evaluation()), ledger: await openTestLedger(root) });
    const delivered = await handler(requestOf(JSON.stringify(reviewOf())));
    const lost = await handler(requestOf(JSON.stringify(reviewOf())));
    delivered.onSent?.(true);
    lost.onSent?.(false);
    for (let i = 0; i < 100 && (await recordedIn(root)).length < 3; i++) await sleep(10);
    const entries = await recordedIn(root);
    expect(entries.map(({ leaf }) => leaf.kind)).toEqual(['decision', 'decision', 'undelivered']);
    expect(entries[2]?.leaf.uid).toBe(UID);
    expect(entries[2]?.json).toEqual({ decision: 2, shard: 0, reason: 'the client closed the connection' });
    expect(named('undelivered')).toEqual([[]]);
  });

  it('is logged when that cannot be recorded', async () => {
    const appended = [{ shard: 0, seq: 5, leafHash: 'a'.repeat(64) }];
    const ledger = {
      origin: 'a.example/c/0/0',
      append: (_: 'decision', [entry]: readonly Append[]) =>
        entry?.kind === 'decision'
          ? Promise.resolve(appended)
          : Promise.reject(new SealgateError('LEDGER_CLOSED', 'closed')),
    };
    const { handler, named } = handlerWith({ engine: engineSaying(evaluation()), ledger });
    (await handler(requestOf(JSON.stringify(reviewOf())))).onSent?.(false);
    await sleep(1);
    expect(named('error')).toEqual([[{ uid: UID, shard: 0, seq: 5, error: 'closed' }, expect.any(String)]]);
  });
});

describe('a decision that cannot be recorded', () => {
  const failing = () => ledgerThat(() => Promise.reject(new SealgateError('LEDGER_WRITE_FAILED', 'disk full')));

  it('is denied by default, whatever the policies said, and the client told to come again', async () => {
    for (const allowed of [true, false]) {
      const { handler, named } = handlerWith({ engine: engineSaying(evaluation({ allowed })), ledger: failing() });
      const answer = await handler(requestOf(JSON.stringify(reviewOf())));
      expect(answer.status).toBe(200);
      const { response } = jsonOf(answer);
      expect(response).toMatchObject({ uid: UID, allowed: false });
      expect(response.status).toMatchObject({
        code: 503,
        reason: 'ServiceUnavailable',
        message: expect.stringContaining('LEDGER_WRITE_FAILED'),
        details: { retryAfterSeconds: 1 },
      });
      expect(response.auditAnnotations).toBeUndefined();
      expect(named('unrecorded')).toEqual([['LEDGER_WRITE_FAILED', 'denied']]);
      expect(named('decided')).toEqual([]);
      expect(named('error')).toHaveLength(1);
    }
  });

  it('gets no verdict where that is configured, so that failurePolicy decides', async () => {
    const settings = { ...SETTINGS, onUnrecordable: 'error' } as const;
    const { handler, named } = handlerWith({ engine: engineSaying(evaluation()), ledger: failing(), settings });
    const answer = await handler(requestOf(JSON.stringify(reviewOf())));
    expect(answer.status).toBe(503);
    expect(answer.onSent).toBeUndefined();
    expect(jsonOf(answer)).toEqual({ code: 'LEDGER_WRITE_FAILED', message: expect.stringContaining('disk full') });
    expect(named('unrecorded')).toEqual([['LEDGER_WRITE_FAILED', 'error']]);
    expect(named('decided')).toEqual([]);
    expect(named('error')).toHaveLength(1);
  });

  it('gets the verdict of the policies with a warning where that is configured; a denial stays one', async () => {
    for (const allowed of [true, false]) {
      const said = evaluation({ allowed, results: allowed ? [] : [result('no')] });
      const settings = { ...SETTINGS, onUnrecordable: 'allow' } as const;
      const { handler, named } = handlerWith({ engine: engineSaying(said), ledger: failing(), settings });
      const { response } = jsonOf(await handler(requestOf(JSON.stringify(reviewOf()))));
      expect(response.allowed).toBe(allowed);
      expect(response.warnings).toEqual([expect.stringContaining('could not record')]);
      expect(response.auditAnnotations).toBeUndefined();
      expect(named('unrecorded')).toEqual([['LEDGER_WRITE_FAILED', allowed ? 'allowed' : 'denied']]);
    }
  });
});

describe('a mistake in Sealgate', () => {
  it('is a clean HTTP error, and neither it nor the log quotes the request', async () => {
    const redactor = {
      review: () => {
        throw new TypeError(`cannot read ${CANARY}`);
      },
    };
    const ledger = ledgerThat(() => expect.unreachable());
    const { handler, told } = handlerWith({ engine: engineSaying(evaluation()), ledger, redactor });
    const answer = await handler(requestOf(JSON.stringify(reviewOf())));
    expect([answer.status, jsonOf(answer).code]).toEqual([500, 'INTERNAL']);
    const all = JSON.stringify([jsonOf(answer), told]);
    expect(all).not.toContain(CANARY);
    expect(all).toContain('handler.test.ts');
  });
});
