// What keeps web pages away from the API: it has no password, because only who may port-forward reaches it, and a browser on
// the same machine is such a one. A page elsewhere could name us by a DNS name of its own (DNS rebinding) or embed us.
import type { NextFunction, Request, Response } from 'express';
import { refuse } from './refusal.ts';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

export function secure(_request: Request, response: Response, next: NextFunction): void {
  response.set({
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
  });
  next();
}

/** Refuses requests for hosts other than loopback and `allowed` (names without port), and those that other sites' pages make. */
export function hostGuard(
  allowed: readonly string[],
): (request: Request, response: Response, next: NextFunction) => void {
  const names = new Set([...LOOPBACK, ...allowed.map((name) => name.toLowerCase())]);
  return (request, response, next) => {
    const host = (request.headers.host ?? '').toLowerCase();
    const name = /^(\[[0-9a-f:.]+\]|[^:]*)(?::\d{1,5})?$/.exec(host)?.[1];
    if (name === undefined || !names.has(name)) {
      refuse(
        response,
        421,
        'REQUEST_INVALID',
        'the Host header is not localhost, 127.0.0.1 or [::1]: use one of these',
      );
      return;
    }
    const site = request.headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') {
      refuse(response, 403, 'REQUEST_INVALID', 'requests from pages of other sites are refused');
      return;
    }
    next();
  };
}
