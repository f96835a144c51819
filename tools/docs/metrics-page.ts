// docs/metrics.md: every metric of the registry with its labels, and what to watch.
import { createMetrics } from '../../src/server/metrics.ts';
import { createMirrorMetrics } from '../../src/server/mirror-metrics.ts';
import { createPolicyMetrics } from '../../src/server/policy-metrics.ts';
import { REJECTION_REASONS } from '../../src/server/rejection.ts';

const INTRODUCTION = `<!-- Made by \`make generate\` from src/server/metrics.ts: change it there, or in tools/docs/metrics-page.ts. -->
# Metrics and health

\`metrics.port\` (9090) answers plain HTTP: \`/metrics\` for Prometheus, \`/livez\` and \`/readyz\` for the kubelet. \`/readyz?verbose\`
names each part that readiness depends on, as Kubernetes' own components do; \`/livez\` only says that the process answers, because
a ledger that can acknowledge nothing more ends the process by itself.

No label has a value that a client chooses, so no client can make their number grow: \`policy\` is one of the bundle's (the first
500, then \`other\`), the others have the values below.
`;

const WATCH = `## What to watch

| for | expression |
|---|---|
| verdicts without a record, or requests without a verdict | \`increase(sealgate_admission_unrecorded_total[5m]) > 0\` |
| a volume that fills up | \`sealgate_ledger_space{level="plenty"} == 0\`; audit batches are refused: \`sealgate_ledger_space{level=~"reserve|full"} == 1\` |
| a full shard that has no successor, or is not sealed | \`increase(sealgate_ledger_rotations_postponed_total[1h]) > 0\`, \`sealgate_ledger_unsealed_shards > 0\` for more than an hour |
| policies that fail | \`increase(sealgate_policy_failures_total[5m]) > 0\` |
| a policy folder that was refused after a change | \`sealgate_policy_bundle_rejected > 0\` |
| an inventory that is old, or not whole | \`sealgate_inventory_age_seconds > 300 or sealgate_inventory_left_out > 0 or sealgate_policy_data_refused > 0\` |
| an audit stream that stopped | \`increase(sealgate_audit_events_total[10m]) == 0\` |
| batches that come back because they were refused | \`increase(sealgate_audit_refused_total[5m]) > 0\` |
| a finding that somebody has to look at | \`increase(sealgate_findings_total{severity=~"high|critical"}[10m]) > 0\` |
| nothing is enforced | \`sealgate_webhook_missing == 1\` |
| clients that are turned away | \`sum by (listener, reason) (increase(sealgate_listener_rejected_total[5m])) > 0\` |
| a decision's time, 99th percentile | \`histogram_quantile(0.99, rate(sealgate_admission_duration_seconds_bucket[5m]))\` |
| a disk that is slow | \`histogram_quantile(0.99, rate(sealgate_ledger_commit_seconds_bucket[5m])) > 0.05\` |
| entries that no checkpoint covers | \`sealgate_ledger_size - sealgate_ledger_signed_size\`, for more than some seconds |
| a mirror that lags behind, or cannot go on | \`sealgate_mirror_lag_seconds > 300\`; the reason: \`sum by (code) (increase(sealgate_mirror_errors_total[10m])) > 0\` |
| a store that does not protect what it holds | \`sealgate_mirror_probe_failures > 0\` |
| somebody else in the mirror | \`increase(sealgate_mirror_occupied_total[1h]) > 0 or sealgate_mirror_diverged_shards > 0\` |
| a ledger that is not whole | \`increase(sealgate_ledger_check_failures_total[2h]) > 0\` |
| an index that lags behind | \`sealgate_ledger_size - sealgate_index_size\`, for more than some seconds |
| certificates that end | \`sealgate_certificate_expires_seconds - time() < 14 * 86400\` |
`;

/** The groups of the table, by the word behind \`sealgate_\`. */
const GROUPS: readonly [string, string][] = [
  ['admission', 'Admission'],
  ['policy', 'Policies'],
  ['audit', 'Audit'],
  ['findings', 'Findings'],
  ['failed', 'Requests that failed open'],
  ['webhook', 'The webhook configuration'],
  ['inventory', 'Inventory, when there is one'],
  ['redacted', 'Redaction'],
  ['ledger', 'Ledger'],
  ['index', 'Index'],
  ['mirror', 'Mirror'],
  ['witness', 'Witnesses, when a policy of them is configured'],
  ['listener', 'Listeners'],
  ['peer', 'Other replicas'],
  ['certificate', 'Certificates'],
  ['build', 'Release'],
];

