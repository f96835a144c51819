// Our client against litewitness, and `sealgate witness` as a process of its own, which is killed while it is asked.
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WitnessClient } from '../../src/mirror/witness-client.ts';
import { cosignersOf } from '../../src/tlog/add-checkpoint.ts';
import { signCheckpoint } from '../../src/tlog/checkpoint.ts';
import { makeConsistencyProof } from '../../src/tlog/consistency.ts';
import { seedOf } from '../../src/tlog/ed25519.ts';
import { emptyRoot, leafHash, nodeHash } from '../../src/tlog/merkle.ts';
import { createSigner } from '../../src/tlog/note.ts';
import { parsePolicy } from '../../src/tlog/policy.ts';
import { rangeRoot } from '../../src/tlog/subtree.ts';
import { createVerifier } from '../../src/tlog/verifier.ts';
import { formatVkey } from '../../src/tlog/vkey.ts';
import { freePorts } from '../../tools/cluster/control-plane.ts';
import { MAIN } from '../support/sealgate.ts';
import { startSshAgent } from '../support/ssh-agent.ts';
import { toolPath } from '../support/tools.ts';

const NAME = 'ledger.example/cluster-a/0';
const ORIGIN = `${NAME}/0`;

/** Each look at it is a minute later: a witness that failed is asked again at once. */
let minutes = 0;
const clock = () => ++minutes * 60_000;

function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-witness-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const node =
  (mark: string) =>
  (level: number, index: number): Buffer =>
    level === 0
      ? leafHash(Buffer.from(`${mark} ${index}`))
      : nodeHash(node(mark)(level - 1, 2 * index), node(mark)(level - 1, 2 * index + 1));

/** A log, and how it asks witnesses. */
function logOf(privateKey = generateKeyPairSync('ed25519').privateKey) {
  const signer = createSigner(NAME, privateKey);
  return {
    vkey: formatVkey(signer.key),
    /** As a witness knows it that takes a key for one origin. */
    originVkey: formatVkey(createSigner(ORIGIN, privateKey).key),
    verifier: createVerifier(signer.key),
    client: (policy: string) =>
      new WitnessClient({ policy: parsePolicy(policy), privateKey: seedOf(privateKey), timeoutMs: 10_000, now: clock }),
    submission: (size: number, mark = 'entry') => ({
      origin: ORIGIN,
      size,
      note: signCheckpoint({ origin: ORIGIN, size, root: rangeRoot(0, size, node(mark)) }, [signer]),
      prove: (old: number) => makeConsistencyProof(old, size, node(mark)),
    }),
  };
}

/** Starts a program and resolves with its output once that matches; it is stopped with the test. */
function start(command: string, args: string[], until: RegExp): Promise<{ child: ChildProcess; output: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (until.test(output)) resolve({ child, output });
      });
    }
    child.once('close', (code) => reject(new Error(`${command} ended with ${code}: ${output}`)));
  });
}

describe('litewitness', () => {
  it('cosigns for our client, which finds its size and its proofs', async () => {
    const dir = tempDir();
    const [port] = (await freePorts(1)) as [number];
    const agent = await startSshAgent(join(dir, 'agent.sock'), generateKeyPairSync('ed25519').privateKey);
    onTestFinished(() => agent.close());
    const db = join(dir, 'litewitness.db');
    const { output } = await start(
      toolPath('litewitness'),
      [
        ...['-db', db, '-name', 'witness.example/lite', '-key', agent.fingerprint],
        ...['-ssh-agent', join(dir, 'agent.sock'), '-listen', `127.0.0.1:${port}`],
      ],
      /vkey=\S+[\s\S]*listening/,
    );
    const vkey = /vkey=(\S+)/.exec(output)?.[1]?.replaceAll('"', '');
    const log = logOf();
    // What its companion `witnessctl add-log`, `add-key` write.
    const state = new Database(db);
    state.prepare('INSERT INTO log VALUES (?, 0, ?)').run(ORIGIN, emptyRoot().toString('base64'));
    state.prepare('INSERT INTO key VALUES (?, ?)').run(ORIGIN, log.originVkey);
    state.close();

    const policy = `witness lite ${vkey} http://127.0.0.1:${port}\nquorum lite\n`;
    let client = log.client(policy);
    for (const size of [1, 2, 255, 256, 300]) {
      const witnessed = await client.cosign(log.submission(size));
      expect(witnessed.failures).toEqual([]);
      expect(witnessed.quorum).toBe(true);
      const witnesses = parsePolicy(policy).witnesses.map(({ key }) => createVerifier(key));
      expect(cosignersOf(witnessed.note, [log.verifier], witnesses)).toMatchObject([{ name: 'witness.example/lite' }]);
    }
    client = log.client(policy);
    expect(await client.cosign(log.submission(301))).toMatchObject({ quorum: true });
    const behind = await client.cosign(log.submission(290));
    expect(behind.failures).toMatchObject([{ error: { code: 'WITNESS_CONTRADICTS' } }]);
    const forked = await client.cosign(log.submission(310, 'rewritten'));
    expect(forked.failures).toMatchObject([
      { error: { code: 'WITNESS_UNAVAILABLE', message: expect.stringContaining('422') } },
    ]);
  });
});

describe('sealgate witness', () => {
  it('cosigns, remembers what it cosigned when it is killed, and refuses another history', async () => {
    const dir = tempDir();
    const log = logOf();
    writeFileSync(join(dir, 'log.vkey'), `${log.vkey}\n`);
    const [port] = (await freePorts(1)) as [number];
    const args = [
      ...['--no-warnings', MAIN, 'witness', '--name', 'witness.example/w', '--log', join(dir, 'log.vkey')],
      ...['--key', join(dir, 'w.key'), '--state', join(dir, 'w.sqlite'), '--port', String(port)],
    ];
    const run = (...more: string[]) => start(process.execPath, [...args, ...more], /the witness is ready/);
    await expect(run()).rejects.toThrow(/WITNESS_STATE_INVALID[\s\S]*--init/);
    let { child, output } = await run('--init');
    const vkey = /"vkey":"([^"]+)"/.exec(output)?.[1];
    const client = log.client(`witness w ${vkey} http://127.0.0.1:${port}\nquorum w\n`);
    let cosigned = 0;
    for (let round = 0; round < 3; round++) {
      const asking = (async () => {
        for (let size = cosigned + 1; ; size++) {
          const { quorum } = await client.cosign(log.submission(size));
          if (!quorum) return;
          cosigned = size;
        }
      })();
      await new Promise((resolve) => setTimeout(resolve, 300));
      child.kill('SIGKILL');
      await asking;
      ({ child, output } = await run());
      expect(/"vkey":"([^"]+)"/.exec(output)?.[1]).toBe(vkey);
      const page = await (await fetch(`http://127.0.0.1:${port}/`)).text();
      expect(Number(page.trim().split(' ').at(-1))).toBeGreaterThanOrEqual(cosigned);
    }
    expect(cosigned).toBeGreaterThan(3);
    const forked = await client.cosign(log.submission(cosigned + 50, 'rewritten'));
    expect(forked.quorum).toBe(false);
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
  });
});
