import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { Agent } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { HttpAnswer, HttpHandler, HttpRequest } from '../../../src/lib/http.ts';
import type { Route } from '../../../src/server/exchange.ts';
import { type ListenerOptions, openListener, type TlsListener } from '../../../src/server/listener.ts';
import { type TestCertificates, testCertificates } from './certificates.ts';
import { call, raw } from './client.ts';

const MIB = 2 ** 20;
const LIMITS = {
  maxConnections: 100,
  headersTimeoutMs: 5000,
  requestTimeoutMs: 5000,
  keepAliveTimeoutMs: 60_000,
  maxInFlightBytes: 64 * MIB,
};

let certificates: TestCertificates;
let listener: TlsListener | undefined;
let rejected: string[] = [];
let logged: unknown[] = [];

beforeAll(async () => {
  certificates = await testCertificates();
});

afterEach(async () => {
  await listener?.drain(0);
  listener = undefined;
  rejected = [];
  logged = [];
});

type Changes = Partial<Omit<ListenerOptions, 'limits'>> & {
  limits?: Partial<ListenerOptions['limits']>;
  limit?: number;
};

async function open(handler: HttpHandler, { limits, limit = MIB, ...changes }: Changes = {}): Promise<TlsListener> {
  const route: Route = { method: 'POST', path: '/v1/test', bodyLimitBytes: limit, handler };
  listener = await openListener({
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    material: { ...certificates.server, clientCa: certificates.ca },
    clientCertificates: 'none',
    routes: [route],
    limits: { ...LIMITS, ...limits },
    metrics: { rejected: (reason) => rejected.push(reason), opened: () => {} },
    log: { error: (...line: unknown[]) => void logged.push(line) },
    ...changes,
  });
  return listener;
}

const echo: HttpHandler = async ({ body }) => ({ status: 200, headers: { 'x-kind': 'echo' }, body });
const tls = () => ({ ca: certificates.ca });
const withClient = () => ({ ca: certificates.ca, ...certificates.client });

/** A handler that waits until it is told to answer, and what it was given. */
function held() {
  const arrived = Promise.withResolvers<HttpRequest>();
  const answer = Promise.withResolvers<HttpAnswer>();
  const handler: HttpHandler = (request) => {
    arrived.resolve(request);
    return answer.promise;
  };
  return { handler, arrived: arrived.promise, answer: answer.resolve };
}

describe('a request', () => {
  it('reaches the handler with its path, query, headers, body and peer, and gets the answer', async () => {
    const seen = vi.fn<(request: HttpRequest) => void>();
    const before = performance.now();
    const { port } = await open(async (request) => {
      seen(request);
      return { status: 201, headers: { 'content-type': 'text/plain' }, body: 'made' };
    });
    const answer = await call(port, tls(), {
      path: '/v1/test?timeout=5s&x=%20',
      body: '{"a":1}',
      headers: { 'X-One': '1' },
    });
    expect(answer).toMatchObject({ status: 201, text: 'made' });
    expect(answer.headers).toMatchObject({
      'content-type': 'text/plain',
      'content-length': '4',
    });
    const [request] = seen.mock.calls[0]!;
    expect(request.path).toBe('/v1/test');
    expect([...request.query]).toEqual([
      ['timeout', '5s'],
      ['x', ' '],
    ]);
    expect(request.headers['x-one']).toBe('1');
    expect(request.body.toString()).toBe('{"a":1}');
    expect(request.peer).toEqual({ address: '127.0.0.1' });
    expect(request.signal.aborted).toBe(false);
    expect(request.receivedAt).toBeGreaterThan(before);
    expect(rejected).toEqual([]);
  });

  it('may come in chunks without a length', async () => {
    const { port } = await open(echo);
    const { socket, closed } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n');
    for (const part of ['one', 'two', 'three']) {
      socket.write(`${part.length}\r\n${part}\r\n`);
      await sleep(5);
    }
    socket.write('0\r\n\r\n');
    expect(await closed).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\nonetwothree$/s);
  });

  it('of several megabytes arrives byte for byte', async () => {
    const { port } = await open(
      async ({ body }) => ({ status: 200, body: createHash('sha256').update(body).digest('hex') }),
      {
        limit: 16 * MIB,
      },
    );
    const body = Buffer.alloc(9 * MIB, 'abcdefg');
    const answer = await call(port, tls(), { body });
    expect(answer.text).toBe(createHash('sha256').update(body).digest('hex'));
  });

  it('follows others on one connection', async () => {
    const { port } = await open(echo);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const answers = await Promise.all([1, 2, 3].map((n) => call(port, tls(), { agent, body: `${n}` })));
    expect(answers.map(({ text }) => text)).toEqual(['1', '2', '3']);
    expect(new Set(Object.values(agent.freeSockets).flat()).size).toBe(1);
    agent.destroy();
  });

  it('gets an empty answer with a length of zero and no content type', async () => {
    const { port } = await open(async () => ({ status: 200 }));
    const answer = await call(port, tls());
    expect(answer).toMatchObject({ status: 200, text: '' });
    expect(answer.headers['content-length']).toBe('0');
    expect(answer.headers['content-type']).toBeUndefined();
  });

  it('that is waited for with Expect: 100-continue is told to go on, or refused before it is sent', async () => {
    const { port } = await open(echo, { limit: 10 });
    const go = await raw(port, tls());
    go.socket.write(
      'POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
    );
    while (!go.text().includes('100 Continue')) await sleep(5);
    go.socket.write('body');
    expect(await go.closed).toMatch(/200 OK.*body$/s);
    const stop = await raw(port, tls());
    stop.socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n');
    expect(await stop.closed).toMatch(/^HTTP\/1\.1 413 /);
  });
});

