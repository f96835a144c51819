import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connectApi } from '../../../src/kube/api-connection.ts';
import type { KubeObject, Resource } from '../../../src/kube/follow.ts';
import {
  Inventory,
  type InventoryChange,
  type InventoryOptions,
  type InventoryStamp,
} from '../../../src/kube/inventory.ts';
import { trimmed } from '../../../src/kube/trim.ts';
import { JsonDocument } from '../../../src/lib/json-document.ts';
import { createRedactor } from '../../../src/redact/redactor.ts';
import { DEFAULT_REDACT_SETTINGS } from '../../../src/redact/settings.ts';

const cleanups: (() => Promise<unknown> | undefined)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Speaks as an API server does about one resource, and misbehaves on demand. */
class FakeApi {
  readonly asked: string[] = [];
  readonly watches = new Set<ServerResponse>();
  readonly objects = new Map<string, object>();
  version = 1;
  /** Answers the next requests instead. */
  readonly instead: ((request: IncomingMessage, response: ServerResponse) => void)[] = [];
  readonly #server = createServer((request, response) => this.#answer(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-api-'));
    cleanups.push(async () => {
      this.#server.closeAllConnections();
      this.#server.close();
      rmSync(dir, { recursive: true });
    });
    const server = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    const kubeconfig = join(dir, 'config');
    const named = {
      clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { token: 't0ken' } }],
    };
    const contexts = [{ name: 'x', context: { cluster: 'c', user: 'u' } }];
    writeFileSync(
      kubeconfig,
      JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...named, contexts, 'current-context': 'x' }),
    );
    return kubeconfig;
  }

  put(name: string, fields: object = {}, namespace: string | undefined = 'shop'): void {
    const type = this.objects.has(name) ? 'MODIFIED' : 'ADDED';
    this.version++;
    const metadata = { name, namespace, resourceVersion: `${this.version}`, managedFields: [{ manager: 'kubectl' }] };
    this.objects.set(name, { metadata, ...fields });
    this.#tell(type, this.objects.get(name) ?? {});
  }

  remove(name: string): void {
    this.version++;
    this.objects.delete(name);
    const metadata = { name, namespace: 'shop', resourceVersion: `${this.version}` };
    this.#tell('DELETED', { metadata });
  }

  send(line: string): void {
    for (const watch of this.watches) watch.write(`${line}\n`);
  }

  cut(): void {
    for (const watch of this.watches) watch.destroy();
  }

  #tell(type: string, object: object): void {
    this.send(JSON.stringify({ type, object: { apiVersion: 'example.dev/v1', kind: 'Thing', ...object } }));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.asked.push(request.url ?? '');
    const instead = this.instead.shift();
    if (instead !== undefined) {
      instead(request, response);
      return;
    }
    const { searchParams } = new URL(request.url ?? '', 'http://x');
    if (request.headers.authorization !== 'Bearer t0ken') return void response.writeHead(401).end('{}');
    if (searchParams.get('watch') === 'true') {
      response.writeHead(200).flushHeaders();
      this.watches.add(response);
      response.on('close', () => this.watches.delete(response));
      return;
    }
    const all = [...this.objects.values()];
    const from = Number(searchParams.get('continue') ?? 0);
    const to = from + Number(searchParams.get('limit'));
    const metadata = { resourceVersion: `${this.version}`, ...(to < all.length ? { continue: `${to}` } : {}) };
    response.end(
      JSON.stringify({ kind: 'ThingList', apiVersion: 'example.dev/v1', metadata, items: all.slice(from, to) }),
    );
  }
}

const THINGS: Resource = { group: 'example.dev', version: 'v1', resource: 'things' };

/** What policies see, as a tree. */
class Seen {
  tree: Record<string, unknown> = {};
  stamp: InventoryStamp | undefined;
  changes = 0;

  async update(changes: readonly InventoryChange[], stamp: InventoryStamp): Promise<void> {
    this.stamp = stamp;
    this.changes += changes.length;
    for (const { path, value } of changes) {
      const key = path.join('/');
      if (value === undefined) delete this.tree[key];
      else this.tree[key] = JSON.parse(Buffer.from(value).toString());
    }
  }

  get names(): string[] {
    return Object.keys(this.tree)
      .map((key) => key.slice(key.lastIndexOf('/') + 1))
      .sort();
  }
}

