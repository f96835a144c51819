// The query API: read-only HTTP on loopback. `serve.ts` gives it its parts and listens.
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { IndexLog } from '../index/log.ts';
import { parseQuery } from '../index/query.ts';
import type { IndexView } from '../index/view.ts';
import type { Micros } from '../lib/clock.ts';
import { SealgateError } from '../lib/errors.ts';
import { entryJson } from './entry-json.ts';
import { createFollower } from './follow.ts';
import { hostGuard, secure } from './guard.ts';
import type { Queries } from './queries.ts';
import { refuse } from './refusal.ts';

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
  readonly now: () => Micros;
  readonly log: IndexLog;
  /** Names by which the API may be reached besides localhost, 127.0.0.1 and [::1], without a port. */
  readonly allowedHosts?: readonly string[];
  /** Followers get an empty line this often, so that both ends notice when the other is gone. Default 15 s. */
  readonly heartbeatMs?: number;
}

/** How long a query waits for the index to hold what the ledger held when it was asked, in milliseconds. */
const CATCH_UP_MS = 1000;

/** The whole application; every answer but a checkpoint, a key and a followed stream is JSON, errors are `{code, message}`. */
export function createApi(options: ApiOptions): Express {
  const { queries, view, log } = options;
  const follow = createFollower({ queries, view, log, heartbeatMs: options.heartbeatMs ?? 15_000 });
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // Parameters are read from the URL once, by parseQuery, which sees what is repeated.
  app.set('query parser', false);
  app.use(secure);
  app.use(hostGuard(options.allowedHosts ?? []));
  app.use(readOnly);

  app.get('/v1/entries', async (request, response) => {
    const query = parseQuery(parametersOf(request), options.now());
    const head = options.head();
    const current = await view.reached(head, CATCH_UP_MS);
    if (query.follow === true) return follow(query, request, response);
    const page = await queries.search(query);
    return response.json({ ...page, current, head: { shard: head.shard, size: head.size } });
  });

  app.get(['/v1/entries/:seq', '/v1/entries/:shard/:seq'], async (request, response) => {
    noParameters(request);
    const head = options.head();
    await view.reached(head, CATCH_UP_MS);
    const seq = numberOf(request.params['seq'], 'seq');
    const shard = request.params['shard'] === undefined ? head.shard : numberOf(request.params['shard'], 'shard');
    const answer = await queries.entry(shard, seq);
    if (answer === null) {
      throw new SealgateError(
        'ENTRY_NOT_FOUND',
        `the ledger has no entry ${shard}/${seq}; shard ${head.shard} has ${head.size} entries`,
      );
    }
    response.set('Content-Location', `/v1/entries/${shard}/${seq}`).type('json').send(entryJson(answer));
  });

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
