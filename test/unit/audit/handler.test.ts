import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Append, Appended } from '../../../src/ledger/entry.ts';
import { SealgateError } from '../../../src/lib/errors.ts';
import { openTestLedger, tempDir } from '../ledger/temp-ledger.ts';
import { eventOf, handlerWith, listOf, recordedIn, requestOf } from './support.ts';

const CANARY = 'canary-value-that-must-never-be-recorded';
const FIXTURES = join(import.meta.dirname, '../../fixtures');

describe('the audit handler', () => {
  it('acknowledges with an empty 200 when every event is in the ledger, byte for byte', async () => {
    const root = tempDir();
    const { handler, named } = handlerWith(await openTestLedger(root));
    const odd = `${JSON.stringify(eventOf(2)).slice(0, -1)}, "n" : 12345678901234567890.0, "x":"\\ud800\\u0000\\/é"}`;
    const certificate = { commonName: 'apiserver', organizations: ['x'], fingerprint: 'f'.repeat(64) };
    const peer = { address: '192.0.2.7', certificate };
    const body = listOf(eventOf(1), ` ${odd}\n`);
    expect(await handler(requestOf(body, { peer }))).toEqual({ status: 200 });
    const entries = recordedIn(root);
    expect(entries.map(({ leaf }) => leaf.kind)).toEqual(['event', 'event']);
    const source = JSON.stringify(peer);
    expect(entries[0]?.body.toString()).toBe(`{"source":${source},"event":${JSON.stringify(eventOf(1))}}`);
    expect(entries[1]?.body.toString()).toBe(`{"source":${source},"event":${odd}}`);
    const counts = { events: 2, duplicates: 0, malformed: 0, bytes: Buffer.byteLength(body) };
    expect(named('acknowledged')).toEqual([[counts, expect.any(Number)]]);
  });

  it('records every event that a real API server sent, in its order, without a secret', async () => {
    const root = tempDir();
    const { handler, told } = handlerWith(await openTestLedger(root));
    const wanted: string[] = [];
    for (const folder of ['audit', 'audit-full']) {
      for (const name of readdirSync(join(FIXTURES, folder)).toSorted()) {
        const body = readFileSync(join(FIXTURES, folder, name));
        wanted.push(
          ...JSON.parse(body.toString()).items.map((e: { auditID: string; stage: string }) => e.auditID + e.stage),
        );
        expect((await handler(requestOf(body))).status).toBe(200);
      }
    }
    const entries = recordedIn(root);
    const actual = entries.map(({ json }) => json['event'] as { auditID: string; stage: string });
    expect(actual.map((e) => e.auditID + e.stage)).toEqual(wanted);
    const all = entries.map(({ body }) => body.toString()).join('\n') + JSON.stringify(told);
    for (const needle of [CANARY, Buffer.from(CANARY).toString('base64').slice(0, 40), 'abc123']) {
      expect(all).not.toContain(needle);
    }
  });

  it('takes an empty list', async () => {
    const { handler } = handlerWith({ append: () => expect.unreachable() });
    expect(await handler(requestOf(listOf()))).toEqual({ status: 200 });
    expect(await handler(requestOf(listOf().replace('[]', 'null')))).toEqual({ status: 200 });
  });

  it('takes kind and apiVersion behind the items, as JSON has no order', async () => {
    const root = tempDir();
    const { handler } = handlerWith(await openTestLedger(root));
    const body = `{"items":[${JSON.stringify(eventOf(1))}],"apiVersion":"audit.k8s.io/v1","kind":"EventList"}`;
    expect((await handler(requestOf(body))).status).toBe(200);
    expect(recordedIn(root)).toHaveLength(1);
  });

  it('records a large batch whole and lets other work in between', async () => {
    let turns = 0;
    let turnsBefore = 0;
    const bodies: unknown[] = [];
    const ledger = {
      append: async (_: 'audit', entries: readonly Append[]) => {
        turnsBefore = turns;
        bodies.push(...entries.map(({ body }) => JSON.parse(body.toString()).event));
        return entries.map((_entry, seq) => at(seq));
      },
    };
    const { handler } = handlerWith(ledger);
    const count = () => {
      turns++;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    const filler = 'x'.repeat(1000);
    const items = Array.from({ length: 3000 }, (_, i) => eventOf(i, { userAgent: filler }));
    expect((await handler(requestOf(listOf(...items)))).status).toBe(200);
    clearImmediate(timer);
    expect(turnsBefore).toBeGreaterThan(2);
    expect(bodies).toEqual(items);
  });
});

describe('a batch beside decisions', () => {
  it('waits between its slices as long as somebody waits for a verdict, but not for ever', async () => {
    const items = Array.from({ length: 3000 }, (_, i) => eventOf(i, { userAgent: 'x'.repeat(1000) }));
    for (const forever of [false, true]) {
      let asked = 0;
      let recorded = 0;
      const append = async (_: 'audit', entries: readonly Append[]) => {
        recorded += entries.length;
        return entries.map((_entry, seq) => at(seq));
      };
      const decisionsWaiting = () => ++asked < 10 || forever;
      const { handler } = handlerWith({ append }, { decisionsWaiting });
      expect((await handler(requestOf(listOf(...items)))).status).toBe(200);
      expect(recorded).toBe(3000);
      expect(asked).toBeGreaterThan(10);
    }
  });
});

describe('a body that is no batch', () => {
  it.each([
    ['another method', { method: 'PUT' }, 405],
    ['another content type', { headers: { 'content-type': 'text/plain' } }, 415],
    ['an encoding', { headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } }, 415],
    ['no JSON', { body: Buffer.from('hello') }, 400],
    ['nothing', { body: Buffer.from('') }, 400],
    ['a cut-off list', { body: Buffer.from(listOf(eventOf(1)).slice(0, -1)) }, 400],
    ['another kind', { body: Buffer.from(listOf(eventOf(1)).replace('EventList', 'Event')) }, 400],
    ['another version', { body: Buffer.from(listOf(eventOf(1)).replace('k8s.io/v1', 'k8s.io/v1beta1')) }, 400],
    ['no items', { body: Buffer.from('{"kind":"EventList","apiVersion":"audit.k8s.io/v1"}') }, 400],
    ['items that are no list', { body: Buffer.from(listOf().replace('[]', '{}')) }, 400],
  ])('with %s gets a clean HTTP error, and nothing of it is recorded', async (_, rest, status) => {
    const { handler, named } = handlerWith({ append: () => expect.unreachable() });
    const answer = await handler(requestOf(listOf(eventOf(1)), rest));
    expect(answer).toMatchObject({ status, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(String(answer.body))).toMatchObject({ code: 'REQUEST_INVALID', message: expect.any(String) });
    expect(named('refused')).toEqual([['REQUEST_INVALID']]);
  });
});

describe('an item that is not an audit event', () => {
  it.each([
    ['a string', '"hello"', 'is not an object'],
    ['null', 'null', 'is not an object'],
    ['no auditID', JSON.stringify(eventOf(9, { auditID: undefined })), 'has no auditID'],
    ['an empty stage', JSON.stringify(eventOf(9, { stage: '' })), 'has no stage'],
    ['no level', JSON.stringify(eventOf(9, { level: 1 })), 'has no level'],
    ['no time', JSON.stringify(eventOf(9, { stageTimestamp: undefined })), 'has no stageTimestamp'],
    [
      'a wrong time',
      JSON.stringify(eventOf(9, { requestReceivedTimestamp: 'now' })),
      'has no requestReceivedTimestamp',
    ],
    ['no JSON', '{"level":tru}', 'JSON has something that is no value'],
    ['a brace too many', `${JSON.stringify(eventOf(9))}}`, 'JSON goes on after its end'],
    ['too deep', `{"a":${'['.repeat(10_001)}${']'.repeat(10_001)}}`, 'REQUEST_TOO_DEEP'],
  ])('(%s) is recorded as malformed; the good ones around it are recorded', async (_, item, error) => {
    const root = tempDir();
    const { handler, named } = handlerWith(await openTestLedger(root));
    expect((await handler(requestOf(listOf(eventOf(1), item, eventOf(2))))).status).toBe(200);
    const [first, bad, last] = recordedIn(root);
    expect([first?.json['event'], last?.json['event']]).toEqual([eventOf(1), eventOf(2)]);
    expect(bad?.leaf.kind).toBe('malformed');
    expect(bad?.json).toMatchObject({
      source: { address: '192.0.2.1' },
      error: expect.stringContaining(error),
      size: item.length,
    });
    expect(named('acknowledged')[0]?.[0]).toMatchObject({ events: 2, malformed: 1 });
    expect(named('warn')).toHaveLength(1);
  });

  it('is recorded with its beginning, as far as it is known to hold no body and to be within the limit', async () => {
    const root = tempDir();
    const { handler } = handlerWith(await openTestLedger(root), { settings: { maxDepth: 100, malformedBytes: 400 } });
    const user = `"level":"Request","verb":"get","user":{"username":"bob"}`;
    const secret = `"requestObject":{"kind":"Secret","data":{"a":"${CANARY}"}}`;
    const uri = `"requestURI":"/api/v1/namespaces/x/pods/y/exec?command=TOKEN%3D${CANARY}"`;
    const items: [string, string][] = [
      [`{${user}}`, `{${user}}`],
      [`{${user},${secret}}`, `{${user}`],
      [`{${user},"hello":"${CANARY}"}`, `{${user}`],
      [`{${user},${uri},${secret},"x":tru}`, `{${user},${uri.replace(CANARY, '[redacted]')}`],
      [`{${user},"userAgent":"${'x'.repeat(400)}"}`, `{${user}`],
      [`{${user},"userAgent":"unfinished}`, ''],
      [`["${CANARY}"]`, ''],
      [`"${CANARY}"`, ''],
    ];
    for (const [item] of items.filter(([, kept]) => kept !== '')) {
      expect((await handler(requestOf(listOf(item)))).status).toBe(200);
    }
    for (const [item] of items.slice(6)) expect((await handler(requestOf(listOf(item)))).status).toBe(200);
    const entries = recordedIn(root);
    const wanted = [...items.filter(([, kept]) => kept !== ''), ...items.slice(6)];
    expect(entries.map(({ json }) => json['item'])).toEqual(wanted.map(([, kept]) => kept));
    expect(entries.map(({ body }) => body.toString()).join()).not.toContain(CANARY);
  });

  it('is recorded whatever it is: no bytes between two events make a batch fail', async () => {
    const ledger = { append: async (_: 'audit', entries: readonly Append[]) => entries.map((_entry, seq) => at(seq)) };
    const { handler } = handlerWith(ledger);
    const text = JSON.stringify(eventOf(1, { annotations: { a: [1, null, true, '\u00e9'] } }));
    const change = fc.record({
      at: fc.nat(text.length),
      drop: fc.nat(3),
      put: fc.string({ unit: fc.constantFrom(...SOUP) }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        let item = text;
        for (const { at: where, drop, put } of changes) item = item.slice(0, where) + put + item.slice(where + drop);
        // Only what ends the list early, or the object with it, can be no item.
        const { status } = await handler(requestOf(listOf(eventOf(2), item)));
        if (!item.includes(']')) expect([item, status]).toEqual([item, 200]);
        else expect([200, 400]).toContain(status);
      }),
      { numRuns: 1000 },
    );
  });

  it('takes everything behind it along when nothing tells where the next one begins, and loses no byte count', async () => {
    const root = tempDir();
    const { handler } = handlerWith(await openTestLedger(root));
    const body = listOf(eventOf(1), '{"level":"Metadata","verb":"get', eventOf(2));
    expect((await handler(requestOf(body))).status).toBe(200);
    const [good, bad] = recordedIn(root);
    expect(good?.json['event']).toEqual(eventOf(1));
    expect(bad?.json).toMatchObject({ size: body.length - body.indexOf('{"level":"Metadata","verb":"get') });
  });

  it('is recorded when it is not UTF-8', async () => {
    const root = tempDir();
    const { handler } = handlerWith(await openTestLedger(root));
    const [before = '', after = ''] = listOf(eventOf(1), eventOf(2, { verb: '@' })).split('@');
    const body = Buffer.concat([Buffer.from(before), Buffer.from([0xff]), Buffer.from(after)]);
    expect((await handler(requestOf(body))).status).toBe(200);
    expect(recordedIn(root).map(({ leaf }) => leaf.kind)).toEqual(['event', 'malformed']);
    expect(recordedIn(root)[1]?.json['item']).toContain('"verb":"\ufffd"');
  });

  it('does not come in such numbers that a small batch would take all memory: the batch is refused', async () => {
    const root = tempDir();
    const { handler, named } = handlerWith(await openTestLedger(root));
    const answer = await handler(requestOf(listOf(Array.from({ length: 250_001 }, () => '0').join(','))));
    expect(answer.status).toBe(413);
    expect(named('refused')).toEqual([['REQUEST_TOO_LARGE']]);
    expect(recordedIn(root)).toEqual([]);
  });
});

describe('a batch that comes again', () => {
  it('makes one record of each event and one entry that counts the duplicates', async () => {
    const root = tempDir();
    const { handler, named } = handlerWith(await openTestLedger(root));
    await handler(requestOf(listOf(eventOf(1), eventOf(2), eventOf(3))));
    expect((await handler(requestOf(listOf(eventOf(2), eventOf(3), eventOf(4))))).status).toBe(200);
    const entries = recordedIn(root);
    expect(entries.map(({ leaf }) => leaf.kind)).toEqual(['event', 'event', 'event', 'event', 'redelivery']);
    expect(entries[4]?.json).toEqual({
      source: { address: '192.0.2.1' },
      events: 3,
      duplicates: 2,
      first: '0/2',
      last: '0/3',
    });
    expect(named('acknowledged')[1]?.[0]).toMatchObject({ events: 3, duplicates: 2 });
  });

  it('is known by its content, not by its auditID, which a client can choose', async () => {
    const root = tempDir();
    const { handler } = handlerWith(await openTestLedger(root));
    const other = eventOf(1, { verb: 'delete' });
    await handler(requestOf(listOf(eventOf(1), other, eventOf(1))));
    const entries = recordedIn(root);
    expect(entries.map(({ leaf }) => leaf.kind)).toEqual(['event', 'event', 'redelivery']);
    expect(entries[2]?.json).toMatchObject({ events: 3, duplicates: 1, first: '0/1', last: '0/1' });
  });

  it('is recorded again, malformed items, each time', async () => {
    const root = tempDir();
    const { handler } = handlerWith(await openTestLedger(root));
    await handler(requestOf(listOf('{"x":1}')));
    await handler(requestOf(listOf('{"x":1}')));
    expect(recordedIn(root).map(({ leaf }) => leaf.kind)).toEqual(['malformed', 'malformed']);
  });

  it('is not acknowledged before the first delivery is on disk', async () => {
    const { ledger, appends } = heldLedger();
    const { handler, window } = handlerWith(ledger);
    const order: string[] = [];
    const first = handler(requestOf(listOf(eventOf(1)))).then((a) => order.push(`first ${a.status}`));
    const second = handler(requestOf(listOf(eventOf(1)))).then((a) => order.push(`second ${a.status}`));
    const third = handler(requestOf(listOf(eventOf(1), eventOf(2)))).then((a) => order.push(`third ${a.status}`));
    await settle();
    expect(appends.map(({ entries }) => entries.length)).toEqual([1, 1]);
    appends[1]?.commit(50);
    await settle();
    expect(order).toEqual([]);
    appends[0]?.commit(10);
    await settle();
    // Both duplicates are noted now, and only then acknowledged.
    expect(order).toEqual(['first 200']);
    expect(appends.slice(2).map(({ entries }) => JSON.parse(String(entries[0]?.body)))).toEqual([
      expect.objectContaining({ duplicates: 1, first: '0/10', last: '0/10' }),
      expect.objectContaining({ duplicates: 1, first: '0/10', last: '0/10' }),
    ]);
    for (const append of appends.slice(2)) append.commit(60);
    await Promise.all([first, second, third]);
    expect(order.toSorted()).toEqual(['first 200', 'second 200', 'third 200']);
    expect(window.size).toBe(2);
  });

  it('fails with the first delivery that fails, and is new after that', async () => {
    const { ledger, appends } = heldLedger();
    const { handler, named } = handlerWith(ledger);
    const answers = [1, 2].map(() => handler(requestOf(listOf(eventOf(1)))));
    await settle();
    expect(appends).toHaveLength(1);
    appends[0]?.fail(new SealgateError('LEDGER_WRITE_FAILED', 'disk full'));
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([503, 503]);
    expect(named('refused')).toEqual([['LEDGER_WRITE_FAILED'], ['LEDGER_WRITE_FAILED']]);
    const again = handler(requestOf(listOf(eventOf(1))));
    await settle();
    expect(appends).toHaveLength(2);
    appends[1]?.commit(10);
    expect((await again).status).toBe(200);
  });

  it('fails with its own append, though it waits for others that fail later', async () => {
    const { ledger, appends } = heldLedger();
    const { handler } = handlerWith(ledger);
    const first = handler(requestOf(listOf(eventOf(1))));
    const second = handler(requestOf(listOf(eventOf(1), eventOf(2), eventOf(2))));
    await settle();
    // No rejection is left without somebody who listens: that would end the process.
    for (const append of appends.toReversed()) {
      append.fail(new SealgateError('LEDGER_WRITE_FAILED', 'no'));
      await settle();
    }
    expect([(await first).status, (await second).status]).toEqual([503, 503]);
  });

  it('is not acknowledged when the duplicates cannot be noted', async () => {
    const { ledger, appends } = heldLedger();
    const { handler } = handlerWith(ledger);
    const answer = handler(requestOf(listOf(eventOf(1), eventOf(1))));
    await settle();
    appends[0]?.commit(1);
    await settle();
    appends[1]?.fail(new SealgateError('LEDGER_OVERLOADED', 'later'));
    expect(await answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  });
});

describe('a batch that cannot be recorded', () => {
  it('gets 503, so that it comes again, and neither the answer nor the log quotes it', async () => {
    const error = new SealgateError('LEDGER_CLOSED', 'the ledger is closing');
    const { handler, told } = handlerWith({ append: () => Promise.reject(error) });
    const body = listOf(eventOf(1, { objectRef: { resource: 'secrets' }, requestObject: { data: { a: CANARY } } }));
    const answer = await handler(requestOf(body));
    expect(answer.status).toBe(503);
    expect(JSON.stringify([String(answer.body), told])).not.toContain(CANARY);
  });

  it('by a mistake in Sealgate gets a clean HTTP error', async () => {
    const redactor = {
      event: () => {
        throw new TypeError(CANARY);
      },
    };
    const { handler, told } = handlerWith({ append: () => expect.unreachable() }, { redactor });
    const answer = await handler(requestOf(listOf(eventOf(1))));
    expect(answer.status).toBe(500);
    expect(JSON.stringify([String(answer.body), told])).not.toContain(CANARY);
  });
});

const SOUP = '{}[]":,\\ 1tnue\u0000é';
const at = (seq: number): Appended => ({ shard: 0, seq, leafHash: 'a'.repeat(64) });

/** Long enough for everything that waits for nothing else. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

interface HeldAppend {
  readonly entries: readonly Append[];
  commit(first: number): void;
  fail(error: SealgateError): void;
}

/** A ledger whose commits a test decides about. */
function heldLedger() {
  const appends: HeldAppend[] = [];
  const ledger = {
    append: (_: 'audit', entries: readonly Append[]) => {
      const { promise, resolve, reject } = Promise.withResolvers<Appended[]>();
      const commit = (first: number) =>
        resolve(entries.map((_entry, i) => ({ shard: 0, seq: first + i, leafHash: 'a'.repeat(64) })));
      appends.push({ entries, commit, fail: reject });
      return promise;
    },
  };
  return { ledger, appends };
}
