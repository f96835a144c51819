import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FederatedPage } from '../../../src/api/federation.ts';
import type { FoundEntry } from '../../../src/index/search.ts';
import type { Appended } from '../../../src/ledger/entry.ts';
import { peerCertificates } from '../../support/peer-certificates.ts';
import { annotation, decisionAppend, type EventOptions, eventAppend, uuid } from '../index/support.ts';
import { listenForPeers, TestReplica } from './replicas.ts';

type List = FederatedPage & { head: { shard: number; size: number } };

const placeOf = ({ replica, shard, seq }: FoundEntry) => `${replica} ${shard}/${seq}`;

let replicas: TestReplica[] = [];
const at = (i: number): TestReplica => replicas[i]!;
const list = (i: number, path: string) => at(i).api.json<List>(`/v1/entries?${path}`);

async function decide(i: number, uid: string, more = {}): Promise<Appended> {
  const [landed] = await at(i).api.ledger.append('decision', [decisionAppend({ uid, ...more })]);
  return landed!;
}

async function record(i: number, options: EventOptions): Promise<Appended> {
  const [landed] = await at(i).api.ledger.append('audit', [eventAppend(options)]);
  return landed!;
}

async function allPages(i: number, parameters: string): Promise<FoundEntry[]> {
  const found: FoundEntry[] = [];
  for (let cursor = ''; ; ) {
    const { entries, next, replicas: parts } = await list(i, `${parameters}${cursor}`);
    expect(parts.every(({ answered }) => answered)).toBe(true);
    found.push(...entries);
    if (next === null) return found;
    cursor = `&cursor=${next}`;
  }
}

afterAll(async () => {
  for (const replica of replicas) await replica.stop();
});

