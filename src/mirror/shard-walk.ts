// Verifies one shard of a mirror or an export: from the largest signed checkpoint that its objects give, down the tree to every
// leaf and body, one bundle after the other. Reads ahead within bounds; hands what is proven to a sink, such as a restore.
import { NO_PREVIOUS } from '../ledger/entry.ts';
import type { OutsideCheckpoint } from '../ledger/verify-checkpoints.ts';
import { leafHashOf, type ReadLeaf, readLeaf } from '../ledger/verify-leaf.ts';
import type { ShardBegin } from '../ledger/verify-link.ts';
import type { NoteJudge } from '../ledger/verify-note.ts';
import type { Commitment } from '../ledger/verify-pack.ts';
import { entriesText, type FindingCode, type Findings, type ShardReport } from '../ledger/verify-report.ts';
import { CompactRange } from '../tlog/compact-range.ts';
import { TILE_WIDTH, type Tile } from '../tlog/tile-path.ts';
import { inBatches } from './in-batches.ts';
import { eachContent, type Judged, judge, type Loaded, load } from './judge-object.ts';
import type { LockCheck } from './lock-check.ts';
import { reportObject } from './object-findings.ts';
import { type FoundBody, maxBodiesBytes, readBodies, readLargeBody } from './read-bodies.ts';
import { type Heads, MAX_NOTE_BYTES, readHeads, readNote, type SignedNote } from './read-checkpoints.ts';
import type { KeyHistory, ShardObjects } from './shard-objects.ts';
import { decodeLeaves, MAX_ENTRIES_BYTES, SignedTree } from './signed-tree.ts';

/** Takes what is proven, in order: of each bundle the leaves, then the bodies, then the checkpoints up to its end. */
export interface EntrySink {
  leaf(seq: number, leaf: Buffer, hash: Uint8Array): void;
  body(seq: number, salt: Uint8Array, body: Uint8Array): void;
  checkpoint(size: number, note: Buffer): void;
  /** After everything of the entries before `end`. */
  bundle(end: number): void | Promise<void>;
}

/** Where a walk goes on: everything before was taken by an earlier one. */
export interface ResumePoint {
  readonly tree: CompactRange;
  /** Leaf hash of the last entry before, hex. */
  readonly prev: string;
}

export interface WalkOptions {
  readonly judge: NoteJudge;
  readonly findings: Findings;
  readonly outside: readonly OutsideCheckpoint[];
  /** Undefined: locks are not looked at. */
  readonly locks: LockCheck | undefined;
  readonly sink?: EntrySink;
  readonly resume?: ResumePoint;
  /** Bundles that are read ahead. */
  readonly parallel: number;
  readonly onBegin?: (begin: ShardBegin) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A shard as it was listed. */
export interface ListedShard {
  readonly number: number;
  /** What its checkpoints have to say; undefined in an export, whose log is that of its checkpoint. */
  readonly origin: string | undefined;
  readonly objects: ShardObjects;
  /** Sizes under `checkpoints/`, in any order. */
  readonly sizes: readonly number[];
  /** Those of them under which there is not exactly one version. */
  readonly notes: ReadonlyMap<number, KeyHistory>;
  /** Whether it has `checkpoints/` and bodies: an export has neither. */
  readonly mirrored: boolean;
}

/** Bytes read ahead, unless one bundle alone has more. */
const AHEAD_BYTES = 64 * 1024 * 1024;
const NOTES_BATCH = 32;
/** Checkpoints that nothing in the store gives are told one by one up to here. */
const MAX_UNPROVEN = 20;

interface Bundle {
  readonly index: number;
  readonly width: number;
  readonly bytes: number;
  readonly entries: Loaded;
  readonly bodies: Loaded | undefined;
  readonly hashes: Promise<readonly Uint8Array[] | undefined>;
}

export class ShardWalk {
  /** Whether something that a checkpoint covers is not proven. */
  lost = false;
  readonly #listed: ListedShard;
  readonly #options: WalkOptions;
  readonly #findings: Findings;
  readonly #objects: ShardObjects;
  readonly #shard: number;
  #signed: SignedNote | undefined;
  #tree = new CompactRange();
  /** Hash of the entry before, hex; undefined when it is lost. */
  #prev: string | undefined = NO_PREVIOUS;
  #treeLost = false;
  /** Entries that an earlier walk took. */
  #begun = 0;
  #bodies = 0;
  #noteCount = 0;
  #matched = 0;
  #uncheckable = 0;
  #firstTime: string | undefined;
  #lastTime: string | undefined;
  #firstKind: string | undefined;
  #lastKind: string | undefined;
  #firstBody: Buffer | undefined;

