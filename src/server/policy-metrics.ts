// Metrics of the policies in use and of the inventory that they see. docs/metrics.md describes each for operators.
import { Counter, Gauge, type Registry } from 'prom-client';

/** What is read when it is scraped. */
export interface PolicyObserved {
  readonly digest: () => string;
  /** Why the folder as it is now is not in use. */
  readonly rejected: () => string | undefined;
  readonly engine: () => {
    readonly renewed: number;
    readonly inThread: number;
    readonly handedOver: number;
    readonly dataProblem: string | undefined;
  };
  readonly inventory: () => {
    readonly bytes: number;
    readonly leftOut: number;
    readonly problems: number;
    readonly resources: readonly {
      readonly name: string;
      readonly synced: boolean;
      readonly objects: number;
      /** Milliseconds since the epoch. */
      readonly confirmed: number | undefined;
    }[];
  };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export function createPolicyMetrics(registry: Registry, observed: PolicyObserved) {
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  type Resource = ReturnType<PolicyObserved['inventory']>['resources'][number];
  const byResource = (name: string, help: string, read: (resource: Resource) => number | undefined) =>
    new Gauge({
      name,
      help,
      labelNames: ['resource'],
      registers,
      collect() {
        for (const resource of observed.inventory().resources) {
          const value = read(resource);
          if (value !== undefined) this.set({ resource: resource.name }, value);
        }
      },
    });
  new Gauge({
    name: 'sealgate_policy_bundle_info',
    help: 'Always 1, for the bundle in use.',
    labelNames: ['digest'],
    registers,
    collect() {
      this.reset();
      this.set({ digest: observed.digest() }, 1);
    },
  });
  const activated = counter('sealgate_policy_bundle_activated_total', 'Bundles that became active after the start.');
  const rejected = counter(
    'sealgate_policy_bundle_rejected_total',
    'Changed policy folders that were refused: the bundle before stayed.',
  );
  gauge('sealgate_policy_bundle_rejected', '1 while the policy folder holds what was refused, else 0.', () =>
    observed.rejected() === undefined ? 0 : 1,
  );
  gauge(
    'sealgate_policy_workers_renewed',
    'Evaluator threads exchanged since the bundle became active, because updates of the inventory had left too much memory behind.',
    () => observed.engine().renewed,
  );
  gauge(
    'sealgate_policy_in_thread',
    'Evaluations on the main thread since the bundle became active.',
    () => observed.engine().inThread,
  );
  gauge(
    'sealgate_policy_handed_over',
    'Evaluations that took too much on the main thread since then, and were left to evaluator threads.',
    () => observed.engine().handedOver,
  );
  gauge(
    'sealgate_policy_data_refused',
    '1 while an evaluator thread has no memory for the newest inventory and judges by an older one, else 0.',
    () => (observed.engine().dataProblem === undefined ? 0 : 1),
  );
  byResource('sealgate_inventory_synced', '1 when the resource was listed completely once, else 0.', ({ synced }) =>
    synced ? 1 : 0,
  );
  byResource('sealgate_inventory_objects', 'Objects that policies see.', ({ objects }) => objects);
  byResource(
    'sealgate_inventory_age_seconds',
    'Time since the API server last confirmed that nothing is missing; up to a minute or so when nothing changes.',
    ({ confirmed }) => (confirmed === undefined ? undefined : Math.max(0, observed.now() - confirmed) / 1000),
  );
  gauge('sealgate_inventory_bytes', 'JSON of those objects, in bytes.', () => observed.inventory().bytes);
  gauge(
    'sealgate_inventory_left_out',
    'Objects that policies do not see, because of inventory.maxObjects or maxBytes.',
    () => observed.inventory().leftOut,
  );
  gauge(
    'sealgate_inventory_problems',
    'Times since the start that a list or a watch failed.',
    () => observed.inventory().problems,
  );
  return { activated: () => activated.inc(), rejected: () => rejected.inc() };
}
