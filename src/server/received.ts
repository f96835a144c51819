// A request as a handler sees it. What few handlers ask for is made when they ask: these are the hot routes.
import type { IncomingMessage } from 'node:http';
import type { HttpRequest, Peer } from '../lib/http.ts';

/** The query that was parsed last: an API server sends the same one with all its calls. */
let last = { search: '', query: new URLSearchParams() };

export class Received implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: HttpRequest['headers'];
  readonly body: Buffer;
  readonly peer: Peer;
  readonly receivedAt: number;
  readonly #search: string;
  #controller: AbortController | undefined;
  #gone = false;

  constructor(message: IncomingMessage, path: string, body: Buffer, peer: Peer, receivedAt: number) {
    this.method = message.method ?? '';
    this.path = path;
    this.#search = (message.url ?? '').slice(path.length);
    this.headers = message.headers;
    this.body = body;
    this.peer = peer;
    this.receivedAt = receivedAt;
  }

  get query(): HttpRequest['query'] {
    if (last.search !== this.#search) last = { search: this.#search, query: new URLSearchParams(this.#search) };
    return last.query;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#gone) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** The client went away before it had an answer. */
  leave(): void {
    this.#gone = true;
    this.#controller?.abort();
  }
}
