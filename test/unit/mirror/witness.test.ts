// A witness and the client that asks it, over HTTP, and the witness's memory on a real disk.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Witness } from '../../../src/mirror/witness.ts';
import { WitnessClient } from '../../../src/mirror/witness-client.ts';
import { WitnessHeads } from '../../../src/mirror/witness-heads.ts';
import {
  cosignersOf,
  formatAddCheckpoint,
  parseAddCheckpoint,
  parseSizeAnswer,
} from '../../../src/tlog/add-checkpoint.ts';
import { signCheckpoint } from '../../../src/tlog/checkpoint.ts';
import { makeConsistencyProof } from '../../../src/tlog/consistency.ts';
import { seedOf } from '../../../src/tlog/ed25519.ts';
import { leafHash, nodeHash } from '../../../src/tlog/merkle.ts';
import { createSigner } from '../../../src/tlog/note.ts';
import { parsePolicy } from '../../../src/tlog/policy.ts';
import { rangeRoot } from '../../../src/tlog/subtree.ts';
import { createVerifier } from '../../../src/tlog/verifier.ts';

const NAME = 'example.com/c/0';
/** Each look at it is a minute later: a witness that failed is asked again at once. */
let minutes = 0;
const clock = () => ++minutes * 60_000;

const newKey = () => generateKeyPairSync('ed25519').privateKey;

/** A log of entries `mark 0`, `mark 1` … */
function treeOf(mark: string) {
  const node = (level: number, index: number): Buffer =>
    level === 0
      ? leafHash(Buffer.from(`${mark} ${index}`))
      : nodeHash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1));
  return {
    root: (size: number) => rangeRoot(0, size, node),
    prove: (size: number) => (old: number) => makeConsistencyProof(old, size, node),
  };
}

function scene(options: { logKey?: ReturnType<typeof newKey> } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-witness-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'witness.sqlite');
  const log = createSigner(NAME, options.logKey ?? newKey());
  const privateKey = newKey();
  const misbehaviour: string[] = [];
  const open = (create: boolean) => {
    const heads = WitnessHeads.open(file, create);
    const witness = new Witness({
      ...{ name: 'witness.example/w', privateKey, logs: [log.key], heads, now: () => 1_800_000_000 },
      onMisbehaviour: (origin, why) => misbehaviour.push(`${origin}: ${why}`),
    });
    return { heads, witness };
  };
  const first = open(true);
  onTestFinished(() => first.heads.close());
  const tree = treeOf('entry');
  const note = (size: number, of = tree, signer = log, origin = `${NAME}/0`) =>
    signCheckpoint({ origin, size, root: of.root(size) }, [signer]);
  const ask = (old: number, size: number, of = tree, signer = log) =>
    first.witness.add(
      Buffer.from(
        formatAddCheckpoint({
          oldSize: old,
          proof: old <= size ? of.prove(size)(old) : [],
          note: note(size, of, signer),
        }),
      ),
    );
  return { dir, file, log, tree, note, ask, misbehaviour, open, ...first };
}

