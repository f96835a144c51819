// Walks the packs of a shard beside its leaves: their layout (no gap, no overlap) and every body against its commitment.
import type { PackRow, ShardFile } from './verify-file.ts';
import { type Commitment, checkPack, MAX_PACK_ENTRIES, packedLimit, recordsLimit, sumOf } from './verify-pack.ts';
import { entriesText, type Findings } from './verify-report.ts';

/** Entries that say what was removed: the newest of them count. */
const MAX_REMOVALS = 16;
/** More entries than this missing in a row are passed over in one step. */
const LONG_GAP = 100_000;

export class BodyWalk {
  /** Bodies compared with their commitments. */
  checked = 0;
  /** The body of entry 0, when it is what its leaf commits to. */
  firstBody: Buffer | undefined;
  /** Bodies of the newest `removal` entries that are what their leaves commit to, in order. */
  readonly removals: { readonly seq: number; readonly body: Buffer }[] = [];
  readonly #shard: number;
  readonly #file: ShardFile;
  readonly #findings: Findings;
  readonly #packs: Iterator<PackRow>;
  /** Only bodies of entries in [from, to] are unpacked. */
  readonly #from: number;
  readonly #to: number;
  #pack: PackRow | undefined;
  /** Next entry that a pack has to cover. */
  #next = 0;
  #window: (Commitment | undefined)[] = [];
  #missingFrom: number | undefined;
  #unread = 0;

