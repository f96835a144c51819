// Every metric that Sealgate exposes, and the functions by which the rooms record them. Label sets are closed: nothing that a
// client chooses becomes a label, so that no client can make the registry grow. docs/metrics.md describes each for operators.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '../lib/errors.ts';
import { limitLabels } from './label-limit.ts';
import { REJECTION_REASONS, type RejectionReason } from './rejection.ts';

/** Seconds: a decision takes a millisecond on a quiet machine, and at most the 30 s that a webhook may be given. */
const LATENCY = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

/** Seconds: an fsync takes 0.1 ms on a local NVMe disk and some milliseconds on a cloud volume. */
const COMMIT = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5];

/** A bundle of more policies than this shows the rest as one. */
const MAX_POLICIES = 500;

/** How much room there is for the ledger; src/ledger/space.ts has the same. */
const SPACE_LEVELS = ['plenty', 'low', 'reserve', 'full'] as const;

type SpaceLevel = (typeof SPACE_LEVELS)[number];

/** Of each rule the severities that its findings have; src/detect/ has the same. */
const FINDINGS = [
  { rule: 'webhook-deleted', severities: ['high', 'critical'] },
  { rule: 'webhook-changed', severities: ['info', 'low', 'medium', 'high'] },
  { rule: 'webhook-restored', severities: ['info'] },
  { rule: 'admission-config-changed', severities: ['low', 'high'] },
  { rule: 'object-changed', severities: ['low', 'medium', 'high'] },
  { rule: 'session', severities: ['low', 'medium', 'high'] },
  { rule: 'failed-open', severities: ['high'] },
  { rule: 'exemption-set', severities: ['low', 'medium', 'high'] },
  { rule: 'exemption-removed', severities: ['info'] },
  { rule: 'ledger-check', severities: ['critical'] },
] as const;

const LISTENERS = ['admission', 'audit', 'peers'] as const;

export type Listener = (typeof LISTENERS)[number];