  constructor(listed: ListedShard, options: WalkOptions) {
    this.#listed = listed;
    this.#options = options;
    this.#findings = options.findings;
    this.#objects = listed.objects;
    this.#shard = listed.number;
  }

  /** Throws what the store throws when it cannot answer, and what the sink throws. */
  async run(): Promise<ShardReport> {
    const heads = await readHeads(this.#objects, this.#options.judge);
    const sizes = [...new Set([...this.#listed.sizes, ...heads.roots.keys()])].sort((a, b) => b - a);
    const anchored = await this.#anchor(sizes, heads);
    if (this.#signed === undefined && this.#unproven === 0) await this.#reportNothingSigned(heads, sizes[0]);
    else this.#reportUnsignedHeads(heads);
    this.#reportHeads(heads, anchored?.size ?? 0);
    if (anchored !== undefined) {
      for (const { tile, judged } of await anchored.edgeTiles())
        await this.#foundTile(tile, judged, true, anchored.size);
      await this.#walk(anchored, sizes.reverse(), heads);
    }
    this.#finishOutside(anchored?.size ?? 0);
    this.#options.locks?.report(this.#shard, this.#findings);
    return this.#summary(anchored?.size ?? 0);
  }

  /** Finds the largest signed checkpoint whose tree the objects give; reports those that they do not. */
  async #anchor(sizes: readonly number[], heads: Heads): Promise<SignedTree | undefined> {
    const unproven: number[] = [];
    const strange: number[] = [];
    let anchored: SignedTree | undefined;
    for (const size of sizes) {
      const notes = await this.#signedNotes(size, heads);
      for (const note of notes) {
        anchored = await SignedTree.anchor(this.#objects, size, note.root, (tile, found) => {
          this.#tileReports.push(this.#foundTile(tile, found.judged, found.hashes !== undefined, size));
        });
        if (anchored === undefined) continue;
        this.#signed = note;
        break;
      }
      if (anchored !== undefined) break;
      if (notes.length > 0) unproven.push(size);
      else if (strange.length < MAX_UNPROVEN) strange.push(size);
    }
    this.#unproven = unproven.length;
    for (const size of unproven.slice(0, MAX_UNPROVEN)) await this.#reportUnproven(size, anchored?.size ?? 0);
    if (anchored !== undefined) for (const size of strange) await this.#reportStrange(size);
    return anchored;
  }

  /** Under a size that the log has not reached there is something that the log did not sign. */
  async #reportStrange(size: number): Promise<void> {
    for (const { verdict } of await this.#notesUnder(size)) {
      const why =
        verdict.kind === 'signed' ? `it is the one of ${verdict.origin} and size ${verdict.size}` : verdict.message;
      this.#findings.add({
        code: verdict.kind === 'other-key' ? 'checkpoint-other-key' : 'checkpoint-altered',
        shard: this.#shard,
        checkpoint: size,
        object: `${this.#objects.base}checkpoints/${size}`,
        history: 'whole',
        message: `what is under ${this.#objects.base}checkpoints/${size} is no checkpoint of this log: ${why}`,
      });
    }
  }

  /** Signed checkpoints that the objects do not give. */
  #unproven = 0;
  readonly #tileReports: Promise<void>[] = [];

