// The one composition root of the pod: builds every part from the inside out, connects them, and stops them from the outside in.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAdmissionHandler } from './admission/handler.ts';
import { createApi } from './api/app.ts';
import { createQueries } from './api/queries.ts';
import { watched } from './audit/precedence.ts';
import { hasPeers } from './config/check-together.ts';
import type { LoadedSettings } from './config/loader.ts';
import type { Settings } from './config/schema.ts';
import type { Finding } from './detect/finding.ts';
import { type CheckStatus, LedgerCheck } from './detect/ledger-check.ts';
import { type IndexView, openView } from './index/view.ts';
import { CheckpointConfigMap } from './kube/checkpoint-config-map.ts';
import { type KubernetesEvent, KubernetesEvents } from './kube/kubernetes-events.ts';
import { type LedgerKey, loadKey, loadOrCreateKey, previousFileOf } from './ledger/key.ts';
import { type Ledger, openLedger } from './ledger/ledger.ts';
import type { LedgerNotice } from './ledger/messages.ts';
import { LedgerReader } from './ledger/reader.ts';
import { removeShard } from './ledger/remove-shard.ts';
import type { SpaceLevel, SpaceState } from './ledger/space.ts';
import { systemClock } from './lib/clock.ts';
import { SealgateError } from './lib/errors.ts';
import { createLog, type Log } from './lib/log.ts';
import type { Redactor } from './lib/redaction.ts';
import { VERSION } from './lib/version.ts';
import { type Mirrored, openMirrored } from './mirror/mirrored.ts';
import type { WitnessData } from './mirror/protocol.ts';
import { checkAtStart, type StartCheck } from './mirror/start-check.ts';
import { readWitnessPolicy } from './mirror/witness-policy.ts';
import type { Evaluation, PolicyEngine } from './policy/types.ts';
import { createRedactor } from './redact/redactor.ts';
import { AuditThread } from './serve-audit.ts';
import { openManaged } from './serve-certificate.ts';
import { openTls } from './serve-listener.ts';
import { openPeers } from './serve-peers.ts';
import { followPolicies, policyEntry, startPolicies } from './serve-policies.ts';
import { openDataDir } from './server/data-dir.ts';
import { type Check, createHealthHandler } from './server/health.ts';
import { openHttpListener } from './server/http-listener.ts';
import type { TlsListener } from './server/listener.ts';
import { createMetrics, type Metrics } from './server/metrics.ts';
import { createMirrorMetrics } from './server/mirror-metrics.ts';
import { certificateCheck, type LedgerState, ledgerCheck } from './server/readiness.ts';

const MIB = 2 ** 20;
/** Results, failures and prints of a decision are bounded each, and in number (admission/verdict.ts). */
const MAX_VERDICT_BYTES = 64 * MIB;

export interface Running {
  /** Resolves when the ledger can no longer acknowledge anything: the process has to end and start again. */
  readonly failed: Promise<SealgateError>;
  /** Refuses new work, answers what was accepted, signs a last checkpoint, closes. Safe to call twice. */
  stop(reason: string): Promise<void>;
}

/** Everything that was started, newest last: stopping goes the other way, and a failed start stops what there is. */
class Started {
  readonly #stops: { readonly name: string; readonly stop: () => Promise<void> | void }[] = [];

  add(name: string, stop: () => Promise<void> | void): void {
    this.#stops.push({ name, stop });
  }

  async stop(log: Log): Promise<void> {
    for (const { name, stop } of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        log.error({ error, part: name }, 'stopping a part failed');
      }
    }
  }
}

/** Starts the pod. Rejects with the reason when anything cannot be started; then nothing is left running. */
export async function startServer({ settings, digest }: LoadedSettings): Promise<Running> {
  const log = createLog(settings.log.level);
  const started = new Started();
  try {
    return await build(settings, digest, log, started);
  } catch (error) {
    await started.stop(log);
    throw error;
  }
}

