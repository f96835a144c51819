// The query API: read-only HTTP on loopback. `serve.ts` gives it its parts and listens.
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { IndexLog } from '../index/log.ts';
import { parseQuery } from '../index/query.ts';
import type { IndexView } from '../index/view.ts';
import type { Micros } from '../lib/clock.ts';
import { SealgateError } from '../lib/errors.ts';
import { entryJson } from './entry-json.ts';
import { isFederated } from './federated-cursor.ts';
import type { Federation } from './federation.ts';
import { createFollowers } from './follow.ts';
import { followAll } from './follow-all.ts';
import { hostGuard, secure } from './guard.ts';
import type { Queries } from './queries.ts';
import type { EntryAnswer } from './query-protocol.ts';
import { refuse } from './refusal.ts';
import { CATCH_UP_MS } from './replica.ts';

/** How far the ledger is. */
export interface ApiHead {
  readonly shard: number;
  /** Entries committed. */
  readonly size: number;
  /** Entries that the last checkpoint covers. */
  readonly signedSize: number;
  /** The last checkpoint, a signed note. */
  readonly checkpoint?: string;
}

export interface ApiOptions {
  readonly queries: Queries;
  readonly view: Pick<IndexView, 'position' | 'reached' | 'onAdvance'>;
  readonly head: () => ApiHead;
  readonly origin: string;
  readonly vkey: string;
  readonly version: string;
  /** Digest of the active policy bundle, when there is one. */
  readonly bundle: () => string | undefined;
  /** All replicas, where there are others than this one. */
  readonly federation?: Federation | undefined;
  readonly now: () => Micros;
  readonly log: IndexLog;
  /** Names by which the API may be reached besides localhost, 127.0.0.1 and [::1], without a port. */
  readonly allowedHosts?: readonly string[];
  /** Followers get an empty line this often, so that both ends notice when the other is gone. Default 15 s. */
  readonly heartbeatMs?: number;
}

/** The whole application; every answer but a checkpoint, a key and a followed stream is JSON, errors are `{code, message}`. */
export function createApi(options: ApiOptions): Express {
  const { queries, view, log } = options;
  const heartbeatMs = options.heartbeatMs ?? 15_000;
  const followers = createFollowers({ queries, view, log, heartbeatMs });
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // Parameters are read from the URL once, by parseQuery, which sees what is repeated.
  app.set('query parser', false);
  app.use(secure);
  app.use(hostGuard(options.allowedHosts ?? []));
  app.use(readOnly);

  app.get('/v1/entries', async (request, response) => {
    const parameters = parametersOf(request);
    const { federation } = options;
    const cursor = parameters.get('cursor') ?? undefined;
    const wide = federation !== undefined && parameters.get('local') !== '1';
    if (wide) {
      // Each part of it is checked by whoever reads it: it is not one of this replica's.
      parameters.delete('cursor');
      const query = parseQuery(parameters, options.now());
      if (query.follow === true) {
        const all = { federation, now: options.now, log, heartbeatMs };
        return followers.among(() => followAll(all, query, cursor, request, response));
      }
      const { shard, size } = options.head();
      return response.json({ ...(await federation.page(query, cursor)), head: { shard, size } });
    }
    if (isFederated(cursor ?? null)) {
      const text =
        'the cursor is of a query over all replicas, and only this one is asked: leave it out, or leave local out';
      throw new SealgateError('QUERY_INVALID', text);
    }
    const query = parseQuery(parameters, options.now());
    const head = options.head();
    const current = await view.reached(head, CATCH_UP_MS);
    if (query.follow === true) return followers.own(query, request, response);
    const page = await queries.search(query);
    return response.json({ ...page, current, head: { shard: head.shard, size: head.size } });
  });

  app.get(['/v1/entries/:seq', '/v1/entries/:shard/:seq'], async (request, response) => {
    const { replica, local } = entryParameters(request);
    const head = options.head();
    const seq = numberOf(request.params['seq'], 'seq');
    const asked = request.params['shard'];
    const shard = asked === undefined ? undefined : numberOf(asked, 'shard');
    const found = await entryOf(replica, local, shard, seq);
    if (found === null) {
      const whose = replica === undefined ? 'the ledger' : `the ledger of ${replica}`;
      throw new SealgateError(
        'ENTRY_NOT_FOUND',
        `${whose} has no entry ${asked === undefined ? '' : `${shard}/`}${seq}${replica === undefined ? `; shard ${head.shard} has ${head.size} entries` : ''}`,
      );
    }
    const { answer, replica: whose } = found;
    const { detail } = answer;
    response
      .set(
        'Content-Location',
        `/v1/entries/${detail.shard}/${detail.seq}${whose === undefined ? '' : `?replica=${whose}`}`,
      )
      .type('json')
      .send(entryJson(answer, whose));
  });

  async function entryOf(
    replica: string | undefined,
    local: boolean,
    shard: number | undefined,
    seq: number,
  ): Promise<{ answer: EntryAnswer; replica?: string } | null> {
    const head = options.head();
    await view.reached(head, CATCH_UP_MS);
    if (options.federation !== undefined && !local) return await options.federation.entry(replica, shard, seq);
    const log = options.origin.slice(0, options.origin.lastIndexOf('/'));
    if (replica !== undefined && replica !== log && replica !== log.slice(log.lastIndexOf('/') + 1)) {
      throw new SealgateError(
        'PEER_UNAVAILABLE',
        `only ${log} is asked here, not ${replica}: it has no peers, or local=1 was given`,
      );
    }
    const answer = await queries.entry(shard ?? head.shard, seq);
    return answer === null ? null : { answer };
  }

  app.get('/v1/status', (request, response) => {
    noParameters(request);
    const { shard, size, signedSize } = options.head();
    response.json({
      version: options.version,
      origin: options.origin,
      vkey: options.vkey,
      bundle: options.bundle() ?? null,
      head: { shard, size, signedSize },
      index: view.position() ?? null,
    });
  });

  app.get('/v1/checkpoint', (request, response) => {
    noParameters(request);
    const { checkpoint } = options.head();
    if (checkpoint === undefined) throw new SealgateError('ENTRY_NOT_FOUND', 'no checkpoint has been signed yet');
    response.type('text/plain').send(checkpoint);
  });

  app.get('/v1/key', (request, response) => {
    noParameters(request);
    response.type('text/plain').send(`${options.vkey}\n`);
  });

  app.get('/tlog/*path', async (request, response) => {
    noParameters(request);
    const { path } = request.params;
    const file = await queries.tlog(Array.isArray(path) ? path.join('/') : String(path));
    if (file === undefined) {
      throw new SealgateError('ENTRY_NOT_FOUND', `no checkpoint of this ledger covers anything at ${request.path}`);
    }
    if (file.kind === 'full') response.set('Cache-Control', 'max-age=31536000, immutable');
    response.type(file.kind === 'checkpoint' ? 'text/plain' : 'application/octet-stream').send(Buffer.from(file.bytes));
  });

  app.use((request, response) => {
    refuse(
      response,
      404,
      'REQUEST_INVALID',
      `there is nothing at ${request.path}; the API has /v1/entries, /v1/status, /v1/checkpoint, /v1/key and /tlog/<origin>/…`,
    );
  });
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    answerError(error, response, log);
  });
  return app;
}

