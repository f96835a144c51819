import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EntryDetail } from '../../../src/api/detail.ts';
import type { FoundEntry, Page } from '../../../src/index/search.ts';
import type { Appended } from '../../../src/ledger/entry.ts';
import { leafHashHex } from '../../../src/ledger/leaf.ts';
import { openCheckpoint } from '../../../src/tlog/checkpoint.ts';
import { createVerifier } from '../../../src/tlog/verifier.ts';
import { annotation, BUNDLE, decisionAppend, eventAppend, LOG, uuid } from '../index/support.ts';
import { TestApi } from './support.ts';

type List = Page & { readonly current: boolean; readonly head: { shard: number; size: number } };
type Entry = EntryDetail & {
  readonly body: unknown;
  readonly links: FoundEntry['links'];
  readonly summary: FoundEntry;
};

describe('the query API', () => {
  let api: TestApi;
  let denied: Appended;
  let event: Appended;

  beforeAll(async () => {
    api = await TestApi.start();
    const results = [{ policy: 'admission.images', action: 'deny', message: 'no' }];
    [denied] = (await api.ledger.append('decision', [
      decisionAppend({ uid: uuid(1), allowed: false, results, user: 'bob', namespace: 'shop' }),
    ])) as [Appended];
    const annotations = annotation(api.ledger.origin, uuid(1), denied);
    [event] = (await api.ledger.append('audit', [
      eventAppend({ auditID: uuid(2), code: 403, user: 'bob', namespace: 'shop', annotations }),
    ])) as [Appended];
    await api.ledger.append(
      'decision',
      Array.from({ length: 25 }, (_, i) => decisionAppend({ uid: uuid(100 + i), name: `pod-${i}` })),
    );
  });
  afterAll(() => api?.stop());

  it('shows an entry as soon as it is committed, for a query waits for the index', async () => {
    for (let i = 0; i < 5; i++) {
      const uid = uuid(9000 + i);
      await api.ledger.append('decision', [decisionAppend({ uid })]);
      const list = await api.json<List>(`/v1/entries?uid=${uid}`);
      expect(list).toMatchObject({ current: true, next: null, incomplete: false });
      expect(list.entries).toMatchObject([{ kind: 'decision', uid }]);
    }
  });

  it('lists what matches with both sides of the join', async () => {
    const { entries } = await api.json<List>('/v1/entries?user=bob&namespace=shop');
    expect(entries).toMatchObject([
      {
        seq: event.seq,
        kind: 'event',
        code: 403,
        auditID: uuid(2),
        links: [{ state: 'verified', seq: denied.seq, allowed: false }],
      },
      {
        ...{
          seq: denied.seq,
          kind: 'decision',
          allowed: false,
          policies: [{ policy: 'admission.images', action: 'deny' }],
        },
        links: [{ state: 'verified', seq: event.seq, code: 403 }],
      },
    ]);
  });

  it('pages through everything once', async () => {
    const seen: number[] = [];
    let cursor = '';
    do {
      const page = await api.json<List>(`/v1/entries?kind=decision&limit=4${cursor}`);
      seen.push(...page.entries.map(({ seq }) => seq));
      cursor = page.next === null ? '' : `&cursor=${page.next}`;
    } while (cursor !== '');
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => b - a));
    expect(seen.length).toBeGreaterThanOrEqual(26);
  });

  it('gives an entry whole: a leaf that hashes to its hash, the body as recorded, and what verifies', async () => {
    const path = `/v1/entries/${denied.shard}/${denied.seq}`;
    const entry = await api.json<Entry>(path);
    expect(leafHashHex(Buffer.from(entry.leaf))).toBe(denied.leafHash);
    expect(entry).toMatchObject({
      ...{
        shard: 0,
        seq: denied.seq,
        origin: `${LOG}/0`,
        leafHash: denied.leafHash,
        salt: expect.stringMatching(/^[0-9a-f]{32}$/),
      },
      body: { review: { request: { uid: uuid(1), userInfo: { username: 'bob' } } } },
      checks: { body: 'good', previous: 'good', next: 'good', checkpoint: expect.stringMatching(/good|unknown/) },
      summary: { kind: 'decision', user: 'bob' },
      links: [{ state: 'verified', seq: event.seq }],
    });
    const short = await api.ask(`/v1/entries/${denied.seq}`);
    expect(short.headers['content-location']).toBe(path);
    expect(JSON.parse(short.text)).toMatchObject({ leafHash: denied.leafHash });
  });

  it('gives the body byte for byte, numbers that JavaScript cannot hold too', async () => {
    const body = Buffer.from('{"big":12345678901234567890,"pi":3.14000,"x":"\\u0041"}');
    const [landed] = await api.ledger.append('decision', [
      { kind: 'decision', body, extra: { uid: uuid(5), bundle: BUNDLE, allowed: true } },
    ]);
    expect((await api.ask(`/v1/entries/0/${landed!.seq}`)).text).toContain(`"body":${body.toString()}}`);
    const [text] = await api.ledger.append('audit', [{ kind: 'malformed', body: Buffer.from('not "JSON"') }]);
    expect(await api.json<Entry>(`/v1/entries/0/${text!.seq}`)).toMatchObject({
      body: 'not "JSON"',
      checks: { body: 'good' },
    });
  });

  it('says how far it is, by which key, and hands out the checkpoint and the key', async () => {
    expect(await api.json('/v1/status')).toMatchObject({
      ...{ version: '1.2.3', origin: `${LOG}/0`, vkey: api.ledger.vkey, bundle: 'sha256:abc' },
      head: { shard: 0, size: api.ledger.head().size },
      index: { shard: 0 },
    });
    expect((await api.ask('/v1/key')).text).toBe(`${api.ledger.vkey}\n`);
    const note = (await api.ask('/v1/checkpoint')).text;
    expect(
      openCheckpoint(note, { origin: `${LOG}/0`, verifiers: [createVerifier(api.ledger.vkey)] }).size,
    ).toBeGreaterThan(0);
  });

  it.each([
    ['/v1/entries?namespce=x', 400, 'QUERY_INVALID', 'did you mean namespace?'],
    ['/v1/entries?user=a&user=b', 400, 'QUERY_INVALID', 'more than once'],
    ['/v1/entries?user[x]=a', 400, 'QUERY_INVALID', 'no query parameter'],
    ['/v1/entries?limit=9999', 400, 'QUERY_INVALID', 'limit must be'],
    ['/v1/entries/0/99999', 404, 'ENTRY_NOT_FOUND', '0/99999'],
    ['/v1/entries/7/1', 404, 'ENTRY_NOT_FOUND', '7/1'],
    ['/v1/entries/x', 400, 'QUERY_INVALID', 'must be a number'],
    ['/v1/entries/-1', 400, 'QUERY_INVALID', 'must be a number'],
    ['/v1/entries/1?follow=1', 400, 'QUERY_INVALID', 'nothing else'],
    ['/v1/entries/%ff', 400, 'REQUEST_INVALID', 'malformed'],
    ['/v1/nothing', 404, 'REQUEST_INVALID', '/v1/entries'],
    ['/', 404, 'REQUEST_INVALID', '/v1/entries'],
  ])('answers %s with %i and an error that says what to do', async (path, status, code, message) => {
    const reply = await api.ask(path);
    expect(reply.status).toBe(status);
    const error = JSON.parse(reply.text) as { code: string; message: string };
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(api.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('refuses %s: it only reads', async (method) => {
    const reply = await api.ask('/v1/entries', {}, method);
    expect(reply).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    expect(reply.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('answers HEAD without a body, and does not stream to it', async () => {
    expect(await api.ask('/v1/status', {}, 'HEAD')).toMatchObject({ status: 200, text: '' });
    expect(await api.ask('/v1/entries?follow=1', {}, 'HEAD')).toMatchObject({ status: 200, text: '' });
  });

  it('tells browsers not to keep, guess, embed or share anything', async () => {
    const { headers } = await api.ask('/v1/status');
    expect(headers).toMatchObject({
      ...{ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' },
      ...{
        'cross-origin-resource-policy': 'same-origin',
        'content-security-policy': expect.stringContaining("'none'"),
      },
    });
    expect(headers['x-powered-by']).toBeUndefined();
  });
});

describe('the guard against web pages', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await TestApi.start({ allowedHosts: ['Sealgate.internal'] });
  });
  afterAll(() => api?.stop());

  it.each([
    ['localhost', 200],
    ['localhost:8080', 200],
    ['LOCALHOST:8080', 200],
    ['127.0.0.1:1', 200],
    ['[::1]:8080', 200],
    ['[::1]', 200],
    ['sealgate.internal:8080', 200],
    ['evil.example', 421],
    ['evil.example:8080', 421],
    ['localhost.evil.example', 421],
    ['127.0.0.1.evil.example', 421],
    ['evil.example:localhost', 421],
    ['localhost:8080:9', 421],
    ['[::1].evil.example', 421],
  ])('lets Host %s through or not: %i', async (host, status) => {
    expect((await api.ask('/v1/status', { host })).status).toBe(status);
  });

  it('refuses what the pages of other sites fetch or embed, and allows the address bar', async () => {
    const from = async (site: string) => (await api.ask('/v1/key', { 'sec-fetch-site': site })).status;
    expect([await from('cross-site'), await from('same-site'), await from('same-origin'), await from('none')]).toEqual([
      403, 403, 200, 200,
    ]);
  });
});