const VALUES: Readonly<Record<string, string>> = {
  outcome: '`allowed`; `denied`; `failed`: denied because no policy could say otherwise',
  code: 'see [errors](errors.md)',
  answer: '`denied`, `allowed`; `error`: no verdict',
  because:
    '`entries`, `bytes`, `age`: a limit of the shard; `wal`: a reader kept its write-ahead log from being emptied',
  level:
    '`plenty`; `low`: less than ledger.lowSpaceBytes; `reserve`: less than ledger.reserveBytes, audit batches are refused; `full`: a decision found no space',
  source: '`review`, `event`',
  policy: 'package path, for example `admission.images`',
  rule: 'see [findings](findings.md)',
  severity: '`info`, `low`, `medium`, `high`, `critical`',
  pass: '`full`: all of the ledger; `new`: the open shard and what is new in it',
  action: '`deny`, `warn`, `audit`',
  listener: '`admission`, `audit`, `peers`',
  result:
    'of a question to another replica `answered`, `failed`; of a Kubernetes Event `written`, `failed`, `limited` (there were too many at once)',
  certificate: '`server`; `ca`: the one that Sealgate issues under',
  digest: '`sha256:` and 64 hex digits: [policies](policies.md)',
  resource: 'group, version and plural name, as in `networking.k8s.io/v1/ingresses`: those of inventory.resources',
  version: 'the release',
};

/** The whole page. Throws when a metric belongs to no group or a label is not explained. */
export async function metricsPage(): Promise<string> {
  const { registry, observe } = createMetrics('0');
  const none = { entries: 0, bytes: 0 };
  observe({
    head: () => ({ size: 0, signedSize: 0 }),
    queued: () => ({ decision: none, audit: none }),
    walBytes: () => 0,
    space: () => ({ level: 'plenty', freeBytes: 0 }),
    indexed: () => 0,
    webhookMissing: () => false,
    policies: () => ({ running: 0, waiting: 0 }),
  });
  createMirrorMetrics(registry, { lag: () => ({ entries: 0, seconds: 0 }), status: () => undefined });
  createPolicyMetrics(registry, {
    digest: () => '',
    rejected: () => undefined,
    engine: () => ({ renewed: 0, inThread: 0, handedOver: 0, dataProblem: undefined }),
    inventory: () => ({ bytes: 0, leftOut: 0, problems: 0, resources: [] }),
    now: () => 0,
  });
  const all = (await registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('sealgate_'));
  const labels = new Set<string>();
  const rows = all.map(({ name, help, type }) => {
    const names = labelsOf(registry.getSingleMetric(name));
    for (const label of names) labels.add(label);
    const shown = names.map((label) => `\`${label}\``).join(' ');
    return { name, text: `| \`${name}\` | ${String(type)} | ${shown} | ${help} |` };
  });
  const tables = GROUPS.map(([word, title]) => {
    const own = rows.filter(({ name }) => name.split('_')[1] === word);
    if (own.length === 0) throw new Error(`no metric begins with sealgate_${word}`);
    return `## ${title}\n\n| metric | type | labels | |\n|---|---|---|---|\n${own.map(({ text }) => text).join('\n')}\n`;
  });
  const known = new Set(GROUPS.map(([word]) => word));
  const stray = rows.find(({ name }) => !known.has(name.split('_')[1] ?? ''));
  if (stray !== undefined) throw new Error(`${stray.name} belongs to no group of tools/docs/metrics-page.ts`);
  const besides = `Besides: \`process_…\` and \`nodejs_…\`, the metrics of the process that prom-client has by default.\n`;
  return [INTRODUCTION, WATCH, ...tables, labelTable([...labels]), besides].join('\n');
}

function labelsOf(metric: object | undefined): readonly string[] {
  return metric !== undefined && 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames : [];
}

function labelTable(labels: readonly string[]): string {
  const rows = labels
    .filter((label) => label !== 'reason')
    .map((label) => {
      const values = VALUES[label];
      if (values === undefined) throw new Error(`tools/docs/metrics-page.ts does not explain the label ${label}`);
      return `| \`${label}\` | ${values} |`;
    });
  const reasons = Object.entries(REJECTION_REASONS).map(([reason, text]) => `\`${reason}\`: ${text}`);
  return `## Labels\n\n| label | values |\n|---|---|\n${rows.join('\n')}\n| \`reason\` | ${reasons.join('; ')} |\n`;
}
