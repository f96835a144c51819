// Two real processes that know one another: the command asks one and shows both ledgers, and says so when one is away.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts } from '../../tools/cluster/control-plane.ts';
import { type PeerPair, peerCertificates } from '../support/peer-certificates.ts';
import { type Sealgate, sealgate, startSealgate } from '../support/sealgate.ts';

const REVIEW = readFileSync(join(import.meta.dirname, '../fixtures/reviews/06-create-pods-web.json'), 'utf8');
const NAMES = ['sealgate-0', 'sealgate-1'];

interface Line {
  readonly replica?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly replicas?: { readonly missing: readonly { readonly replica: string; readonly why: string }[] };
}

describe('two replicas', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-peers-'));
  const gates: Sealgate[] = [];
  let pair: PeerPair;
  let ports: number[];
  const uids = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];

  function writePair(to: PeerPair): void {
    writeFileSync(join(dir, 'ca.crt'), to.ca);
    writeFileSync(join(dir, 'tls.crt'), to.cert);
    writeFileSync(join(dir, 'tls.key'), to.key, { mode: 0o600 });
  }

  async function start(i: number): Promise<void> {
    const addresses = ports.map((port) => `127.0.0.1:${port}`).join(',');
    const args = [
      ...['--identity-replica', NAMES[i] as string, '--peers-host', '127.0.0.1', '--peers-port', String(ports[i])],
      ...['--peers-addresses', addresses, '--peers-timeout-ms', '30000', '--peers-tls-server-name', 'replicas.test'],
      ...['--peers-tls-ca-file', join(dir, 'ca.crt')],
      ...['--peers-tls-cert-file', join(dir, 'tls.crt'), '--peers-tls-key-file', join(dir, 'tls.key')],
    ];
    const before = gates[i];
    const known = before === undefined ? {} : { ports: before.ports };
    gates[i] = await startSealgate({ dataDir: join(dir, NAMES[i] as string), args, ...known });
  }

  const gate = (i: number): Sealgate => gates[i] as Sealgate;
  const query = (...args: string[]) => sealgate('query', '--server', `http://127.0.0.1:${gate(0).ports.api}`, ...args);
  const lines = (stdout: string) =>
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);

  function review(i: number): Promise<number> {
    const body = JSON.stringify({ ...JSON.parse(REVIEW), request: { ...JSON.parse(REVIEW).request, uid: uids[i] } });
    return new Promise((resolve, reject) => {
      const { admission: port } = gate(i).ports;
      const headers = { 'content-type': 'application/json' };
      const call = request({
        host: '127.0.0.1',
        port,
        path: '/v1/admit',
        method: 'POST',
        headers,
        ca: gate(i).tls('admission', 'ca.crt'),
      });
      call.once('error', reject);
      call.once('response', (response) => response.resume().once('end', () => resolve(response.statusCode ?? 0)));
      call.end(body);
    });
  }

  beforeAll(async () => {
    mkdirSync(dir, { recursive: true });
    pair = await peerCertificates('replicas.test');
    writePair(pair);
    ports = await freePorts(2);
    for (const i of [0, 1]) await start(i);
    for (const i of [0, 1]) expect(await review(i)).toBe(200);
  }, 120_000);

  afterAll(async () => {
    await Promise.all(gates.map((one) => one.stop('SIGKILL')));
    rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  it('answer as one, and each entry says whose it is', async () => {
    const { code, stdout, stderr } = await query('--kind', 'decision', '-o', 'json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines(stdout).map(({ replica, uid }) => [replica, uid])).toEqual([
      ['sealgate-1', uids[1]],
      ['sealgate-0', uids[0]],
    ]);
    const table = await query('--kind', 'decision');
    expect(table.stdout).toMatch(/^TIME +REPLICA +ENTRY .*\n.* sealgate-1 .*\n.* sealgate-0 /);
    const local = await query('--kind', 'decision', '--local', '-o', 'json');
    expect(lines(local.stdout)).toMatchObject([{ uid: uids[0] }]);
  });

  it('give one entry of the other whole, by its replica or its origin', async () => {
    for (const place of [['sealgate-1/0/2'], ['sealgate.local/local/sealgate-1/0', '2']]) {
      const { code, stdout, stderr } = await query(...place);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('Entry 0/2 of sealgate.local/local/sealgate-1/0');
      expect(stdout).toContain(uids[1]);
    }
    const unknown = await query('sealgate-7/0/2');
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no replica sealgate-7') });
  });

  it('say on both streams and by the status which of them is not in the answer', async () => {
    expect(await gate(1).stop()).toBe(0);
    const { code, stdout, stderr } = await query('--kind', 'decision', '-o', 'json');
    expect(code).toBe(11);
    expect(stderr).toMatch(/^1 of 2 replicas answered: \S+: connection refused\n$/);
    const [entry, last] = lines(stdout);
    expect(entry).toMatchObject({ replica: 'sealgate-0' });
    expect(last).toMatchObject({ replicas: { missing: [{ why: 'connection refused' }] } });
    const other = await query('sealgate-1/0/2');
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('sealgate-1: connection refused') });
    await start(1);
    expect(await query('--kind', 'decision')).toMatchObject({ code: 0, stderr: '' });
  });

  it('take new certificates without a restart', async () => {
    writePair(await peerCertificates('replicas.test'));
    // Files are looked at every ten seconds; while only one has them, the two do not trust one another.
    for (;;) {
      const changed = gates.filter((one) => one.output().includes('certificates have changed'));
      if (changed.length === 2) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(await query('--kind', 'decision')).toMatchObject({ code: 0, stderr: '' });
    const metrics = await (await fetch(`http://127.0.0.1:${gate(0).ports.metrics}/metrics`)).text();
    expect(metrics).toMatch(/sealgate_peer_questions_total\{result="answered"\} [1-9]/);
    expect(metrics).toContain('sealgate_certificate_expires_seconds{listener="peers",certificate="server"}');
  });
});
