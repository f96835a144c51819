// A real pod that is killed while it pushes to a real Object Lock server through a bad network, life after life: what the bucket
// holds in the end is whole for fsck and for sealgate verify.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { eventSource } from '../../bench/audit-events.ts';
import { Connection } from '../../bench/client.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/mirror/stores/open.ts';
import { parseCheckpoint } from '../../src/tlog/checkpoint.ts';
import { parseNote } from '../../src/tlog/note.ts';
import { type Fault, type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { fsck } from '../support/fsck.ts';
import { CREDENTIALS, type ObjectLockServer, startObjectLockServer } from '../support/object-lock-server.ts';
import { type Sealgate, sealgate, startSealgate } from '../support/sealgate.ts';
import { collect } from '../support/store-suite.ts';

const LIVES = 4;
const ORIGIN = 'kill.example/cluster/0/0';
const FAULTS: readonly (Fault | undefined)[] = [
  undefined,
  { kind: 'reset', when: 'after' },
  undefined,
  { kind: 'status', status: 503, code: 'SlowDown' },
  undefined,
  { kind: 'duplicate' },
];

describe('a pod that is killed while it pushes', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-kill-'));
  const dataDir = join(dir, 'data');
  let server: ObjectLockServer;
  let proxy: FaultProxy;
  let gate: Sealgate | undefined;

  beforeAll(async () => {
    for (const [name, value] of Object.entries(CREDENTIALS)) vi.stubEnv(name, value);
    server = await startObjectLockServer();
    proxy = await startFaultProxy(server.endpoint);
  });
  afterAll(async () => {
    await gate?.stop('SIGKILL');
    await proxy?.stop();
    await server?.stop();
    vi.unstubAllEnvs();
    rmSync(dir, { recursive: true, force: true });
  });

  it('leaves a bucket that is whole, whenever that was', async () => {
    const bucket = await server.bucket();
    const url = `s3://${bucket}/p`;
    const args = [
      ...['--mirror-url', url, '--mirror-s3-endpoint', proxy.endpoint, '--mirror-s3-path-style', 'true'],
      ...['--mirror-interval-seconds', '1', '--identity-domain', 'kill.example', '--identity-cluster', 'cluster'],
    ];
    const source = eventSource(7);
    for (let life = 0; life < LIVES; life++) {
      proxy.rule(undefined);
      const pod = await startSealgate({ dataDir, args });
      gate = pod;
      const connection = await Connection.open({
        ...{ port: pod.ports.audit, path: '/v1/audit', ca: pod.tls('audit', 'ca.crt') },
        ...{ cert: pod.tls('audit', 'client.crt'), key: pod.tls('audit', 'client.key') },
      });
      const puts = () => proxy.requests.filter(({ method, path }) => method === 'PUT' && path.includes(ORIGIN)).length;
      // At another request of a push in each life: its middle, its checkpoint, the next push.
      const last = puts() + 4 + 5 * life;
      proxy.rule(({ method, path, index }) => {
        if (puts() < last || method !== 'PUT' || !path.includes(ORIGIN)) return FAULTS[index % FAULTS.length];
        process.kill(pod.pid, 'SIGKILL');
        return { kind: 'reset', when: life % 2 === 0 ? 'before' : 'after' };
      });
      let running = true;
      void pod.ended.then(() => {
        running = false;
      });
      while (running) {
        await connection.post(source.batch().list).catch(() => undefined);
        await sleep(200);
      }
      expect(await pod.ended).toBe('SIGKILL');
      connection.close();
    }
    proxy.rule(({ index }) => FAULTS[index % FAULTS.length]);
    gate = await startSealgate({ dataDir, args });
    const { vkey } = gate;
    expect(await gate.stop()).toBe(0);
    gate = undefined;

    const s3 = { endpoint: server.endpoint, pathStyle: true };
    const store = openStore(url, { clock: systemClock(), s3 });
    const folder = join(dir, 'bucket');
    for (const { key } of await collect(store.list(`${ORIGIN}/`))) {
      const file = join(folder, key.slice(ORIGIN.length + 1));
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, (await store.get(key)) as Buffer);
    }
    const note = (await store.get(`${ORIGIN}/checkpoint`)) as Buffer;
    store.close();
    const { size } = parseCheckpoint(parseNote(note).text);
    expect(size).toBeGreaterThan(400);
    const publicKey = join(dataDir, 'keys', 'ledger.vkey');
    expect(fsck(folder, { size, origin: ORIGIN, publicKey })).toBe('');
    const ran = await sealgate('verify', url, '--key', vkey, '--endpoint', server.endpoint, '--path-style');
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
  });
});