describe('a client', () => {
  it('with a certificate is named by it', async () => {
    const seen = vi.fn<(request: HttpRequest) => void>();
    const { port } = await open(
      async (request) => {
        seen(request);
        return { status: 200 };
      },
      { clientCertificates: 'required' },
    );
    expect((await call(port, withClient())).status).toBe(200);
    const der = new X509Certificate(certificates.client.cert).raw;
    expect(seen.mock.calls[0]![0].peer.certificate).toEqual({
      commonName: 'api-server',
      organizations: [],
      fingerprint: createHash('sha256').update(der).digest('hex'),
    });
  });

  it('without a certificate gets no connection where one is required', async () => {
    const { port } = await open(echo, { clientCertificates: 'required' });
    await expect(call(port, tls())).rejects.toThrow();
    await vi.waitFor(() => expect(rejected).toEqual(['client-certificate']));
  });

  it('with a certificate of another CA gets no connection where one is required', async () => {
    const { port } = await open(echo, { clientCertificates: 'required' });
    await expect(call(port, { ca: certificates.ca, ...certificates.stranger })).rejects.toThrow();
    await vi.waitFor(() => expect(rejected).toEqual(['client-certificate']));
  });

  it('may come without a certificate where it is optional, but not with one of another CA', async () => {
    const { port } = await open(echo, { clientCertificates: 'optional' });
    expect((await call(port, tls())).status).toBe(200);
    expect((await call(port, withClient())).status).toBe(200);
    const answer = await call(port, { ca: certificates.ca, ...certificates.stranger });
    expect(answer.status).toBe(401);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'CLIENT_UNVERIFIED' });
    expect(rejected).toEqual(['client-certificate']);
  });

  it('that speaks TLS 1.1 or plain HTTP gets no connection', async () => {
    const { port } = await open(echo);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await expect(raw(port, { ...tls(), ...old })).rejects.toThrow();
    const plain = connectTcp(port, '127.0.0.1');
    plain.write('POST /v1/test HTTP/1.1\r\nHost: x\r\n\r\n');
    plain.on('error', () => {}).resume();
    await once(plain, 'close');
    await vi.waitFor(() => expect(rejected).toEqual(['tls', 'tls']));
  });

  it('that does not finish its handshake is cut off', async () => {
    const { port } = await open(echo, { limits: { headersTimeoutMs: 200 } });
    const silent = connectTcp(port, '127.0.0.1');
    silent.on('error', () => {});
    await once(silent, 'close');
    expect(rejected).toEqual(['tls']);
  });

  it('over the number of connections is turned away, the others are not', async () => {
    const { port } = await open(echo, { limits: { maxConnections: 1 } });
    const first = await raw(port, tls());
    await expect(raw(port, tls())).rejects.toThrow();
    expect(rejected).toEqual(['connections']);
    first.socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi');
    expect(await first.closed).toMatch(/200 OK/);
  });
});

