// A real pod that mirrors into a folder: killed in the middle of pushing, stopped in order, started without its store.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LedgerReader } from '../../src/ledger/reader.ts';
import { parseCheckpoint } from '../../src/tlog/checkpoint.ts';
import { parseNote } from '../../src/tlog/note.ts';
import { type Sealgate, sealgate, startSealgate } from '../support/sealgate.ts';
import { toolPath } from '../support/tools.ts';

const REVIEW = readFileSync(join(import.meta.dirname, '..', 'fixtures', 'reviews', '01-create-namespaces-shop.json'));
/** More than there are tiles: with fewer, fsck waits for ever after the first that is wrong. */
const WORKERS = 512;

/** Sends reviews on some connections until it is told to end; resolves with how many were answered. */
function load(gate: Sealgate): { stop(): Promise<number> } {
  const ca = gate.tls('admission', 'ca.crt');
  let running = true;
  let answered = 0;
  const client = async (): Promise<void> => {
    while (running) {
      const status = await new Promise<number>((resolve) => {
        const call = request(
          {
            ...{ host: '127.0.0.1', port: gate.ports.admission, path: '/v1/admit', method: 'POST' },
            ca,
            servername: 'localhost',
            headers: { 'content-type': 'application/json' },
          },
          (response) => {
            response.resume().on('end', () => resolve(response.statusCode ?? 0));
          },
        );
        call.on('error', () => resolve(0));
        call.end(REVIEW);
      });
      if (status === 200) answered++;
      else await sleep(5);
    }
  };
  const clients = Array.from({ length: 8 }, client);
  return {
    stop: async () => {
      running = false;
      await Promise.all(clients);
      return answered;
    },
  };
}

describe('the mirror of a pod', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-mirror-'));
  const dataDir = join(dir, 'data');
  const mirror = join(dir, 'mirror');
  const args = ['--mirror-url', `file://${mirror}`, '--mirror-interval-seconds', '1', '--mirror-anchor-seconds', '1'];
  let origin: string;
  let gate: Sealgate | undefined;

  beforeAll(async () => {
    gate = await startSealgate({ dataDir, args });
    origin = JSON.parse(
      gate
        .output()
        .split('\n')
        .find((line) => line.includes('"ready"')) ?? '{}',
    ).origin as string;
  });
  afterAll(async () => {
    await gate?.stop('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });

  const mirrored = (): number => {
    const file = join(mirror, origin, 'checkpoint');
    return existsSync(file) ? parseCheckpoint(parseNote(readFileSync(file)).text).size : 0;
  };

  /** What fsck says is wrong with what the newest checkpoint in the mirror covers, or ''. */
  function fsck(url = `file://${join(mirror, origin)}/`, data = dataDir): string {
    const args = [
      `--storage_url=${url}`,
      `--public_key=${join(data, 'keys', 'ledger.vkey')}`,
      `--origin=${origin}`,
      `--N=${WORKERS}`,
      '--ui=false',
    ];
    const { stderr } = spawnSync(toolPath('fsck'), args, { encoding: 'utf8', timeout: 60_000 });
    const size = url.startsWith('file:') ? `${mirrored()} ` : '';
    return stderr.includes(`Successfully fsck'd log with size ${size}`) ? '' : stderr;
  }

  async function until(what: () => boolean): Promise<void> {
    for (let i = 0; i < 600; i++) {
      if (what()) return;
      await sleep(50);
    }
    throw new Error(`it did not come to that:\n${gate?.output()}`);
  }

  it('is whole at its checkpoint whenever the pod is killed', async () => {
    let before = 0;
    for (let kill = 0; kill < 5; kill++) {
      gate ??= await startSealgate({ dataDir, args });
      const clients = load(gate);
      try {
        await until(() => mirrored() > before);
        await sleep(Math.random() * 1500);
        expect(await gate.stop('SIGKILL')).toBe('SIGKILL');
      } finally {
        await clients.stop();
      }
      gate = undefined;
      expect(fsck()).toBe('');
      expect(mirrored()).toBeGreaterThan(before);
      before = mirrored();
    }
  });

  it('holds the last entry when the pod was stopped in order', async () => {
    gate = await startSealgate({ dataDir, args });
    expect(await gate.stop()).toBe(0);
    const output = gate.output();
    gate = undefined;
    const reader = LedgerReader.open(join(dataDir, 'ledger'));
    const size = reader.head(0);
    const kinds = [...reader.entries(0, 0)].map(({ leaf }) => leaf.kind);
    reader.close();
    expect(kinds.at(-1)).toBe('stop');
    expect(mirrored(), output).toBe(size);
    expect(fsck()).toBe('');
    // Anchors never bring further ones: between two there is something else.
    expect(kinds.filter((kind) => kind === 'anchor').length).toBeGreaterThan(1);
    expect(kinds.some((kind, i) => kind === 'anchor' && kinds[i - 1] === 'anchor')).toBe(false);
  });

  it('leaves a ledger and a mirror that verify, bodies and anchors included', async () => {
    const vkey = readFileSync(join(dataDir, 'keys', 'ledger.vkey'), 'utf8').trim();
    for (const path of [dataDir, mirror]) {
      const ran = await sealgate('verify', path, '--key', vkey);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
    }
  });

  it('does not keep the pod from starting when its store cannot be used, says so, and catches up', async () => {
    const blocked = join(dir, 'blocked');
    writeFileSync(blocked, 'a file where the folder of the mirror should be');
    const own = join(dir, 'own');
    const started = await startSealgate({
      dataDir: own,
      args: ['--mirror-url', blocked, '--mirror-interval-seconds', '1'],
    });
    try {
      const ready = async () => await (await fetch(`http://127.0.0.1:${started.ports.metrics}/readyz?verbose`)).text();
      for (let i = 0; !(await ready()).includes('MIRROR_FOLDER') && i < 200; i++) await sleep(50);
      expect(await ready()).toMatch(/\+\]mirror ok: .*MIRROR_FOLDER/);
      expect(started.output()).toContain('until somebody acts');
      rmSync(blocked);
      mkdirSync(blocked);
      const names = () => readdirSync(blocked, { recursive: true }).map(String);
      for (let i = 0; !names().some((name) => name.endsWith('/checkpoint')) && i < 1200; i++) await sleep(50);
      expect(names().some((name) => name.endsWith('/checkpoint'))).toBe(true);
      // Straight from the ledger, the same over HTTP.
      expect(fsck(`http://127.0.0.1:${started.ports.api}/tlog/${origin}/`, own)).toBe('');
      for (let i = 0; !(await ready()).includes('the probe of its store at start found: ') && i < 1200; i++)
        await sleep(50);
      expect(await ready()).toMatch(/\+\]mirror .*the probe of its store at start found: .*protection: /);
      expect(started.output()).toContain('the probe of the mirror found');
      const metrics = await (await fetch(`http://127.0.0.1:${started.ports.metrics}/metrics`)).text();
      expect(metrics).toMatch(/sealgate_mirror_errors_total\{code="MIRROR_FOLDER"\} [1-9]/);
      expect(metrics).toMatch(/sealgate_mirror_probe_warnings [1-9]/);
    } finally {
      await started.stop();
    }
  });
});