async function build(settings: Settings, digest: string, log: Log, started: Started): Promise<Running> {
  const inData = (...path: string[]) => join(settings.dataDir, ...path);
  const failure = Promise.withResolvers<SealgateError>();
  let failed: SealgateError | undefined;
  void failure.promise.then((error) => {
    failed = error;
  });
  const metrics = createMetrics(VERSION);

  // Policies first: a mistake in them is found before anything is written.
  const policies = await startPolicies(settings, metrics, log);
  const { engine } = policies;
  started.add('policies', () => engine.close());

  // Health opens before and closes after all that it tells of.
  let phase: 'starting' | 'ready' | 'stopping' = 'starting';
  const checks: Check[] = [{ name: 'phase', check: () => ({ ok: phase === 'ready', detail: phase }) }];
  const health = await openHttpListener({
    ...{ name: 'metrics', host: settings.metrics.host, port: settings.metrics.port },
    handler: createHealthHandler({ checks, metrics: metrics.registry }),
  });
  started.add('metrics and health', () => health.close());

  openDataDir(settings.dataDir);
  const { key, previousKey } = loadKeys(settings, inData('keys', 'ledger.vkey'), log);
  const vkeys = [key, ...(previousKey === undefined ? [] : [previousKey])].map((one) => one.vkey);
  const witnesses = witnessesOf(settings, key);
  const compare = mirrorCheck(settings, inData('ledger'), vkeys, log);
  const compared = await compare?.();
  if (compared?.broken !== undefined) metrics.ledger.rolledBack();
  // Set once the index is open: the first commits come before it.
  let view: IndexView | undefined;
  const ledger = await openLedger({
    dir: inData('ledger'),
    key,
    previousKey,
    ...compared,
    version: VERSION,
    settingsDigest: digest,
    checkpointIntervalMs: settings.ledger.checkpointIntervalMs,
    limits: { bytes: settings.ledger.maxQueuedBytes, body: largestBody(settings) },
    space: { lowBytes: settings.ledger.lowSpaceBytes, reserveBytes: settings.ledger.reserveBytes },
    onSpace: (state, before) => logSpace(log, state, before),
    shardLimits: {
      entries: settings.ledger.maxShardEntries,
      bytes: settings.ledger.maxShardBytes,
      ageSeconds: settings.ledger.maxShardAgeSeconds,
    },
    onFatal: (error) => {
      metrics.ledger.failed();
      failure.resolve(error);
    },
    onNotice: (notice) => tellNotice(log, metrics, notice),
    onHead: (head) => view?.notify(head),
    onCommit: (info) => metrics.ledger.committed(info),
  });
  // Known when the stop begins, long after this is registered.
  let reason = 'the start failed';
  let stopAt = performance.now();
  // Registered before the ledger, and so closed after it: the last push holds the last checkpoint.
  let mirrored: Mirrored | undefined;
  started.add('mirror', () => mirrored?.close(lastPushMs(settings, stopAt)));
  started.add('ledger', () => {
    mirrored?.quiet();
    return ledger.close(reason);
  });
  const { origin, recovery, vkey } = ledger;
  log[recovery.clean ? 'info' : 'warn']({ origin, vkey, ...recovery }, 'the ledger is open');
  checks.push(ledgerCheck(() => ledgerState(ledger, failed), monotonic));
  checks.push({ name: 'space', check: () => spaceCheck(ledger.space()) });
  await ledger.append('decision', [policyEntry(engine.bundle)]);
  const followed = followPolicies(policies, ledger, metrics, log);
  started.add('the policy folder and the inventory', () => followed.close());
  checks.push(...followed.checks);

  /** The mirror did not answer at start, and now it has another history of the shard that is written: the next start deals with it. */
  const restartWhenBroken = async (): Promise<void> => {
    try {
      const found = await compare?.();
      if (found?.broken === undefined) return;
      const text = `${found.broken.why}: the process ends, and the next start goes on in a new shard`;
      failure.resolve(new SealgateError('LEDGER_ROLLED_BACK', text));
    } catch (error) {
      failure.resolve(
        error instanceof SealgateError ? error : new SealgateError('INTERNAL', String(error), { cause: error }),
      );
    }
  };
  mirrored = mirrorOf({ settings, ledger, metrics, log, witnesses, onDiverged: () => void restartWhenBroken() });
  if (mirrored !== undefined) checks.push({ name: 'mirror', check: mirrored.check });
  view = openView({
    ...{ ledgerDir: ledger.dir, file: inData('index', 'index.sqlite') },
    keepFreeBytes: settings.ledger.reserveBytes,
    log: log.child({ part: 'index' }),
  });
  const index = view;
  started.add('index', () => index.close());
  index.notify(ledger.head());
  const timeLimitMs = settings.api.queryTimeoutMs;
  const queries = createQueries({ ledgerDir: ledger.dir, vkey, view: index, timeLimitMs });
  started.add('queries', () => queries.close());
  const now = () => systemClock().now();
  const bundle = () => engine.bundle.digest;
  const wide = hasPeers(settings)
    ? await openPeers({ settings, log, metrics, started, queries, view: index, head: () => ledger.head() })
    : undefined;
  const api = await openHttpListener({
    ...{ name: 'api', host: settings.api.host, port: settings.api.port },
    handler: createApi({
      // Of the shard that is written now.
      get origin() {
        return ledger.origin;
      },
      ...{ queries, view: index, vkey, version: VERSION, bundle, now, federation: wide?.federation },
      head: () => ledger.head(),
      log: log.child({ part: 'api' }),
    }),
  });
  started.add('query API', () => api.close());
  const auditLedger = mirrored?.auditLedger ?? ledger;
  const kubernetesEvents = kubernetesEventsOf(settings, metrics, log);
  const audit = await AuditThread.start({
    ...{ settings, metrics, ledgerDir: ledger.dir, shard: ledger.shard, ledger: auditLedger },
    onRecorded: (finding, events) => {
      tellFinding(log, metrics, finding, events);
      if (isTold(finding)) kubernetesEvents?.offer(kubernetesEventOf(finding));
    },
    onFatal: failure.resolve,
  });
  started.add('the audit thread', () => audit.close());
  const selfCheck = new LedgerCheck({
    ...{ settings: settings.ledger.selfCheck, ledgerDir: ledger.dir, vkey },
    head: () => ledger.head(),
    wall: () => systemClock().now(),
    report: (finding) => audit.report(finding),
    onChecked: (pass, { problemCount, entries }) =>
      metrics.ledger.checked(pass, problemCount === 0, entries, Date.now()),
    log: (level, fields, message) => log[level](fields, message),
  });
  started.add("the ledger's check of itself", () => selfCheck.close());
  checks.push({ name: 'verification', check: () => verificationCheck(selfCheck.status()) });
  metrics.observe({
    webhookMissing: () => audit.webhookMissing,
    head: () => ledger.head(),
    queued: () => ledger.stats().queued,
    walBytes: () => ledger.stats().walBytes,
    space: () => ledger.space(),
    indexed: () => index.position()?.size ?? 0,
    policies: () => engine.stats(),
  });

  const redactor = createRedactor(settings.redact);
  const parts = { settings, log, metrics, engine, ledger, redactor, audit, started };
  const { admission, auditPort, ends } = await openListeners(parts);
  checks.push(certificateCheck(ends, Date.now));
  phase = 'ready';
  const ports = {
    ...{ admission: admission.port, audit: auditPort, api: api.port, metrics: health.port },
    ...(wide === undefined ? {} : { peers: wide.port }),
  };
  log.info({ version: VERSION, origin, bundle: engine.bundle.digest, ports }, 'ready');

  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const { drainMs } = settings.shutdown;
    if (drainMs > 0) {
      log.info({ drainMs }, 'stopping: not ready any more, requests are still taken');
      for (const listener of [admission, audit]) listener.retire();
      // A ledger that failed meanwhile can take none.
      await Promise.race([sleep(drainMs), failure.promise]);
    }
    stopAt = performance.now();
    await started.stop(log);
    log.info({ reason }, 'stopped');
  };
  return {
    failed: failure.promise,
    stop: (why) => {
      phase = 'stopping';
      reason = why;
      stopping ??= stop();
      return stopping;
    },
  };
}

