// The ledger as another thread is given it: entries travel to the thread that writes in one buffer, which comes back with the places
// where they landed. Cloning 400 objects, or as many hashes, would cost more than writing them.
import { type ErrorCode, messageOf, SealgateError } from '../lib/errors.ts';
import { BodyBuffers } from './body-buffers.ts';
import type { Append, Appended, EntryKind, LeafExtra } from './entry.ts';

/** Bytes of a leaf hash in hex. */
const HASH_CHARS = 64;

/** Entries of one append to the audit lane. */
export interface AppendRequest {
  readonly type: 'append';
  readonly id: number;
  /** One kind when all are of it. */
  readonly kinds: EntryKind | readonly EntryKind[];
  /** Undefined when no entry has any. */
  readonly extras: readonly (LeafExtra | undefined)[] | undefined;
  /** Bytes of each body; `bodies` holds them one after the other. */
  readonly sizes: Uint32Array;
  /** Transferred. */
  readonly bodies: Uint8Array<ArrayBuffer>;
}

/** `room`: the memory of the bodies, to be used again. Transferred. */
export type AppendAnswer =
  | {
      readonly type: 'appended';
      readonly id: number;
      /** By entry. */
      readonly shards: Uint32Array;
      readonly seqs: Float64Array;
      /** Leaf hashes in hex, one after the other. */
      readonly hashes: string;
      readonly room: ArrayBuffer;
    }
  | {
      readonly type: 'refused';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly room: ArrayBuffer;
    };

export interface AuditLane {
  append(lane: 'audit', entries: readonly Append[]): Promise<Appended[]>;
}

interface Pending {
  readonly resolve: (landed: Appended[]) => void;
  readonly reject: (error: SealgateError) => void;
}

/** On the thread that has entries. */
export class RemoteLedger implements AuditLane {
  readonly #post: (request: AppendRequest, transfer: ArrayBuffer[]) => void;
  readonly #buffers = new BodyBuffers();
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;

  constructor(post: (request: AppendRequest, transfer: ArrayBuffer[]) => void) {
    this.#post = post;
  }

  /** As the ledger's own; rejects with its codes. The bodies are copied before it returns. */
  append(_lane: 'audit', entries: readonly Append[]): Promise<Appended[]> {
    if (entries.length === 0) return Promise.resolve([]);
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Appended[]>();
    this.#pending.set(id, { resolve, reject });
    const request = pack(id, entries, this.#buffers);
    this.#post(request, [request.bodies.buffer]);
    return promise;
  }

  /** What came back. */
  receive(answer: AppendAnswer): void {
    this.#buffers.give(answer.room);
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (answer.type === 'refused') pending?.reject(new SealgateError(answer.code, answer.message));
    else pending?.resolve(placesOf(answer));
  }
}

/** On the thread that writes: appends what was asked for. Never rejects: an error is an answer, too. */
export async function answerAppend(ledger: AuditLane, request: AppendRequest): Promise<AppendAnswer> {
  const { id } = request;
  const room = request.bodies.buffer;
  try {
    const landed = await ledger.append('audit', unpack(request));
    return {
      ...{ type: 'appended', id, room },
      shards: Uint32Array.from(landed, ({ shard }) => shard),
      seqs: Float64Array.from(landed, ({ seq }) => seq),
      hashes: landed.map(({ leafHash }) => leafHash).join(''),
    };
  } catch (error) {
    const code = error instanceof SealgateError ? error.code : 'LEDGER_WRITE_FAILED';
    return { type: 'refused', id, code, message: messageOf(error), room };
  }
}

function pack(id: number, entries: readonly Append[], buffers: BodyBuffers): AppendRequest {
  const sizes = Uint32Array.from(entries, ({ body }) => body.length);
  const bodies = buffers.take(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  for (const { body } of entries) {
    bodies.set(body, at);
    at += body.length;
  }
  const [first] = entries;
  const alike = entries.every(({ kind }) => kind === first?.kind);
  const kinds = alike && first !== undefined ? first.kind : entries.map(({ kind }) => kind);
  const extras = entries.some(({ extra }) => extra !== undefined) ? entries.map(({ extra }) => extra) : undefined;
  return { type: 'append', id, kinds, extras, sizes, bodies };
}

function unpack({ kinds, extras, sizes, bodies }: AppendRequest): Append[] {
  const entries: Append[] = [];
  let at = 0;
  for (const [i, size] of sizes.entries()) {
    const kind = (typeof kinds === 'string' ? kinds : kinds[i]) as EntryKind;
    const body = bodies.subarray(at, at + size);
    const extra = extras?.[i];
    entries.push(extra === undefined ? { kind, body } : { kind, extra, body });
    at += size;
  }
  return entries;
}

function placesOf({ shards, seqs, hashes }: AppendAnswer & { type: 'appended' }): Appended[] {
  return Array.from(seqs, (seq, i) => ({
    shard: shards[i] as number,
    seq,
    leafHash: hashes.slice(i * HASH_CHARS, (i + 1) * HASH_CHARS),
  }));
}
