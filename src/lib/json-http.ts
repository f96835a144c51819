// What every endpoint that takes JSON has in common: which requests it takes, and how it refuses one.
import { type ErrorCode, SealgateError } from './errors.ts';
import type { HttpAnswer, HttpRequest } from './http.ts';

/** Statuses of a refusal; every one of them makes kube-apiserver treat the call as failed. */
export type RefusalStatus = 400 | 405 | 413 | 415 | 500 | 503;

/** A refused request: the status, and `{"code","message"}` for whoever reads it. */
export interface Refusal {
  readonly status: RefusalStatus;
  readonly code: ErrorCode;
  readonly message: string;
}

/** An error as the answer to the request that it was found in. */
export function refusalOf(error: SealgateError): Refusal {
  return { status: statusOf(error.code), code: error.code, message: error.message };
}

function statusOf(code: ErrorCode): RefusalStatus {
  if (code === 'REQUEST_TOO_LARGE') return 413;
  if (code === 'INTERNAL') return 500;
  return code === 'REQUEST_INVALID' || code === 'REQUEST_TOO_DEEP' ? 400 : 503;
}

/** The refusal of a request that is no POST of plain JSON, or undefined. */
export function refusePost(request: HttpRequest): Refusal | undefined {
  const code = 'REQUEST_INVALID';
  if (request.method !== 'POST') return { status: 405, code, message: `${request.method} is not POST` };
  const encoding = header(request, 'content-encoding');
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    return { status: 415, code, message: 'the body has a Content-Encoding: send it as it is' };
  }
  if (!isJson(header(request, 'content-type'))) {
    return { status: 415, code, message: 'the Content-Type is not application/json (in UTF-8)' };
  }
  return undefined;
}

export function answerRefusal({ status, code, message }: Refusal): HttpAnswer {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (status === 405) headers['allow'] = 'POST';
  if (status === 503) headers['retry-after'] = '1';
  return { status, headers, body: `${JSON.stringify({ code, message })}\n` };
}

/**
 * What was thrown, as an error with a code. A mistake of ours has none, and its message may quote what it stumbled over:
 * `where` gets the places in the code alone, for the log.
 */
export function codedError(thrown: unknown, where: (stack: string) => void): SealgateError {
  if (thrown instanceof SealgateError) return thrown;
  const stack = thrown instanceof Error ? (thrown.stack ?? '') : '';
  const name = thrown instanceof Error ? thrown.name : typeof thrown;
  where([name, ...stack.split('\n').filter((line) => /^\s+at /.test(line))].join('\n'));
  return new SealgateError('INTERNAL', 'the request could not be handled: a mistake in Sealgate, see its log');
}

function header(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' || value === undefined ? value : value.join(', ');
}

function isJson(contentType: string | undefined): boolean {
  if (contentType === 'application/json') return true;
  const [type = '', ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase());
  if (type !== 'application/json') return false;
  return parameters.every((parameter) => !parameter.startsWith('charset=') || /^charset="?utf-?8"?$/.test(parameter));
}
