// What replicas say to one another: one POST, one answer. What comes from another replica is checked here before anything believes it:
// it may be another version, or in somebody else's hands.
import { Ajv, type ValidateFunction } from 'ajv';
import { type LookedUp, type Lookup, MAX_LOOKED_UP } from '../index/lookup.ts';
import { MAX_LIMIT } from '../index/query.ts';
import { ERROR_CODES, type ErrorCode, SealgateError } from '../lib/errors.ts';
import type { EntryAnswer } from './query-protocol.ts';
import type { ReplicaPage } from './replica.ts';

/** Raised when an older release could misread a question or an answer. */
export const PEER_PROTOCOL = 1;
export const PEER_PATH = '/v1/peer';

/** Bytes of a question, and of an answer. Entries have bodies, which can be large. */
export const MAX_ASK_BYTES = 4 * 2 ** 20;
export const MAX_ANSWER_BYTES = 32 * 2 ** 20;
export const MAX_ENTRY_BYTES = 64 * 2 ** 20;

/** The longest that a question may wait for news, in milliseconds. */
export const MAX_WAIT_MS = 20_000;

export type PeerAsk =
  /** Who are you? */
  | { readonly type: 'name' }
  /** The parameters of a page (pageParameters). */
  | { readonly type: 'search'; readonly parameters: string; readonly softLimitMs: number; readonly waitMs?: number }
  | { readonly type: 'lookup'; readonly lookup: Lookup }
  | { readonly type: 'entry'; readonly shard?: number; readonly seq: number };

export interface PeerQuestion {
  readonly protocol: number;
  /** Random, of the process that asks: a replica that finds itself under one of the addresses says so. */
  readonly instance: string;
  /** `<domain>/<cluster>`: replicas of another log are none of ours. */
  readonly cluster: string;
  readonly ask: PeerAsk;
}

export interface PeerAnswer {
  readonly protocol: number;
  readonly instance: string;
  readonly cluster: string;
  readonly replica: string;
  readonly version: string;
  /** By what was asked; `null` for a name, and for an entry that is not there. */
  readonly answer: unknown;
}

const place = { shard: { type: 'integer', minimum: 0 }, seq: { type: 'integer', minimum: 0 } } as const;
const text = { type: 'string', maxLength: 8192 } as const;
const texts = (...names: string[]) => Object.fromEntries(names.map((name) => [name, text]));
const claim = { type: 'object', required: ['uid', 'reference'], properties: texts('uid', 'reference') } as const;
const list = (items: object, maxItems: number) => ({ type: 'array', maxItems, items }) as const;

const QUESTION = {
  type: 'object',
  required: ['protocol', 'instance', 'cluster', 'ask'],
  properties: {
    protocol: { type: 'integer' },
    ...texts('instance', 'cluster'),
    ask: {
      type: 'object',
      required: ['type'],
      discriminator: { propertyName: 'type' },
      oneOf: [
        { properties: { type: { const: 'name' } } },
        {
          required: ['parameters', 'softLimitMs'],
          properties: {
            type: { const: 'search' },
            parameters: { type: 'string', maxLength: 65_536 },
            softLimitMs: { type: 'number', minimum: 0 },
            waitMs: { type: 'number', minimum: 0, maximum: MAX_WAIT_MS },
          },
        },
        {
          required: ['lookup'],
          properties: {
            type: { const: 'lookup' },
            lookup: {
              type: 'object',
              required: ['claims', 'uids', 'events', 'places'],
              properties: {
                claims: list(claim, MAX_LOOKED_UP),
                uids: list(text, MAX_LOOKED_UP),
                events: list(
                  {
                    type: 'object',
                    required: ['auditID', 'stage', 'time'],
                    properties: { ...texts('auditID', 'stage'), time: { type: 'integer' } },
                  },
                  MAX_LOOKED_UP,
                ),
                places: list({ type: 'object', required: ['shard', 'seq'], properties: place }, MAX_LOOKED_UP),
              },
            },
          },
        },
        { required: ['seq'], properties: { type: { const: 'entry' }, ...place } },
      ],
    },
  },
};

const ANSWER = {
  type: 'object',
  required: ['protocol', 'instance', 'cluster', 'replica', 'version', 'answer'],
  properties: {
    protocol: { type: 'integer' },
    instance: text,
    ...Object.fromEntries(['cluster', 'replica', 'version'].map((name) => [name, { type: 'string', maxLength: 512 }])),
  },
};

const LINK = {
  type: 'object',
  required: ['state'],
  properties: {
    state: { enum: ['verified', 'mismatch', 'missing', 'elsewhere'] },
    ...place,
    ...texts('kind', 'stage', 'claim'),
    code: { type: 'integer' },
    allowed: { type: 'boolean' },
    replica: false,
  },
};

const ENTRY = {
  type: 'object',
  required: ['shard', 'seq', 'time', 'kind'],
  properties: {
    ...place,
    time: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z$' },
    ...texts('kind', 'user', 'impersonator', 'verb', 'group', 'resource', 'subresource', 'namespace', 'name', 'stage'),
    ...texts('uid', 'auditID'),
    allowed: { type: 'boolean' },
    dryRun: { const: true },
    code: { type: 'integer' },
    policies: list(
      {
        type: 'object',
        required: ['policy', 'action'],
        properties: { ...texts('policy', 'action'), failed: { const: true } },
      },
      10_000,
    ),
    links: list(LINK, 256),
    replica: false,
    copies: false,
  },
};

