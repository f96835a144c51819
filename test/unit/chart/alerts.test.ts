// The alerts and the dashboard of the chart against what they speak of: metrics and labels of this release, and the runbook.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '../../..');
const read = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8');

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly severity: string;
  readonly summary: string;
  readonly runbook: string;
}

const alerts = parse(read('charts/sealgate/files/alerts.yaml').replaceAll('SILENT', '15m')) as Alert[];
const dashboard = JSON.parse(read('charts/sealgate/files/dashboard.json')) as {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
};
const drawn = dashboard.panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }): [string, string] => [title, expr]),
);
const expressions = [...alerts.map(({ alert, expr }): [string, string] => [alert, expr]), ...drawn];

/** Metrics of docs/metrics.md and the labels of each, with those that Prometheus adds. */
const metrics = new Map(
  [...read('docs/metrics.md').matchAll(/^\| `(sealgate_[a-z_]+)` \| [a-z]+ \| ([^|]*) \|/gm)].map(
    ([, name = '', labels = '']) => [name, [...labels.matchAll(/`([a-z]+)`/g)].map(([, label]) => label ?? '')],
  ),
);
/** Of the API server, of kube-state-metrics, and of every process. */
const FOREIGN = [
  'apiserver_audit_error_total',
  'apiserver_admission_webhook_fail_open_count',
  'kube_pod_container_status_waiting_reason',
  'kube_pod_container_status_last_terminated_exitcode',
  'kube_pod_container_status_ready',
  'process_start_time_seconds',
];
const ADDED = ['namespace', 'pod', 'job', 'instance', 'le'];

interface Selected {
  readonly name: string;
  readonly labels: readonly string[];
}

/** What an expression selects. Throws where it cannot be read. */
function selectedBy(expression: string): Selected[] {
  const text = expression.replaceAll(/\$__rate_interval|\$__range/g, '5m').replaceAll(/\$[a-z]+/g, 'x');
  const found: Selected[] = [];
  const at = (from: number, to: number) => text.slice(from, to);
  parser.parse(text).iterate({
    enter: ({ type, from, to, node }) => {
      if (type.isError) throw new Error(`${at(0, from)} ⚠ ${at(from, text.length)}`);
      if (type.name !== 'VectorSelector') return;
      const names: string[] = [];
      const labels: string[] = [];
      node.cursor().iterate((inner) => {
        if (inner.from > to) return;
        if (inner.name === 'Identifier' && inner.node.parent?.name === 'VectorSelector') {
          names.push(at(inner.from, inner.to));
        }
        if (inner.name === 'LabelName') labels.push(at(inner.from, inner.to));
      });
      found.push({ name: names[0] ?? '', labels });
    },
  });
  return found;
}

describe('what the chart asks Prometheus', () => {
  it.each(expressions)('%s is of metrics and labels that there are', (_, expression) => {
    const selected = selectedBy(expression);
    expect(selected.length).toBeGreaterThan(0);
    for (const { name, labels } of selected) {
      const own = metrics.get(name.replace(/_(bucket|sum|count)$/, '')) ?? metrics.get(name);
      if (own === undefined) expect(FOREIGN).toContain(name);
      else for (const label of labels) expect([...own, ...ADDED], `${name}{${label}}`).toContain(label);
    }
  });

  it('is read by the grammar that would also see a mistake', () => {
    expect(() => selectedBy('sum by (code) (rate(sealgate_x[5m]) > 0')).toThrow('⚠');
    expect(selectedBy('rate(a{b="c"}[5m]) > 0 or d == 1')).toEqual([
      { name: 'a', labels: ['b'] },
      { name: 'd', labels: [] },
    ]);
  });
});

describe('an alert', () => {
  const sections = new Map(
    read('docs/runbook.md')
      .split(/^## /m)
      .slice(1)
      .map((section) => {
        const [title = '', ...lines] = section.split('\n');
        const anchor = title
          .toLowerCase()
          .replace(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-');
        return [anchor, lines.join('\n')];
      }),
  );

  it.each(alerts.map((alert): [string, Alert] => [alert.alert, alert]))(
    '%s has a section of the runbook that names it and says what to do',
    (name, { runbook, severity, summary }) => {
      const section = sections.get(runbook) ?? '';
      expect(section).toContain(`\`${name}\``);
      expect(section).toMatch(/^(\d\.|-|\|) /m);
      expect(['warning', 'critical']).toContain(severity);
      expect(summary).toMatch(/^[A-Z].*\.$/);
    },
  );

  it('has a name of its own, and each that the runbook names is there', () => {
    const names = alerts.map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    const named = [...read('docs/runbook.md').matchAll(/`(Sealgate[A-Z]\w+)`/g)].map(([, name]) => name);
    expect(named.filter((name) => !names.includes(name ?? ''))).toEqual([]);
  });

  it('is there for each thing that must not go by unseen', () => {
    const all = alerts.map(({ expr }) => expr).join('\n');
    for (const metric of [
      'sealgate_ledger_check_failures_total',
      'sealgate_mirror_lag_seconds',
      'sealgate_ledger_space',
      'apiserver_audit_error_total',
      'sealgate_audit_refused_total',
      'sealgate_failed_open_total',
      'sealgate_webhook_missing',
      'sealgate_findings_total',
      'sealgate_audit_events_total',
      'kube_pod_container_status_last_terminated_exitcode',
    ]) {
      expect(all).toContain(metric);
    }
  });
});