const monotonic = (): number => performance.now();

/** Bytes of the largest entry: what is taken is recorded, with what the policies said about it. */
function largestBody({ admission, audit }: Settings): number {
  return Math.max(admission.bodyLimitBytes, audit.bodyLimitBytes) + MAX_VERDICT_BYTES;
}

/** The least time for the last push, in milliseconds: listeners may have used up what there was. */
const LAST_PUSH_MS = 3000;

/** What is left of the time for the stop. */
function lastPushMs({ shutdown }: Settings, stopAt: number): number {
  return Math.max(LAST_PUSH_MS, stopAt + shutdown.graceMs - performance.now());
}

/** Most time that a start waits for the mirror, in milliseconds. */
const MIRROR_CHECK_MS = 10_000;

/** Compares the ledger with its mirror; undefined when there is none. */
function mirrorCheck(
  settings: Settings,
  ledgerDir: string,
  vkeys: readonly string[],
  log: Log,
): (() => Promise<StartCheck>) | undefined {
  const { url, retention, s3, onRollback } = settings.mirror;
  if (url === '') return undefined;
  const mirrorLog = log.child({ part: 'mirror' });
  return () =>
    checkAtStart({
      ...{ url, retention, s3, onRollback, ledgerDir, vkeys },
      logName: logName(settings),
      timeoutMs: MIRROR_CHECK_MS,
      log: (level, fields, message) => mirrorLog[level](fields, message),
    });
}