describe('a witness', () => {
  it('cosigns what continues the last, for every pair of sizes, and says its time', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 6 }), (sizes) => {
        const { ask, note, log, witness, heads } = scene();
        let last = 0;
        for (const size of sizes.toSorted((a, b) => a - b)) {
          const { status, body } = ask(last, size);
          expect(status, body).toBe(200);
          const whole = `${note(size)}${body}`;
          expect(cosignersOf(whole, [createVerifier(log.key)], [createVerifier(witness.vkey)])).toMatchObject([
            { name: 'witness.example/w', time: 1_800_000_000 },
          ]);
          last = size;
        }
        heads.close();
      }),
      { numRuns: 10 },
    );
  });

  it('answers 409 with its size when the old size is another, also to the first request', () => {
    const { ask } = scene();
    expect(ask(3, 5)).toEqual({ status: 409, contentType: 'text/x.tlog.size', body: '0\n' });
    expect(ask(0, 5).status).toBe(200);
    for (const old of [0, 4]) expect(ask(old, 9)).toMatchObject({ status: 409, body: '5\n' });
    expect(ask(5, 5).status).toBe(200);
    expect(ask(0, 3)).toMatchObject({ status: 409, body: '5\n' });
  });

  it('refuses an old size above the checkpoint, an unknown log, another key, and what is no request', () => {
    const { ask, note, witness } = scene();
    expect(ask(9, 5).status).toBe(400);
    expect(ask(0, 5, undefined, createSigner(NAME, newKey())).status).toBe(403);
    const other = createSigner('example.com/other', newKey());
    const unknown = signCheckpoint({ origin: 'example.com/other', size: 1, root: Buffer.alloc(32) }, [other]);
    expect(witness.add(Buffer.from(`old 0\n\n${unknown}`)).status).toBe(404);
    for (const origin of [`${NAME}/x`, `${NAME}/01`, `${NAME}x`, `${NAME}/0/0`]) {
      expect(witness.add(Buffer.from(`old 0\n\n${note(5, undefined, undefined, origin)}`)).status).toBe(404);
    }
    const good = note(5);
    for (const bad of [
      '',
      'old 0',
      `old 00\n\n${good}`,
      `old -1\n\n${good}`,
      `old 0\nx\n\n${good}`,
      `0\n\n${good}`,
      'old 0\n\nx',
    ]) {
      expect(witness.add(Buffer.from(bad)).status, bad).toBe(400);
    }
    expect(witness.add(Buffer.from([0xff, 0x0a, 0x0a])).status).toBe(400);
    const long = `old 0\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(64)}\n${good}`;
    expect(witness.add(Buffer.from(long)).status).toBe(400);
  });

  it('never cosigns two histories, and keeps what the log signed as evidence', () => {
    const { ask, misbehaviour, heads } = scene();
    const other = treeOf('rewritten');
    expect(ask(0, 5).status).toBe(200);
    expect(ask(5, 5, other)).toMatchObject({ status: 409, body: '5\n' });
    expect(ask(5, 9, other).status).toBe(422);
    expect(misbehaviour).toHaveLength(2);
    expect(heads.evidence().map(({ why }) => why)).toEqual([
      expect.stringContaining('two trees of 5 entries'),
      expect.stringContaining('does not hold'),
    ]);
    for (let i = 0; i < 300; i++) ask(5, 9, other);
    expect(heads.evidence()).toHaveLength(100);
    expect(ask(5, 9).status).toBe(200);
  });

  it('remembers over a restart, and refuses to begin without its memory or with another file', () => {
    const { ask, file, heads, open, note, tree, dir } = scene();
    expect(ask(0, 5).status).toBe(200);
    heads.close();
    const again = open(false);
    const late = formatAddCheckpoint({ oldSize: 0, proof: [], note: note(3) });
    expect(again.witness.add(Buffer.from(late))).toMatchObject({ status: 409, body: '5\n' });
    const next = formatAddCheckpoint({ oldSize: 5, proof: tree.prove(8)(5), note: note(8) });
    expect(again.witness.add(Buffer.from(next)).status).toBe(200);
    expect(again.heads.heads()).toEqual([{ origin: `${NAME}/0`, size: 8 }]);
    again.heads.close();
    const db = new Database(file, { readonly: true });
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
    db.close();
    expect(() => WitnessHeads.open(join(dir, 'none.sqlite'), false)).toThrow(/must not go on under its key/);
    const other = new Database(join(dir, 'other.sqlite'));
    other.exec('CREATE TABLE t (a)');
    other.close();
    expect(() => WitnessHeads.open(join(dir, 'other.sqlite'), true)).toThrow(/another program/);
  });

  it('reads back any request that it writes', () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(fc.nat(), fc.array(hash, { maxLength: 63 }), (oldSize, proof) => {
        const note = 'origin\n1\nroot\n\n\u2014 a b\n';
        const read = parseAddCheckpoint(formatAddCheckpoint({ oldSize, proof, note }));
        expect(read).toEqual({ oldSize, note, proof: proof.map((one) => Buffer.from(one)) });
      }),
    );
    expect(parseSizeAnswer('12\n')).toBe(12);
    for (const bad of ['12', '012\n', '-1\n', '\n', 'x\n']) expect(parseSizeAnswer(bad)).toBeUndefined();
  });
});

