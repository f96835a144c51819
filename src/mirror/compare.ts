// Holds a ledger against its mirror while that is verified: the same leaves and bodies up to the shorter of the two, and which one is
// ahead. What the mirror has proven is signed; where the ledger says something else, it was the ledger that was changed, or forked.
import { listShards } from '../ledger/files.ts';
import type { Body } from '../ledger/pack.ts';
import { TreeReader } from '../ledger/tree-reader.ts';
import { readLeaf } from '../ledger/verify-leaf.ts';
import { entriesText, type Findings, type ShardReport } from '../ledger/verify-report.ts';
import { SealgateError } from '../lib/errors.ts';
import { TILE_WIDTH } from '../tlog/tile-path.ts';
import type { EntrySink } from './shard-walk.ts';

export class LedgerComparison {
  readonly #shards: ReadonlyMap<number, string>;
  readonly #folder: string;
  readonly #seen = new Set<number>();
  #open: ShardComparison | undefined;

  /** `folder` holds the shards. Throws LEDGER_NOT_FOUND. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#shards = new Map(listShards(folder).map(({ number, path }) => [number, path]));
    if (this.#shards.size === 0) throw new SealgateError('LEDGER_NOT_FOUND', `${folder} holds no ledger`);
  }

  /** What a shard's walk hands its entries to; undefined when the ledger does not have it. Throws what opening it throws. */
  begin(shard: number): EntrySink | undefined {
    const file = this.#shards.get(shard);
    this.#seen.add(shard);
    this.#open = file === undefined ? undefined : new ShardComparison(file);
    return this.#open;
  }

  /** After the walk. */
  end({ shard, entries }: ShardReport, findings: Findings): void {
    const compared = this.#open;
    this.#open = undefined;
    if (compared !== undefined) {
      compared.report(shard, entries, findings);
      compared.close();
      return;
    }
    if (shard < Math.max(...this.#shards.keys())) {
      findings.note(`shard ${shard} is not in ${this.#folder} any more: it was not compared`);
      return;
    }
    const message = `shard ${shard} is not in ${this.#folder}, although the mirror has its ${entries} entries: the ledger was cut off, or an older copy was put back`;
    findings.add({ code: 'rolled-back', shard, from: 0, to: Math.max(0, entries - 1), message });
  }

  /** After all shards of the mirror; `only` is the one that was asked for. */
  finish(only: number | undefined, findings: Findings): void {
    for (const shard of this.#shards.keys()) {
      if (this.#seen.has(shard) || (only !== undefined && shard !== only)) continue;
      findings.note(`shard ${shard} of ${this.#folder} is not in the mirror yet: it was not compared`);
    }
  }

  /** Closes what an error left open. */
  close(): void {
    this.#open?.close();
  }
}

class ShardComparison implements EntrySink {
  readonly #reader: TreeReader;
  readonly #size: number;
  #leaves: readonly Buffer[] = [];
  #bodies: readonly Body[] = [];
  #sizes: number[] = [];
  /** Entries whose leaves and bodies the local arrays begin with. */
  #leavesFrom = -1;
  #bodiesFrom = -1;
  #compared = 0;
  #differing = 0;
  #first: { readonly seq: number; readonly what: string } | undefined;
  #last = -1;

  constructor(file: string) {
    this.#reader = TreeReader.open(file);
    this.#size = this.#reader.size();
  }

  leaf(seq: number, leaf: Buffer): void {
    const from = seq - (seq % TILE_WIDTH);
    if (from !== this.#leavesFrom) {
      this.#leavesFrom = from;
      this.#sizes = [];
      const end = Math.min(this.#size, from + TILE_WIDTH);
      this.#leaves = this.#local(seq, () => this.#reader.leaves(from, end)) ?? [];
    }
    this.#sizes[seq - from] = readLeaf(leaf.toString('latin1'))?.size ?? 0;
    if (seq >= this.#size) return;
    this.#compared += 1;
    const ours = this.#leaves[seq - from];
    if (ours !== undefined && !ours.equals(leaf)) this.#differs(seq, 'leaf');
  }

  body(seq: number, salt: Uint8Array, body: Uint8Array): void {
    if (seq >= this.#size) return;
    const from = seq - (seq % TILE_WIDTH);
    if (from !== this.#bodiesFrom) {
      this.#bodiesFrom = from;
      const sizeOf = (at: number): number => this.#sizes[at - from] ?? 0;
      // Of entries that the mirror does not have yet nothing is known here.
      const end = Math.min(this.#size, from + this.#sizes.length);
      this.#bodies = this.#local(seq, () => [...this.#reader.bodies(from, end, sizeOf)]) ?? [];
    }
    const ours = this.#bodies[seq - from];
    if (ours === undefined) return;
    if (!ours.salt.equals(salt)) this.#differs(seq, 'salt');
    else if (!ours.body.equals(body)) this.#differs(seq, 'body');
  }

  checkpoint(): void {
    // Checkpoints follow from the leaves; a ledger has more of them than are pushed.
  }

  bundle(): void {
    // Each entry was compared as it came.
  }

  report(shard: number, mirrored: number, findings: Findings): void {
    if (this.#first !== undefined) {
      const { seq, what } = this.#first;
      const more = this.#differing === 1 ? '' : `; ${this.#differing} entries differ, the last is ${this.#last}`;
      const message = `the ${what} of entry ${seq} in the ledger is not the one that the mirror proves${more}`;
      findings.add({ code: 'mirror-differs', shard, from: seq, to: this.#last, message });
    }
    const same = this.#differing === 0 ? 'the same leaves and bodies' : 'compared';
    findings.note(`shard ${shard}: ledger and mirror: ${this.#compared} entries ${same}`);
    if (this.#size > mirrored) {
      findings.note(`shard ${shard}: the ledger is ahead of the mirror by ${this.#size - mirrored} entries`);
    }
    if (this.#size >= mirrored) return;
    const which = entriesText(this.#size, mirrored - 1);
    const message = `${which} of the mirror are missing in the ledger, which is behind by ${mirrored - this.#size}: its end was cut off, or an older copy was put back`;
    findings.add({ code: 'rolled-back', shard, from: this.#size, to: mirrored - 1, message });
  }

  close(): void {
    this.#reader.close();
  }

  /** What cannot be read in the ledger is a difference, too. */
  #local<T>(seq: number, read: () => T): T | undefined {
    if (seq >= this.#size) return undefined;
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SealgateError) || error.code !== 'LEDGER_CORRUPT') throw error;
      this.#differs(seq, 'row');
      return undefined;
    }
  }

  #differs(seq: number, what: string): void {
    this.#first ??= { seq, what };
    if (seq !== this.#last) this.#differing += 1;
    this.#last = seq;
  }
}