/** Throws WITNESS_POLICY_INVALID: a policy that cannot be read is a mistake of who set it, and not for later. */
function witnessesOf({ mirror: { url, witnesses } }: Settings, { privateKey }: LedgerKey): WitnessData | undefined {
  const { policyFile, timeoutSeconds } = witnesses;
  if (url === '' || policyFile === undefined) return undefined;
  return { policy: readWitnessPolicy(policyFile).text, privateKey, timeoutMs: timeoutSeconds * 1000 };
}

/** Undefined when none is configured. */
function configMapOf(
  { mirror: { configMap }, identity }: Settings,
  ledger: Ledger,
  log: Log,
): CheckpointConfigMap | undefined {
  const { name, namespace, everySeconds, kubeconfig } = configMap;
  if (name === '') return undefined;
  return new CheckpointConfigMap({
    ...{ name, namespace, kubeconfig, everyMs: everySeconds * 1000 },
    replica: identity.replica,
    // Bounded: more than a few entries cannot all be traces of one write.
    recorded: (shard, from, to) => bodiesOf(ledger.dir, shard, from, to),
    now: () => performance.now(),
    log: (level, fields, message) => log[level](fields, message),
  });
}

function bodiesOf(dir: string, shard: number, from: number, to: number): { kind: string; body: Buffer }[] {
  const reader = LedgerReader.open(dir);
  try {
    return [...reader.entries(shard, from, to)].map(({ leaf, body }) => ({ kind: leaf.kind, body }));
  } finally {
    reader.close();
  }
}

