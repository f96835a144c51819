import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/tlog/checkpoint.ts';
import { decodeEntryBundle } from '../../../src/tlog/entry-bundle.ts';
import { leafHash } from '../../../src/tlog/merkle.ts';
import { rangeRoot } from '../../../src/tlog/subtree.ts';
import { tileNodeReader } from '../../../src/tlog/tile.ts';
import { tilePath, tilesBetween } from '../../../src/tlog/tile-path.ts';
import { createVerifier } from '../../../src/tlog/verifier.ts';
import { eventAppend, uuid } from '../index/support.ts';
import { TestApi } from './support.ts';

describe('the tlog paths of the API', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await TestApi.start();
    for (let batch = 0; batch < 3; batch++) {
      await api.ledger.append(
        'audit',
        Array.from({ length: 200 }, (_, i) => eventAppend({ auditID: uuid(batch * 1000 + i) })),
      );
    }
    const { size } = api.ledger.head();
    for (let i = 0; api.ledger.head().signedSize < size && i < 500; i++) await new Promise((r) => setTimeout(r, 20));
  });
  afterAll(() => api?.stop());

  const get = (path: string) => fetch(api.url(`/tlog/${api.ledger.origin}/${path}`));
  const bytes = async (path: string): Promise<Buffer> => {
    const response = await get(path);
    expect(response.status, path).toBe(200);
    return Buffer.from(await response.arrayBuffer());
  };

  it('give a client all that it needs to check the log by itself', async () => {
    const { origin, vkey } = api.ledger;
    const { size, root } = openCheckpoint(await bytes('checkpoint'), { verifiers: [createVerifier(vkey)], origin });
    expect(size).toBe(api.ledger.head().size);
    const tiles = new Map<string, Buffer>();
    for (const tile of tilesBetween(0, size)) tiles.set(tilePath(tile), await bytes(tilePath(tile)));
    const node = tileNodeReader(size, (tile) => tiles.get(tilePath(tile))!);
    expect(rangeRoot(0, size, node)).toEqual(Buffer.from(root));
    for (const tile of tilesBetween(0, size)) {
      if (tile.level > 0) continue;
      const bundle = decodeEntryBundle(await bytes(tilePath({ ...tile, kind: 'entries' })), tile.width);
      expect(Buffer.concat(bundle.map(leafHash))).toEqual(tiles.get(tilePath(tile)));
    }
  });

  it('say what may be kept, and what it is', async () => {
    const full = await get('tile/0/000');
    expect(full.headers.get('cache-control')).toBe('max-age=31536000, immutable');
    expect(full.headers.get('content-type')).toBe('application/octet-stream');
    expect((await get('tile/entries/001')).headers.get('cache-control')).toMatch(/immutable/);
    // Of any width that a checkpoint covers: a client may have an older one.
    const partial = await get('tile/entries/002.p/5');
    expect(partial.headers.get('cache-control')).toBe('no-store');
    expect(decodeEntryBundle(Buffer.from(await partial.arrayBuffer()), 5)).toHaveLength(5);
    const checkpoint = await get('checkpoint');
    expect(checkpoint.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(checkpoint.headers.get('cache-control')).toBe('no-store');
  });

  it.each([
    ...[
      'tile/0/002',
      'tile/0/002.p/255',
      'tile/0/003.p/1',
      'tile/2/000.p/1',
      'tile/0/0',
      'tile/0/x000/001',
      'tile/64/000',
    ],
    ...['bodies/000', 'checkpoints/1', 'checkpoint/', 'tile/0/../0/000', '..%2f..%2fwriter.lock', '%ff'],
  ])('have nothing at %s', async (path) => {
    const status = (await api.ask(`/tlog/${api.ledger.origin}/${path}`, { host: 'localhost' })).status;
    expect(path === '%ff' ? 400 : 404).toBe(status);
  });

  it('have nothing of another log or shard', async () => {
    for (const origin of ['other.example/log/0/0', api.ledger.origin.replace(/0$/, '1'), '0']) {
      expect((await fetch(api.url(`/tlog/${origin}/checkpoint`))).status).toBe(404);
    }
  });
});
