// A ledger that was damaged on disk under the real server: what is still whole goes on.
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sealgate, startSealgate } from '../support/sealgate.ts';

/** Posts an audit batch of `count` events and returns the status of the answer. */
function postBatch(gate: Sealgate, count: number): Promise<number> {
  const items = Array.from({ length: count }, (_, i) => ({
    level: 'Metadata',
    auditID: `9a2adad4-9c40-43ac-895a-${String(i).padStart(12, '0')}`,
    stage: 'ResponseComplete',
    requestReceivedTimestamp: '2026-11-22T23:42:20.562880Z',
    stageTimestamp: '2026-11-22T23:42:20.568381Z',
  }));
  const tls = {
    ca: gate.tls('audit', 'ca.crt'),
    cert: gate.tls('audit', 'client.crt'),
    key: gate.tls('audit', 'client.key'),
  };
  const where = { host: '127.0.0.1', port: gate.ports.audit, path: '/v1/audit', method: 'POST', agent: false, ...tls };
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, headers: { 'content-type': 'application/json' } }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('error', reject);
    sent.end(JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items }));
  });
}

/** Overwrites the bodies of the newest events, as a bad disk would: no trigger sees it. */
function damageNewestEvents(file: string): void {
  const db = new Database(file);
  const trigger =
    db.prepare<[], string>("SELECT sql FROM sqlite_schema WHERE name = 'pack_update'").pluck().get() ?? '';
  db.exec('DROP TRIGGER pack_update');
  db.exec('UPDATE pack SET data = zeroblob(length(data)) WHERE count = (SELECT max(count) FROM pack)');
  db.exec(trigger);
  db.close();
}

describe('a damaged ledger', () => {
  let dataDir: string;

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'sealgate-damage-'));
  });

  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  it('takes audit batches although the newest events cannot be read to know them again', async () => {
    const before = await startSealgate({ dataDir });
    expect(await postBatch(before, 100)).toBe(200);
    expect(await before.stop()).toBe(0);
    damageNewestEvents(join(dataDir, 'ledger', 'shard-000000.sqlite'));
    const gate = await startSealgate({ dataDir });
    expect(await postBatch(gate, 100)).toBe(200);
    expect(gate.output()).toContain('the redelivery window holds only a part');
    expect(await gate.stop()).toBe(0);
  });

  it('makes a stop whose last entries cannot be written end like a failure', async () => {
    const gate = await startSealgate({ dataDir });
    rmSync(join(dataDir, 'ledger', 'shard-000000.sqlite'));
    expect(await gate.stop(), gate.output()).toBe(1);
    expect(gate.output()).toContain('sealgate serve: LEDGER_CORRUPT');
  });
});
