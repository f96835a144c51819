// The largest body that the settings allow is recorded, whatever the limit.
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sealgate, startSealgate } from '../support/sealgate.ts';

const MIB = 2 ** 20;

describe('a raised body limit', () => {
  let dataDir: string;

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'sealgate-large-'));
  });

  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  it('lets an event of that size into the ledger, where it verifies', async () => {
    const gate = await startSealgate({ dataDir, args: ['--audit-body-limit-bytes', String(80 * MIB)] });
    const [ca, cert, key] = ['ca.crt', 'client.crt', 'client.key'].map((name) => gate.tls('audit', name));
    const event = {
      level: 'Request',
      auditID: '9a2adad4-9c40-43ac-895a-000000000001',
      stage: 'ResponseComplete',
      requestReceivedTimestamp: '2026-11-22T23:42:20.562880Z',
      stageTimestamp: '2026-11-22T23:42:20.568381Z',
      requestObject: { kind: 'ConfigMap', data: { a: 'x'.repeat(66 * MIB) } },
    };
    const where = { host: '127.0.0.1', port: gate.ports.audit, path: '/v1/audit', method: 'POST', ca, cert, key };
    const answer = await new Promise<string>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const sent = request({ ...where, agent: false, headers } as object, (response) => {
        let text = `${response.statusCode} `;
        response.on('data', (chunk: Buffer) => {
          text += chunk;
        });
        response.once('end', () => resolve(text));
      });
      sent.once('error', reject);
      sent.end(JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items: [event] }));
    });
    expect(answer).toBe('200 ');
    const { vkey } = gate;
    expect(await gate.stop()).toBe(0);
    expect(await sealgate('verify', join(dataDir, 'ledger'), '--key', vkey)).toMatchObject({ code: 0 });
  });
});
