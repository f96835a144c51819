// What a listener answers itself, without asking a handler, and how it is counted.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorCode } from '../lib/errors.ts';
import type { HttpAnswer } from '../lib/http.ts';

/** A closed set: the label `reason` of sealgate_listener_rejected_total. */
export const REJECTION_REASONS = {
  connections: 'more connections than server.maxConnections',
  tls: 'the TLS handshake failed or took too long',
  'client-certificate': 'no client certificate, or one of another CA',
  malformed: 'not HTTP',
  timeout: 'headers or body took too long',
  cut: 'the connection ended before the request did',
  path: 'another path than those that are served',
  method: 'another method than that of the path',
  length: 'neither Content-Length nor chunks',
  'too-large': 'a body over the limit',
  overloaded: 'more bytes in flight than server.maxInFlightBytes',
} as const;

export type RejectionReason = keyof typeof REJECTION_REASONS;

export interface Rejection {
  readonly reason: RejectionReason;
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const UNVERIFIED: Rejection = {
  reason: 'client-certificate',
  status: 401,
  code: 'CLIENT_UNVERIFIED',
  message: 'the client certificate was not issued by a CA that is trusted here, or is not valid now',
};

export const UNKNOWN_PATH: Rejection = {
  reason: 'path',
  status: 404,
  code: 'REQUEST_INVALID',
  message: 'nothing is served under this path',
};

export const NO_LENGTH: Rejection = {
  reason: 'length',
  status: 411,
  code: 'REQUEST_INVALID',
  message: 'the request has neither Content-Length nor Transfer-Encoding: chunked',
};

export const OVERLOADED: Rejection = {
  reason: 'overloaded',
  status: 503,
  code: 'SERVER_OVERLOADED',
  message: 'too many bytes of requests are being worked on: try again',
  headers: { 'retry-after': '1' },
};

export function wrongMethod(allowed: string): Rejection {
  const message = `only ${allowed} is served under this path`;
  return { reason: 'method', status: 405, code: 'REQUEST_INVALID', message, headers: { allow: allowed } };
}

export function tooLarge(limit: number): Rejection {
  const message = `the body is larger than ${limit} bytes`;
  return { reason: 'too-large', status: 413, code: 'REQUEST_TOO_LARGE', message };
}

/** What the parser or the clock stopped, by the code of Node's error; undefined when the connection just broke. */
export function rejectionOfParser(code: string | undefined): Rejection | undefined {
  const invalid = {
    status: 400,
    code: 'REQUEST_INVALID',
    reason: 'malformed',
    message: 'this is not HTTP/1.1',
  } as const;
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { ...invalid, status: 408, reason: 'timeout', message: 'the request did not arrive in time' };
    case 'HPE_INVALID_EOF_STATE':
      return { ...invalid, reason: 'cut', message: 'the request ended early' };
    case 'HPE_HEADER_OVERFLOW':
      return { ...invalid, status: 431, message: 'the headers are too large' };
    default:
      return code?.startsWith('HPE_') === true ? invalid : undefined;
  }
}

/** When a handler throws: what was thrown may quote the request, so it is not repeated. */
export const INTERNAL: HttpAnswer = {
  status: 500,
  headers: { 'content-type': 'application/json' },
  body: errorBody({
    code: 'INTERNAL',
    message: 'the request could not be handled: a mistake in Sealgate, see its log',
  }),
};

/** How long what a client still sends is read and thrown away after its request was refused. */
const LINGER_MS = 2000;

/**
 * Answers and closes the connection. A client that is still sending gets the answer first: were the connection closed with
 * bytes unread, the kernel would reset it and the client could lose the answer (RFC 9112, section 9.6).
 */
export function reject(message: IncomingMessage, response: ServerResponse, rejection: Rejection): void {
  const body = errorBody(rejection);
  response.writeHead(rejection.status, {
    ...rejection.headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  if (message.complete) {
    response.end(body);
    return;
  }
  // With this the answer is whole for the client, but Node closes the connection only after end().
  response.write(body);
  const end = () => response.end();
  const timer = setTimeout(end, LINGER_MS);
  message.once('end', end);
  response.once('close', () => clearTimeout(timer));
  message.resume();
}

/** The same for a connection that never got as far as a request: the whole answer as text. */
export function rawRejection(rejection: Rejection): string {
  const body = errorBody(rejection);
  return `HTTP/1.1 ${rejection.status} Rejected\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
}

function errorBody({ code, message }: Pick<Rejection, 'code' | 'message'>): string {
  return `${JSON.stringify({ code, message })}\n`;
}
