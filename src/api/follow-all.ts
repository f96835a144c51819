// Streams the entries of all replicas as they come: each is asked again and again for what is new, and its answers are written in turn.
import type { Request, Response } from 'express';
import type { Cursor } from '../index/cursor.ts';
import type { IndexLog } from '../index/log.ts';
import { MAX_LIMIT, type Query } from '../index/query.ts';
import type { Micros } from '../lib/clock.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { decodeFederated, Listed } from './federated-cursor.ts';
import { type Federation, placeOf } from './federation.ts';
import { furthest, pause, write } from './follow.ts';
import { joinAcross, type OwnedEntry } from './joined.ts';
import type { Missing } from './peers.ts';
import type { Replica } from './replica.ts';

export interface FollowAllOptions {
  readonly federation: Federation;
  readonly now: () => Micros;
  readonly log: IndexLog;
  readonly heartbeatMs: number;
}

/** Between two looks at who the replicas are, and before one that failed is asked again, in milliseconds. */
const LOOK_MS = 2000;

/** One question waits so long for news, in milliseconds. */
const WAIT_MS = 10_000;

/** The least time between two questions to one replica, in milliseconds: what came in between is one page. */
const PACE_MS = 200;

/**
 * Ends with the client. When the replicas that do not answer change, a line says who they are: `{"replicas":{"missing":[…]}}`. One that
 * answers again goes on where it was.
 */
export async function followAll(
  options: FollowAllOptions,
  query: Query,
  cursor: string | undefined,
  request: Request,
  response: Response,
): Promise<void> {
  const stream = new Stream(options, query, cursor, response);
  if (request.method === 'HEAD') {
    response.status(200).type('application/x-ndjson').end();
    return;
  }
  await stream.run();
}

class Stream {
  readonly #options: FollowAllOptions;
  readonly #query: Query;
  readonly #response: Response;
  readonly #gone = new AbortController();
  readonly #positions = new Map<string, Cursor>();
  readonly #begun: Micros;
  readonly #followed = new Map<string, Replica>();
  readonly #missing = new Map<string, string>();
  /** Events that were written, so that a copy which comes later is not. */
  readonly #written = new Listed();
  #told = '[]';
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: FollowAllOptions, query: Query, cursor: string | undefined, response: Response) {
    this.#options = options;
    this.#query = query;
    this.#response = response;
    this.#begun = options.now();
    if (cursor === undefined) return;
    const from = decodeFederated(cursor);
    if (from === undefined)
      throw new SealgateError(
        'QUERY_INVALID',
        'the cursor is not one of a query over all replicas: give local=1 with it',
      );
    for (const [name, position] of from.positions) {
      if (typeof position === 'object') this.#positions.set(name, position);
    }
  }

  async run(): Promise<void> {
    const { federation, heartbeatMs } = this.#options;
    const response = this.#response;
    const { signal } = this.#gone;
    response.once('close', () => this.#gone.abort());
    if (this.#positions.size === 0 && this.#query.filter.since === undefined) await this.#fromNow();
    response.status(200).type('application/x-ndjson');
    response.flushHeaders();
    const beat = setInterval(() => void this.#inTurn(() => write(response, '\n', signal)), heartbeatMs);
    try {
      while (!signal.aborted) {
        const { replicas, missing } = await federation.members();
        for (const replica of [federation.own, ...replicas]) {
          if (this.#followed.has(replica.name)) continue;
          this.#followed.set(replica.name, replica);
          void this.#follow(replica).finally(() => this.#followed.delete(replica.name));
        }
        const known = new Set([federation.own, ...replicas].map(({ name }) => name));
        // One that is looked for and not found is among `missing`.
        for (const name of this.#missing.keys()) if (!known.has(name)) this.#missing.delete(name);
        await this.#tell(missing);
        await pause(LOOK_MS, signal);
      }
    } finally {
      clearInterval(beat);
    }
  }

  /** Everybody begins where it is now. One that does not say where that is begins with the time at which this began. */
  async #fromNow(): Promise<void> {
    const { federation } = this.#options;
    const { replicas } = await federation.members();
    await Promise.all(
      [federation.own, ...replicas].map(async (replica) => {
        try {
          const { tail } = await replica.search({ filter: {}, ascending: false, limit: 1 });
          this.#positions.set(replica.name, placeOf(tail));
        } catch (error) {
          this.#missing.set(replica.name, messageOf(error));
        }
      }),
    );
  }

  /** Until it fails once; it is taken up again with the next look. */
  async #follow(replica: Replica): Promise<void> {
    const { signal } = this.#gone;
    try {
      while (!signal.aborted) {
        const after = this.#positions.get(replica.name);
        const page = await replica.search(this.#queryFrom(after), { waitMs: WAIT_MS, signal });
        this.#missing.delete(replica.name);
        const entries = page.entries.map((entry) => ({ ...entry, replica: replica.name }));
        const to = furthest(after, placeOf(page.next ?? page.tail));
        if (to !== undefined) this.#positions.set(replica.name, to);
        if (entries.length > 0) await this.#inTurn(() => this.#give(entries));
        if (page.next === null) await pause(PACE_MS, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#missing.set(replica.name, messageOf(error));
      this.#options.log.warn({ replica: replica.name, error: messageOf(error) }, 'a followed replica does not answer');
    }
  }

  #queryFrom(after: Cursor | undefined): Query {
    const { after: _, ...query } = this.#query;
    const whole = { ...query, ascending: true, limit: MAX_LIMIT };
    if (after !== undefined) return { ...whole, after };
    const { since = this.#begun } = whole.filter;
    return { ...whole, filter: { ...whole.filter, since } };
  }

  async #give(entries: readonly OwnedEntry[]): Promise<void> {
    const joined = await joinAcross(entries, [...this.#followed.values()]);
    const lines = joined.entries
      .filter(({ kind, replica, shard, seq, copies = [] }) => {
        if (copies.some((copy) => this.#written.has(copy.replica, copy.shard, copy.seq))) return false;
        if (kind === 'event') this.#written.add(replica, shard, seq);
        return true;
      })
      .map((entry) => `${JSON.stringify(entry)}\n`);
    if (lines.length > 0) await write(this.#response, lines.join(''), this.#gone.signal);
  }

  async #tell(missing: readonly Missing[]): Promise<void> {
    const all = new Map(this.#missing);
    for (const { replica, why } of missing) all.set(replica, why);
    const list = [...all].map(([replica, why]) => ({ replica, why })).sort((a, b) => (a.replica < b.replica ? -1 : 1));
    // By name: reasons change from one attempt to the next.
    const names = JSON.stringify(list.map(({ replica }) => replica));
    if (names === this.#told) return;
    this.#told = names;
    const line = `${JSON.stringify({ replicas: { missing: list } })}\n`;
    await this.#inTurn(() => write(this.#response, line, this.#gone.signal));
  }

  /** One after the other, so that lines stay whole and a slow client holds up everybody. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}