describe('certificates', () => {
  it('are replaced for new connections while old ones go on', async () => {
    const { port } = await open(echo, { clientCertificates: 'required' });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await call(port, withClient(), { agent });
    listener!.setMaterial({ ...certificates.otherServer, clientCa: certificates.otherCa });
    expect((await call(port, withClient(), { agent })).status).toBe(200);
    agent.destroy();
    await expect(call(port, withClient())).rejects.toThrow();
    expect((await call(port, { ca: certificates.otherCa, ...certificates.stranger })).status).toBe(200);
  });

  it('that do not fit are refused and the old ones stay', async () => {
    const { port } = await open(echo);
    const mixed = { cert: certificates.server.cert, key: certificates.otherServer.key };
    expect(() => listener!.setMaterial(mixed)).toThrow(expect.objectContaining({ code: 'CERTIFICATE_INVALID' }));
    expect((await call(port, tls())).status).toBe(200);
  });

  it('of clients are never checked against the public CAs', async () => {
    const opening = open(echo, { clientCertificates: 'required', material: certificates.server });
    await expect(opening).rejects.toMatchObject({ code: 'CERTIFICATE_INVALID', message: /test\.tls\.clientCaFile/ });
  });
});

describe('a request that is refused', () => {
  it.each([
    ['for an unknown path', { path: '/v1/other' }, 404, 'REQUEST_INVALID', 'path'],
    ['for the wrong method', { method: 'PUT' }, 405, 'REQUEST_INVALID', 'method'],
    ['for a body over the limit', { body: 'x'.repeat(11) }, 413, 'REQUEST_TOO_LARGE', 'too-large'],
  ] as const)('%s gets a JSON error and a closed connection', async (_, options, status, code, reason) => {
    const { port } = await open(echo, { limit: 10 });
    const answer = await call(port, tls(), options);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toEqual({ code, message: expect.any(String) });
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', connection: 'close' });
    expect(rejected).toEqual([reason]);
  });

  it('for having no length is told so', async () => {
    const { port } = await open(echo);
    const { socket, closed } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await closed).toMatch(/^HTTP\/1\.1 411 /);
    expect(rejected).toEqual(['length']);
  });

  it('for its announced size gets the answer although it reads nothing before it has sent everything', async () => {
    const handler = vi.fn(echo);
    const { port } = await open(handler, { limit: MIB });
    const { socket, closed } = await raw(port, tls());
    socket.pause();
    socket.write(`POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: ${30 * MIB}\r\n\r\n`);
    const problem = await new Promise((resolve) => socket.write(Buffer.alloc(30 * MIB), resolve));
    expect(problem ?? undefined).toBeUndefined();
    socket.resume();
    expect(await closed).toMatch(/^HTTP\/1\.1 413 .*"REQUEST_TOO_LARGE"/s);
    expect(handler).not.toHaveBeenCalled();
  });

  it('for growing over the limit without having announced it gets the answer too', async () => {
    const handler = vi.fn(echo);
    const { port } = await open(handler, { limit: MIB });
    const { socket, closed } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 20; i++) socket.write(`100000\r\n${'x'.repeat(MIB)}\r\n`);
    expect(await closed).toMatch(/^HTTP\/1\.1 413 /);
    expect(handler).not.toHaveBeenCalled();
    expect(listener!.inFlightBytes).toBe(0);
  });

  it('for its size is not read for ever', async () => {
    const { port } = await open(echo, { limit: 10 });
    const { socket, closed } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const began = performance.now();
    const timer = setInterval(() => socket.write(`14\r\n${'x'.repeat(20)}\r\n`), 50);
    await closed;
    clearInterval(timer);
    expect(performance.now() - began).toBeLessThan(4000);
    expect(rejected).toEqual(['too-large']);
  });

  it('because too much is in flight gets 503 with Retry-After, and one later is taken', async () => {
    const waiting = held();
    const { port } = await open(waiting.handler, { limit: MIB, limits: { maxInFlightBytes: MIB + 100_000 } });
    const body = Buffer.alloc(MIB);
    const first = call(port, tls(), { body });
    await waiting.arrived;
    expect(listener!.inFlightBytes).toBeGreaterThanOrEqual(MIB);
    const second = await call(port, tls(), { body });
    expect(second.status).toBe(503);
    expect(second.headers['retry-after']).toBe('1');
    expect(JSON.parse(second.text)).toMatchObject({ code: 'SERVER_OVERLOADED' });
    waiting.answer({ status: 200 });
    expect((await first).status).toBe(200);
    await vi.waitFor(() => expect(listener!.inFlightBytes).toBe(0));
    expect((await call(port, tls(), { body })).status).toBe(200);
    expect(rejected).toEqual(['overloaded']);
  });

  it('because it is no HTTP is told so and counted', async () => {
    const { port } = await open(echo);
    const { socket, closed } = await raw(port, tls());
    socket.write('what is this\r\n\r\n');
    expect(await closed).toMatch(/^HTTP\/1\.1 400 .*"REQUEST_INVALID"/s);
    expect(rejected).toEqual(['malformed']);
  });

  it('with a length and chunks at once, which two servers could read differently, is no HTTP', async () => {
    const handler = vi.fn(echo);
    const { port } = await open(handler);
    const { socket, closed } = await raw(port, tls());
    socket.write(
      'POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    expect(await closed).toMatch(/^HTTP\/1\.1 400 /);
    expect(handler).not.toHaveBeenCalled();
  });
});

