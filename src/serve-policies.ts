// The part of the composition root that is about policies: from their folder and the cluster's inventory to an engine, and what goes
// on beside it.
import { availableParallelism } from 'node:os';
import type { Settings } from './config/schema.ts';
import { connectApi } from './kube/api-connection.ts';
import { EMPTY_INVENTORY, Inventory, type InventoryStamp, type InventoryStatus } from './kube/inventory.ts';
import { trimmed } from './kube/trim.ts';
import type { Ledger } from './ledger/ledger.ts';
import { JsonDocument } from './lib/json-document.ts';
import type { Log } from './lib/log.ts';
import type { CompiledBundle } from './policy/bundle.ts';
import { DataDocument } from './policy/data-document.ts';
import { startBundle } from './policy/engine.ts';
import { FolderWatch } from './policy/folder-watch.ts';
import { LiveEngine } from './policy/live-engine.ts';
import { prepareBundle } from './policy/prepare.ts';
import { signatureOf } from './policy/sources.ts';
import type { BundleInfo, PolicyEngine } from './policy/types.ts';
import { createRedactor } from './redact/redactor.ts';
import type { Check } from './server/health.ts';
import type { Metrics } from './server/metrics.ts';
import { createPolicyMetrics } from './server/policy-metrics.ts';
import { policyCheck } from './server/readiness.ts';

const MIB = 2 ** 20;

export interface Policies {
  readonly settings: Settings;
  readonly engine: LiveEngine;
  /** Absent when none is configured. */
  readonly inventory: Inventory | undefined;
  /** Of the folder, before it was read. */
  readonly signature: string;
  readonly prepare: () => Promise<CompiledBundle>;
  readonly start: (bundle: CompiledBundle) => Promise<PolicyEngine>;
}

/** Compiles the folder and starts the threads. Rejects with POLICY_INVALID when the folder cannot be used. */
export async function startPolicies(settings: Settings, metrics: Metrics, log: Log): Promise<Policies> {
  const { policy, inventory } = settings;
  const { dir, opa, runTests: tests } = policy;
  const signature = signatureOf(dir);
  const followed = inventory.resources.length > 0;
  const prepare = async () => {
    const bundle = await prepareBundle({ opa, dir, tests, inventory: followed });
    if (bundle.info.usesInventory && !followed) {
      log.warn(
        { dir },
        'policies name an inventory, and there is none: what they ask of data.inventory is undefined; set inventory.resources',
      );
    }
    const whole = [...bundle.reads].flatMap(([entrypoint, why]) =>
      typeof why === 'string' ? [{ entrypoint, why }] : [],
    );
    if (whole.length > 0)
      log.debug({ whole }, 'rules are given the whole review, because what they read of it is not known');
    return bundle;
  };
  const maxBytes = policy.memoryLimitMiB * MIB;
  const data = new DataDocument<InventoryStamp | undefined>();
  const start = (bundle: CompiledBundle) =>
    startBundle(bundle, {
      workers: policy.workers === 0 ? availableParallelism() : policy.workers,
      timeLimitMs: policy.timeLimitMs,
      maxPending: policy.maxPending,
      inThread: policy.inThread,
      memory: { maxBytes, recycleBytes: Math.min(64 * MIB, maxBytes / 2), heapMb: 256 },
      data,
      onNotInThread: (reason) => log.warn({ reason }, 'policies are evaluated in threads of their own only'),
      onWorkerReplaced: (reason) => {
        metrics.policy.workerReplaced();
        log.warn({ reason }, 'a policy worker was replaced');
      },
    });
  const bundle = await prepare();
  if (followed) await data.update(EMPTY_INVENTORY, undefined);
  const engine = await start(bundle);
  const follows = followed ? followInventory(settings, data, log.child({ part: 'inventory' })) : undefined;
  return { settings, engine: new LiveEngine(engine, follows?.synced), inventory: follows, signature, prepare, start };
}

/** What goes on beside the evaluation once the ledger is open: the folder is watched, and readiness and metrics tell of all of it. */
export function followPolicies(
  policies: Policies,
  ledger: Ledger,
  metrics: Metrics,
  log: Log,
): { readonly checks: readonly Check[]; readonly close: () => Promise<void> } {
  const { engine, inventory } = policies;
  const watch = watchPolicies(policies, ledger, log);
  const counts = createPolicyMetrics(metrics.registry, {
    digest: () => engine.bundle.digest,
    rejected: () => watch?.folder.rejected,
    engine: () => engine.stats(),
    inventory: () => inventory?.status() ?? NO_INVENTORY,
    now: Date.now,
  });
  watch?.count(counts);
  const checks = [
    policyCheck(
      () => ({ ...engine.stats(), ...policyDetail(engine, watch?.folder.rejected) }),
      () => performance.now(),
    ),
    ...(inventory === undefined ? [] : [{ name: 'inventory', check: () => inventoryCheck(inventory.status()) }]),
  ];
  return {
    checks,
    close: async () => {
      await watch?.folder.close();
      await inventory?.close();
    },
  };
}