async function inventoryOf(
  api: FakeApi,
  options: Partial<InventoryOptions> = {},
): Promise<{ inventory: Inventory; seen: Seen; lines: string[] }> {
  const seen = new Seen();
  const lines: string[] = [];
  const doc = new JsonDocument();
  const fields = [{ kind: 'Thing', paths: ['spec.password'] }];
  const redactor = createRedactor({ ...DEFAULT_REDACT_SETTINGS, fields });
  const inventory = new Inventory({
    ...{ resources: [THINGS], get: connectApi(await api.start()), maxObjects: 1000, maxBytes: 2 ** 20 },
    redact: (object, resource) => trimmed(object, resource, doc, (review) => redactor.review(review)),
    update: (changes, stamp) => seen.update(changes, stamp),
    log: (level, fields, message) => lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
    ...{ now: Date.now, random: Math.random, backoffMs: [1, 20] as const },
    ...options,
  });
  cleanups.push(() => inventory.close());
  return { inventory, seen, lines };
}

const WAIT = { timeout: 30_000, interval: 5 };
vi.setConfig({ testTimeout: 120_000 });

describe('the inventory', () => {
  it('holds what is there and follows what changes, where Gatekeeper has it, without managed fields and redacted values', async () => {
    const api = new FakeApi();
    for (let i = 0; i < 230; i++) api.put(`t${i}`, { spec: { i, password: 'hunter2' } });
    api.put('global', { spec: { a: 1 } }, '');
    const { inventory, seen } = await inventoryOf(api);
    await inventory.synced;
    expect(seen.names).toHaveLength(231);
    expect(seen.tree['inventory/namespace/shop/example.dev/v1/Thing/t7']).toEqual({
      ...{ apiVersion: 'example.dev/v1', kind: 'Thing' },
      metadata: { name: 't7', namespace: 'shop', resourceVersion: '9' },
      spec: { i: 7, password: expect.not.stringContaining('hunter2') },
    });
    expect(Object.keys(seen.tree)).toContain('inventory/cluster/example.dev/v1/Thing/global');
    expect(inventory.status()).toMatchObject({
      objects: 231,
      leftOut: 0,
      resources: [{ name: 'example.dev/v1/things', synced: true }],
    });
    expect(seen.stamp?.resourceVersions).toEqual({ 'example.dev/v1/things': '232' });

    await expect.poll(() => api.watches.size, WAIT).toBe(1);
    api.put('late');
    api.put('t7', { spec: { i: 'changed' } });
    api.remove('t8');
    await expect.poll(() => seen.stamp?.resourceVersions, WAIT).toEqual({ 'example.dev/v1/things': '235' });
    expect(seen.names).toContain('late');
    expect(seen.names).not.toContain('t8');
    expect(seen.tree['inventory/namespace/shop/example.dev/v1/Thing/t7']).toMatchObject({ spec: { i: 'changed' } });
    api.send(JSON.stringify({ type: 'BOOKMARK', object: { kind: 'Thing', metadata: { resourceVersion: '999' } } }));
    await expect.poll(() => seen.stamp?.resourceVersions, WAIT).toEqual({ 'example.dev/v1/things': '999' });
  });

  it('goes on after a broken connection without listing again, and says meanwhile that it is not confirmed', async () => {
    const api = new FakeApi();
    api.put('a');
    const { inventory, seen, lines } = await inventoryOf(api);
    await inventory.synced;
    await expect.poll(() => api.watches.size, WAIT).toBe(1);
    api.put('b');
    await expect.poll(() => seen.names, WAIT).toEqual(['a', 'b']);
    const lists = api.asked.filter((url) => !url.includes('watch=')).length;
    for (let i = 0; i < 3; i++) api.instead.push((request) => request.socket.destroy());
    api.cut();
    await expect.poll(() => inventory.status().problems, WAIT).toBeGreaterThan(0);
    await expect.poll(() => api.watches.size, WAIT).toBe(1);
    expect(api.asked.at(-1)).toContain('resourceVersion=3');
    expect(api.asked.filter((url) => !url.includes('watch='))).toHaveLength(lists);
    await expect.poll(() => Object.keys(seen.stamp?.unconfirmedSince ?? {}), WAIT).toEqual(['example.dev/v1/things']);
    api.put('c');
    await expect.poll(() => seen.names, WAIT).toEqual(['a', 'b', 'c']);
    expect(seen.stamp?.unconfirmedSince).toBeUndefined();
    expect(lines.join('\n')).toMatch(/warn the inventory cannot be followed.*\n.*info the inventory is followed again/);
  });

  it('lists again when the API server has forgotten the place, and drops what is gone', async () => {
    const api = new FakeApi();
    for (const name of ['a', 'b', 'c']) api.put(name);
    const { inventory, seen } = await inventoryOf(api);
    await inventory.synced;
    await expect.poll(() => api.watches.size, WAIT).toBe(1);
    api.put('later');
    await expect.poll(() => seen.names, WAIT).toEqual(['a', 'b', 'c', 'later']);
    for (const gone of ['b', 'later']) api.objects.delete(gone);
    api.objects.set('d', { metadata: { name: 'd', namespace: 'shop', resourceVersion: '50' } });
    api.version = 50;
    const status = { kind: 'Status', code: 410, message: 'too old resource version' };
    api.send(JSON.stringify({ type: 'ERROR', object: status }));
    await expect.poll(() => seen.names, WAIT).toEqual(['a', 'c', 'd']);
  });

  it('survives what an API server may answer, and says why it has nothing', async () => {
    const api = new FakeApi();
    api.put('a');
    const forbidden = { kind: 'Status', code: 403, message: 'things.example.dev is forbidden: User "x" cannot list' };
    api.instead.push(
      (_, response) => response.writeHead(403).end(JSON.stringify(forbidden)),
      (_, response) => response.writeHead(200).end('{"kind": "ThingList", "metad'),
      (_, response) => response.writeHead(200).end('null'),
      (_, response) => response.writeHead(503).end('<html>'),
      (_, response) => response.writeHead(200).write('{"kind":'),
    );
    const { inventory, seen, lines } = await inventoryOf(api, { silenceMs: 500 });
    await inventory.synced;
    expect(seen.names).toEqual(['a']);
    expect(lines.join('\n')).toMatch(/403 things.example.dev is forbidden: User \\"x\\" cannot list/);
    expect(lines.join('\n')).toMatch(/the answer is not a list/);
    expect(lines.join('\n')).toMatch(/no answer for 500 ms/);
    expect(inventory.status().problems).toBeGreaterThanOrEqual(5);
  });

  it('leaves out what its limits do not hold, the old version too, and says how many', async () => {
    const api = new FakeApi();
    for (const name of ['a', 'b', 'c', 'd']) api.put(name, { spec: { text: 'x'.repeat(1000) } });
    const { inventory, seen, lines } = await inventoryOf(api, { maxObjects: 3, maxBytes: 5000 });
    await inventory.synced;
    expect(seen.names).toEqual(['a', 'b', 'c']);
    expect(seen.stamp?.leftOut).toBe(1);
    await expect.poll(() => api.watches.size, WAIT).toBe(1);
    api.put('a', { spec: { text: 'x'.repeat(4000) } });
    await expect.poll(() => seen.names, WAIT).toEqual(['b', 'c']);
    expect(inventory.status()).toMatchObject({ objects: 2, leftOut: 2 });
    for (const name of ['a', 'd']) api.remove(name);
    await expect.poll(() => seen.stamp?.leftOut, WAIT).toBeUndefined();
    expect(inventory.status()).toMatchObject({ objects: 2, leftOut: 0 });
    expect(lines.filter((line) => line.startsWith('error'))).toHaveLength(1);
  });

  it('shows no Secret, by whatever resource it comes', async () => {
    const api = new FakeApi();
    api.put('a');
    const hidden = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's', namespace: 'shop', resourceVersion: '9' },
    };
    const { inventory, seen, lines } = await inventoryOf(api);
    await inventory.synced;
    await expect.poll(() => api.watches.size, WAIT).toBe(1);
    api.send(
      JSON.stringify({ type: 'ADDED', object: { ...hidden, data: { key: 'aHVudGVyMg==' } } satisfies KubeObject }),
    );
    await expect.poll(() => inventory.status().leftOut, WAIT).toBe(1);
    expect(seen.names).toEqual(['a']);
    expect(lines.join('\n')).toContain('Secrets are not for policies to see');
    expect(lines.join('\n')).not.toContain('aHVudGVyMg');
  });
});