describe('asking witnesses', () => {
  /** Witnesses of one log behind HTTP, and a client with a policy of them. */
  async function network(count: number, threshold: number, now = clock) {
    const logKey = newKey();
    const scenes = Array.from({ length: count }, () => scene({ logKey }));
    const servers = scenes.map(({ witness }) => ({ witness, answer: undefined as [number, string] | undefined }));
    const urls = await Promise.all(
      servers.map(async (one) => {
        const server = createServer((request, response) => {
          const chunks: Buffer[] = [];
          request.on('data', (chunk: Buffer) => chunks.push(chunk));
          request.on('end', () => {
            expect(request.url).toBe('/prefix/add-checkpoint');
            const { status, contentType, body } = one.witness.add(Buffer.concat(chunks));
            response.writeHead(one.answer?.[0] ?? status, { 'content-type': contentType }).end(one.answer?.[1] ?? body);
          });
        });
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        onTestFinished(() => void server.close());
        return `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix/`;
      }),
    );
    const lines = scenes.map(({ witness }, i) => `witness w${i} ${witness.vkey} ${urls[i]}\n`);
    const names = scenes.map((_one, i) => `w${i}`).join(' ');
    const policy = parsePolicy(`${lines.join('')}group all ${threshold} ${names}\nquorum all\n`);
    const create = () => new WitnessClient({ policy, privateKey: seedOf(logKey), timeoutMs: 5000, now });
    let client = create();
    const restart = () => {
      client = create();
    };
    const { note, tree, log } = scenes[0]!;
    const submit = (size: number, of = tree) =>
      client.cosign({ origin: `${NAME}/0`, size, note: note(size, of), prove: of.prove(size) });
    return { submit, restart, servers, policy, log, note };
  }

  it('gathers the cosignatures of all, and says whether they are enough', async () => {
    const { submit, servers, policy, log } = await network(3, 2);
    for (const size of [1, 5, 5, 64, 65]) {
      const { note, quorum, cosigned, failures } = await submit(size);
      expect(failures).toEqual([]);
      expect([quorum, cosigned.length]).toEqual([true, 3]);
      const witnesses = policy.witnesses.map(({ key }) => createVerifier(key));
      expect(cosignersOf(note, [createVerifier(log.key)], witnesses)).toHaveLength(3);
      // Only what other witnesses need was added for them: the note stays as the log signed it.
      expect(note.split('\n').filter((line) => line.startsWith('\u2014 example.com'))).toHaveLength(1);
    }
    servers[0]!.answer = [500, 'no\n'];
    expect(await submit(70)).toMatchObject({ quorum: true, failures: [{ witness: 'w0' }] });
    servers[1]!.answer = [200, '\u2014 witness.example/w AAAAAAAAAAAAAAAAAAAA\n'];
    const both = await submit(71);
    expect(both).toMatchObject({ quorum: false, failures: [{ witness: 'w0' }, { witness: 'w1' }] });
    expect(both.failures[0]!.error).toMatchObject({
      code: 'WITNESS_UNAVAILABLE',
      message: expect.stringContaining('500'),
    });
  });

  it('finds out what a witness has when it was started anew', async () => {
    const { submit, restart } = await network(1, 1);
    await submit(5);
    restart();
    expect(await submit(9)).toMatchObject({ quorum: true, failures: [] });
    restart();
    expect(await submit(9)).toMatchObject({ quorum: true, failures: [] });
  });

  it('says that a witness knows of more, or of another history, than is here', async () => {
    const { submit } = await network(1, 1);
    await submit(9);
    const behind = await submit(5);
    expect(behind).toMatchObject({ quorum: false, failures: [{ error: { code: 'WITNESS_CONTRADICTS' } }] });
    expect(behind.failures[0]!.error.message).toContain('9 entries');
    const forked = await submit(9, treeOf('fork'));
    expect(forked.failures[0]!.error).toMatchObject({
      code: 'WITNESS_CONTRADICTS',
      message: expect.stringContaining('forked'),
    });
  });

  it('leaves a witness that failed alone for a while, and says its error meanwhile', async () => {
    let time = 0;
    const { submit, servers } = await network(2, 1, () => time);
    servers[0]!.answer = [500, 'no'];
    expect((await submit(3)).failures[0]!.error.message).toContain('500');
    servers[0]!.answer = undefined;
    time = 29_000;
    expect(await submit(4)).toMatchObject({ quorum: true, failures: [{ witness: 'w0' }] });
    time = 31_000;
    expect(await submit(5)).toMatchObject({ quorum: true, failures: [] });
  });

  it('bounds what it reads, and does not follow redirects', async () => {
    const { submit, servers } = await network(1, 1);
    servers[0]!.answer = [200, 'x'.repeat(100_000)];
    expect((await submit(3)).failures[0]!.error.message).toContain('larger');
    servers[0]!.answer = [404, 'no'];
    expect((await submit(3)).failures[0]!.error.message).toContain('does not know this log');
    servers[0]!.answer = [409, 'nonsense'];
    expect((await submit(3)).failures[0]!.error.code).toBe('WITNESS_UNAVAILABLE');
  });

  it('says that nobody answers', async () => {
    const key = createPrivateKey(newKey().export({ type: 'pkcs8', format: 'pem' }));
    const { policy, log, note } = await network(1, 1);
    const [one] = policy.witnesses;
    const dead = { ...policy, witnesses: [{ ...one!, url: 'http://127.0.0.1:9/' }] };
    const client = new WitnessClient({ policy: dead, privateKey: seedOf(key), timeoutMs: 2000, now: clock });
    const result = await client.cosign({ origin: `${NAME}/0`, size: 3, note: note(3), prove: () => [] });
    expect(result).toMatchObject({
      quorum: false,
      note: note(3),
      failures: [{ error: { code: 'WITNESS_UNAVAILABLE' } }],
    });
    expect(log.name).toBe(NAME);
  });
});
