// A witness (C2SP tlog-witness): cosigns a checkpoint of a log that it knows when it continues the last one it cosigned.
import type { KeyObject } from 'node:crypto';
import { type AddCheckpoint, parseAddCheckpoint, SIZE_CONTENT_TYPE } from '../tlog/add-checkpoint.ts';
import { openCheckpoint, parseCheckpoint } from '../tlog/checkpoint.ts';
import { checkConsistency } from '../tlog/consistency.ts';
import { cosign } from '../tlog/cosignature.ts';
import { rawPublicKey } from '../tlog/ed25519.ts';
import { TlogError } from '../tlog/errors.ts';
import { formatNote, parseNote } from '../tlog/note.ts';
import { createVerifier } from '../tlog/verifier.ts';
import { formatVkey, makeVerifierKey, type VerifierKey } from '../tlog/vkey.ts';
import type { WitnessedHead, WitnessHeads } from './witness-heads.ts';

/** A request has a checkpoint of a few signature lines and at most 63 hashes. */
export const MAX_REQUEST_BYTES = 64 * 1024;

export interface WitnessOptions {
  /** Name of the witness's key, for example `witness.example/west`. */
  readonly name: string;
  /** Ed25519. Nothing else should be signed with it. */
  readonly privateKey: KeyObject;
  /** Keys of the logs. One named N speaks for the logs with origin N and N/<number>, which are the shards of a ledger. */
  readonly logs: readonly VerifierKey[];
  readonly heads: WitnessHeads;
  /** Whole seconds since 1970. */
  readonly now: () => number;
  /** A log signed something that contradicts what it signed before. */
  readonly onMisbehaviour: (origin: string, why: string) => void;
}

export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  readonly contentType: string;
  readonly body: string;
}

export class Witness {
  /** Its verifying key, of type cosignature/v1. */
  readonly vkey: string;
  readonly #options: WitnessOptions;
  readonly #verifiers: readonly ReturnType<typeof createVerifier>[];

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#verifiers = options.logs.map((key) => createVerifier(key));
    this.vkey = formatVkey(makeVerifierKey(options.name, 'cosignature/v1', rawPublicKey(options.privateKey)));
  }

  /** Answers the body of an `add-checkpoint` request. What it cosigns is on disk before it returns. */
  add(body: Uint8Array): WitnessAnswer {
    let request: AddCheckpoint;
    let origin: string;
    try {
      request = parseAddCheckpoint(body);
      origin = parseCheckpoint(parseNote(request.note).text).origin;
    } catch (error) {
      return refuse(400, error);
    }
    const keys = this.#verifiers.filter(({ name }) => speaksFor(name, origin));
    if (keys.length === 0) return text(404, `the log ${origin} is not known here`);
    let checkpoint: ReturnType<typeof openCheckpoint>;
    try {
      checkpoint = openCheckpoint(request.note, { verifiers: keys });
    } catch (error) {
      return refuse(403, error);
    }
    const { size, root } = checkpoint;
    if (request.oldSize > size)
      return text(400, `the old size ${request.oldSize} is above that of the checkpoint, ${size}`);
    const next = { size, root: Buffer.from(root), note: request.note };
    const refusal = this.#options.heads.advance(origin, next, (last) => this.#judge(request, checkpoint, last, body));
    if (refusal !== undefined) return refusal;
    const signature = cosign(checkpoint.text, this.#options.name, this.#options.privateKey, this.#options.now());
    const cosigned = formatNote({ text: checkpoint.text, signatures: [signature] });
    return text(200, cosigned.slice(checkpoint.text.length + 1));
  }

  #judge(
    { oldSize, proof }: AddCheckpoint,
    { origin, size, root }: { readonly origin: string; readonly size: number; readonly root: Uint8Array },
    last: WitnessedHead | undefined,
    body: Uint8Array,
  ): WitnessAnswer | undefined {
    const known = last?.size ?? 0;
    if (oldSize !== known) return { status: 409, contentType: SIZE_CONTENT_TYPE, body: `${known}\n` };
    if (last !== undefined && size === known && !last.root.equals(root)) {
      this.#misbehaved(origin, `it signed two trees of ${size} entries`, body);
      return { status: 409, contentType: SIZE_CONTENT_TYPE, body: `${known}\n` };
    }
    try {
      if (last === undefined) {
        if (proof.length > 0) throw new TlogError('PROOF_MALFORMED', 'a proof from the empty tree has no hashes');
      } else checkConsistency(known, last.root, size, root, proof);
      return undefined;
    } catch (error) {
      if (!(error instanceof TlogError)) throw error;
      this.#misbehaved(origin, `the proof from ${known} to ${size} entries does not hold: ${error.message}`, body);
      return refuse(422, error);
    }
  }

  /** It may be a mistake of the sender's as well: who looks at the evidence can tell. */
  #misbehaved(origin: string, why: string, body: Uint8Array): void {
    const time = new Date(this.#options.now() * 1000).toISOString();
    this.#options.heads.keepEvidence(origin, time, why, body);
    this.#options.onMisbehaviour(origin, why);
  }
}

/** Whether a key with this name may sign for a log with this origin. */
function speaksFor(name: string, origin: string): boolean {
  return (
    origin === name || (origin.startsWith(`${name}/`) && /^(0|[1-9]\d{0,14})$/.test(origin.slice(name.length + 1)))
  );
}

function refuse(status: 400 | 403 | 422, error: unknown): WitnessAnswer {
  if (!(error instanceof TlogError)) throw error;
  return text(status, error.message);
}

function text(status: WitnessAnswer['status'], line: string): WitnessAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: line.endsWith('\n') ? line : `${line}\n` };
}