const nullable = (schema: object) => ({ anyOf: [{ type: 'null' }, schema] });
const PLACE = { type: 'object', required: ['shard', 'seq'], properties: place };

const PAGE = {
  type: 'object',
  required: ['entries', 'next', 'tail', 'incomplete', 'indexed', 'current', 'head', 'older'],
  properties: {
    entries: list(ENTRY, MAX_LIMIT),
    next: { type: ['string', 'null'], maxLength: 64 },
    tail: { type: 'string', maxLength: 64 },
    incomplete: { type: 'boolean' },
    indexed: nullable(PLACE),
    current: { type: 'boolean' },
    head: {
      type: 'object',
      required: ['shard', 'size'],
      properties: { shard: { type: 'integer' }, size: { type: 'integer' } },
    },
    older: nullable({
      type: 'object',
      required: ['oldestShard', 'before'],
      properties: { oldestShard: { type: 'integer' }, ...texts('before', 'store') },
    }),
  },
};

const LOOKED_UP = {
  type: 'object',
  required: ['claims', 'naming', 'copies', 'hashes'],
  properties: {
    claims: list(nullable(LINK), MAX_LOOKED_UP),
    naming: list(
      {
        type: 'object',
        required: ['shard', 'seq', 'uid', 'reference'],
        properties: { ...place, ...texts('uid', 'reference', 'stage'), code: { type: 'integer' } },
      },
      65_536,
    ),
    copies: list(
      list(
        {
          type: 'object',
          required: ['entry', 'hash'],
          properties: { entry: ENTRY, hash: { type: 'string', maxLength: 64 } },
        },
        256,
      ),
      MAX_LOOKED_UP,
    ),
    hashes: list({ type: ['string', 'null'], maxLength: 64 }, MAX_LOOKED_UP),
  },
};

const CHECK = { enum: ['good', 'bad', 'unknown'] };

const ENTRY_ANSWER = nullable({
  type: 'object',
  required: ['detail', 'found'],
  properties: {
    detail: {
      type: 'object',
      required: ['shard', 'seq', 'origin', 'leaf', 'leafHash', 'salt', 'body', 'bodyIsJson', 'checks', 'checkpoint'],
      properties: {
        ...place,
        ...Object.fromEntries(['origin', 'leaf', 'leafHash', 'salt', 'body'].map((name) => [name, { type: 'string' }])),
        bodyIsJson: { type: 'boolean' },
        checks: {
          type: 'object',
          required: ['body', 'previous', 'next', 'checkpoint'],
          properties: { body: CHECK, previous: CHECK, next: CHECK, checkpoint: CHECK },
        },
        checkpoint: { type: ['string', 'null'] },
      },
    },
    found: nullable(ENTRY),
  },
});

const ajv = new Ajv({
  strict: true,
  strictRequired: false,
  strictTypes: false,
  discriminator: true,
  allowUnionTypes: true,
});
const question = ajv.compile(QUESTION) as ValidateFunction<PeerQuestion>;
const answer = ajv.compile(ANSWER) as ValidateFunction<PeerAnswer>;
const page = ajv.compile(PAGE) as ValidateFunction<ReplicaPage>;
const lookedUp = ajv.compile(LOOKED_UP) as ValidateFunction<LookedUp>;
const entryAnswer = ajv.compile(ENTRY_ANSWER) as ValidateFunction<EntryAnswer | null>;

/** Throws PEER_UNAVAILABLE when the bytes are not such a thing. */
export const readQuestion = (bytes: Buffer): PeerQuestion => checked(question, parse(bytes));
export const readAnswer = (bytes: Buffer): PeerAnswer => checked(answer, parse(bytes));
export const readPage = (value: unknown): ReplicaPage => checked(page, value);

export function readLookedUp(value: unknown, asked: Lookup): LookedUp {
  const found = checked(lookedUp, value);
  for (const [one, many] of [
    [found.claims, asked.claims],
    [found.copies, asked.events],
    [found.hashes, asked.places],
  ] as const) {
    if (one.length !== many.length) throw unusable('it answers to fewer or more than it was asked');
  }
  return found;
}

/** The body claims to be JSON or not; it goes out as it is, so that has to be true. */
export function readEntryAnswer(value: unknown): EntryAnswer | null {
  const found = checked(entryAnswer, value);
  if (found?.detail.bodyIsJson === true) parse(Buffer.from(found.detail.body));
  return found;
}

/** What a replica refused, from the body of an answer that is no 200. */
export function readRefusal(bytes: Buffer, status: number): SealgateError {
  try {
    const { code, message } = JSON.parse(bytes.toString()) as { code: unknown; message: unknown };
    if (typeof code === 'string' && typeof message === 'string' && Object.hasOwn(ERROR_CODES, code))
      return new SealgateError(code as ErrorCode, message.slice(0, 1024));
  } catch {
    // Said below.
  }
  return unusable(`it answered with status ${status}`);
}

export function unusable(why: string, cause?: unknown): SealgateError {
  return new SealgateError('PEER_UNAVAILABLE', why, cause === undefined ? {} : { cause });
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw unusable('what it says is not JSON', error);
  }
}

function checked<T>(validate: ValidateFunction<T>, value: unknown): T {
  if (validate(value)) return value;
  const [first] = validate.errors ?? [];
  throw unusable(
    `what it says is not of the peer protocol: ${first?.instancePath ?? ''} ${first?.message ?? ''}`.trim(),
  );
}
