// One resource of the cluster, followed: listed in pages, then watched, and listed again when the API server has forgotten where the
// watch was. Nothing ends it but its signal; what goes wrong is told and tried again, later each time.
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../lib/errors.ts';
import { ApiError, type ApiGet } from './api-connection.ts';

export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural name, for example `ingresses`. */
  readonly resource: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** An object as the API server sent it. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

export interface FollowOptions {
  readonly resource: Resource;
  readonly get: ApiGet;
  readonly signal: AbortSignal;
  /** A list begins. */
  readonly onListing: () => void;
  /** Gets objects that are there, whether they are new or not. */
  readonly onObject: (object: KubeObject) => void;
  readonly onGone: (object: KubeObject) => void;
  /** A list is complete: what it did not bring is gone. */
  readonly onListed: () => void;
  /** The API server has just confirmed that nothing is missing up to this resourceVersion. */
  readonly onConfirmed: (resourceVersion: string) => void;
  /** Why the resource cannot be followed at the moment; tried again after so many milliseconds. */
  readonly onProblem: (error: ApiError, retryMs: number) => void;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Least and most time between tries, in milliseconds. */
  readonly backoffMs?: readonly [least: number, most: number];
  /** Most silence: the API server sends a bookmark each minute. */
  readonly silenceMs?: number;
}

/** Objects of one page: parsing it holds up the main thread. */
const PAGE_OBJECTS = 100;
const BACKOFF_MS = [500, 30_000] as const;
const SILENCE_MS = 150_000;
/** A watch that ends sooner than this has failed, whatever it says. */
const SHORT_WATCH_MS = 1000;
/** Seconds after which the API server ends a watch; different ones, so that they do not all end together. */
const WATCH_SECONDS = [300, 600] as const;

/** Where the API server is asked for it. */
export function pathOf({ group, version, resource }: Resource): string {
  return `${group === '' ? '/api' : `/apis/${group}`}/${version}/${resource}`;
}

/** Resolves when the signal has ended it. */
export async function follow(options: FollowOptions): Promise<void> {
  const { signal, random } = options;
  const [least, most] = options.backoffMs ?? BACKOFF_MS;
  let failures = 0;
  /** Where to watch from; undefined: a list is needed. */
  let from: string | undefined;
  while (!signal.aborted) {
    try {
      from ??= await list(options);
      const began = performance.now();
      from = await watch(options, from, () => {
        failures = 0;
      });
      if (performance.now() - began < SHORT_WATCH_MS && !signal.aborted)
        throw new ApiError(`GET ${pathOf(options.resource)}: the API server ended the watch at once`);
    } catch (thrown) {
      if (signal.aborted) return;
      const error = thrown instanceof ApiError ? thrown : failed(options.resource, thrown);
      // 410: it has forgotten the place. What it refuses for another reason may have to do with it, too.
      if (error.status !== undefined) from = undefined;
      const expired = error.status === 410 && failures === 0;
      const wait = expired ? 0 : Math.min(most, least * 2 ** Math.min(failures, 20)) * (0.5 + random() / 2);
      failures++;
      options.onProblem(error, wait);
      await sleep(wait, undefined, { signal }).catch(() => undefined);
    }
  }
}

function failed(resource: Resource, error: unknown): ApiError {
  return new ApiError(`GET ${pathOf(resource)}: ${messageOf(error)}`, undefined, error);
}

/** The resourceVersion of the whole list. */
async function list(options: FollowOptions): Promise<string> {
  const { resource } = options;
  let next = '';
  options.onListing();
  for (;;) {
    const query = queryOf(resource, { limit: `${PAGE_OBJECTS}`, ...(next === '' ? {} : { continue: next }) });
    const page = await read(options, `${pathOf(resource)}?${query}`, wholeJson);
    const { kind, apiVersion, items, metadata } = asList(page, resource);
    // The items of a list do not repeat what they are.
    for (const item of items) options.onObject({ ...item, apiVersion, kind });
    next = metadata.continue ?? '';
    if (next !== '') continue;
    options.onListed();
    options.onConfirmed(metadata.resourceVersion);
    return metadata.resourceVersion;
  }
}

interface List {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly KubeObject[];
}

/** The API server is trusted to send objects of the shape that it documents; that it is one that answers is not. */
function asList(page: unknown, resource: Resource): List {
  const { kind, items, metadata } = (page ?? {}) as Partial<List>;
  if (typeof kind !== 'string' || !kind.endsWith('List') || typeof metadata?.resourceVersion !== 'string')
    throw new ApiError(`GET ${pathOf(resource)}: the answer is not a list`);
  return { ...(page as List), kind: kind.slice(0, -'List'.length), items: items ?? [] };
}

/** Watches until the API server ends it, and returns where to go on. */
async function watch(options: FollowOptions, from: string, onWorks: () => void): Promise<string> {
  const { resource, random } = options;
  const [shortest, longest] = WATCH_SECONDS;
  const query = queryOf(resource, {
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: from,
    timeoutSeconds: `${Math.round(shortest + random() * (longest - shortest))}`,
  });
  let last = from;
  try {
    await read(options, `${pathOf(resource)}?${query}`, async (body, heard) => {
      const lines = createInterface({ input: body, crlfDelay: Number.POSITIVE_INFINITY });
      // It passes on what the body says, also when nobody reads lines any more.
      lines.on('error', () => undefined);
      for await (const line of lines) {
        heard();
        const event: WatchEvent = JSON.parse(line);
        if (event.type === 'ERROR') throw statusError(event.object, resource);
        if (event.type === 'DELETED') options.onGone(event.object);
        else if (event.type !== 'BOOKMARK') options.onObject(event.object);
        last = event.object.metadata.resourceVersion ?? last;
        options.onConfirmed(last);
        onWorks();
      }
    });
    return last;
  } catch (error) {
    // A connection that broke has lost nothing: the next watch begins where this one ended.
    if (last !== from && !(error instanceof ApiError && error.status !== undefined)) return last;
    throw error;
  }
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject;
}

function statusError(status: { readonly [field: string]: unknown }, resource: Resource): ApiError {
  const { code, message } = status;
  return new ApiError(`GET ${pathOf(resource)}: the watch ended: ${message}`, typeof code === 'number' ? code : 500);
}

function queryOf({ labelSelector, fieldSelector }: Resource, more: Readonly<Record<string, string>>): URLSearchParams {
  return new URLSearchParams({
    ...more,
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  });
}

/** Gives the body to `use`, and ends the exchange when it is silent for too long. */
async function read<T>(
  { get, signal, silenceMs = SILENCE_MS }: FollowOptions,
  path: string,
  use: (body: IncomingMessage, heard: () => void) => Promise<T>,
): Promise<T> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new ApiError(`GET ${path}: no answer for ${silenceMs} ms`)), silenceMs);
  let body: IncomingMessage | undefined;
  try {
    body = await get(path, AbortSignal.any([signal, silence.signal]));
    // It may break off when nobody reads it any more.
    body.on('error', () => undefined);
    // Readline ends quietly where the stream breaks off: the error is asked for afterwards.
    const used = await use(body, () => timer.refresh());
    if (body.errored !== null) throw body.errored;
    return used;
  } catch (error) {
    throw silence.signal.aborted ? silence.signal.reason : error;
  } finally {
    clearTimeout(timer);
    body?.destroy();
  }
}

async function wholeJson(body: AsyncIterable<Buffer>, heard: () => void): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) {
    heard();
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}