function readOnly(request: Request, response: Response, next: NextFunction): void {
  if (request.method === 'GET' || request.method === 'HEAD') {
    next();
    return;
  }
  response.set('Allow', 'GET, HEAD');
  refuse(response, 405, 'REQUEST_INVALID', `${request.method} is not allowed: the API only reads`);
}

function parametersOf(request: Request): URLSearchParams {
  const query = request.url.indexOf('?');
  return new URLSearchParams(query < 0 ? '' : request.url.slice(query));
}

/** `replica` by name, or by the name of its log. */
function entryParameters(request: Request): { replica: string | undefined; local: boolean } {
  const parameters = parametersOf(request);
  for (const [name, value] of parameters) {
    const good =
      name === 'replica' ? /^[A-Za-z0-9._/-]{1,1024}$/.test(value) : name === 'local' && /^[01]$/.test(value);
    if (!good)
      throw new SealgateError('QUERY_INVALID', `${request.path} takes replica=<name> and local=1, nothing else`);
  }
  return { replica: parameters.get('replica') ?? undefined, local: parameters.get('local') === '1' };
}

function noParameters(request: Request): void {
  const [name] = parametersOf(request).keys();
  if (name !== undefined) throw new SealgateError('QUERY_INVALID', `${request.path} takes no parameters`);
}

function numberOf(value: unknown, what: string): number {
  if (typeof value === 'string' && /^\d{1,15}$/.test(value)) return Number(value);
  throw new SealgateError('QUERY_INVALID', `${what} must be a number: /v1/entries/<seq> or /v1/entries/<shard>/<seq>`);
}

const STATUS: Readonly<Partial<Record<string, number>>> = {
  QUERY_INVALID: 400,
  ENTRY_NOT_FOUND: 404,
  QUERY_UNAVAILABLE: 503,
  PEER_UNAVAILABLE: 503,
  QUERY_TIMEOUT: 504,
};

function answerError(error: unknown, response: Response, log: IndexLog): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (error instanceof SealgateError) {
    refuse(response, STATUS[error.code] ?? 500, error.code, error.message);
    return;
  }
  // Express refuses what it cannot decode with a status of its own; anything else is a defect of ours.
  const status = typeof error === 'object' && error !== null && 'status' in error && error.status === 400 ? 400 : 500;
  if (status === 500) log.error({ err: error }, 'the query API failed');
  refuse(
    response,
    status,
    'REQUEST_INVALID',
    status === 400 ? 'the URL is malformed' : 'the request failed; the log says why',
  );
}
