// The objects of configured kinds in the cluster, as policies see them: followed, trimmed, bounded, and handed on in small updates
// that each say how new they are.
import { messageOf } from '../lib/errors.ts';
import type { ApiError, ApiGet } from './api-connection.ts';
import { follow, type KubeObject, type Resource } from './follow.ts';

/** What a verdict says of the inventory that it was made with. */
export interface InventoryStamp {
  /** When the newest change arrived, RFC 3339. */
  readonly time: string;
  /** By `group/version/resource`: up to where the API server has confirmed it. */
  readonly resourceVersions: Readonly<Record<string, string>>;
  /** Resources that cannot be followed at the moment, and since when. */
  readonly unconfirmedSince?: Readonly<Record<string, string>>;
  /** Objects that are left out because of a limit. */
  readonly leftOut?: number;
}

export interface InventoryChange {
  readonly path: readonly string[];
  readonly value?: Uint8Array;
}

export interface InventoryOptions {
  readonly resources: readonly Resource[];
  readonly get: ApiGet;
  readonly maxObjects: number;
  /** Of JSON, trimmed. */
  readonly maxBytes: number;
  /** The JSON of an object without what policies, whose messages are recorded, must not see. */
  readonly redact: (object: KubeObject, resource: Resource) => Uint8Array;
  /** Resolves when the changes are in effect. */
  readonly update: (changes: readonly InventoryChange[], stamp: InventoryStamp) => Promise<void>;
  readonly log: (level: 'info' | 'warn' | 'error', fields: object, message: string) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly random: () => number;
  readonly backoffMs?: readonly [least: number, most: number];
  readonly silenceMs?: number;
}

export interface ResourceStatus {
  /** `v1/pods`, `networking.k8s.io/v1/ingresses` */
  readonly name: string;
  /** Whether it was listed completely once. */
  readonly synced: boolean;
  readonly objects: number;
  /** When the API server last confirmed it, in milliseconds since the epoch; undefined before the first list. */
  readonly confirmed: number | undefined;
  /** Why it cannot be followed at the moment. */
  readonly problem: string | undefined;
}

export interface InventoryStatus {
  readonly resources: readonly ResourceStatus[];
  readonly objects: number;
  readonly bytes: number;
  /** Objects that a limit keeps out. */
  readonly leftOut: number;
  readonly problems: number;
}

/** Changes that one update brings into effect at most: each thread takes as long for it as a few evaluations. */
const UPDATE_CHANGES = 250;
/** Changes are collected for this long. */
const COLLECT_MS = 20;

export class Inventory {
  readonly #options: InventoryOptions;
  readonly #abort = new AbortController();
  readonly #followed: Followed[];
  readonly #ends: Promise<void>[];
  /** Changes that are not in effect, the newest of each object. */
  readonly #waiting = new Map<string, InventoryChange>();
  readonly #synced = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #changed = 0;
  #stampChanged = false;
  #objects = 0;
  #bytes = 0;
  #problems = 0;

  constructor(options: InventoryOptions) {
    this.#options = options;
    this.#followed = options.resources.map((resource) => new Followed(resource));
    this.#ends = this.#followed.map((followed) => this.#follow(followed));
  }

