// Pushes one shard: full tiles and bundles as they fill, and at times a checkpoint with all that it covers. What the store holds
// is the truth about how far it is; after a start it is read from there. (docs/mirror.md, "What is pushed, when")

import { parseLeaf } from '../ledger/leaf.ts';
import type { TreeHead, TreeReader } from '../ledger/tree-reader.ts';
import { SealgateError } from '../lib/errors.ts';
import { openCheckpoint } from '../tlog/checkpoint.ts';
import { makeConsistencyProof } from '../tlog/consistency.ts';
import { encodeEntryBundle } from '../tlog/entry-bundle.ts';
import { TlogError } from '../tlog/errors.ts';
import { leafHash } from '../tlog/merkle.ts';
import { type NoteVerifier, parseNote } from '../tlog/note.ts';
import { TileBuilder } from '../tlog/tile-builder.ts';
import { hashesAtLevel, TILE_WIDTH, type Tile } from '../tlog/tile-path.ts';
import { type Judgement, judge, keyOf, MAX_CHECKPOINT_BYTES } from './judge.ts';
import {
  type BodyRecord,
  bodyRecord,
  decodeBodyBundle,
  encodeBodyBundle,
  encodeLargeBody,
  type MirrorObject,
  mirrorKey,
  parseMirrorPath,
} from './layout.ts';
import type { MirrorLog } from './log.ts';
import type { Upload, Uploader } from './uploader.ts';
import type { Submission, Witnessed } from './witness-client.ts';

/** While there is more than this to catch up with, checkpoints in between are pushed: a restart goes on from there. */
const STEP_ENTRIES = 65_536;
/** How many checkpoints by their own name are looked at when the newest is not there or not one. */
const FALLBACK_CHECKPOINTS = 16;

/** A checkpoint is in the store, with everything that it covers. */
export interface Pushed {
  readonly shard: number;
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** Whether entries other than anchors came since the one before. */
  readonly news: boolean;
  /** The checkpoint, a signed note, with the cosignatures of those in `cosignedBy`. */
  readonly note: string;
  readonly cosignedBy: readonly string[];
}

export interface ShardPushOptions {
  readonly shard: number;
  readonly uploader: Uploader;
  readonly log: MirrorLog;
  readonly onPushed: (pushed: Pushed) => void;
  /** Asks witnesses for cosignatures of a checkpoint before it is pushed. Never rejects. */
  readonly cosign?: ((submission: Submission) => Promise<Witnessed>) | undefined;
  /**
   * Whether the shard before is ours in the store. Then a checkpoint of another key is somebody's who occupied the place; else it
   * may be the log of another ledger by the same name, which is not written over.
   */
  readonly continues?: () => boolean;
  /** Absent: partial objects are not written again. */
  readonly renewal?: Renewal | undefined;
}

/** When partial objects are written again, so that their locks do not end while they are the newest. */
export interface Renewal {
  /** Milliseconds after which they are. */
  readonly afterMs: number;
  /** Milliseconds by the wall clock. */
  readonly now: () => number;
}

/** What lies behind the last full bundle. */
interface Tail {
  readonly hashes: readonly Buffer[];
  readonly uploads: readonly Upload[];
}

/** Owned by the mirror's thread; one for each shard. */
export class ShardPush {
  readonly #options: ShardPushOptions;
  readonly #tiles: { tile: Tile; bytes: Buffer }[] = [];
  #origin = '';
  #key: NoteVerifier | undefined;
  /** Entries in full bundles that were uploaded, a multiple of 256. */
  #builder: TileBuilder | undefined;
  #pushed = 0;
  /** The note that we know to be under `checkpoint`. */
  #note: Buffer | undefined;
  #news = false;
  /** When the oldest of the partial objects was written; undefined until the store was asked. Milliseconds. */
  #renewedAt: number | undefined;
  /** Large bodies before this entry are uploaded: those of a partial bundle come again with each push. */
  #largeUploaded = 0;

  constructor(options: ShardPushOptions) {
    this.#options = options;
  }

  /** Entries that a checkpoint in the store covers. */
  get pushed(): number {
    return this.#pushed;
  }

  /** Whether the store was asked how far it is. */
  get resumed(): boolean {
    return this.#builder !== undefined;
  }