describe('a query over three replicas', () => {
  beforeAll(async () => {
    replicas = await TestReplica.start(['sealgate-0', 'sealgate-1', 'sealgate-2']);
    for (let i = 0; i < 60; i++) await decide((i * 5 + (i >> 2)) % 3, uuid(i), { name: `pod-${i}` });
  });

  it.each(['newest', 'oldest'])('gives each entry once and by time, page by page, %s first', async (order) => {
    for (const limit of [1, 7, 50, 1000]) {
      const found = await allPages(limit % 3, `kind=decision&order=${order}&limit=${limit}&until=2100-01-01`);
      const names = found.map(({ name }) => name);
      expect(new Set(names).size).toBe(60);
      expect(found).toHaveLength(60);
      const times = found.map(({ time }) => time);
      expect(times).toEqual(order === 'newest' ? [...times].sort().reverse() : [...times].sort());
    }
    // Every one says whose it is.
    const { entries } = await list(0, 'limit=1000&kind=decision');
    expect(new Set(entries.map(({ replica }) => replica))).toEqual(new Set(['sealgate-0', 'sealgate-1', 'sealgate-2']));
  });

  it('gives no entry on a later page that came after the first, and misses none that was there', async () => {
    const before = await allPages(0, 'kind=decision&limit=1000');
    const found: FoundEntry[] = [];
    let cursor = '';
    for (let page = 0; ; page++) {
      const { entries, next } = await list(1, `kind=decision&limit=9${cursor}`);
      found.push(...entries);
      await decide(page % 3, uuid(5000 + page), { name: `late-${page}` });
      if (next === null) break;
      cursor = `&cursor=${next}`;
    }
    expect(found.map(placeOf)).toEqual(before.map(placeOf));
  });

  it('says how far each replica is, and asks only this one where that is wanted', async () => {
    const { replicas: parts, head } = await list(1, 'limit=1');
    expect(parts.map(({ replica }) => replica)).toEqual(['sealgate-1', 'sealgate-0', 'sealgate-2']);
    for (const part of parts) expect(part).toMatchObject({ answered: true, current: true, older: null });
    expect(parts[0]).toMatchObject({ head });
    const own = await list(1, 'limit=1000&local=1');
    expect(own.replicas).toBeUndefined();
    expect(own.entries).toHaveLength(head.size);
  });

  it('refuses the cursor of the other sort of query, saying which it is', async () => {
    const wide = (await list(0, 'limit=2')).next;
    const narrow = (await list(0, 'limit=2&local=1')).next;
    for (const [path, text] of [
      [`cursor=${wide}&local=1`, 'over all replicas'],
      [`cursor=${narrow}`, 'of one replica'],
      ['cursor=r.bm9uc2Vuc2U', 'malformed'],
    ]) {
      const { status, text: body } = await at(0).api.ask(`/v1/entries?${path}`, { host: 'localhost' });
      expect([status, body]).toEqual([400, expect.stringContaining(text as string)]);
      expect(body).toContain('QUERY_INVALID');
    }
  });

  it('is never passed on by the replicas that are asked', async () => {
    const before = [at(1).asked.answered, at(2).asked.answered];
    await list(0, 'limit=100');
    expect([at(1).asked.answered, at(2).asked.answered]).toEqual(before);
    expect([at(1).asked.failed, at(2).asked.failed]).toEqual([0, 0]);
  });

  it('joins a decision with its event in another ledger, from wherever it is asked', async () => {
    const uid = uuid(7001);
    const decision = await decide(0, uid, { allowed: false, user: 'bob' });
    const { origin } = at(0).api.ledger;
    const event = await record(1, {
      auditID: uuid(7002),
      code: 403,
      user: 'bob',
      annotations: annotation(origin, uid, decision),
    });
    for (const i of [0, 1, 2]) {
      const { entries } = await list(i, 'user=bob');
      expect(entries).toMatchObject([
        {
          ...{ replica: 'sealgate-1', seq: event.seq, kind: 'event' },
          links: [
            { state: 'verified', replica: 'sealgate-0', shard: 0, seq: decision.seq, kind: 'decision', allowed: false },
          ],
        },
        {
          ...{ replica: 'sealgate-0', seq: decision.seq, kind: 'decision' },
          links: [{ state: 'verified', replica: 'sealgate-1', shard: 0, seq: event.seq, kind: 'event', code: 403 }],
        },
      ]);
      expect(entries.every(({ links }) => links?.length === 1)).toBe(true);
    }
    // Alone, neither can know.
    expect((await list(1, 'user=bob&local=1')).entries).toMatchObject([{ links: [{ state: 'elsewhere' }] }]);
    expect((await list(0, 'user=bob&local=1')).entries[0]?.links).toBeUndefined();
  });

  it('shows a claim about a decision elsewhere that is not true', async () => {
    const uid = uuid(7101);
    const decision = await decide(0, uid, { user: 'eve' });
    const { origin } = at(0).api.ledger;
    const wrong = annotation(origin, uid, { ...decision, leafHash: 'ab'.repeat(32) });
    const nowhere = annotation(origin, uuid(7105), { ...decision, seq: 999_999 });
    await record(2, { auditID: uuid(7102), user: 'eve', annotations: wrong });
    await record(2, { auditID: uuid(7103), user: 'eve', annotations: nowhere });
    const { entries } = await list(1, 'user=eve');
    expect(entries.map(({ kind, links }) => [kind, links?.map(({ state, replica }) => [state, replica])])).toEqual([
      ['event', [['missing', 'sealgate-0']]],
      ['event', [['mismatch', 'sealgate-0']]],
      ['decision', [['mismatch', 'sealgate-2']]],
    ]);
  });

  it('lists an audit event once that reached several, in either order and however small the pages', async () => {
    const twice = Array.from(
      { length: 6 },
      (_, i): EventOptions => ({ auditID: uuid(7200 + i), user: 'carol', name: `web-${i}` }),
    );
    // As after a lost acknowledgement: a batch at one replica, then the same at another, with other things in between.
    for (const options of twice) await record(0, options);
    await record(1, { auditID: uuid(7210), user: 'carol', name: 'between' });
    for (const options of twice.slice(0, 4)) await record(1, options);
    await record(2, twice[0] as EventOptions);
    for (const order of ['newest', 'oldest']) {
      for (const limit of [1, 2, 3, 5, 100]) {
        const found = await allPages(2, `user=carol&order=${order}&limit=${limit}`);
        expect(found.map(({ name }) => name).sort()).toEqual(['between', ...twice.map(({ name }) => name)]);
        const copies = new Map(
          found.map((entry) => [
            entry.name,
            [entry.replica, ...(entry.copies ?? []).map(({ replica }) => replica)].sort(),
          ]),
        );
        expect(copies.get('web-0')).toEqual(['sealgate-0', 'sealgate-1', 'sealgate-2']);
        expect(copies.get('web-3')).toEqual(['sealgate-0', 'sealgate-1']);
        expect(copies.get('web-5')).toEqual(['sealgate-0']);
      }
    }
  });

  it('lists both of two events that only have the same audit id: a client chooses that', async () => {
    await record(0, { auditID: uuid(7300), user: 'mallory', verb: 'create' });
    await record(1, { auditID: uuid(7300), user: 'mallory', verb: 'delete' });
    const { entries } = await list(0, 'user=mallory');
    expect(entries.map(({ verb, copies }) => [verb, copies])).toEqual([
      ['delete', undefined],
      ['create', undefined],
    ]);
  });

  it('gives an entry of another replica whole, with its checks and both ends of its join', async () => {
    const uid = uuid(7401);
    const decision = await decide(2, uid, { user: 'dave' });
    const { origin } = at(2).api.ledger;
    await record(1, { auditID: uuid(7402), user: 'dave', annotations: annotation(origin, uid, decision) });
    for (const named of ['sealgate-2', 'example.org/test/sealgate-2']) {
      const path = `/v1/entries/0/${decision.seq}?replica=${encodeURIComponent(named)}`;
      const whole = await at(0).api.json<
        FoundEntry & { origin: string; leafHash: string; checks: object; summary: object; body: object }
      >(path);
      expect(whole).toMatchObject({
        ...{ replica: 'sealgate-2', origin, seq: decision.seq, leafHash: decision.leafHash },
        ...{ checks: { body: 'good', previous: 'good' }, summary: { kind: 'decision', uid } },
        links: [{ state: 'verified', replica: 'sealgate-1' }],
        body: { review: { request: { uid } } },
      });
    }
    const nobody = await at(0).api.ask('/v1/entries/0/1?replica=sealgate-9', { host: 'localhost' });
    expect([nobody.status, nobody.text]).toEqual([503, expect.stringContaining('sealgate-0, sealgate-1, sealgate-2')]);
    const none = await at(0).api.ask('/v1/entries/0/99999?replica=sealgate-2', { host: 'localhost' });
    expect([none.status, none.text]).toEqual([404, expect.stringContaining('sealgate-2 has no entry 0/99999')]);
  });

  it('names the replica that does not answer, why, and goes on without it', async () => {
    const { next } = await list(0, 'limit=5');
    const port = await at(1).deafen();
    const page = await list(0, 'limit=1000&kind=decision');
    expect(page.replicas.find(({ replica }) => replica === 'sealgate-1')).toEqual({
      ...{ replica: 'sealgate-1', answered: false, why: 'connection refused' },
    });
    expect(new Set(page.entries.map(({ replica }) => replica))).toEqual(new Set(['sealgate-0', 'sealgate-2']));
    const second = await list(0, `limit=5&cursor=${next}`);
    expect(second.replicas.find(({ replica }) => replica === 'sealgate-1')).toMatchObject({ answered: false });
    await at(1).listen(port);
    // What it has belongs on pages that are over: it is named on all that follow.
    const third = await list(0, `limit=5&cursor=${second.next}`);
    expect(third.replicas.find(({ replica }) => replica === 'sealgate-1')).toMatchObject({
      ...{ answered: false, why: expect.stringContaining('begin it again') },
    });
    expect((await list(0, 'limit=5')).replicas.every(({ answered }) => answered)).toBe(true);
  });

  it('is followed over all: what comes anywhere comes once, and who is away is named until it is back', async () => {
    const abort = new AbortController();
    const { tail } = await list(0, 'limit=1');
    const response = await fetch(at(0).api.url(`/v1/entries?follow=1&user=frank&cursor=${tail}`), {
      signal: abort.signal,
    });
    const lines: (FoundEntry & { replicas?: { missing: { replica: string }[] } })[] = [];
    let wake = () => {};
    const reading = (async () => {
      let rest = '';
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const whole = (rest + chunk).split('\n');
        rest = whole.pop() ?? '';
        lines.push(...whole.filter((line) => line !== '').map((line) => JSON.parse(line)));
        wake();
      }
    })().catch(() => undefined);
    const until = async (good: () => boolean): Promise<void> => {
      while (!good()) await new Promise<void>((resolve) => (wake = resolve));
    };
    const names = () => lines.flatMap(({ name }) => (name === undefined ? [] : [name]));
    for (const i of [0, 1, 2]) await decide(i, uuid(7500 + i), { user: 'frank', name: `first-${i}` });
    await until(() => names().length >= 3);
    expect(names().sort()).toEqual(['first-0', 'first-1', 'first-2']);
    const event: EventOptions = { auditID: uuid(7510), user: 'frank', name: 'twice' };
    await record(0, event);
    await until(() => names().includes('twice'));
    await record(2, event);
    await decide(2, uuid(7511), { user: 'frank', name: 'after' });
    await until(() => names().includes('after'));
    expect(names().filter((name) => name === 'twice')).toHaveLength(1);

    const port = await at(1).deafen();
    await until(() =>
      lines.some(({ replicas: parts }) => parts?.missing.some(({ replica }) => replica === 'sealgate-1')),
    );
    await decide(1, uuid(7520), { user: 'frank', name: 'while-away' });
    await at(1).listen(port);
    await until(() => names().includes('while-away'));
    await until(() => lines.some(({ replicas: parts }) => parts?.missing.length === 0));
    expect(new Set(names()).size).toBe(names().length);
    abort.abort();
    await reading;
  }, 120_000);
});