describe('a slow client', () => {
  it('that drips its headers is cut off with 408', async () => {
    const { port } = await open(echo, { limits: { headersTimeoutMs: 300, requestTimeoutMs: 10_000 } });
    const { socket, closed } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\n');
    const timer = setInterval(() => socket.write('X-A: 1\r\n'), 50);
    expect(await closed).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(timer);
    expect(rejected).toEqual(['timeout']);
  });

  it('that drips its body is cut off with 408 and never reaches the handler', async () => {
    const handler = vi.fn(echo);
    const { port } = await open(handler, { limits: { headersTimeoutMs: 300, requestTimeoutMs: 300 } });
    const { socket, closed } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n');
    const timer = setInterval(() => socket.write('x'), 50);
    expect(await closed).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(timer);
    expect(handler).not.toHaveBeenCalled();
    await vi.waitFor(() => expect(listener!.inFlight).toBe(0));
    expect(rejected).toEqual(['timeout']);
    expect(listener!.inFlightBytes).toBe(0);
  });

  it('that sends nothing at all is cut off', async () => {
    const { port } = await open(echo, { limits: { headersTimeoutMs: 300 } });
    const { closed } = await raw(port, tls());
    await closed;
    expect(rejected).toEqual(['timeout']);
  });

  it('is not a client whose request takes long to handle', async () => {
    const waiting = held();
    const { port } = await open(waiting.handler, { limits: { headersTimeoutMs: 200, requestTimeoutMs: 200 } });
    const answer = call(port, tls());
    await waiting.arrived;
    await sleep(1500);
    waiting.answer({ status: 200 });
    expect((await answer).status).toBe(200);
  });
});

