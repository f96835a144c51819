// One request from its headers to the end of its answer.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpAnswer, HttpHandler, Peer } from '../lib/http.ts';
import type { Log } from '../lib/log.ts';
import { Body, type ByteBudget } from './body.ts';
import type { BodyRoom } from './body-room.ts';
import { Received } from './received.ts';
import {
  INTERNAL,
  NO_LENGTH,
  OVERLOADED,
  type Rejection,
  type RejectionReason,
  reject,
  tooLarge,
  UNKNOWN_PATH,
  UNVERIFIED,
  wrongMethod,
} from './rejection.ts';

export interface Route {
  readonly method: string;
  readonly path: string;
  readonly bodyLimitBytes: number;
  /** Nobody uses anything of a body once it is answered: then its memory is for the next one. */
  readonly reusesBodies?: boolean;
  readonly handler: HttpHandler;
}

/** What an exchange needs of its listener. */
export interface Host {
  /** For messages. */
  readonly name: string;
  readonly routes: ReadonlyMap<string, Route>;
  readonly budget: ByteBudget;
  /** Where bodies of routes arrive that reuse them. */
  readonly room: BodyRoom;
  readonly log: Pick<Log, 'error'>;
  /** Whether connections are closed after their answer. */
  readonly closing: boolean;
  count(reason: RejectionReason): void;
}

/** Where it stands: the body is coming, the handler has it, or an answer was given (or nobody waits for one). */
type Stage = 'reading' | 'handling' | 'over';

export class Exchange {
  readonly #host: Host;
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  #body: Body;
  #received: Received | undefined;
  #stage: Stage = 'reading';
  #ended = false;
  #onSent: HttpAnswer['onSent'];
  #sent = false;

  constructor(host: Host, message: IncomingMessage, response: ServerResponse) {
    this.#host = host;
    this.#message = message;
    this.#response = response;
    this.#body = new Body(message, host.budget);
  }

  /** Whether nothing was written yet and the body is still coming. */
  get reading(): boolean {
    return this.#stage === 'reading';
  }

  /** Refuses the request or begins to read its body; says which. `peer` is undefined for a client that is not who it says. */
  begin(peer: Peer | undefined): boolean {
    const receivedAt = performance.now();
    const url = this.#message.url ?? '';
    const question = url.indexOf('?');
    const path = question < 0 ? url : url.slice(0, question);
    const route = this.#host.routes.get(path);
    if (peer === undefined) return this.#refuse(UNVERIFIED);
    if (route === undefined) return this.#refuse(UNKNOWN_PATH);
    const rejection = this.#judge(route);
    if (rejection !== undefined) return this.#refuse(rejection);
    if (route.reusesBodies === true) this.#body = new Body(this.#message, this.#host.budget, this.#host.room);
    this.#body.read(
      route.bodyLimitBytes,
      (body) => {
        this.#stage = 'handling';
        this.#received = new Received(this.#message, path, body, peer, receivedAt);
        this.#handle(route, this.#received);
      },
      (why) => void this.#refuse(why === 'overloaded' ? OVERLOADED : tooLarge(route.bodyLimitBytes)),
    );
    return true;
  }

  /** The answer is written or the connection is gone. `counted`: why it went was counted already. Safe to call twice. */
  end(counted: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    const stage = this.#stage;
    // A handler that goes on without its client still holds the body.
    if (stage !== 'handling') this.#body.release();
    if (stage === 'reading' && !counted) this.#host.count('cut');
    if (stage === 'handling') this.#received?.leave();
    this.#tell(this.#sent);
  }

  /** What can be said against a request before its body is there. */
  #judge(route: Route): Rejection | undefined {
    const { method, headers } = this.#message;
    if (method !== route.method) return wrongMethod(route.method);
    const announced = headers['content-length'];
    if (announced === undefined) return headers['transfer-encoding'] === undefined ? NO_LENGTH : undefined;
    if (Number(announced) > route.bodyLimitBytes) return tooLarge(route.bodyLimitBytes);
    return this.#host.budget.hasRoom(Number(announced)) ? undefined : OVERLOADED;
  }

  #refuse(rejection: Rejection): false {
    this.#stage = 'over';
    this.#host.count(rejection.reason);
    reject(this.#message, this.#response, rejection);
    return false;
  }

  /** No async function: with one handler's promise there are enough on the way of a request. */
  #handle(route: Route, received: Received): void {
    const failed = (error: unknown): void => {
      this.#host.log.error({ error }, `the ${this.#host.name} handler failed`);
      this.#answer(INTERNAL);
    };
    try {
      route.handler(received).then((answer) => this.#answer(answer), failed);
    } catch (error) {
      failed(error);
    }
  }

  #answer(answer: HttpAnswer): void {
    this.#stage = 'over';
    this.#onSent = answer.onSent;
    if (this.#ended) {
      this.#body.release();
      this.#tell(false);
    } else this.#write(answer);
  }

  #write({ status, headers = {}, body = '' }: HttpAnswer): void {
    const response = this.#response;
    const { socket } = response;
    // In Node 24 `finish` comes as well when the last write failed. It comes once: `once` would make two objects more.
    response.on('finish', () => {
      this.#sent = socket !== null && !socket.destroyed && socket.errored === null;
    });
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    // In the form of a list Node takes them as they are.
    const all: string[] = [];
    for (const name of Object.keys(headers)) all.push(name, headers[name] as string);
    all.push('content-length', String(length));
    if (this.#host.closing) all.push('connection', 'close');
    try {
      response.writeHead(status, all);
      if (length === 0) response.end();
      // A text of ASCII alone is written as it is.
      else if (length === body.length) response.end(body, 'latin1');
      else response.end(body);
    } catch (error) {
      // A header that HTTP does not allow, for example.
      this.#host.log.error({ error }, `an answer of the ${this.#host.name} handler could not be written`);
      response.destroy();
    }
  }

  #tell(delivered: boolean): void {
    const onSent = this.#onSent;
    this.#onSent = undefined;
    try {
      onSent?.(delivered);
    } catch (error) {
      this.#host.log.error({ error }, `the ${this.#host.name} handler failed after its answer`);
    }
  }
}