describe('a replica that is none', () => {
  const opened: (() => unknown)[] = [];
  let three: TestReplica[] = [];

  afterEach(async () => {
    for (const close of opened.splice(0)) await close();
    for (const replica of three) await replica.stop();
    three = [];
  });

  const missing = async () => {
    const page = await three[0]!.api.json<List>('/v1/entries');
    return page.replicas.filter(({ answered }) => !answered);
  };

  it('under a certificate of another CA is not asked, and cannot ask', async () => {
    const other = await peerCertificates('replicas.test');
    let asked = 0;
    const stranger = await listenForPeers(async () => ({ status: asked++ === 0 ? 200 : 500 }), other);
    opened.push(() => stranger.drain(0));
    const address = `127.0.0.1:${stranger.port}`;
    three = await TestReplica.start(['sealgate-0'], { addresses: [address] });
    expect(await missing()).toEqual([{ replica: address, answered: false, why: 'its certificate is of another CA' }]);
    expect(asked).toBe(0);
  });

  it('that never answers costs no more than its time, once', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    opened.push(() => server.close());
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    // The certificate of this server is none at all, so the handshake fails or hangs: either way it is named.
    let connections = 0;
    server.on('connection', (socket) => {
      connections++;
      socket.pause();
    });
    three = await TestReplica.start(['sealgate-0'], { addresses: [address], timeoutMs: 300 });
    expect(await missing()).toMatchObject([{ replica: address, why: expect.stringMatching(/./) }]);
    expect(connections).toBeGreaterThan(0);
  });

  it.each([
    [
      'another version of the protocol',
      {
        status: 200,
        body: '{"protocol":2,"instance":"x","cluster":"example.org/test","replica":"sealgate-1","version":"9","answer":null}',
      },
      'version 2 of the peer protocol (Sealgate 9)',
    ],
    [
      'another log',
      {
        status: 200,
        body: '{"protocol":1,"instance":"x","cluster":"example.org/other","replica":"sealgate-1","version":"9","answer":null}',
      },
      'a replica of example.org/other',
    ],
    [
      'this one under another name',
      {
        status: 200,
        body: '{"protocol":1,"instance":"x","cluster":"example.org/test","replica":"sealgate-0","version":"9","answer":null}',
      },
      'which is this one',
    ],
    ['nonsense', { status: 200, body: 'hello' }, 'not JSON'],
    ['a refusal', { status: 500, body: '' }, 'status 500'],
  ])('of %s is named with the reason', async (_, answer, why) => {
    const more: { addresses: string[] } = { addresses: [] };
    three = await TestReplica.start(['sealgate-0'], more);
    const fake = await listenForPeers(async () => answer, three[0]!.pair);
    opened.push(() => fake.drain(0));
    three[0]!.addresses.push(`127.0.0.1:${fake.port}`);
    const [one, ...rest] = await missing();
    expect(rest).toEqual([]);
    expect(one?.why).toContain(why);
  });

  it('that lies about copies cannot hide an entry of another', async () => {
    three = await TestReplica.start(['sealgate-0']);
    const options: EventOptions = { auditID: uuid(1), user: 'bob', name: 'true' };
    await three[0]!.api.ledger.append('audit', [eventAppend(options)]);
    const [honest] = (await three[0]!.api.json<List>('/v1/entries?user=bob&local=1')).entries;
    // It lists something else under the same id, says that it is the same, and was there first.
    const false_ = { ...honest, seq: 7, name: 'false', time: '2020-01-01T00:00:00.000000Z' };
    const page = {
      entries: [false_],
      next: null,
      tail: 'MS4wLjc',
      incomplete: false,
      indexed: null,
      current: true,
      head: { shard: 0, size: 8 },
      older: null,
    };
    const fake = await listenForPeers(async ({ body }) => {
      const { ask } = JSON.parse(body.toString()) as { ask: { type: string; lookup: Record<string, unknown[]> } };
      const { lookup } = ask;
      const answer =
        ask.type === 'search'
          ? page
          : ask.type === 'lookup'
            ? {
                claims: lookup['claims']!.map(() => null),
                naming: [],
                copies: lookup['events']!.map(() => [
                  { entry: false_, hash: '0'.repeat(64) },
                  { entry: honest, hash: '0'.repeat(64) },
                ]),
                hashes: lookup['places']!.map(() => '0'.repeat(64)),
              }
            : null;
      const whole = {
        protocol: 1,
        instance: 'x',
        cluster: 'example.org/test',
        replica: 'sealgate-1',
        version: '1',
        answer,
      };
      return { status: 200, body: JSON.stringify(whole) };
    }, three[0]!.pair);
    opened.push(() => fake.drain(0));
    three[0]!.addresses.push(`127.0.0.1:${fake.port}`);
    for (const order of ['newest', 'oldest']) {
      const { entries } = await three[0]!.api.json<List>(`/v1/entries?user=bob&order=${order}`);
      expect(entries.find(({ replica }) => replica === 'sealgate-0')).toMatchObject({ name: 'true' });
    }
  });

  it('is expected and has no address is missing by its name', async () => {
    three = await TestReplica.start(['sealgate-0'], {
      ...{ service: 'replicas.test', expected: ['sealgate-0', 'sealgate-1'] },
      resolve: async (name) => (name === 'replicas.test' ? [] : Promise.reject(new Error('ENOTFOUND'))),
    });
    expect(await missing()).toEqual([
      { replica: 'sealgate-1', answered: false, why: 'no address under sealgate-1.replicas.test' },
    ]);
  });
});