  /** Properly signed notes of this shard and size, one for each root. */
  async #signedNotes(size: number, heads: Heads): Promise<SignedNote[]> {
    const roots = new Map<string, SignedNote>();
    const take = (verdict: SignedNote): void => {
      if (verdict.size === size && this.#isOurs(verdict)) roots.set(verdict.root, verdict);
    };
    for (const { verdict } of await this.#notesUnder(size)) if (verdict.kind === 'signed') take(verdict);
    const note = heads.notes.get(size);
    const verdict = note === undefined ? undefined : this.#options.judge.judge(note);
    if (verdict?.kind === 'signed') for (const root of heads.roots.get(size) ?? []) take({ ...verdict, root });
    return [...roots.values()];
  }

  async #notesUnder(size: number) {
    const history = await this.#noteHistory(size);
    return await Promise.all(history.versions.map((version) => readNote(this.#objects, this.#options.judge, version)));
  }

  /** Everything under `checkpoints/<size>`. */
  async #noteHistory(size: number): Promise<KeyHistory> {
    return this.#listed.notes.get(size) ?? (await this.#objects.single(`checkpoints/${size}`));
  }

  #isOurs({ origin, key }: SignedNote): boolean {
    if (this.#listed.origin !== undefined) return origin === this.#listed.origin;
    return origin === `${key}/${this.#shard}`;
  }

  #add(code: FindingCode, from: number, to: number, message: string): void {
    this.#findings.add({ code, shard: this.#shard, from, to, message });
  }

  async #reportUnproven(size: number, anchored: number): Promise<void> {
    this.lost = true;
    const at = Math.min(anchored, size - 1);
    const index = Math.floor((size - 1) / TILE_WIDTH);
    const width = size - index * TILE_WIDTH;
    const there =
      (await this.#objects.history({ kind: 'entries', index, width })).versions.length > 0 ||
      (await this.#objects.wider({ kind: 'entries', index, width })).length > 0;
    const common = { shard: this.#shard, from: at, to: size - 1, checkpoint: size, history: 'lost' as const };
    if (there) {
      const message =
        `${entriesText(at, size - 1)}: a signed checkpoint of size ${size} covers them, but no versions of the tiles and entry bundles ` +
        'give its root: they were changed, or the key signed two histories';
      this.#findings.add({ code: 'history-changed', ...common, message });
    } else {
      const message = `${entriesText(at, size - 1)} are missing at the end: a signed checkpoint of size ${size} covers them`;
      this.#findings.add({ code: 'tail-missing', ...common, message });
    }
  }

  #reportHeads(heads: Heads, anchored: number): void {
    const object = `${this.#objects.base}checkpoint`;
    const shard = this.#shard;
    const history = anchored > 0 ? ('whole' as const) : ('lost' as const);
    const add = (code: FindingCode, message: string): void =>
      this.#findings.add({ code, shard, object, history, message: `${object} ${message}` });
    if (heads.left > 0) {
      this.#findings.unchecked(`shard ${shard}: ${heads.left} older versions of ${object}: there are too many`);
    }
    const { newest } = heads;
    if (newest === undefined) {
      if (heads.hidden) {
        if (heads.found) add('object-hidden', 'was deleted: a delete marker hides it');
        else add('object-missing', 'is not there: only a delete marker is left of it');
      } else if (this.#listed.sizes.length > 0) {
        add('object-missing', 'is not there, although a push ends with writing it');
      }
    }
    for (const [size, list] of heads.roots) {
      if (list.size < 2) continue;
      add(
        'checkpoint-fork',
        `had versions of size ${size} with ${list.size} different roots: the key signed two histories`,
      );
    }
    this.#reportPutBack(heads, add);
  }

  #reportUnsignedHeads(heads: Heads): void {
    const object = `${this.#objects.base}checkpoint`;
    for (const { version, verdict } of heads.unsigned) {
      if (verdict.kind === 'signed') continue;
      const code = verdict.kind === 'other-key' ? 'checkpoint-other-key' : 'checkpoint-altered';
      const which = version.newest ? 'was overwritten: its newest version' : 'was tampered with: a version of it';
      const message = `${object} ${which} is not a note of this log: ${verdict.message}`;
      this.#findings.add({
        code,
        shard: this.#shard,
        object,
        history: this.#signed === undefined ? 'lost' : 'whole',
        message,
      });
    }
    if (heads.unsignedCount > heads.unsigned.length) {
      this.#findings.note(
        `shard ${this.#shard}: ${heads.unsignedCount} versions of ${object} are no notes of this log`,
      );
    }
  }

  /** A push writes the checkpoint under its size, then this one: it may be one behind, but never goes back. */
  #reportPutBack(heads: Heads, add: (code: FindingCode, message: string) => void): void {
    const { newest } = heads;
    if (newest === undefined || newest.verdict.kind !== 'signed') return;
    const { size, origin } = newest.verdict;
    if (!this.#isOurs(newest.verdict)) {
      add('log-mixed', `is of ${origin}, another shard or log`);
      return;
    }
    const largest = Math.max(...heads.roots.keys());
    const later = this.#listed.sizes.filter((one) => one > size).length;
    if (largest > size) {
      add('checkpoint-put-back', `is an older one, of size ${size}: it was of size ${largest} before`);
    } else if (later > 1) {
      add(
        'checkpoint-put-back',
        `is an older one, of size ${size}: ${later} checkpoints after it are under their sizes`,
      );
    } else if (later === 1) {
      this.#findings.note(`shard ${this.#shard}: the last push has not written ${this.#objects.base}checkpoint yet`);
    }
  }

  /** There is no checkpoint of ours at all: says of the newest thing that should be one what it is. */
  async #reportNothingSigned(heads: Heads, largest: number | undefined): Promise<void> {
    this.lost = true;
    const { base } = this.#objects;
    const [under] = largest === undefined ? [] : await this.#notesUnder(largest);
    const verdict = heads.unsigned[0]?.verdict ?? under?.verdict;
    const object = heads.unsigned.length > 0 ? `${base}checkpoint` : `${base}checkpoints/${largest}`;
    const common = { shard: this.#shard, history: 'lost' as const };
    if (verdict === undefined) {
      const message =
        'there is no checkpoint: no signature vouches for anything here. Its first push is not done yet, or what was there is gone';
      this.#findings.add({ code: 'object-missing', ...common, object: `${base}checkpoint`, message });
    } else if (verdict.kind === 'other-key') {
      const message = `${object} is signed by another key: ${verdict.message}`;
      this.#findings.add({ code: 'checkpoint-other-key', ...common, object, message });
    } else {
      const why = verdict.kind === 'signed' ? `it is of ${verdict.origin}` : verdict.message;
      this.#findings.add({ code: 'checkpoint-altered', ...common, object, message: `${object} was altered: ${why}` });
    }
  }

  async #foundTile(
    { level, index, width }: Tile,
    judged: Judged<unknown>,
    saved: boolean,
    size: number,
  ): Promise<void> {
    const span = TILE_WIDTH ** (level + 1);
    const entries = [index * span, Math.min(size, (index + 1) * span) - 1] as const;
    // A lost tile is not lost history: what lies below it is judged by itself.
    reportObject(this.#findings, judged, { shard: this.#shard, entries, what: 'the tile', saved });
    await this.#options.locks?.check(judged.right, width === TILE_WIDTH ? 'log' : 'partial', entries);
  }

  async #walk(tree: SignedTree, sizes: readonly number[], heads: Heads): Promise<void> {
    const { resume, parallel, onProgress, sink } = this.#options;
    const { size } = tree;
    if (resume !== undefined) {
      this.#tree = resume.tree;
      this.#prev = resume.prev;
    }
    const begin = this.#tree.size;
    this.#begun = begin;
    if (begin >= size) return;
    const due = sizes.filter((one) => one > begin && one <= size);
    const outside = this.#options.outside
      .filter((one) => one.size > begin && one.size <= size)
      .toSorted((a, b) => a.size - b.size);
    const queue: Bundle[] = [];
    let ahead = 0;
    let next = Math.floor(begin / TILE_WIDTH);
    let nextDue = 0;
    let nextOutside = 0;
    while (queue.length > 0 || next * TILE_WIDTH < size) {
      while (next * TILE_WIDTH < size && (queue.length === 0 || (queue.length < parallel && ahead < AHEAD_BYTES))) {
        const bundle = await this.#begin(tree, next);
        queue.push(bundle);
        ahead += bundle.bytes;
        next += 1;
      }
      const bundle = queue.shift();
      if (bundle === undefined) break;
      ahead -= bundle.bytes;
      const first = bundle.index * TILE_WIDTH;
      const end = first + bundle.width;
      const roots = new Map<number, string | undefined>();
      while ((due[nextDue + roots.size] ?? Number.POSITIVE_INFINITY) <= end)
        roots.set(due[nextDue + roots.size] as number, undefined);
      nextDue += roots.size;
      const ours = [...roots.keys()];
      while ((outside[nextOutside]?.size ?? Number.POSITIVE_INFINITY) <= end) {
        roots.set(outside[nextOutside]?.size as number, undefined);
        nextOutside += 1;
      }
      await this.#bundle(bundle, roots);
      await this.#checkpoints(ours, roots, heads);
      this.#compareOutside(outside, roots);
      await Promise.all(this.#tileReports.splice(0));
      await sink?.bundle(end);
      onProgress?.(end, size);
    }
    await Promise.all(this.#tileReports.splice(0));
    if (this.#uncheckable > 0) {
      this.#findings.unchecked(
        `shard ${this.#shard}: ${this.#uncheckable} checkpoints: leaves before them are lost, so that their roots cannot be computed`,
      );
    }
  }

  async #begin(tree: SignedTree, index: number): Promise<Bundle> {
    const width = Math.min(TILE_WIDTH, tree.size - index * TILE_WIDTH);
    const { store } = this.#objects;
    const entries = load(store, await this.#objects.history({ kind: 'entries', index, width }), MAX_ENTRIES_BYTES);
    const max = maxBodiesBytes(width);
    const bodies = this.#listed.mirrored
      ? load(store, await this.#objects.history({ kind: 'bodies', index, width }), max)
      : undefined;
    const hashes = tree.leafHashes(index);
    hashes.catch(() => undefined);
    // Bodies are unpacked one bundle at a time; what waits is as large as it is stored.
    const bytes = (entries.history.versions[0]?.size ?? 0) + Math.min(max, bodies?.history.versions[0]?.size ?? 0);
    return { index, width, bytes, entries, bodies, hashes };
  }

  async #bundle(
    { index, width, entries, bodies, hashes }: Bundle,
    roots: Map<number, string | undefined>,
  ): Promise<void> {
    const first = index * TILE_WIDTH;
    const span = [first, first + width - 1] as const;
    const expected = await hashes;
    const { sink, locks } = this.#options;
    const of = width === TILE_WIDTH ? 'log' : 'partial';
    const { judged, leaves } = await this.#leaves(entries, index, width, expected);
    const missing = leaves.flatMap((leaf, i) => (leaf === undefined ? [first + i] : []));
    const at = missing.length === 0 ? span : ([missing[0] ?? first, missing.at(-1) ?? first] as const);
    const place = { shard: this.#shard, entries: at, what: 'the entry bundle', saved: missing.length === 0 };
    if (reportObject(this.#findings, judged, place)) this.lost = true;
    await locks?.check(judged.right, of, span);
    const commitments: (Commitment | undefined)[] = [];
    for (const [i, leaf] of leaves.entries()) {
      if (first + i < this.#begun) {
        commitments.push(undefined);
        continue;
      }
      commitments.push(this.#entry(first + i, leaf, expected?.[i]));
      if (roots.has(first + i + 1))
        roots.set(first + i + 1, this.#treeLost ? undefined : this.#tree.root().toString('hex'));
    }
    if (bodies !== undefined) await this.#bundleBodies(bodies, index, commitments, sink, span);
  }

  /** The leaves of a bundle, each from whatever version holds it. */
  async #leaves(
    loaded: Loaded,
    index: number,
    width: number,
    expected: readonly Uint8Array[] | undefined,
  ): Promise<{ judged: Judged<readonly Buffer[]>; leaves: readonly (Buffer | undefined)[] }> {
    const first = index * TILE_WIDTH;
    // Where the tiles are lost and cannot be computed, nothing ties these leaves to a signature: another log's would do as well.
    const isRight = (leaf: Buffer, i: number): boolean => {
      const signed = expected?.[i];
      return signed !== undefined && Buffer.from(leafHashOf(leaf), 'hex').equals(signed);
    };
    const judged = await judge(this.#objects.store, loaded, MAX_ENTRIES_BYTES, (bytes) => {
      const leaves = decodeLeaves(bytes, width);
      if (leaves === undefined) return `it is not a bundle of ${width} entries`;
      const wrong = leaves.findIndex((leaf, i) => !isRight(leaf, i));
      return wrong < 0 ? { value: leaves } : `entry ${first + wrong} in it is not the one that was signed`;
    });
    if (judged.value !== undefined) return { judged, leaves: judged.value };
    const leaves: (Buffer | undefined)[] = Array.from({ length: width });
    const save = (bytes: Buffer): void => {
      for (const [i, leaf] of leavesBefore(bytes, width).entries()) if (isRight(leaf, i)) leaves[i] ??= leaf;
    };
    for (const bytes of judged.wrong) save(bytes);
    if (leaves.includes(undefined)) {
      for (const { history } of await this.#objects.wider({ kind: 'entries', index, width })) {
        await eachContent(this.#objects.store, history, MAX_ENTRIES_BYTES, save);
      }
    }
    return { judged, leaves };
  }

  /** Checks one entry's form, place and chain. Returns what its body has to be. */
  #entry(seq: number, bytes: Buffer | undefined, signed: Uint8Array | undefined): Commitment | undefined {
    const prev = this.#prev;
    if (bytes === undefined || signed === undefined) {
      this.#grow(signed);
      return undefined;
    }
    const leaf = readLeaf(bytes.toString('latin1'));
    this.#grow(signed);
    this.#options.sink?.leaf(seq, bytes, signed);
    if (leaf === undefined || leaf.seq !== seq) {
      const why = leaf === undefined ? 'is not a leaf of the format' : `is the leaf of entry ${leaf.seq}`;
      this.#add('leaf-malformed', seq, seq, `entry ${seq} ${why}, although the log signed it as it is`);
      return undefined;
    }
    if (prev !== undefined && leaf.prev !== prev) {
      this.#add(
        'chain-broken',
        seq - 1,
        seq,
        `prev of entry ${seq} is not the hash of entry ${seq - 1}, although the log signed both`,
      );
    }
    this.#remember(leaf);
    return leaf;
  }

  #grow(hash: Uint8Array | undefined): void {
    this.#prev =
      hash === undefined ? undefined : Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('hex');
    if (hash === undefined) this.#treeLost = true;
    // A lost leaf has a place, too: the tree gives no root any more, but goes on counting.
    this.#tree.append(hash ?? Buffer.alloc(32));
  }

  #remember(leaf: ReadLeaf): void {
    if (leaf.seq === 0) this.#firstKind = leaf.kind;
    this.#firstTime ??= leaf.time;
    this.#lastTime = leaf.time;
    this.#lastKind = leaf.kind;
  }

  async #bundleBodies(
    loaded: Loaded,
    index: number,
    commitments: readonly (Commitment | undefined)[],
    sink: EntrySink | undefined,
    span: readonly [number, number],
  ): Promise<void> {
    const first = index * TILE_WIDTH;
    const { judged, bodies } = await readBodies(this.#objects, loaded, index, commitments);
    const isLost = (i: number): boolean => commitments[i] !== undefined && bodies[i] === undefined;
    const lost = commitments.flatMap((_, i) => (isLost(i) ? [first + i] : []));
    const at = lost.length === 0 ? span : ([lost[0] ?? first, lost.at(-1) ?? first] as const);
    const place = { shard: this.#shard, entries: at, what: 'the body bundle', saved: lost.length === 0 };
    if (reportObject(this.#findings, judged, place)) this.lost = true;
    await this.#options.locks?.check(judged.right, commitments.length === TILE_WIDTH ? 'bodies' : 'partial', span);
    for (const [i, found] of bodies.entries()) {
      const commitment = commitments[i];
      if (found === undefined || commitment === undefined) continue;
      await this.#body(first + i, found, commitment, sink);
    }
  }

  async #body(seq: number, found: FoundBody, commitment: Commitment, sink: EntrySink | undefined): Promise<void> {
    let whole: { readonly salt: Uint8Array; readonly body: Uint8Array } | undefined;
    if (found.body === undefined) {
      const judged = await readLargeBody(this.#objects, seq, commitment);
      const place = { shard: this.#shard, entries: [seq, seq] as const, what: 'the body', saved: false };
      if (reportObject(this.#findings, judged, place)) this.lost = true;
      await this.#options.locks?.check(judged.right, 'bodies', [seq, seq]);
      whole = judged.value;
    } else {
      whole = { salt: found.salt, body: found.body };
    }
    if (whole === undefined) return;
    this.#bodies += 1;
    if (seq === 0) this.#firstBody = Buffer.from(whole.body);
    sink?.body(seq, whole.salt, whole.body);
  }

  /** Holds the notes under these sizes against the roots that the leaves gave there. */
  async #checkpoints(
    sizes: readonly number[],
    roots: ReadonlyMap<number, string | undefined>,
    heads: Heads,
  ): Promise<void> {
    await inBatches(
      sizes,
      NOTES_BATCH,
      async (size) => {
        const root = roots.get(size);
        const history = await this.#noteHistory(size);
        const { store } = this.#objects;
        const judged = await judge(store, load(store, history, MAX_NOTE_BYTES), MAX_NOTE_BYTES, (bytes) =>
          this.#note(bytes, size, root),
        );
        await this.#options.locks?.check(judged.right, 'log', undefined);
        return { size, root, judged };
      },
      ({ size, root, judged }) => this.#checkpoint(size, root, judged, heads),
    );
  }

  #note(bytes: Buffer, size: number, root: string | undefined): { value: Buffer } | string {
    const verdict = this.#options.judge.judge(bytes);
    if (verdict.kind !== 'signed') return verdict.message;
    if (!this.#isOurs(verdict)) return `it is of ${verdict.origin}, another shard or log`;
    if (verdict.size !== size) return `it is the one of size ${verdict.size}`;
    if (root !== undefined && verdict.root !== root) {
      this.#findings.add({
        code: 'checkpoint-fork',
        shard: this.#shard,
        from: 0,
        to: size - 1,
        checkpoint: size,
        message: `a checkpoint of size ${size} is properly signed but not of these entries: the key signed two histories`,
      });
      return 'it is signed, but of another history';
    }
    return { value: bytes };
  }

  #checkpoint(size: number, root: string | undefined, judged: Judged<Buffer>, heads: Heads): void {
    const inHeads = heads.roots.get(size);
    for (const other of inHeads ?? []) {
      if (root === undefined || other === root || (inHeads?.size ?? 0) > 1) continue;
      const message = `a version of ${this.#objects.base}checkpoint of size ${size} is properly signed but not of these entries: the key signed two histories`;
      this.#findings.add({
        code: 'checkpoint-fork',
        shard: this.#shard,
        from: 0,
        to: size - 1,
        checkpoint: size,
        message,
      });
    }
    const note =
      judged.value ?? (root !== undefined && inHeads?.has(root) === true ? heads.notes.get(size) : undefined);
    this.#noteCount += 1;
    if (this.#listed.mirrored) {
      const place = { shard: this.#shard, what: 'the checkpoint', checkpoint: size, saved: true };
      reportObject(this.#findings, judged, place);
    }
    if (root === undefined) {
      this.#uncheckable += 1;
      return;
    }
    if (note === undefined) return;
    this.#matched += 1;
    this.#options.sink?.checkpoint(size, note);
  }

  #compareOutside(outside: readonly OutsideCheckpoint[], roots: ReadonlyMap<number, string | undefined>): void {
    for (const { size, root } of outside) {
      if (!roots.has(size)) continue;
      const ours = roots.get(size);
      if (ours === root) continue;
      if (ours === undefined) {
        this.#uncheckable += 1;
        continue;
      }
      const message =
        `the checkpoint from outside is of another history: ${entriesText(0, size - 1)} are not, or not all, what was signed ` +
        `then. The key's holder rewrote the log, or it was forked`;
      this.#findings.add({
        code: 'outside-fork',
        shard: this.#shard,
        from: 0,
        to: size - 1,
        checkpoint: size,
        message,
      });
    }
  }

  #finishOutside(size: number): void {
    for (const one of this.#options.outside) {
      if (one.size <= size) continue;
      const message =
        `${entriesText(size, one.size - 1)} are missing: the checkpoint from outside covers ${one.size} entries, the mirror ${size}. ` +
        'They were not mirrored yet, or the end was cut off';
      this.#add('rolled-back', size, one.size - 1, message);
    }
  }

  #summary(entries: number): ShardReport {
    const signed = this.#signed;
    const shard = this.#shard;
    const begin = shard === 0 ? 'start' : 'link';
    if (this.#firstKind !== undefined && this.#firstKind !== begin) {
      this.#add('start-mismatch', 0, 0, `entry 0 of shard ${shard} is of kind ${this.#firstKind}, not ${begin}`);
    }
    const said = this.#firstBody === undefined ? undefined : originIn(this.#firstBody);
    if (this.#firstBody !== undefined && this.#firstKind === begin && signed !== undefined && said !== signed.origin) {
      this.#add(
        'start-mismatch',
        0,
        0,
        `the ${begin} entry is of origin ${said ?? 'none'}, the checkpoints are of ${signed.origin}`,
      );
    }
    // A shard that left the volume is expected in the mirror all the same: nothing excuses its absence here.
    this.#options.onBegin?.({ kind: this.#firstKind, body: this.#firstBody, lastKind: this.#lastKind, removals: [] });
    return {
      shard,
      ...(signed === undefined ? {} : { origin: signed.origin }),
      entries,
      bodies: this.#bodies,
      checkpoints: this.#noteCount,
      matched: this.#matched,
      signed: entries,
      unsignedTail: 0,
      ...(this.#firstTime === undefined ? {} : { firstTime: this.#firstTime }),
      ...(this.#lastTime === undefined ? {} : { lastTime: this.#lastTime }),
      ...(signed === undefined
        ? {}
        : { key: signed.key, vkey: signed.vkey, root: Buffer.from(signed.root, 'hex').toString('base64') }),
    };
  }
}

/** As many leaves as a damaged bundle still gives, from its beginning. */
function leavesBefore(bytes: Buffer, width: number): Buffer[] {
  const leaves: Buffer[] = [];
  for (let at = 0; at + 2 <= bytes.length && leaves.length < width; ) {
    const end = at + 2 + bytes.readUInt16BE(at);
    if (end > bytes.length) break;
    leaves.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return leaves;
}

function originIn(body: Buffer): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString());
    if (typeof parsed !== 'object' || parsed === null || !('origin' in parsed)) return undefined;
    return typeof parsed.origin === 'string' ? parsed.origin.slice(0, 300) : undefined;
  } catch {
    return undefined;
  }
}
