// src/tlog against independent implementations: golang.org/x/mod/sumdb and filippo.io/torchwood, through tools/tlogcheck.
// What we make they accept, what they make we accept byte for byte, and what one refuses the other refuses.
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { formatCheckpoint, openCheckpoint, signCheckpoint } from '../../src/tlog/checkpoint.js';
import { CompactRange } from '../../src/tlog/compact-range.js';
import { checkConsistency, makeConsistencyProof } from '../../src/tlog/consistency.js';
import { cosign } from '../../src/tlog/cosignature.js';
import { privateKeyFromSeed, rawPublicKey } from '../../src/tlog/ed25519.js';
import { decodeEntryBundle, encodeEntryBundle } from '../../src/tlog/entry-bundle.js';
import { checkInclusion, makeInclusionProof } from '../../src/tlog/inclusion.js';
import { leafHash } from '../../src/tlog/merkle.js';
import { createSigner, openNote, parseNote, signNote } from '../../src/tlog/note.js';
import { tileNodeReader } from '../../src/tlog/tile.js';
import { TileBuilder } from '../../src/tlog/tile-builder.js';
import { tilePath, tilesBetween } from '../../src/tlog/tile-path.js';
import { formatTlogProof, verifyTlogProof } from '../../src/tlog/tlog-proof.js';
import { createVerifier } from '../../src/tlog/verifier.js';
import { formatVkey, makeVerifierKey } from '../../src/tlog/vkey.js';
import { toolPath } from '../support/tools.js';
/** Binary values go as base64 both ways. */
function tlogcheck(requests) {
    const input = JSON.stringify(requests, (_key, value) => value?.type === 'Buffer' ? Buffer.from(value.data).toString('base64') : value);
    const run = spawnSync(toolPath('tlogcheck'), { input, maxBuffer: 1 << 30, encoding: 'utf8' });
    if (run.status !== 0)
        throw new Error(`tlogcheck: ${run.stderr || run.error}`);
    return JSON.parse(run.stdout);
}
/** One request, which must be accepted. */
function accepted(request) {
    const [answer] = tlogcheck([request]);
    expect(answer?.error).toBeUndefined();
    return answer;
}
const bytes = (base64) => Buffer.from(base64, 'base64');
const SEED = Buffer.alloc(32, 1);
const WITNESS_SEED = Buffer.alloc(32, 2);
const LOG = 'sealgate.dev/prod/0';
const ORIGIN = `${LOG}/0`;
const log = createSigner(LOG, SEED);
const vkey = formatVkey(log.key);
const witnessKey = privateKeyFromSeed(WITNESS_SEED);
const witnessVkey = formatVkey(makeVerifierKey('witness.example', 'cosignature/v1', rawPublicKey(witnessKey)));
const ENTRIES = Array.from({ length: 1025 }, (_, i) => Buffer.from(`{"seq":${i},"x":"${'y'.repeat(i % 97)}"}`));
/** The tiles, nodes and root of our tree over the first `size` entries. */
function ours(size) {
    const tiles = {};
    const builder = new TileBuilder((tile, data) => {
        tiles[tilePath(tile)] = data;
    });
    for (const entry of ENTRIES.slice(0, size))
        builder.append(leafHash(entry));
    builder.writePartial();
    return { tiles, node: tileNodeReader(size, (tile) => tiles[tilePath(tile)]), root: builder.root() };
}
const TEXTS = [
    'text\n',
    '\n',
    'two\n\nparagraphs\n\n',
    'Übergröße — \u{1f511}\n',
    '\ufeffmark\n',
    '— like a signature AAAAAAAA\n',
];
describe('notes', () => {
    it('are the same bytes whoever signs them', () => {
        const theirs = tlogcheck(TEXTS.map((text) => ({ op: 'sign', name: LOG, seed: SEED, text })));
        expect(theirs).toEqual(TEXTS.map((text) => ({ note: signNote(text, [log]), vkey })));
    });
    it('of ours are opened by Go with the same result', () => {
        const bob = createSigner('bob.example', Buffer.alloc(32, 3));
        const theirs = tlogcheck(TEXTS.map((text) => ({ op: 'open', note: signNote(text, [log, bob]), vkeys: [vkey] })));
        expect(theirs).toEqual(TEXTS.map((text) => ({ text, verified: [LOG], unverified: ['bob.example'] })));
    });
    it('of a malformed or forged kind are refused by both', () => {
        const good = signNote('text\n', [log]);
        const bad = [
            '',
            good.slice(0, -1),
            `${good}\n`,
            good.replace('—', '-'),
            good.replace('text', 'Text'),
            good.replace('text', 'te\txt'),
            good.replace('text', 'te\0xt'),
            good.replaceAll('\n', '\r\n'),
            good.replace(LOG, 'other'),
            good.replace(' sealgate', '  sealgate'),
            good.replace('=\n', '\n'),
            good.replace(/\n— .*\n$/, '\n'),
            `${good}— a+b AAAAAAAAAA==\n`,
            `${good}— b AAAAAA==\n`,
            `${good}x\n`,
            `${good}${`— k AAAAAAAAAA==\n`.repeat(100)}`,
        ];
        const theirs = tlogcheck(bad.map((note) => ({ op: 'open', note, vkeys: [vkey] })));
        bad.forEach((note, i) => {
            expect([note, theirs[i]?.error === undefined]).toEqual([note, false]);
            expect(() => openNote(note, [createVerifier(vkey)])).toThrow(expect.objectContaining({ name: 'TlogError' }));
        });
    });
});
describe('checkpoints and cosignatures', () => {
    const checkpoint = { origin: ORIGIN, size: 1025, root: ours(1025).root };
    it('of ours are accepted, with the time of the cosignature', () => {
        const text = formatCheckpoint(checkpoint);
        const note = signNote(text, [log], [cosign(text, 'witness.example', witnessKey, 1_700_000_000)]);
        expect(accepted({ op: 'openCheckpoint', note, vkeys: [vkey, witnessVkey], origin: ORIGIN })).toMatchObject({
            origin: ORIGIN,
            size: 1025,
            root: checkpoint.root.toString('base64'),
            extension: '',
            times: [1_700_000_000],
        });
        const late = note.replace('1025', '1026');
        expect(tlogcheck([{ op: 'openCheckpoint', note: late, vkeys: [vkey, witnessVkey] }])[0]?.error).toBeDefined();
    });
    it('cosigned by Go are accepted by us, with the time', () => {
        const before = Math.floor(Date.now() / 1000);
        const signed = signCheckpoint({ ...checkpoint, extensions: ['one', 'two'] }, [log]);
        const answer = accepted({ op: 'cosign', note: signed, vkeys: [vkey], name: 'witness.example', seed: WITNESS_SEED });
        expect(answer.vkey).toBe(witnessVkey);
        const opened = openCheckpoint(answer.note, {
            verifiers: [createVerifier(vkey)],
            witnesses: [createVerifier(witnessVkey)],
        });
        expect(opened.extensions).toEqual(['one', 'two']);
        expect(opened.cosignatures).toHaveLength(1);
        expect(opened.cosignatures[0].time).toBeGreaterThanOrEqual(before);
        expect(opened.cosignatures[0].time).toBeLessThanOrEqual(Date.now() / 1000);
        expect(parseNote(answer.note).signatures).toHaveLength(2);
    });
});
describe('proofs', () => {
    const places = [
        [0, 1, 1],
        [0, 1, 2],
        [1, 2, 2],
        [2, 2, 3],
        [5, 6, 8],
        [254, 128, 255],
        [255, 255, 256],
        [256, 256, 257],
        [511, 300, 512],
        [0, 511, 1024],
        [1024, 1024, 1025],
        [700, 1, 1025],
        [42, 777, 1000],
    ];
    it('and roots are the same hashes whoever makes them', () => {
        const theirs = tlogcheck(places.map(([index, size, size2]) => ({ op: 'tree', leaves: ENTRIES.slice(0, size2), index, size, size2 })));
        places.forEach(([index, first, size], i) => {
            const { node, root } = ours(size);
            const base64 = (hashes) => hashes.map((hash) => hash.toString('base64'));
            expect(theirs[i]).toEqual({
                root: ours(first).root.toString('base64'),
                root2: root.toString('base64'),
                inclusion: base64(makeInclusionProof(index, size, node)),
                consistency: base64(makeConsistencyProof(first, size, node)),
            });
            const answer = theirs[i];
            checkInclusion(index, size, leafHash(ENTRIES[index]), answer.inclusion.map(bytes), bytes(answer.root2));
            checkConsistency(first, bytes(answer.root), size, bytes(answer.root2), answer.consistency.map(bytes));
        });
    });
    it('of ours are accepted by Go, and refused once changed', () => {
        const requests = places.flatMap(([index, first, size]) => {
            const { node, root } = ours(size);
            const inclusion = {
                op: 'checkInclusion',
                index,
                size,
                root,
                leaf: ENTRIES[index],
                proof: makeInclusionProof(index, size, node),
            };
            const proof = makeConsistencyProof(first, size, node);
            const consistency = {
                op: 'checkConsistency',
                size: first,
                root: ours(first).root,
                size2: size,
                root2: root,
                proof,
            };
            return [
                inclusion,
                consistency,
                { ...inclusion, leaf: Buffer.from('other') },
                { ...consistency, root: Buffer.alloc(32) },
            ];
        });
        tlogcheck(requests).forEach((answer, i) => {
            expect([requests[i].op, answer.error === undefined]).toEqual([requests[i].op, i % 4 < 2]);
        });
    });
    it('as tlog-proof files are accepted by torchwood, and its files by us', () => {
        const { node, root } = ours(1000);
        const proof = {
            index: 700,
            hashes: makeInclusionProof(700, 1000, node),
            checkpoint: signCheckpoint({ origin: ORIGIN, size: 1000, root }, [log]),
        };
        const options = { verifiers: [createVerifier(vkey)], origin: ORIGIN };
        for (const extra of [undefined, Buffer.from('extra data')]) {
            const text = formatTlogProof(extra === undefined ? proof : { ...proof, extra });
            const check = { op: 'verifyProof', text, leaf: ENTRIES[700], vkeys: [vkey], origin: ORIGIN };
            expect(accepted(check).extra ?? undefined).toBe(extra?.toString('base64'));
            expect(tlogcheck([{ ...check, leaf: ENTRIES[701] }])[0]?.error).toContain('verification failed');
            const theirs = accepted({ op: 'formatProof', index: 700, proof: proof.hashes, note: proof.checkpoint, extra });
            expect(theirs.text).toBe(text);
            expect(verifyTlogProof(theirs.text, leafHash(ENTRIES[700]), options).checkpoint.size).toBe(1000);
        }
    });
});
describe('tiles', () => {
    it('have the same names and bytes whoever makes them', () => {
        for (const size of [1, 2, 255, 256, 257, 512, 1025]) {
            const theirs = accepted({ op: 'tiles', leaves: ENTRIES.slice(0, size), size: 0 }).tiles;
            const mine = Object.entries(ours(size).tiles).map(([path, data]) => [path, data.toString('base64')]);
            expect(Object.fromEntries(mine)).toEqual(theirs);
        }
    });
    it('between two sizes are the same set', () => {
        for (const [from, to] of [
            [0, 1],
            [1, 256],
            [255, 256],
            [256, 257],
            [100, 700],
            [511, 1025],
        ]) {
            const theirs = accepted({ op: 'tiles', leaves: ENTRIES.slice(0, to), size: from }).tiles;
            expect([...tilesBetween(from, to)].map(tilePath).sort()).toEqual(Object.keys(theirs).sort());
        }
    });
    it('of ours give Go the proofs that it authenticates against the root, up to a third level', () => {
        // 65,537 leaves need tiles of levels 0, 1 and 2.
        for (const size of [1, 256, 1025, 65_537]) {
            const tiles = {};
            const builder = new TileBuilder((tile, data) => {
                tiles[tilePath(tile)] = data;
            });
            const range = new CompactRange();
            for (let i = 0; i < size; i++) {
                const hash = leafHash(Buffer.from(`leaf ${i}`));
                builder.append(hash);
                range.append(hash);
            }
            builder.writePartial();
            const index = size - 1;
            const answer = accepted({ op: 'readTiles', tiles, size, root: range.root(), index });
            checkInclusion(index, size, leafHash(Buffer.from(`leaf ${index}`)), answer.inclusion.map(bytes), range.root());
        }
    });
    it('of entries are the same bytes whoever makes them', () => {
        const entries = [Buffer.alloc(0), ...ENTRIES.slice(0, 200), Buffer.alloc(65_535, 7)];
        const theirs = bytes(accepted({ op: 'bundle', leaves: entries }).bundle);
        expect(encodeEntryBundle(entries).equals(theirs)).toBe(true);
        expect(decodeEntryBundle(theirs, entries.length).map((one) => Buffer.from(one))).toEqual(entries);
        const read = accepted({ op: 'readBundle', bundle: encodeEntryBundle(entries) }).leaves;
        expect(read.map(bytes)).toEqual(entries);
    });
});