  constructor(shard: number, file: ShardFile, end: number, findings: Findings, from: number, to: number) {
    this.#shard = shard;
    this.#file = file;
    this.#findings = findings;
    this.#from = from;
    this.#to = to;
    const packs = file.packs(end, (first, last, why) => {
      findings.add({
        code: 'database-damaged',
        shard,
        from: Math.max(first, this.#next),
        to: Math.max(last, this.#next),
        message: `the rows of packs ${first} to ${last} cannot be read: ${why}`,
      });
    });
    this.#packs = packs[Symbol.iterator]();
    this.#pack = this.#pull();
  }

  /** The next entry, in order: its commitment, undefined when its leaf cannot be read, 'missing' when it is not there. */
  add(seq: number, commitment: Commitment | undefined | 'missing'): void {
    if (seq < this.#next) return;
    const pack = this.#pack;
    if (pack === undefined || seq < pack.first) {
      if (commitment !== 'missing') this.#missingFrom ??= seq;
      else this.#flushMissing(seq);
      this.#next = seq + 1;
      return;
    }
    this.#flushMissing(pack.first);
    if (commitment === undefined || commitment === 'missing') this.#unread += 1;
    this.#window.push(commitment === 'missing' ? undefined : commitment);
    this.#next = seq + 1;
    if (this.#next === pack.first + pack.count) this.#close(pack);
  }

  /** Entries from `seq` to before `end` are not there. */
  addMissing(seq: number, end: number): void {
    if (end - seq <= LONG_GAP) {
      for (let at = seq; at < end; at++) this.add(at, 'missing');
      return;
    }
    this.#flushMissing(seq);
    if (this.#pack !== undefined && this.#window.length > 0) this.#close(this.#pack);
    this.#next = end;
    while (this.#pack !== undefined && this.#pack.first < end) this.#pack = this.#pull();
  }

  /** The last `count` entries did not belong to the ledger: theirs are the next ones' places. */
  rewind(count: number): void {
    if (this.#window.length < count) return;
    this.#window.length -= count;
    this.#next -= count;
  }

  /** After the last entry, `end` − 1. */
  finish(end: number): void {
    if (this.#pack !== undefined && this.#window.length > 0) {
      while (this.#window.length < this.#pack.count) this.#window.push(undefined);
      this.#next = this.#pack.first + this.#pack.count;
      this.#close(this.#pack);
    }
    this.#flushMissing(end);
    // Beyond the last leaf nothing says what the bodies are, but the packs still have to follow one another and to be whole.
    for (let pack = this.#pack; pack !== undefined; pack = this.#pull()) {
      this.#next = pack.first + pack.count;
      this.#window = Array<undefined>(pack.count).fill(undefined);
      const data = this.#wanted(pack) ? this.#load(pack) : undefined;
      if (data !== undefined) this.#checkSum(pack, data);
    }
    if (this.#unread > 0) {
      this.#findings.unchecked(
        `shard ${this.#shard}: the bodies of ${this.#unread} entries whose leaves are missing or unreadable: nothing says what they should be`,
      );
    }
  }

  #flushMissing(end: number): void {
    const from = this.#missingFrom;
    if (from === undefined) return;
    this.#missingFrom = undefined;
    const message = `no pack holds the ${end - from === 1 ? 'body' : 'bodies'} of ${entriesText(from, end - 1)}`;
    this.#findings.add({ code: 'body-missing', shard: this.#shard, from, to: end - 1, message });
  }

  /** The next pack that begins at or after the next entry; overlaps are reported and left out. */
  #pull(): PackRow | undefined {
    for (;;) {
      const { value, done } = this.#packs.next();
      if (done === true || value === undefined) return undefined;
      const pack: PackRow = value;
      if (pack.count < 1 || pack.count > MAX_PACK_ENTRIES) {
        this.#damaged(pack.first, pack.first, `its count of entries, ${pack.count}, is not 1 to ${MAX_PACK_ENTRIES}`);
      } else if (pack.first < this.#next) {
        const message = `the pack of ${entriesText(pack.first, pack.first + pack.count - 1)} overlaps the one before it`;
        const to = Math.min(pack.first + pack.count, this.#next) - 1;
        this.#findings.add({ code: 'pack-overlap', shard: this.#shard, from: pack.first, to, message });
      } else {
        return pack;
      }
    }
  }

  #close(pack: PackRow): void {
    if (this.#wanted(pack)) this.#check(pack);
    this.#window = [];
    this.#pack = this.#pull();
  }

  #wanted({ first, count }: PackRow): boolean {
    return first + count > this.#from && first <= this.#to;
  }

  /** Its data; undefined, and reported, when it has none that the entries in the window allow. */
  #load(pack: PackRow): Buffer | undefined {
    const last = pack.first + pack.count - 1;
    const limit = recordsLimit(this.#window);
    if (limit === undefined || pack.length > packedLimit(limit)) {
      this.#damaged(pack.first, last, 'its data is not a blob of a size that its entries allow');
      return undefined;
    }
    const data = pack.data ?? this.#file.packData(pack.first);
    if (data === undefined) this.#damaged(pack.first, last, 'its data cannot be read');
    return data;
  }

  #check(pack: PackRow): void {
    const data = this.#load(pack);
    if (data === undefined) return;
    const result = checkPack(pack.codec, data, this.#window);
    this.checked += result.checked;
    if (pack.first === 0) this.firstBody = result.firstBody;
    for (const { index, body } of result.removals ?? []) {
      this.removals.push({ seq: pack.first + index, body: Buffer.from(body) });
      if (this.removals.length > MAX_REMOVALS) this.removals.shift();
    }
    if (result.problems.length === 0) this.#checkSum(pack, data);
    for (const problem of result.problems) {
      if (problem.kind === 'damaged') {
        this.#damaged(pack.first + problem.from, pack.first + problem.to, problem.message, pack);
      } else {
        const seq = pack.first + problem.index;
        const message = `the body of entry ${seq} was changed: ${problem.message}`;
        this.#findings.add({ code: 'body-changed', shard: this.#shard, from: seq, to: seq, message });
      }
    }
  }

  #checkSum({ first, count, codec, sum }: PackRow, data: Buffer): void {
    const own = sumOf(first, count, codec, data);
    if (sum !== undefined && own?.equals(sum) === true) return;
    this.#damaged(
      first,
      first + count - 1,
      sum === undefined ? 'its checksum is not 32 bytes' : 'its checksum is another',
    );
  }

  #damaged(from: number, to: number, why: string, pack?: PackRow): void {
    const name = pack === undefined ? entriesText(from, to) : entriesText(pack.first, pack.first + pack.count - 1);
    const message = `the pack with the bodies of ${name} was changed or damaged: ${why}`;
    this.#findings.add({ code: 'pack-damaged', shard: this.#shard, from, to, message });
  }
}