  /** Resolves when each resource has been listed once and policies see all of it. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  status(): InventoryStatus {
    const resources = this.#followed.map(({ name, synced, objects, confirmed, problem }) => {
      return { name, synced, objects: objects.size, confirmed, problem };
    });
    const leftOut = this.#leftOut();
    return { resources, objects: this.#objects, bytes: this.#bytes, leftOut, problems: this.#problems };
  }

  async close(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#timer);
    await Promise.all([...this.#ends, this.#flushing]);
  }

  #follow(followed: Followed): Promise<void> {
    const { get, random, now, log, backoffMs, silenceMs } = this.#options;
    const { resource, name } = followed;
    return follow({
      ...{ resource, get, random, signal: this.#abort.signal },
      ...(backoffMs === undefined ? {} : { backoffMs }),
      ...(silenceMs === undefined ? {} : { silenceMs }),
      onListing: () => {
        followed.seen = new Set();
      },
      onObject: (object) => this.#put(followed, object),
      onGone: (object) => this.#remove(followed, keyOf(object)),
      onListed: () => {
        for (const key of [...followed.objects.keys(), ...followed.leftOut]) {
          if (followed.seen?.has(key) === false) this.#remove(followed, key);
        }
        followed.seen = undefined;
        followed.listed = true;
        log('info', { resource: name, objects: followed.objects.size }, 'a resource of the inventory was listed');
      },
      onConfirmed: (resourceVersion) => {
        followed.confirmed = now();
        if (followed.problem !== undefined) log('info', { resource: name }, 'the inventory is followed again');
        followed.problem = undefined;
        followed.resourceVersion = resourceVersion;
        this.#changedStamp();
      },
      onProblem: (error, retryMs) => this.#tellProblem(followed, error, retryMs),
    });
  }

  #tellProblem(followed: Followed, error: ApiError, retryMs: number): void {
    const { log, now } = this.#options;
    // The API server forgets old places all the time.
    if (error.status === 410) return;
    this.#problems++;
    if (followed.problem === undefined) followed.since = now();
    if (followed.problem !== error.message)
      log('warn', { resource: followed.name, error: error.message, retryMs }, 'the inventory cannot be followed');
    followed.problem = error.message;
    this.#changedStamp();
  }

  #put(followed: Followed, object: KubeObject): void {
    const key = keyOf(object);
    followed.seen?.add(key);
    const value = this.#valueOf(followed, object, key);
    if (value === undefined) return;
    const old = followed.objects.get(key);
    const objects = this.#objects + (old === undefined ? 1 : 0);
    const bytes = this.#bytes + value.length - (old ?? 0);
    if (objects > this.#options.maxObjects || bytes > this.#options.maxBytes) {
      const { maxObjects, maxBytes, log } = this.#options;
      if (this.#leftOut() === 0)
        log('error', { resource: followed.name, maxObjects, maxBytes }, 'the inventory is full: objects are left out');
      this.#leaveOut(followed, key);
      return;
    }
    followed.leftOut.delete(key);
    followed.objects.set(key, value.length);
    this.#objects = objects;
    this.#bytes = bytes;
    this.#change(key, { path: pathIn(key), value });
  }

  #valueOf(followed: Followed, object: KubeObject, key: string): Uint8Array | undefined {
    try {
      return this.#options.redact(object, followed.resource);
    } catch (error) {
      const fields = { resource: followed.name, object: key, error: messageOf(error) };
      this.#options.log('error', fields, 'an object cannot be part of the inventory');
      this.#leaveOut(followed, key);
      return undefined;
    }
  }

  /** What policies cannot see as it is, they do not see as it was. */
  #leaveOut(followed: Followed, key: string): void {
    this.#remove(followed, key);
    followed.leftOut.add(key);
    this.#changedStamp();
  }

  #remove(followed: Followed, key: string): void {
    const old = followed.objects.get(key);
    if (followed.leftOut.delete(key)) this.#changedStamp();
    if (old === undefined) return;
    followed.objects.delete(key);
    this.#objects--;
    this.#bytes -= old;
    this.#change(key, { path: pathIn(key) });
  }

  #leftOut(): number {
    return this.#followed.reduce((sum, { leftOut }) => sum + leftOut.size, 0);
  }

  #change(key: string, change: InventoryChange): void {
    this.#waiting.delete(key);
    this.#waiting.set(key, change);
    this.#changed = this.#options.now();
    this.#changedStamp();
  }

  #changedStamp(): void {
    this.#stampChanged = true;
    if (this.#timer !== undefined || this.#flushing !== undefined || this.#abort.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flushing = this.#flush().finally(() => {
        this.#flushing = undefined;
        if (this.#stampChanged) this.#changedStamp();
      });
    }, COLLECT_MS);
  }

  async #flush(): Promise<void> {
    const listed = this.#followed.filter((followed) => followed.listed && !followed.synced);
    while (this.#stampChanged && !this.#abort.signal.aborted) {
      const changes: InventoryChange[] = [];
      for (const [key, change] of this.#waiting) {
        if (changes.length === UPDATE_CHANGES) break;
        changes.push(change);
        this.#waiting.delete(key);
      }
      this.#stampChanged = this.#waiting.size > 0;
      await this.#options.update(changes, this.#stamp());
    }
    for (const followed of listed) followed.synced = true;
    if (this.#followed.every(({ synced }) => synced)) this.#synced.resolve();
    else if (this.#followed.some(({ synced, listed }) => listed && !synced)) this.#stampChanged = true;
  }

  #stamp(): InventoryStamp {
    const iso = (ms: number): string => new Date(ms).toISOString();
    const lost = this.#followed.filter(({ problem }) => problem !== undefined);
    const leftOut = this.#leftOut();
    return {
      time: iso(this.#changed),
      resourceVersions: Object.fromEntries(
        this.#followed.map(({ name, resourceVersion }) => [name, resourceVersion ?? '']),
      ),
      ...(lost.length === 0
        ? {}
        : { unconfirmedSince: Object.fromEntries(lost.map(({ name, since }) => [name, iso(since)])) }),
      ...(leftOut === 0 ? {} : { leftOut }),
    };
  }
}

/** What is known of one resource. */
class Followed {
  readonly resource: Resource;
  readonly name: string;
  /** Bytes of each object, by key. */
  readonly objects = new Map<string, number>();
  readonly leftOut = new Set<string>();
  /** Objects that the list which is being read has brought; undefined while none is. */
  seen: Set<string> | undefined;
  listed = false;
  synced = false;
  resourceVersion: string | undefined;
  confirmed: number | undefined;
  problem: string | undefined;
  since = 0;

  constructor(resource: Resource) {
    const { group, version, resource: plural } = resource;
    this.resource = resource;
    this.name = [group, version, plural].filter((part) => part !== '').join('/');
  }
}

/** Where policies find the object below data, as a JSON array: the layout of Gatekeeper's data.inventory. */
function keyOf({ apiVersion, kind, metadata: { name, namespace } }: KubeObject): string {
  const scope = namespace === undefined || namespace === '' ? ['cluster'] : ['namespace', namespace];
  return JSON.stringify(['inventory', ...scope, apiVersion, kind, name]);
}

function pathIn(key: string): string[] {
  return JSON.parse(key) as string[];
}

/** Where the two parts of the inventory stand, so that a policy sees an empty one and not an absent one. */
export const EMPTY_INVENTORY: readonly InventoryChange[] = ['cluster', 'namespace'].map((scope) => {
  return { path: ['inventory', scope], value: Buffer.from('{}') };
});
