import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { createMetrics, type Metrics } from '../../../src/server/metrics.ts';
import { metricsPage } from '../../../tools/docs/metrics-page.ts';

let metrics: Metrics;

beforeEach(() => {
  metrics = createMetrics('1.2.3');
});

/** The samples of a metric, as Prometheus would read them. */
async function samples(name: string): Promise<string[]> {
  const text = await metrics.registry.metrics();
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

describe('metrics', () => {
  it('count what the rooms record', async () => {
    metrics.admission.decided('denied', 0.003);
    metrics.admission.refused('REQUEST_TOO_DEEP');
    metrics.audit.acknowledged({ events: 5, duplicates: 2, malformed: 1, bytes: 700 }, 0.01);
    metrics.policy.evaluated(
      [{ policy: 'admission.images', action: 'deny' }],
      [{ policy: 'admission.x', code: 'POLICY_TIMEOUT' }],
    );
    metrics.ledger.committed({ entries: 5, bytes: 900, seconds: 0.001 });
    metrics.listener('audit').rejected('client-certificate');
    metrics.certificateExpires('audit', new Date(1000), new Date(2000));
    expect(await samples('sealgate_admission_decisions_total')).toContain(
      'sealgate_admission_decisions_total{outcome="denied"} 1',
    );
    expect(await samples('sealgate_admission_duration_seconds_count')).toEqual([
      'sealgate_admission_duration_seconds_count 1',
    ]);
    expect(await samples('sealgate_audit_events_total')).toEqual(['sealgate_audit_events_total 5']);
    expect(await samples('sealgate_audit_duplicates_total')).toEqual(['sealgate_audit_duplicates_total 2']);
    expect(await samples('sealgate_policy_results_total')).toEqual([
      'sealgate_policy_results_total{policy="admission.images",action="deny"} 1',
    ]);
    expect(await samples('sealgate_policy_failures_total')).toEqual([
      'sealgate_policy_failures_total{policy="admission.x",code="POLICY_TIMEOUT"} 1',
    ]);
    expect(await samples('sealgate_listener_rejected_total')).toContain(
      'sealgate_listener_rejected_total{listener="audit",reason="client-certificate"} 1',
    );
    expect(await samples('sealgate_certificate_expires_seconds')).toEqual([
      'sealgate_certificate_expires_seconds{listener="audit",certificate="server"} 1',
      'sealgate_certificate_expires_seconds{listener="audit",certificate="ca"} 2',
    ]);
  });

  it('read what is current when they are scraped', async () => {
    let size = 1;
    const load = { inFlight: 3, inFlightBytes: 4096 };
    const none = { entries: 1, bytes: 10 };
    metrics.observe({
      head: () => ({ size, signedSize: 0 }),
      queued: () => ({ decision: none, audit: none }),
      walBytes: () => 0,
      space: () => ({ level: 'reserve', freeBytes: 77 }),
      indexed: () => 0,
      webhookMissing: () => true,
      policies: () => ({ running: 0, waiting: 0 }),
    });
    metrics.listener('admission').opened(load);
    expect(await samples('sealgate_ledger_size')).toEqual(['sealgate_ledger_size 1']);
    size = 2;
    load.inFlight = 4;
    expect(await samples('sealgate_ledger_size')).toEqual(['sealgate_ledger_size 2']);
    expect(await samples('sealgate_ledger_free_bytes')).toEqual(['sealgate_ledger_free_bytes 77']);
    expect((await samples('sealgate_ledger_space')).filter((line) => line.endsWith(' 1'))).toEqual([
      'sealgate_ledger_space{level="reserve"} 1',
    ]);
    expect(await samples('sealgate_ledger_queued_bytes')).toEqual(['sealgate_ledger_queued_bytes 20']);
    expect(await samples('sealgate_listener_in_flight')).toEqual([
      'sealgate_listener_in_flight{listener="admission"} 4',
    ]);
    expect(await samples('sealgate_listener_in_flight_bytes')).toEqual([
      'sealgate_listener_in_flight_bytes{listener="admission"} 4096',
    ]);
  });

  it('exist before anything happened where their labels are known, so that the first increase is seen', async () => {
    expect(await samples('sealgate_admission_decisions_total')).toHaveLength(3);
    expect(await samples('sealgate_listener_rejected_total')).toHaveLength(33);
  });

  it('stay bounded however many policies there are', async () => {
    for (let i = 0; i < 2000; i++) metrics.policy.evaluated([{ policy: `admission.p${i}`, action: 'deny' }], []);
    const all = await samples('sealgate_policy_results_total');
    expect(all).toHaveLength(501);
    expect(all).toContain('sealgate_policy_results_total{policy="other",action="deny"} 1500');
  });
});

describe('docs/metrics.md', () => {
  it('is what `make generate` makes of the registry', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/metrics.md'), 'utf8');
    expect(page).toBe(await metricsPage());
  });

  it('watches only metrics that exist', async () => {
    const page = await metricsPage();
    const defined = new Set([...page.matchAll(/^\| `(sealgate_\w+)`/gm)].map(([, name]) => name));
    const [, watched = ''] = /## What to watch\n(.*?)\n## /s.exec(page) ?? [];
    const used = [...watched.matchAll(/sealgate_\w+/g)].map(([name]) => name.replace(/_bucket$/, ''));
    expect(used.length).toBeGreaterThan(8);
    for (const name of used) expect(defined).toContain(name);
  });
});
