// Finds the shards in a mirror, or the one of an export, by a single listing of all that is under them.
import { SealgateError } from '../lib/errors.ts';
import { parseMirrorPath } from './layout.ts';
import { addVersion, type KeyHistory, ShardObjects } from './shard-objects.ts';
import type { ListedShard } from './shard-walk.ts';
import type { ObjectStore, StoredVersion } from './stores/store.ts';

/** The shards of one log, by number. */
export interface ListedLog {
  readonly log: string;
  readonly shards: readonly (ListedShard & { readonly strangers: Strangers })[];
}

/** Objects that the layout has no place for. */
export interface Strangers {
  readonly count: number;
  /** Key of the first. */
  readonly first: string | undefined;
}

/** Collects what a listing says of one shard. Keys come in order, those of one key newest first. */
class Collector {
  readonly objects: ShardObjects;
  readonly sizes: number[] = [];
  readonly notes = new Map<number, KeyHistory>();
  mirrored = false;
  strangers = 0;
  firstStranger: string | undefined;
  #current: { size: number; history: KeyHistory } | undefined;

  constructor(objects: ShardObjects) {
    this.objects = objects;
  }

  add(found: StoredVersion): void {
    const path = found.key.slice(this.objects.base.length);
    const object = parseMirrorPath(path);
    if (object === undefined) {
      this.strangers += 1;
      this.firstStranger ??= found.key;
      return;
    }
    if (object.kind === 'bodies' || object.kind === 'large' || object.kind === 'checkpoints') this.mirrored = true;
    if (object.kind !== 'checkpoints') return;
    if (this.#current?.size !== object.size) this.finish();
    this.#current = { size: object.size, history: addVersion(this.#current?.history, found) };
  }

  /** After the last version of a key. Of a million plain checkpoints only the sizes are kept. */
  finish(): void {
    if (this.#current === undefined) return;
    const { size, history } = this.#current;
    this.#current = undefined;
    this.sizes.push(size);
    if (history.versions.length !== 1 || history.hidden) this.notes.set(size, history);
  }

  shard(number: number, origin: string | undefined): ListedShard & { readonly strangers: Strangers } {
    this.finish();
    const { objects, sizes, notes } = this;
    const mirrored = this.mirrored || origin !== undefined;
    const strangers = { count: this.strangers, first: this.firstStranger };
    return { number, origin, objects, sizes, notes, mirrored, strangers };
  }
}

/** Every shard of a log in a mirror; with `only`, just that one is looked for. Throws what the store throws. */
export async function listLog(store: ObjectStore, log: string, only: number | undefined): Promise<ListedLog> {
  const collectors = new Map<number, Collector>();
  for await (const found of store.versions(only === undefined ? `${log}/` : `${log}/${only}/`)) {
    const number = /^(0|[1-9]\d{0,14})\//.exec(found.key.slice(log.length + 1))?.[1];
    if (number === undefined) continue;
    let collector = collectors.get(Number(number));
    if (collector === undefined) {
      collector = new Collector(new ShardObjects(store, `${log}/${number}/`));
      collectors.set(Number(number), collector);
    }
    collector.add(found);
  }
  const shards = [...collectors].sort(([a], [b]) => a - b);
  return { log, shards: shards.map(([number, collector]) => collector.shard(number, `${log}/${number}`)) };
}

/** The one shard that lies at the top of a store, as an export does. `number` is what its checkpoint says. */
export async function listExport(
  store: ObjectStore,
  number: number,
): Promise<ListedShard & { readonly strangers: Strangers }> {
  const collector = new Collector(new ShardObjects(store, ''));
  for await (const found of store.versions('')) collector.add(found);
  return collector.shard(number, undefined);
}

/** Whether a shard lies at the top of the store. */
export async function isExport(store: ObjectStore): Promise<boolean> {
  for (const prefix of ['checkpoint', 'tile/']) {
    for await (const found of store.versions(prefix)) {
      if (parseMirrorPath(found.key) !== undefined) return true;
      break;
    }
  }
  return false;
}

export function nothingThere(url: string, logs: readonly string[]): SealgateError {
  return new SealgateError(
    'LEDGER_NOT_FOUND',
    `${url} holds nothing of ${logs.join(', ')}: check the URL and its prefix, and that the key is the log's`,
  );
}
