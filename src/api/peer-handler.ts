// Answers what other replicas ask, from this replica's ledger alone: a question of a peer is never passed on.

import type { IndexLog } from '../index/log.ts';
import { parseQuery } from '../index/query.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import type { HttpAnswer, HttpHandler } from '../lib/http.ts';
import { PEER_PROTOCOL, type PeerAnswer, type PeerAsk, readQuestion, unusable } from './peer-protocol.ts';
import type { Replica } from './replica.ts';

export interface PeerHandlerOptions {
  readonly own: Replica;
  /** Random, of this process. */
  readonly instance: string;
  /** `<domain>/<cluster>`. */
  readonly cluster: string;
  readonly version: string;
  /** Aborted when this replica stops: questions that wait for news are answered then. */
  readonly stopping: AbortSignal;
  readonly log: IndexLog;
}

const STATUS: Readonly<Partial<Record<string, number>>> = {
  PEER_UNAVAILABLE: 400,
  QUERY_INVALID: 400,
  ENTRY_NOT_FOUND: 404,
  QUERY_UNAVAILABLE: 503,
  QUERY_TIMEOUT: 504,
};

/** Answers 200, or `{code, message}` with another status. */
export function createPeerHandler(options: PeerHandlerOptions): HttpHandler {
  const { instance, cluster, version, own, log } = options;
  return async (request) => {
    try {
      const asked = readQuestion(request.body);
      const protocol = PEER_PROTOCOL;
      if (asked.protocol !== protocol) {
        throw unusable(
          `it speaks version ${protocol} of the peer protocol (Sealgate ${version}), not ${asked.protocol}: finish the upgrade`,
        );
      }
      if (asked.cluster !== cluster) throw unusable(`it is a replica of ${cluster}, not of ${asked.cluster}`);
      // Under one of the addresses it has found itself: that needs no search.
      const ask: PeerAsk = asked.instance === instance ? { type: 'name' } : asked.ask;
      const answer = await answerTo(ask, options, AbortSignal.any([request.signal, options.stopping]));
      const whole: PeerAnswer = { protocol, instance, cluster, replica: own.name, version, answer };
      return json(200, whole);
    } catch (error) {
      if (error instanceof SealgateError) return refusal(STATUS[error.code] ?? 500, error);
      log.error({ error: messageOf(error) }, 'a question of another replica failed');
      return refusal(500, { code: 'INTERNAL', message: 'the question could not be answered: see its log' });
    }
  };
}

async function answerTo(ask: PeerAsk, { own }: PeerHandlerOptions, signal: AbortSignal): Promise<unknown> {
  switch (ask.type) {
    case 'name':
      return null;
    case 'search': {
      // All times in it are absolute.
      const query = parseQuery(new URLSearchParams(ask.parameters), 0);
      const { softLimitMs, waitMs = 0 } = ask;
      return await own.search(query, { softLimitMs, waitMs, signal });
    }
    case 'lookup':
      return await own.lookUp(ask.lookup);
    case 'entry':
      return await own.entry(ask.shard, ask.seq);
  }
}

function refusal(status: number, { code, message }: Pick<SealgateError, 'code' | 'message'>): HttpAnswer {
  return json(status, { code, message });
}

function json(status: number, value: object): HttpAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}
