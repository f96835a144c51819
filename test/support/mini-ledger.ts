// A second writer of the ledger format, from docs/ledger-format.md alone and sharing nothing with src/ledger: tests of the
// verifier build with it what the real writer would refuse to write.
import { createHmac, createPrivateKey, createPublicKey, hash, type KeyObject, sign } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import Database from 'better-sqlite3';

const FORMAT_PAGE = path.join(import.meta.dirname, '..', '..', 'docs', 'ledger-format.md');

export interface MiniKey {
  readonly name: string;
  readonly vkey: string;
  readonly privateKey: KeyObject;
  readonly id: Buffer;
}

export interface MiniEntry {
  readonly kind: string;
  /** Further keys of the leaf as they are written, for example `"allowed":true`. */
  readonly extra?: string;
  readonly body: Buffer;
}

export interface MiniShard {
  readonly number: number;
  readonly key: MiniKey;
  readonly entries: readonly MiniEntry[];
  /** Sizes at which a checkpoint is signed. */
  readonly checkpoints: readonly number[];
  /** Entries a pack; what is left over goes into the last. */
  readonly packs: readonly number[];
  /** Signs these origins instead of `<name>/<number>`. */
  readonly origin?: string;
  /** First second of the entries' times. */
  readonly epoch?: number;
}

const sha256 = (...parts: readonly (Buffer | string)[]): Buffer =>
  hash('sha256', Buffer.concat(parts.map((part) => Buffer.from(part))), 'buffer');

export function miniKey(name: string, seedByte: number): MiniKey {
  const seed = Buffer.alloc(32, seedByte);
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const raw = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-32);
  const typed = Buffer.concat([Buffer.of(1), raw]);
  const id = sha256(name, '\n', typed).subarray(0, 4);
  return { name, privateKey, id, vkey: `${name}+${id.toString('hex')}+${typed.toString('base64')}` };
}

/** RFC 6962 root of leaf hashes. */
export function miniRoot(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0] as Buffer;
  const left = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return sha256(Buffer.of(1), miniRoot(leaves.slice(0, left)), miniRoot(leaves.slice(left)));
}

/** A signed checkpoint. */
export function miniNote(key: MiniKey, origin: string, size: number, root: Buffer): string {
  return miniSign(key, `${origin}\n${size}\n${root.toString('base64')}\n`);
}

/** Any text, signed. */
export function miniSign(key: MiniKey, text: string): string {
  const signature = Buffer.concat([key.id, sign(null, Buffer.from(text), key.privateKey)]);
  return `${text}\n\u2014 ${key.name} ${signature.toString('base64')}\n`;
}

export interface MiniLeaf {
  readonly bytes: Buffer;
  readonly hash: Buffer;
  readonly salt: Buffer;
}

/** Writes one leaf, whose salt is a function of its place so that ledgers of equal content are equal. */
export function miniLeaf(seq: number, prev: Buffer, entry: MiniEntry, epoch = 1_767_225_600): MiniLeaf {
  const salt = sha256(`salt ${seq}`).subarray(0, 16);
  const commitment = createHmac('sha256', salt).update(entry.body).digest('hex');
  const time = `${new Date((epoch + seq) * 1000).toISOString().slice(0, -1)}123Z`;
  const extra = entry.extra === undefined ? '' : `,${entry.extra}`;
  const bytes = Buffer.from(
    `{"v":1,"seq":${seq},"time":"${time}","kind":"${entry.kind}","prev":"${prev.toString('hex')}","body":"${commitment}","size":${entry.body.length}${extra}}`,
  );
  return { bytes, hash: sha256(Buffer.of(0), bytes), salt };
}

/** All leaves of a chain. */
export function miniChain(entries: readonly MiniEntry[], epoch?: number): MiniLeaf[] {
  const leaves: MiniLeaf[] = [];
  for (const [seq, entry] of entries.entries()) {
    leaves.push(miniLeaf(seq, leaves.at(-1)?.hash ?? Buffer.alloc(32), entry, epoch));
  }
  return leaves;
}

export function miniRecord(salt: Buffer, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([Buffer.of(1), salt, length, body]);
}

/** The checksum of a pack's row. */
export function miniSum(first: number, count: number, codec: number, data: Buffer): Buffer {
  const head = Buffer.alloc(13);
  new DataView(head.buffer, head.byteOffset).setBigInt64(0, BigInt(first));
  new DataView(head.buffer, head.byteOffset).setInt32(8, count);
  head[12] = codec;
  return sha256(head, data);
}

/** The statements of the page. */
const SCHEMA = [...fs.readFileSync(FORMAT_PAGE, 'utf8').matchAll(/^```sql\n(.*?)^```$/gms)]
  .map(([, sql]) => sql)
  .join('');

/** Writes a shard's file into `folder` and returns its path. Packs of one are stored plain, others as Zstandard. */
export function writeMiniShard(folder: string, shard: MiniShard): string {
  const name = `shard-${String(shard.number).padStart(6, '0')}.sqlite`;
  const file = path.join(folder, name);
  fs.mkdirSync(folder, { recursive: true });
  fs.rmSync(file, { force: true });
  const origin = shard.origin ?? `${shard.key.name}/${shard.number}`;
  const leaves = miniChain(shard.entries, shard.epoch);
  const db = new Database(file);
  db.pragma('synchronous = OFF');
  db.pragma('application_id = 1397181508');
  db.pragma('user_version = 1');
  db.exec(SCHEMA);
  db.transaction(() => {
    const meta = db.prepare('INSERT INTO meta VALUES (?, ?)');
    for (const pair of Object.entries({ origin, shard: String(shard.number), log: shard.key.name })) meta.run(...pair);
    const leaf = db.prepare('INSERT INTO leaf VALUES (?, ?)');
    for (const [seq, { bytes }] of leaves.entries()) leaf.run(seq, bytes);
    const pack = db.prepare('INSERT INTO pack VALUES (?, ?, ?, ?, ?)');
    let first = 0;
    for (const wanted of [...shard.packs, 256]) {
      const count = Math.min(wanted, leaves.length - first);
      if (count === 0) break;
      const range = leaves.slice(first, first + count);
      const records = Buffer.concat(
        range.map(({ salt }, i) => miniRecord(salt, shard.entries[first + i]?.body as Buffer)),
      );
      const [codec, data] = count === 1 ? ([0, records] as const) : ([1, zstdCompressSync(records)] as const);
      pack.run(first, count, codec, data, miniSum(first, count, codec, data));
      first += count;
    }
    const checkpoint = db.prepare('INSERT INTO checkpoint VALUES (?, ?)');
    for (const size of shard.checkpoints) {
      const root = miniRoot(leaves.slice(0, size).map((one) => one.hash));
      checkpoint.run(size, Buffer.from(miniNote(shard.key, origin, size, root)));
    }
  })();
  db.close();
  return file;
}