describe('a client that leaves', () => {
  it.each(['destroy', 'end'] as const)(
    'in the middle of its body (%s) is counted, and no handler is called',
    async (how) => {
      const handler = vi.fn(echo);
      const { port } = await open(handler);
      const { socket } = await raw(port, tls());
      socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf');
      await vi.waitFor(() => expect(listener!.inFlightBytes).toBeGreaterThan(0));
      socket[how]();
      await vi.waitFor(() => expect(listener!.inFlight).toBe(0));
      expect(rejected).toEqual(['cut']);
      expect(handler).not.toHaveBeenCalled();
      expect(listener!.inFlightBytes).toBe(0);
    },
  );

  it.each(['destroy', 'end'] as const)(
    'while the handler works (%s) aborts the signal, and is told apart by onSent',
    async (how) => {
      const waiting = held();
      const onSent = vi.fn();
      const { port } = await open(waiting.handler);
      const { socket } = await raw(port, tls());
      socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}');
      const { signal } = await waiting.arrived;
      socket[how]();
      await vi.waitFor(() => expect(signal.aborted).toBe(true));
      expect(listener!.inFlightBytes).toBeGreaterThan(0); // the handler has the body still
      waiting.answer({ status: 200, body: 'late', onSent });
      await vi.waitFor(() => expect(onSent).toHaveBeenCalled());
      await sleep(20);
      expect(onSent.mock.calls).toEqual([[false]]);
      expect(listener!.inFlightBytes).toBe(0);
      expect(rejected).toEqual([]);
    },
  );

  it('is found out also by a handler that asks for the signal only afterwards', async () => {
    const waiting = held();
    const { port } = await open(waiting.handler);
    const { socket } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}');
    const request = await waiting.arrived;
    socket.destroy();
    await vi.waitFor(() => expect(listener!.inFlight).toBe(0));
    expect(request.signal.aborted).toBe(true);
    waiting.answer({ status: 200 });
  });

  it('without reading a large answer was not sent it', async () => {
    const onSent = vi.fn();
    const { port } = await open(async () => ({ status: 200, body: Buffer.alloc(32 * MIB), onSent }));
    const { socket } = await raw(port, tls());
    socket.pause();
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}');
    await sleep(200);
    expect(onSent).not.toHaveBeenCalled();
    socket.destroy();
    await vi.waitFor(() => expect(onSent.mock.calls).toEqual([[false]]));
  });

  it('after several requests at once leaves nothing behind', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    const onSent = vi.fn();
    const { port } = await open(() => new Promise((resolve) => answers.push(resolve)));
    const { socket } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}'.repeat(3));
    await vi.waitFor(() => expect(answers).toHaveLength(3));
    expect(listener!.inFlight).toBe(3);
    socket.destroy();
    await vi.waitFor(() => expect(listener!.inFlight).toBe(0));
    for (const answer of answers) answer({ status: 200, onSent });
    await vi.waitFor(() => expect(onSent.mock.calls).toEqual([[false], [false], [false]]));
    expect(listener!.inFlightBytes).toBe(0);
  });
});

describe('an answer', () => {
  it('is reported as sent exactly once when the client has it', async () => {
    const onSent = vi.fn();
    const { port } = await open(async () => ({ status: 200, body: 'x', onSent }));
    const agent = new Agent({ keepAlive: true });
    await call(port, tls(), { agent });
    await vi.waitFor(() => expect(onSent.mock.calls).toEqual([[true]]));
    agent.destroy();
    await sleep(20);
    expect(onSent).toHaveBeenCalledTimes(1);
  });

  it('to several requests at once goes out in their order', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    const { port } = await open(() => new Promise((resolve) => answers.push(resolve)));
    const { socket, text } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}'.repeat(2));
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers[1]!({ status: 200, body: 'second' });
    await sleep(20);
    expect(text()).toBe('');
    answers[0]!({ status: 200, body: 'first' });
    await vi.waitFor(() => expect(text()).toMatch(/first.*second/s));
    await vi.waitFor(() => expect(listener!.inFlight).toBe(0));
    socket.destroy();
  });

  it('of a handler that throws is a 500 that does not repeat what was thrown, which the log has', async () => {
    const { port } = await open(() => Promise.reject(new Error('secret detail')));
    const answer = await call(port, tls());
    expect(answer.status).toBe(500);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'INTERNAL' });
    expect(answer.text).not.toContain('secret');
    expect(logged).toHaveLength(1);
    expect((await call(port, tls())).status).toBe(500);
  });

  it('with a header that HTTP does not allow ends the connection and nothing else', async () => {
    const onSent = vi.fn();
    const { port } = await open(async () => ({ status: 200, headers: { 'x-a': 'one\r\ntwo' }, onSent }));
    await expect(call(port, tls())).rejects.toThrow();
    expect(onSent.mock.calls).toEqual([[false]]);
    await expect(call(port, tls())).rejects.toThrow();
  });

  it('is not harmed by an onSent that throws', async () => {
    const { port } = await open(async () => ({
      status: 200,
      onSent: () => {
        throw new Error('x');
      },
    }));
    expect((await call(port, tls())).status).toBe(200);
    expect((await call(port, tls())).status).toBe(200);
    await vi.waitFor(() => expect(logged).toHaveLength(2));
  });
});