function policyDetail(engine: PolicyEngine, rejected: string | undefined): { detail: string; warning: boolean } {
  const { dataProblem } = engine.stats();
  const parts = [
    engine.bundle.digest,
    ...(rejected === undefined ? [] : [`the folder has changed and is not in use: ${rejected}`]),
    ...(dataProblem === undefined ? [] : [`an evaluator thread has an older inventory: ${dataProblem}`]),
  ];
  return { detail: parts.join('; ').replaceAll('\n', '; '), warning: parts.length > 1 };
}

function followInventory(
  { inventory, redact }: Settings,
  data: DataDocument<InventoryStamp | undefined>,
  log: Log,
): Inventory {
  const { resources, maxObjects, maxMiB, kubeconfig } = inventory;
  const redactor = createRedactor(redact);
  const doc = new JsonDocument();
  return new Inventory({
    resources: resources.map(({ group = '', ...rest }) => ({ group, ...rest })),
    get: connectApi(kubeconfig),
    ...{ maxObjects, maxBytes: maxMiB * MIB, now: Date.now, random: Math.random },
    redact: (object, resource) => trimmed(object, resource, doc, (review) => redactor.review(review)),
    update: (changes, stamp) => data.update(changes, stamp),
    log: (level, fields, message) => log[level](fields, message),
  });
}

const NO_INVENTORY: InventoryStatus = { resources: [], objects: 0, bytes: 0, leftOut: 0, problems: 0 };

/** Not ready before policies can see all of it; afterwards what is wrong with it is a warning. */
function inventoryCheck({ resources, objects, bytes, leftOut }: InventoryStatus): ReturnType<Check['check']> {
  const unread = resources.filter(({ synced }) => !synced).map(({ name }) => name);
  const problems = resources.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`]));
  const parts = [
    `${objects} objects, ${Math.ceil(bytes / MIB)} MiB`,
    ...(unread.length === 0 ? [] : [`not read yet: ${unread.join(', ')}`]),
    ...(leftOut === 0 ? [] : [`${leftOut} objects are left out: raise inventory.maxObjects or inventory.maxMiB`]),
    ...problems,
  ];
  return { ok: unread.length === 0, detail: parts.join('; '), warning: problems.length > 0 || leftOut > 0 };
}

type BundleCount = ReturnType<typeof createPolicyMetrics>;

/** Undefined when the folder is read at start only. */
function watchPolicies(
  { settings, engine, signature, prepare, start }: Policies,
  ledger: Ledger,
  log: Log,
): { readonly folder: FolderWatch; readonly count: (by: BundleCount) => void } | undefined {
  const { dir, reloadSeconds } = settings.policy;
  if (reloadSeconds === 0) return undefined;
  let counts: BundleCount | undefined;
  const folder = new FolderWatch(
    {
      dir,
      pollMs: reloadSeconds * 1000,
      prepare,
      active: () => engine.bundle.digest,
      activate: async (bundle) => {
        const next = await start(bundle);
        try {
          // On record before the first decision that it makes.
          await ledger.append('decision', [policyEntry(bundle.info)]);
        } catch (error) {
          await next.close();
          throw error;
        }
        engine.exchange(next);
      },
      onActivated: (digest) => {
        counts?.activated();
        log.info({ dir, bundle: digest }, 'the changed policies are active');
      },
      onRejected: (error) => {
        counts?.rejected();
        log.error({ dir, error, bundle: engine.bundle.digest }, 'the changed policies are refused: those before stay');
      },
    },
    signature,
  );
  const count = (by: BundleCount): void => {
    counts = by;
  };
  return { folder, count };
}

/** A `policy` entry. */
export function policyEntry(bundle: BundleInfo) {
  const policies = bundle.policies.map(({ policy, rules }) => ({
    policy,
    rules: rules.map(({ rule, action, severity }) => ({ rule, action, severity })),
  }));
  const body = { bundle: bundle.digest, files: bundle.files, policies };
  return { kind: 'policy', extra: { bundle: bundle.digest }, body: Buffer.from(JSON.stringify(body)) } as const;
}
