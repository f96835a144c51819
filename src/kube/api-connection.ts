// GET requests to the Kubernetes API server, with the credentials of a kubeconfig or of the pod. The answer comes as a stream: lists
// and watches are read as they arrive.
import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';
import { messageOf, SealgateError } from '../lib/errors.ts';

/** Why a request has no answer that could be used; `status` is the HTTP status where there was one. */
export class ApiError extends SealgateError {
  readonly status: number | undefined;

  constructor(message: string, status?: number, cause?: unknown) {
    super('KUBE_API_FAILED', message, { cause });
    this.status = status;
  }
}

/** Resolves with the body of a 200; rejects with an ApiError. `signal` ends it at any time, the body included. */
export type ApiGet = (path: string, signal: AbortSignal) => Promise<IncomingMessage>;

/** What is read of the body of a refusal, for its message. */
const MAX_REFUSAL_BYTES = 8192;

/**
 * Reads the kubeconfig, by default that of a pod, whenever a request fails: certificates change while the pod runs. The client is
 * large: it is loaded when it is needed.
 */
export function connectApi(kubeconfig: string | undefined): ApiGet {
  let loaded: Promise<Apply> | undefined;
  return async (path, signal) => {
    try {
      loaded ??= load(kubeconfig);
      const { server, apply } = await loaded;
      const options = await apply();
      const response = await send(new URL(`${server}${path}`), options, signal);
      if (response.statusCode === 200) return response;
      const text = await textOf(response);
      throw new ApiError(`GET ${path}: ${response.statusCode} ${reasonIn(text)}`, response.statusCode);
    } catch (error) {
      loaded = undefined;
      if (error instanceof ApiError) throw error;
      throw failed(path, error);
    }
  };
}

function failed(path: string, error: unknown): ApiError {
  return new ApiError(`GET ${path}: ${messageOf(error)}`, undefined, error);
}

interface Apply {
  readonly server: string;
  /** The options of one request: agent, which is shared, and headers, whose token may be another each time. */
  readonly apply: () => Promise<RequestOptions>;
}

async function load(kubeconfig: string | undefined): Promise<Apply> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(kubeconfig);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`${kubeconfig ?? 'the service account'} names no cluster`);
  return {
    server: cluster.server.replace(/\/+$/, ''),
    apply: async () => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      return options;
    },
  };
}

async function send(url: URL, options: RequestOptions, signal: AbortSignal): Promise<IncomingMessage> {
  const { request } = await import(url.protocol === 'http:' ? 'node:http' : 'node:https');
  return new Promise((resolve, reject) => {
    const headers = { ...options.headers, accept: 'application/json' };
    request(url, { ...options, method: 'GET', headers, signal }, resolve)
      .on('error', reject)
      .end();
  });
}

/** All of a body as text, up to the limit. */
async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_REFUSAL_BYTES) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The message of a Status, or the beginning of what came instead. */
function reasonIn(text: string): string {
  try {
    const { message }: { message?: unknown } = JSON.parse(text);
    if (typeof message === 'string') return message;
  } catch {
    // Not JSON: a proxy's words, most likely.
  }
  return text.slice(0, 200).trim();
}
