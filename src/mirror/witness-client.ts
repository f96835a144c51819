// Asks witnesses for cosignatures of a checkpoint (C2SP tlog-witness). A witness that has cosigned more than the ledger holds
// knows of a history that was lost or rolled back here.
import { messageOf, SealgateError } from '../lib/errors.ts';
import { addCosignatures, formatAddCheckpoint, parseSizeAnswer } from '../tlog/add-checkpoint.ts';
import { createSigner, keyLabel, type NoteVerifier, parseNote, signNote } from '../tlog/note.ts';
import { type PolicyWitness, quorumReached, type WitnessPolicy } from '../tlog/policy.ts';
import { createVerifier } from '../tlog/verifier.ts';

const MAX_ANSWER_BYTES = 64 * 1024;
/** The first try may name an old size that another submitter has passed, and so may the second. */
const TRIES = 3;

/** A checkpoint to be cosigned, and the tree it is of. */
export interface Submission {
  readonly origin: string;
  readonly size: number;
  /** The checkpoint, a whole note. */
  readonly note: string;
  /** Consistency proof from an older size to `size`. */
  readonly prove: (oldSize: number) => readonly Uint8Array[];
}

export interface WitnessFailure {
  readonly witness: string;
  readonly error: SealgateError;
}

export interface Witnessed {
  /** The note with every cosignature that came. */
  readonly note: string;
  /** Names of the keys that cosigned. */
  readonly cosigned: readonly string[];
  readonly failures: readonly WitnessFailure[];
  /** Whether they are enough for the policy. */
  readonly quorum: boolean;
}

export interface WitnessClientOptions {
  /** Its witnesses with a URL are asked. */
  readonly policy: WitnessPolicy;
  /** Raw Ed25519 seed of the log's key. Other witnesses than ours want a signature under a key that is named like the origin. */
  readonly privateKey: Uint8Array;
  readonly timeoutMs: number;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  /** Default: the platform's. */
  readonly fetch?: typeof fetch;
}

/** A witness that failed is left alone for so long, so that a push does not wait for it each time. */
const PAUSE_MS = 30_000;

interface AskedWitness {
  readonly witness: PolicyWitness;
  readonly url: string;
  readonly verifier: NoteVerifier;
}

export class WitnessClient {
  readonly #options: WitnessClientOptions;
  readonly #witnesses: readonly {
    readonly witness: PolicyWitness;
    readonly url: string;
    readonly verifier: NoteVerifier;
  }[];
  /** Size that a witness cosigned last, by witness and origin. */
  readonly #sizes = new Map<string, number>();
  /** Witnesses that are not asked now, by URL. */
  readonly #paused = new Map<string, { readonly until: number; readonly error: SealgateError }>();

  constructor(options: WitnessClientOptions) {
    this.#options = options;
    this.#witnesses = options.policy.witnesses.flatMap((witness) =>
      witness.url === undefined
        ? []
        : [
            {
              witness,
              url: `${witness.url.replace(/\/+$/, '')}/add-checkpoint`,
              verifier: createVerifier(witness.key),
            },
          ],
    );
  }

  /** Asks all witnesses at once. Never rejects: what went wrong with which is in the result. */
  async cosign(submission: Submission): Promise<Witnessed> {
    const { privateKey, policy } = this.#options;
    const { text, signatures } = parseNote(submission.note);
    const submitted = signNote(text, [createSigner(submission.origin, privateKey)], signatures);
    const results = await Promise.allSettled(
      this.#witnesses.map((one) => this.#askUnlessPaused(one.url, () => this.#ask(one, submitted, submission))),
    );
    let { note } = submission;
    const cosigned: { name: string; id: number }[] = [];
    const failures: WitnessFailure[] = [];
    for (const [index, result] of results.entries()) {
      const asked = this.#witnesses[index];
      if (asked === undefined) continue;
      if (result.status === 'rejected') {
        failures.push({ witness: asked.witness.name, error: asError(result.reason, asked.url) });
        continue;
      }
      note = addCosignatures(note, result.value, [asked.verifier]);
      cosigned.push(asked.witness.key);
    }
    return { note, cosigned: cosigned.map(keyLabel), failures, quorum: quorumReached(policy, cosigned) };
  }

  async #askUnlessPaused(url: string, ask: () => Promise<string>): Promise<string> {
    const paused = this.#paused.get(url);
    if (paused !== undefined && this.#options.now() < paused.until) throw paused.error;
    try {
      return await ask();
    } catch (thrown) {
      const error = asError(thrown, url);
      if (error.code !== 'WITNESS_CONTRADICTS') this.#paused.set(url, { until: this.#options.now() + PAUSE_MS, error });
      throw error;
    }
  }

  /** The answer of one witness, whose cosignature in it was checked. */
  async #ask(
    { url, verifier, witness: { key } }: AskedWitness,
    note: string,
    { origin, size, prove }: Submission,
  ): Promise<string> {
    const place = `${keyLabel(key)} ${origin}`;
    let oldSize = Math.min(this.#sizes.get(place) ?? 0, size);
    for (let left = TRIES; left > 0; left--) {
      const { status, body } = await this.#post(url, formatAddCheckpoint({ oldSize, proof: prove(oldSize), note }));
      if (status === 200) {
        addCosignatures(note, body, [verifier]);
        this.#sizes.set(place, size);
        return body;
      }
      const known = status === 409 ? parseSizeAnswer(body) : undefined;
      if (known === undefined) throw refused(url, status, body);
      if (known > size || (known === size && oldSize === size)) throw contradicted(url, origin, known, size);
      oldSize = known;
    }
    throw new SealgateError(
      'WITNESS_UNAVAILABLE',
      `${url} named another size each of ${TRIES} times: others submit this log too`,
    );
  }

  async #post(url: string, body: string): Promise<{ status: number; body: string }> {
    const response = await (this.#options.fetch ?? fetch)(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      redirect: 'error',
      signal: AbortSignal.timeout(this.#options.timeoutMs),
    });
    return { status: response.status, body: await readBounded(response) };
  }
}

async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function contradicted(url: string, origin: string, known: number, size: number): SealgateError {
  const why =
    known > size
      ? `it has cosigned ${known} entries of ${origin}, and only ${size} are here: the ledger lost its end or was rolled back`
      : `it has cosigned another history of ${origin} with ${known} entries: the log was forked`;
  return new SealgateError('WITNESS_CONTRADICTS', `${url}: ${why}; keep both and see docs/runbook.md`);
}

function refused(url: string, status: number, body: string): SealgateError {
  const advice =
    { 403: ': give the witness the key that signs now', 404: ': the witness does not know this log, add it there' }[
      status
    ] ?? '';
  const said = JSON.stringify(body.slice(0, 200));
  return new SealgateError('WITNESS_UNAVAILABLE', `${url} answered ${status} (${said})${advice}`);
}

function asError(error: unknown, url: string): SealgateError {
  if (error instanceof SealgateError) return error;
  const { cause } = error instanceof Error ? error : {};
  const detail = cause instanceof Error ? `${messageOf(error)}: ${cause.message}` : messageOf(error);
  return new SealgateError('WITNESS_UNAVAILABLE', `${url}: ${detail}`, { cause: error });
}
