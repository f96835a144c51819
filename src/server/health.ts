// GET /livez, /readyz and /metrics, for the kubelet and for Prometheus.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../lib/errors.ts';

/** One thing that readiness depends on; `detail` is shown when asked for, when something fails, and with a `warning`: it may soon. */
export interface Check {
  readonly name: string;
  readonly check: () => { readonly ok: boolean; readonly detail?: string; readonly warning?: boolean };
}

export interface HealthOptions {
  readonly checks: readonly Check[];
  readonly metrics: { readonly contentType: string; metrics(): Promise<string> };
}

/**
 * Answers 200 or 503 to /readyz, with a line for each check as Kubernetes' own components write them when one fails or warns,
 * or `?verbose` asks for it. /livez only says that the process answers: one that cannot acknowledge any more ends by itself.
 */
export function createHealthHandler(options: HealthOptions) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const [pathname = '', search = ''] = (request.url ?? '').split('?');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(response, 405, 'only GET and HEAD\n', { allow: 'GET, HEAD' });
    } else if (pathname === '/livez') answer(response, 200, 'ok\n');
    else if (pathname === '/readyz') answerReady(options, new URLSearchParams(search).has('verbose'), response);
    else if (pathname === '/metrics') void answerMetrics(options, response);
    else answer(response, 404, 'there are /livez, /readyz and /metrics\n');
  };
}

function answerReady({ checks }: HealthOptions, verbose: boolean, response: ServerResponse): void {
  const results = checks.map(run);
  const ready = results.every(({ ok }) => ok);
  const lines = results.map(({ name, ok, detail }) => {
    return `[${ok ? '+' : '-'}]${name} ${ok ? 'ok' : 'failed'}${detail === undefined ? '' : `: ${detail}`}\n`;
  });
  const text = `${lines.join('')}readyz check ${ready ? 'passed' : 'failed'}\n`;
  const quiet = ready && !verbose && !results.some(({ warning }) => warning === true);
  answer(response, ready ? 200 : 503, quiet ? 'ok\n' : text);
}

/** A check that throws has failed: what it tells of is broken in a way that it did not foresee. */
function run({ name, check }: Check): { readonly name: string } & ReturnType<Check['check']> {
  try {
    return { name, ...check() };
  } catch (error) {
    return { name, ok: false, detail: messageOf(error) };
  }
}

async function answerMetrics({ metrics }: HealthOptions, response: ServerResponse): Promise<void> {
  try {
    answer(response, 200, await metrics.metrics(), { 'content-type': metrics.contentType });
  } catch (error) {
    answer(response, 500, `${messageOf(error)}\n`);
  }
}

function answer(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