  /** Asks the store how far it is. Throws MIRROR_DIVERGED when what it holds is not the beginning of the shard here. */
  async resume(shard: TreeReader): Promise<void> {
    const head = shard.head();
    this.#origin = head.origin;
    this.#key = keyOf(shard);
    const note = await this.#newest(shard);
    this.#pushed = note === undefined ? 0 : this.#accept(note, shard);
    this.#largeUploaded = this.#pushed;
    this.#builder = TileBuilder.resume(this.#pushed - (this.#pushed % TILE_WIDTH), shard.tiles, (tile, bytes) => {
      this.#tiles.push({ tile, bytes });
    });
  }

  /**
   * Uploads what is new up to the newest checkpoint of the shard: full bundles and tiles, and with `finish` the rest and the
   * checkpoint. With `sealed` it is the end of the shard, whose last, never to be filled tiles are locked like full ones.
   */
  async push(shard: TreeReader, finish: boolean, sealed: boolean): Promise<void> {
    if (this.#builder === undefined) await this.resume(shard);
    const builder = this.#builder as TileBuilder;
    for (;;) {
      const head = shard.headAfter(this.#pushed, STEP_ENTRIES);
      if (head === undefined) break;
      const last = head.size === shard.head().size;
      await this.#pushFull(shard, builder, head.size);
      if (last && !finish) return;
      await this.#pushCheckpoint(shard, builder, head, last);
      if (last) break;
    }
    if (sealed) await this.#seal(shard, builder);
    else if (finish) await this.#renew(shard, builder);
  }

  /**
   * Of a log that is idle the newest entries are in partial objects only, and of a slow one the upper tiles stay partial for weeks:
   * they get a new version before the lock of the one that is there ends.
   */
  async #renew(shard: TreeReader, builder: TileBuilder): Promise<void> {
    const { uploader, renewal } = this.#options;
    if (renewal === undefined || this.#pushed === 0 || builder.size > this.#pushed) return;
    const now = renewal.now();
    if (this.#renewedAt !== undefined && now - this.#renewedAt < renewal.afterMs) return;
    const head = shard.headAfter(this.#pushed - 1, 1);
    if (head?.size !== this.#pushed) return;
    const { uploads } = await this.#tail(shard, builder, head.size, 'partial', true);
    const key = this.#keyOf({ kind: 'checkpoint' });
    if (this.#renewedAt === undefined) {
      const written = await uploader.written([...uploads.map((upload) => upload.key), key]);
      this.#renewedAt = written;
      if (now - written < renewal.afterMs) return;
    }
    for (const upload of uploads) await uploader.replace(upload);
    await this.#look(shard);
    const bytes = this.#noteOf(head, shard);
    await uploader.replace({ key, bytes, of: 'partial' });
    this.#note = bytes;
    this.#renewedAt = now;
  }

  /** The rest of a full shard is written again under the locks of what stays. */
  async #seal(shard: TreeReader, builder: TileBuilder): Promise<void> {
    const head = shard.head();
    const { uploads } = await this.#tail(shard, builder, head.size, 'log', true);
    for (const upload of uploads) await this.#options.uploader.replace(upload);
    const bytes = this.#noteOf(head, shard);
    await this.#options.uploader.replace({ key: this.#keyOf({ kind: 'checkpoint' }), bytes, of: 'log' });
    this.#note = bytes;
  }

  /** Its checkpoint; the one that is in the store may have cosignatures. */
  #noteOf({ note }: TreeHead, shard: TreeReader): Buffer {
    const plain = Buffer.from(note);
    return this.#note !== undefined && this.#says(this.#note, plain, shard) ? this.#note : plain;
  }

  async #pushFull(shard: TreeReader, builder: TileBuilder, size: number): Promise<void> {
    while (builder.size + TILE_WIDTH <= size) {
      const from = builder.size;
      const { leaves, uploads } = await this.#bundles(shard, from, from + TILE_WIDTH);
      for (const leaf of leaves) builder.append(leafHash(leaf));
      for (const upload of uploads) await this.#options.uploader.begin(upload);
      for (const { tile, bytes } of this.#tiles.splice(0)) {
        await this.#options.uploader.begin({ key: this.#keyOf(tile), bytes, of: 'log' });
      }
    }
  }

  async #pushCheckpoint(shard: TreeReader, builder: TileBuilder, head: TreeHead, last: boolean): Promise<void> {
    const { uploader, onPushed, shard: number } = this.#options;
    const { hashes, uploads } = await this.#tail(shard, builder, head.size, 'partial', false);
    if (!builder.rootWith(hashes).equals(head.root)) {
      throw shard.corrupt(
        `its ${head.size} entries do not have the root hash that their checkpoint signed, and are not mirrored`,
      );
    }
    for (const upload of uploads) await uploader.begin(upload);
    await uploader.finish();
    // Of a backlog only the end: what it covers is cosigned with it.
    const witnessed = last ? await this.#cosign(shard, head) : undefined;
    const bytes = Buffer.from(witnessed?.note ?? head.note);
    const key = this.#keyOf({ kind: 'checkpoints', size: head.size });
    await uploader.create({ key, bytes, of: 'log', same: (there) => this.#says(there, bytes, shard) });
    await this.#look(shard);
    await uploader.replace({ key: this.#keyOf({ kind: 'checkpoint' }), bytes, of: 'partial' });
    this.#note = bytes;
    this.#pushed = head.size;
    const news = this.#news;
    this.#news = false;
    const { origin, size, root } = head;
    onPushed({
      shard: number,
      origin,
      size,
      root,
      news,
      note: bytes.toString('utf8'),
      cosignedBy: witnessed?.cosigned ?? [],
    });
  }

  #cosign(shard: TreeReader, { origin, size, note }: TreeHead): Promise<Witnessed> | undefined {
    const prove = (oldSize: number) => makeConsistencyProof(oldSize, size, shard.nodes(size));
    return this.#options.cosign?.({ origin, size, note, prove });
  }

  /** Before `checkpoint` is written over: what is there is what we left, or it tells of somebody else. */
  async #look(shard: TreeReader): Promise<void> {
    const there = await this.#options.uploader.read(this.#keyOf({ kind: 'checkpoint' }), MAX_CHECKPOINT_BYTES);
    if (there === undefined ? this.#note === undefined : there instanceof Buffer && this.#note?.equals(there)) return;
    const size = there instanceof Buffer ? this.#accept(there, shard) : undefined;
    // A write of ours whose answer was lost is larger than what we know of.
    if (size !== undefined && size >= this.#pushed) return;
    this.#options.uploader.counts.occupied += 1;
    const fields = { key: this.#keyOf({ kind: 'checkpoint' }), pushed: this.#pushed, found: size ?? 'none' };
    this.#options.log(
      'error',
      fields,
      'the newest checkpoint of the mirror was replaced or removed by somebody else: find out who; it is written anew',
    );
  }

  /** The largest checkpoint in the store: of the versions of `checkpoint` or, where none is one, of `checkpoints/`. */
  async #newest(shard: TreeReader): Promise<Buffer | undefined> {
    const { uploader, log } = this.#options;
    const key = this.#keyOf({ kind: 'checkpoint' });
    const there = await uploader.read(key, MAX_CHECKPOINT_BYTES);
    this.#note = there instanceof Buffer ? there : undefined;
    const signed = this.#largestSigned(await uploader.checkpoints(key));
    const top = this.#note === undefined ? undefined : this.#sizeSigned(this.#note);
    if (this.#note !== undefined && top !== undefined) {
      if (signed === undefined || signed.size <= top) return this.#note;
      uploader.counts.occupied += 1;
      const text =
        'an older checkpoint was put back on top of the newest one of the mirror by somebody else: find out who';
      log('error', { key, found: top, newest: signed.size }, text);
      return signed.note;
    }
    if (there !== undefined) {
      uploader.counts.occupied += 1;
      log(
        'error',
        { key },
        'what lies under the key of the newest checkpoint is none of this shard: somebody else wrote it, find out who',
      );
    }
    if (signed !== undefined) return signed.note;
    const prefix = this.#keyOf({ kind: 'checkpoints', size: 0 }).slice(0, -1);
    const sizes = await uploader.largest(prefix, (name) => this.#sizeOf(name), FALLBACK_CHECKPOINTS);
    for (const size of sizes) {
      const note = await uploader.read(this.#keyOf({ kind: 'checkpoints', size }), MAX_CHECKPOINT_BYTES);
      if (note instanceof Buffer && this.#sizeSigned(note) !== undefined) return note;
    }
    if (this.#note !== undefined) this.#accept(this.#note, shard);
    return undefined;
  }

  #largestSigned(notes: readonly Buffer[]): { readonly note: Buffer; readonly size: number } | undefined {
    let largest: { readonly note: Buffer; readonly size: number } | undefined;
    for (const note of notes) {
      const size = this.#sizeSigned(note);
      if (size !== undefined && size > (largest?.size ?? -1)) largest = { note, size };
    }
    return largest;
  }

  /** Undefined for what the key of this shard did not sign. */
  #sizeSigned(note: Buffer): number | undefined {
    try {
      return openCheckpoint(note, { verifiers: [this.#key as NoteVerifier], origin: this.#origin }).size;
    } catch (error) {
      if (error instanceof TlogError) return undefined;
      throw error;
    }
  }

  #sizeOf(key: string): number | undefined {
    const object = parseMirrorPath(key.slice(this.#origin.length + 1));
    return object?.kind === 'checkpoints' ? object.size : undefined;
  }

  /** Whether a note is of the same checkpoint as ours, whoever cosigned it, and our signature is on it. */
  #says(there: Buffer, ours: Buffer, shard: TreeReader): boolean {
    return sameText(there, ours) && this.#judge(there, shard).kind === 'ours';
  }

  #judge(note: Buffer, shard: TreeReader): Judgement {
    return judge(note, shard, this.#origin, this.#key as NoteVerifier);
  }

  /** The size of a checkpoint of ours. Throws MIRROR_DIVERGED; 0 for what says nothing about our history. */
  #accept(note: Buffer, shard: TreeReader): number {
    const judged = this.#judge(note, shard);
    if (judged.kind === 'ours') return judged.size;
    if (judged.kind === 'diverged') throw this.#diverged(judged.why);
    if (judged.kind === 'foreign' && this.#pushed === 0) this.#refuseForeign(judged.why);
    return 0;
  }

  /** Nothing of ours is there: throws MIRROR_DIVERGED when it may be somebody's log. */
  #refuseForeign(why: string): void {
    if (this.#options.continues?.() !== true) throw this.#diverged(why);
  }

  #diverged(why: string): SealgateError {
    return new SealgateError(
      'MIRROR_DIVERGED',
      `the newest checkpoint of ${this.#origin} in the mirror does not fit the ledger: ${why}. Nothing of this shard is pushed any more; compare the two with sealgate verify before anything else`,
    );
  }

  /** What follows the last full bundle of a tree of `size` entries, as partial tiles and bundles; with `all` also tiles that did not grow. */
  async #tail(
    shard: TreeReader,
    builder: TileBuilder,
    size: number,
    of: 'log' | 'partial',
    all: boolean,
  ): Promise<Tail> {
    builder.writePartial();
    // Most upper levels did not grow since the last checkpoint, under which they are in the store.
    const grown = ({ level }: Tile) => all || hashesAtLevel(level, size) > hashesAtLevel(level, this.#pushed);
    const tiles: Upload[] = this.#tiles
      .splice(0)
      .filter(({ tile }) => grown(tile))
      .map(({ tile, bytes }) => ({ key: this.#keyOf(tile), bytes, of }));
    if (builder.size === size) return { hashes: [], uploads: tiles };
    const { leaves, uploads } = await this.#bundles(shard, builder.size, size, of);
    const hashes = leaves.map(leafHash);
    const tile = { kind: 'tile', level: 0, index: builder.size / TILE_WIDTH, width: hashes.length } as const;
    return { hashes, uploads: [...tiles, { key: this.#keyOf(tile), bytes: Buffer.concat(hashes), of }, ...uploads] };
  }

  /** The bundles of entries and bodies from … to−1, at most 256. Large bodies are uploaded at once, so that none waits in memory. */
  async #bundles(
    shard: TreeReader,
    from: number,
    to: number,
    of: 'log' | 'partial' = 'log',
  ): Promise<{ leaves: Buffer[]; uploads: Upload[] }> {
    const leaves = shard.leaves(from, to);
    const parsed = leaves.map((leaf) => parseLeaf(leaf));
    const records: BodyRecord[] = [];
    for (const { salt, body } of shard.bodies(from, to, (seq) => parsed[seq - from]?.size ?? 0)) {
      const seq = from + records.length;
      if (seq >= this.#pushed && parsed[seq - from]?.kind !== 'anchor') this.#news = true;
      // A copy: a view would keep the whole pack.
      const record = bodyRecord(Buffer.from(salt), body);
      if ('large' in record && seq >= this.#largeUploaded) {
        await this.#options.uploader.begin({
          key: this.#keyOf({ kind: 'large', seq }),
          bytes: encodeLargeBody(salt, body),
          of: 'bodies',
        });
        this.#largeUploaded = seq + 1;
      }
      records.push('body' in record ? { ...record, body: Buffer.from(record.body) } : record);
    }
    const width = to - from;
    const index = from / TILE_WIDTH;
    const bytes = encodeBodyBundle(records);
    const same = (there: Buffer) => sameBodies(there, bytes, width);
    return {
      leaves,
      uploads: [
        { key: this.#keyOf({ kind: 'entries', index, width }), bytes: encodeEntryBundle(leaves), of },
        { key: this.#keyOf({ kind: 'bodies', index, width }), bytes, of: of === 'log' ? 'bodies' : of, same },
      ],
    };
  }

  #keyOf(object: MirrorObject): string {
    return mirrorKey(this.#origin, object);
  }
}

/** Whether two notes are of the same checkpoint, whoever signed them. `there` is not trusted: its signatures say nothing here. */
function sameText(there: Buffer, ours: Buffer): boolean {
  try {
    return parseNote(there).text === parseNote(ours).text;
  } catch {
    return false;
  }
}

/** Whether two bundles hold the same bodies, however they are compressed. `there` is not trusted. */
function sameBodies(there: Buffer, ours: Buffer, width: number): boolean {
  try {
    const [one, other] = [there, ours].map((bytes) => JSON.stringify(decodeBodyBundle(bytes, width).map(plain)));
    return one === other;
  } catch {
    return false;
  }
}

function plain(record: BodyRecord): unknown {
  const content = 'body' in record ? Buffer.from(record.body).toString('base64') : record.large;
  return [Buffer.from(record.salt).toString('hex'), content];
}