interface MirrorParts {
  readonly witnesses: WitnessData | undefined;
  /** The mirror has another history of the shard that is written. Called once. */
  readonly onDiverged: () => void;
  readonly settings: Settings;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Undefined when none is configured. What is wrong with its store never keeps the pod from starting. */
function mirrorOf({ settings, ledger, metrics, log, witnesses, onDiverged }: MirrorParts): Mirrored | undefined {
  if (settings.mirror.url === '') return undefined;
  let diverged = false;
  const mirrorLog = log.child({ part: 'mirror' });
  const configMap = configMapOf(settings, ledger, mirrorLog);
  const mirrored: Mirrored = openMirrored({
    settings: settings.mirror,
    ledger,
    witnesses,
    onPushed: (pushed) => configMap?.offer(pushed),
    localRetentionDays: settings.ledger.localRetentionDays,
    removeShard: (...args) => removeShard(ledger, ...args),
    log: (level, fields, message) => mirrorLog[level](fields, message),
    onStatus: (status) => {
      count(status);
      if (diverged || !status.diverged.includes(ledger.shard)) return;
      diverged = true;
      onDiverged();
    },
    wall: () => systemClock().now(),
  });
  const count = createMirrorMetrics(metrics.registry, mirrored);
  return mirrored;
}

function ledgerState(ledger: Ledger, failed: SealgateError | undefined): LedgerState {
  const { shard, size, signedSize } = ledger.head();
  const { commits, queued } = ledger.stats();
  const waiting = queued.decision.entries + queued.audit.entries;
  const detail = `shard ${shard}, ${size} entries, ${signedSize} signed`;
  return { failed: failed?.message, work: { waiting, done: commits }, detail };
}

/** Always ready: to stop recording would not mend what was recorded. */
function verificationCheck({ wholeAt, problems }: CheckStatus): ReturnType<Check['check']> {
  if (problems.length > 0) return { ok: true, detail: `NOT WHOLE: ${problems[0]}`, warning: true };
  const detail =
    wholeAt === undefined ? 'not verified yet' : `all of it was whole at ${new Date(wholeAt).toISOString()}`;
  return { ok: true, detail };
}

/** Ready as long as decisions can be recorded; well before that it warns. */
function spaceCheck({ level, freeBytes, problem }: SpaceState): ReturnType<Check['check']> {
  const measured = problem === undefined ? '' : ` (not measured since: ${problem})`;
  const detail = `${SPACE_TEXT[level]}, ${Math.floor(freeBytes / MIB)} MiB free${measured}`;
  return { ok: level !== 'full', detail, warning: level !== 'plenty' || problem !== undefined };
}

const SPACE_TEXT: Readonly<Record<SpaceLevel, string>> = {
  plenty: 'plenty',
  low: 'low, below ledger.lowSpaceBytes',
  reserve: 'only decisions are recorded, audit batches are refused: below ledger.reserveBytes',
  full: 'no decision can be recorded',
};

function logSpace(log: Log, { level, freeBytes, problem }: SpaceState, before: SpaceLevel): void {
  const write = level === 'plenty' ? 'info' : level === 'low' ? 'warn' : 'error';
  const text = problem === undefined ? SPACE_TEXT[level] : 'it cannot be measured';
  log[write]({ level, before, freeBytes, error: problem }, `space on the ledger's volume: ${text}`);
}

function tellFinding(log: Log, metrics: Metrics, { rule, severity, message }: Finding, events: number): void {
  metrics.detect.found(rule, severity, events);
  log[severity === 'high' || severity === 'critical' ? 'warn' : 'info'](
    { rule, severity, events },
    `finding: ${message}`,
  );
}

/** Undefined when they are not wanted. */
function kubernetesEventsOf({ detect, identity }: Settings, metrics: Metrics, log: Log): KubernetesEvents | undefined {
  const { enabled, kubeconfig } = detect.kubernetesEvents;
  if (!enabled) return undefined;
  return new KubernetesEvents({
    ...{ namespace: detect.namespace, pod: identity.replica, kubeconfig },
    now: () => performance.now(),
    onResult: metrics.detect.kubernetesEvent,
    log: (level, fields, message) => log[level](fields, message),
  });
}

/** What somebody has to look at, and that it is over. */
function isTold({ rule, severity }: Finding): boolean {
  return rule === 'webhook-restored' || (severity !== 'info' && severity !== 'low');
}

function kubernetesEventOf({ rule, severity, message, who }: Finding): KubernetesEvent {
  const reason = rule.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const by = who === undefined ? '' : ` (by ${who.user})`;
  return { reason, note: `${message}${by}`, type: severity === 'info' ? 'Normal' : 'Warning' };
}

/** What became of shards: one log line each, and metrics. */
function tellNotice(log: Log, { ledger }: Metrics, notice: LedgerNotice): void {
  const { type, shard } = notice;
  switch (type) {
    case 'rotated':
      ledger.rotated(notice.because);
      if (notice.because !== 'wal')
        log.info({ shard, because: notice.because }, 'a shard was full: the next was begun');
      else
        log.warn({ shard }, 'a reader held the write-ahead log of a shard: the next was begun; end readers that stay');
      return;
    case 'rotation-postponed':
      ledger.rotationPostponed();
      log.error({ shard, error: notice.message }, 'a shard is full and the next cannot be created: it is written on');
      return;
    case 'sealed':
      ledger.sealed(shard);
      log.info({ shard }, 'a shard was sealed');
      return;
    case 'unsealed':
      ledger.unsealed(shard);
      log.warn({ shard }, 'a full shard cannot be sealed while a reader holds it; it is tried again');
      return;
  }
}

/** The engine, with what it finds counted. */
function counted(engine: PolicyEngine, metrics: Metrics): Pick<PolicyEngine, 'bundle' | 'evaluate'> {
  return {
    get bundle() {
      return engine.bundle;
    },
    evaluate: (facts, input, deadline, scanned) => {
      const count = (evaluation: Evaluation): Evaluation => {
        metrics.policy.evaluated(evaluation.results, evaluation.failures);
        return evaluation;
      };
      const answer = engine.evaluate(facts, input, deadline, scanned);
      return answer instanceof Promise ? answer.then(count) : count(answer);
    },
  };
}

interface ListenerParts {
  readonly settings: Settings;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly engine: PolicyEngine;
  readonly ledger: Ledger;
  readonly redactor: Redactor;
  readonly audit: AuditThread;
  readonly started: Started;
}

/** The two TLS listeners, each with its certificates. They open last, when everything behind them works. */
async function openListeners(parts: ListenerParts): Promise<{
  admission: TlsListener;
  auditPort: number;
  /** When the certificates in use end. */
  ends: () => Record<'admission' | 'audit', Date>;
}> {
  const { settings, metrics, engine, ledger, redactor, audit, started } = parts;
  const open: Pick<TlsListener, 'drain'>[] = [];
  // Together, because the time before Kubernetes kills the pod is one for both.
  started.add('TLS listeners', async () => {
    const cut = await Promise.all(open.map((listener) => listener.drain(settings.shutdown.graceMs)));
    if (cut.some((count) => count > 0)) parts.log.warn({ cut }, 'requests were cut off while stopping');
  });
  const log = parts.log.child({ part: 'admission' });
  const handler = createAdmissionHandler({
    ...{ engine: counted(engine, metrics), ledger, redactor, settings: settings.admission, log },
    metrics: metrics.admission,
  });
  let expires = new Date(Number.NaN);
  const { path, bodyLimitBytes } = settings.admission;
  const admission = await openTls({
    ...{ settings, name: 'admission', log, started, metrics: metrics.listener('admission') },
    route: { path, bodyLimitBytes, handler: watched(handler, audit.precedence) },
    given: await openManaged({ ...parts, log }),
    onCertificates: (current) => {
      expires = current.expires;
      metrics.certificateExpires('admission', current.expires, current.caExpires);
    },
  });
  open.push(admission);
  const auditPort = await audit.open();
  open.push(audit);
  return { admission, auditPort, ends: () => ({ admission: expires, audit: audit.ends }) };
}

/** The ledger's key, and the one before it where its file is still there. The vkey file is in the data folder, wherever the keys are. */
function loadKeys(
  settings: Settings,
  vkeyFile: string,
  log: Log,
): { key: LedgerKey; previousKey: LedgerKey | undefined } {
  const file = settings.ledger.keyFile ?? join(settings.dataDir, 'keys', 'ledger.key');
  const name = logName(settings);
  const beside = previousFileOf(file);
  const previousFile = settings.ledger.previousKeyFile ?? (existsSync(beside) ? beside : undefined);
  const previousKey = previousFile === undefined ? undefined : loadKey(previousFile, name);
  const key = loadOrCreateKey(file, name, { vkeyFile, previous: previousKey });
  if (previousKey !== undefined) {
    log.warn(
      { file: previousFile, previous: previousKey.vkey, vkey: key.vkey },
      'the previous key is read once more, to record its rotation: delete its file when the ledger is open',
    );
  }
  return { key, previousKey };
}

function logName({ identity }: Settings): string {
  return `${identity.domain}/${identity.cluster}/${identity.replica}`;
}