/** What is read when it is scraped. */
export interface Observed {
  readonly head: () => { readonly size: number; readonly signedSize: number };
  readonly queued: () => Readonly<Record<'decision' | 'audit', { readonly entries: number; readonly bytes: number }>>;
  readonly walBytes: () => number;
  readonly space: () => { readonly level: SpaceLevel; readonly freeBytes: number };
  /** Entries that the index holds of the shard that is written. */
  readonly indexed: () => number;
  /** Whether Sealgate's webhook configuration is missed. */
  readonly webhookMissing: () => boolean;
  readonly policies: () => { readonly running: number; readonly waiting: number };
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(version: string) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name, help, labelNames: [...labelNames], registers });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, buckets, registers });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });

  new Gauge({ name: 'sealgate_build_info', help: 'Always 1.', labelNames: ['version'], registers }).set({ version }, 1);
  const decisions = counter('sealgate_admission_decisions_total', 'Decisions recorded.', ['outcome']);
  const decisionSeconds = histogram(
    'sealgate_admission_duration_seconds',
    'From the headers of a review to the answer, recording included, in seconds.',
    LATENCY,
  );
  const admissionRefused = counter('sealgate_admission_refused_total', 'Requests answered with an HTTP error.', [
    'code',
  ]);
  const unrecorded = counter(
    'sealgate_admission_unrecorded_total',
    'Decisions that could not be recorded, by what was answered instead.',
    ['code', 'answer'],
  );
  const undelivered = counter('sealgate_admission_undelivered_total', 'Decisions whose client was gone.');
  const redacted = counter('sealgate_redacted_total', 'Documents from which something was removed.', ['source']);
  const policyResults = counter('sealgate_policy_results_total', 'What policies found in requests.', [
    'policy',
    'action',
  ]);
  const policyFailures = counter('sealgate_policy_failures_total', 'Evaluations that gave no verdict.', [
    'policy',
    'code',
  ]);
  const policyLabel = limitLabels(MAX_POLICIES);
  const workersReplaced = counter(
    'sealgate_policy_workers_replaced_total',
    'Evaluator threads that had to be replaced.',
  );
  const batches = counter('sealgate_audit_batches_total', 'Audit batches acknowledged.');
  const events = counter('sealgate_audit_events_total', 'Audit events acknowledged, duplicates included.');
  const eventBytes = counter('sealgate_audit_bytes_total', 'Bytes of acknowledged audit batches.');
  const duplicates = counter('sealgate_audit_duplicates_total', 'Audit events that were recorded already.');
  const malformed = counter('sealgate_audit_malformed_total', 'Items of audit batches that were not audit events.');
  const auditRefused = counter('sealgate_audit_refused_total', 'Audit batches answered with an HTTP error.', ['code']);
  const auditSeconds = histogram(
    'sealgate_audit_duration_seconds',
    'From the headers of an audit batch to the answer, in seconds.',
    LATENCY,
  );
  const findings = counter('sealgate_findings_total', 'Findings recorded.', ['rule', 'severity']);
  const failedOpen = counter(
    'sealgate_failed_open_total',
    'Requests that the API server let pass because it could not ask Sealgate.',
  );
  const kubernetesEvents = counter('sealgate_findings_kubernetes_events_total', 'Kubernetes Events about findings.', [
    'result',
  ]);
  const rejected = counter('sealgate_listener_rejected_total', 'Connections and requests that no handler saw.', [
    'listener',
    'reason',
  ]);
  const commits = counter('sealgate_ledger_commits_total', 'Transactions on disk.');
  const entries = counter('sealgate_ledger_entries_total', 'Entries on disk since the start.');
  const entryBytes = counter('sealgate_ledger_bytes_total', 'Bytes of leaves and bodies on disk, before compression.');
  const commitSeconds = histogram(
    'sealgate_ledger_commit_seconds',
    'One transaction, its fsync included, in seconds.',
    COMMIT,
  );
  const rotations = counter(
    'sealgate_ledger_rotations_total',
    'Shards begun since the start, by what made the one before full.',
    ['because'],
  );
  const postponed = counter(
    'sealgate_ledger_rotations_postponed_total',
    'Full shards for which no next one could be created at first.',
  );
  /** Shards that are full and not sealed. */
  const unsealed = new Set<number>();
  gauge(
    'sealgate_ledger_unsealed_shards',
    'Full shards that a reader or a lack of space keeps from being sealed.',
    () => {
      return unsealed.size;
    },
  );
  const failed = counter('sealgate_ledger_failed_total', 'Times that the ledger had to stop acknowledging.');
  const checkFailures = counter(
    'sealgate_ledger_check_failures_total',
    'Checks of the ledger that found something wrong.',
  );
  const checked = new Gauge({
    name: 'sealgate_ledger_check_seconds',
    help: 'When the ledger was last found whole, in seconds since the Unix epoch; 0 before the first time.',
    labelNames: ['pass'],
    registers,
  });
  const checkedEntries = new Gauge({
    name: 'sealgate_ledger_check_entries',
    help: 'Entries that the last check read.',
    labelNames: ['pass'],
    registers,
  });
  const rolledBack = counter(
    'sealgate_ledger_breaks_total',
    'Starts that found another history on the volume than the mirror has, and began a new shard.',
  );
  const peerQuestions = counter(
    'sealgate_peer_questions_total',
    'Questions to other replicas, by what became of them.',
    ['result'],
  );
  const expiry = new Gauge({
    name: 'sealgate_certificate_expires_seconds',
    help: 'When the certificate in use ends, in seconds since the Unix epoch.',
    labelNames: ['listener', 'certificate'],
    registers,
  });
  const unkept = new Gauge({
    name: 'sealgate_certificate_unkept',
    help: "1 since the webhook's managed certificate could not be kept, else 0.",
    registers,
  });
  const load = new Map<Listener, { readonly inFlight: number; readonly inFlightBytes: number }>();
  const listenerGauge = (
    name: string,
    help: string,
    read: (of: { inFlight: number; inFlightBytes: number }) => number,
  ) =>
    new Gauge({
      name,
      help,
      labelNames: ['listener'],
      registers,
      collect() {
        for (const [listener, of] of load) this.set({ listener }, read(of));
      },
    });
  listenerGauge(
    'sealgate_listener_in_flight',
    'Requests between their headers and the end of their answer.',
    (of) => of.inFlight,
  );
  listenerGauge(
    'sealgate_listener_in_flight_bytes',
    'What those take of server.maxInFlightBytes.',
    (of) => of.inFlightBytes,
  );

  /** Counters with a closed label exist from the start, so that their first increment is visible as one. */
  for (const outcome of ['allowed', 'denied', 'failed']) decisions.inc({ outcome }, 0);
  for (const because of ['entries', 'bytes', 'age', 'wal']) rotations.inc({ because }, 0);
  for (const { rule, severities } of FINDINGS) {
    for (const severity of severities) findings.inc({ rule, severity }, 0);
  }
  for (const result of ['written', 'failed', 'limited']) kubernetesEvents.inc({ result }, 0);
  for (const pass of ['full', 'new']) {
    checked.set({ pass }, 0);
    checkedEntries.set({ pass }, 0);
  }
  for (const source of ['review', 'event']) redacted.inc({ source }, 0);
  for (const result of ['answered', 'failed']) peerQuestions.inc({ result }, 0);
  for (const listener of LISTENERS) {
    for (const reason of Object.keys(REJECTION_REASONS)) rejected.inc({ listener, reason }, 0);
  }

  return {
    registry,
    /** Once, when everything is open: what a scrape reads. */
    observe(observed: Observed): void {
      gauge('sealgate_ledger_size', 'Entries in the shard that is written.', () => observed.head().size);
      gauge('sealgate_ledger_signed_size', 'Entries that a checkpoint covers.', () => observed.head().signedSize);
      gauge('sealgate_ledger_wal_bytes', 'Size of the write-ahead log.', observed.walBytes);
      gauge('sealgate_ledger_free_bytes', "Free space on the ledger's volume.", () => observed.space().freeBytes);
      new Gauge({
        name: 'sealgate_ledger_space',
        help: '1 for the level of space that it is at, 0 for the others.',
        labelNames: ['level'],
        registers,
        collect() {
          const now = observed.space().level;
          for (const level of SPACE_LEVELS) this.set({ level }, level === now ? 1 : 0);
        },
      });
      gauge('sealgate_ledger_queued_entries', 'Entries that wait for the writer.', () => {
        const { decision, audit } = observed.queued();
        return decision.entries + audit.entries;
      });
      gauge('sealgate_ledger_queued_bytes', 'Bytes that wait for the writer.', () => {
        const { decision, audit } = observed.queued();
        return decision.bytes + audit.bytes;
      });
      gauge(
        'sealgate_webhook_missing',
        "1 while Sealgate's webhook configuration was seen to go and not to come back, 0 otherwise.",
        () => (observed.webhookMissing() ? 1 : 0),
      );
      gauge('sealgate_index_size', 'Entries of that shard in the index.', observed.indexed);
      gauge('sealgate_policy_running', 'Evaluations in progress.', () => observed.policies().running);
      gauge('sealgate_policy_waiting', 'Reviews that wait for an evaluator.', () => observed.policies().waiting);
    },
    admission: {
      decided(outcome: 'allowed' | 'denied' | 'failed', seconds: number): void {
        decisions.inc({ outcome });
        decisionSeconds.observe(seconds);
      },
      refused: (code: ErrorCode) => admissionRefused.inc({ code }),
      unrecorded: (code: ErrorCode, answer: 'denied' | 'allowed' | 'error') => unrecorded.inc({ code, answer }),
      undelivered: () => undelivered.inc(),
      redacted: () => redacted.inc({ source: 'review' }),
    },
    audit: {
      acknowledged(
        batch: { events: number; duplicates: number; malformed: number; bytes: number },
        seconds: number,
      ): void {
        batches.inc();
        events.inc(batch.events);
        duplicates.inc(batch.duplicates);
        malformed.inc(batch.malformed);
        eventBytes.inc(batch.bytes);
        auditSeconds.observe(seconds);
      },
      refused: (code: ErrorCode) => auditRefused.inc({ code }),
      redacted: (count: number) => redacted.inc({ source: 'event' }, count),
    },
    detect: {
      /** So many events showed it. */
      found(rule: string, severity: string, events: number): void {
        findings.inc({ rule, severity });
        if (rule === 'failed-open') failedOpen.inc(events);
      },
      kubernetesEvent: (result: 'written' | 'failed' | 'limited') => kubernetesEvents.inc({ result }),
    },
    policy: {
      evaluated(
        results: readonly { readonly policy: string; readonly action: 'deny' | 'warn' | 'audit' }[],
        failures: readonly { readonly policy: string; readonly code: ErrorCode }[],
      ): void {
        for (const { policy, action } of results) policyResults.inc({ policy: policyLabel(policy), action });
        for (const { policy, code } of failures) policyFailures.inc({ policy: policyLabel(policy), code });
      },
      workerReplaced: () => workersReplaced.inc(),
    },
    ledger: {
      committed(info: { readonly entries: number; readonly bytes: number; readonly seconds: number }): void {
        commits.inc();
        entries.inc(info.entries);
        entryBytes.inc(info.bytes);
        commitSeconds.observe(info.seconds);
      },
      failed: () => failed.inc(),
      /** `atMs`: milliseconds since the epoch. */
      checked(pass: 'full' | 'new', whole: boolean, entries: number, atMs: number): void {
        checkedEntries.set({ pass }, entries);
        if (whole) checked.set({ pass }, atMs / 1000);
        else checkFailures.inc();
      },
      rolledBack: () => rolledBack.inc(),
      rotated: (because: 'entries' | 'bytes' | 'age' | 'wal') => rotations.inc({ because }),
      rotationPostponed: () => postponed.inc(),
      sealed: (shard: number) => void unsealed.delete(shard),
      unsealed: (shard: number) => void unsealed.add(shard),
    },
    peerAsked: (result: 'answered' | 'failed') => peerQuestions.inc({ result }),
    listener: (listener: Listener) => ({
      rejected: (reason: RejectionReason) => rejected.inc({ listener, reason }),
      opened: (of: { readonly inFlight: number; readonly inFlightBytes: number }) => void load.set(listener, of),
    }),
    certificateKept: (works: boolean) => unkept.set(works ? 0 : 1),
    /** `ca`: the end of the CA that issued it, where Sealgate did. */
    certificateExpires(listener: Listener, server: Date, ca?: Date): void {
      expiry.set({ listener, certificate: 'server' }, server.getTime() / 1000);
      if (ca !== undefined) expiry.set({ listener, certificate: 'ca' }, ca.getTime() / 1000);
    },
  };
}