describe('a listener that retires', () => {
  it('takes new connections and requests as before, and ends each connection with its answer', async () => {
    const { port } = await open(echo);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const before = await call(port, tls(), { agent, body: 'kept' });
    expect(before.headers['connection']).toBe('keep-alive');
    listener!.retire();
    for (const body of ['on the kept connection', 'on a new one', 'and on another']) {
      const { status, text, headers } = await call(port, tls(), { agent, body });
      expect([status, text, headers['connection']]).toEqual([200, body, 'close']);
    }
    expect(await listener!.drain(10_000)).toBe(0);
    agent.destroy();
  });
});

describe('draining', () => {
  it('answers what was begun, takes no new connection, and cuts nothing', async () => {
    const waiting = held();
    const { port } = await open(waiting.handler);
    const agent = new Agent({ keepAlive: true });
    const answer = call(port, tls(), { agent });
    await waiting.arrived;
    const drained = listener!.drain(10_000);
    await expect(call(port, tls())).rejects.toThrow(/ECONNREFUSED/);
    waiting.answer({ status: 200, body: 'done' });
    const { status, text, headers } = await answer;
    expect({ status, text, connection: headers['connection'] }).toEqual({
      status: 200,
      text: 'done',
      connection: 'close',
    });
    expect(await drained).toBe(0);
    agent.destroy();
  });

  it('lets a request end that is being received', async () => {
    const { port } = await open(echo);
    const { socket, closed } = await raw(port, tls());
    socket.write('POST /v1/test HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf');
    await vi.waitFor(() => expect(listener!.inFlight).toBe(1));
    const drained = listener!.drain(10_000);
    await sleep(50);
    socket.write('done');
    expect(await closed).toMatch(/200 OK.*halfdone$/s);
    expect(await drained).toBe(0);
  });

  it('takes one more request on an idle connection and then closes it', async () => {
    const { port } = await open(echo);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await call(port, tls(), { agent });
    const drained = listener!.drain(10_000);
    await sleep(50);
    const answer = await call(port, tls(), { agent });
    expect(answer.headers['connection']).toBe('close');
    expect(await drained).toBe(0);
    agent.destroy();
  });

  it('closes idle connections long before the grace ends', async () => {
    const { port } = await open(echo);
    const idle = await raw(port, tls());
    const began = performance.now();
    expect(await listener!.drain(20_000)).toBe(0);
    expect(performance.now() - began).toBeLessThan(5000);
    await idle.closed;
  });

  it('cuts what is left when the grace ends, and says how many', async () => {
    const waiting = held();
    const onSent = vi.fn();
    const { port } = await open(waiting.handler);
    const answer = call(port, tls());
    const failed = expect(answer).rejects.toThrow();
    await waiting.arrived;
    expect(await listener!.drain(100)).toBe(1);
    await failed;
    waiting.answer({ status: 200, onSent });
    await vi.waitFor(() => expect(onSent.mock.calls).toEqual([[false]]));
    expect(await listener!.drain(100)).toBe(1);
  });
});

describe('opening', () => {
  it('says which listener, address and port could not be opened', async () => {
    const { port } = await open(echo);
    const first = listener!;
    await expect(open(echo, { port })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringMatching(new RegExp(`test .*${port} of 127\\.0\\.0\\.1.*test\\.port`)),
    });
    await first.drain(0);
  });
});
