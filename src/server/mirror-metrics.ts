// The metrics of the mirror, which are there when a mirror is configured.
import { Counter, Gauge, type Registry } from 'prom-client';

/** What is read when it is scraped. */
export interface ObservedMirror {
  readonly lag: () => { readonly entries: number; readonly seconds: number };
  readonly status: () =>
    | {
        readonly pushed: number;
        readonly succeeded?: number;
        readonly diverged: readonly number[];
        readonly probe?: { readonly failed: readonly string[]; readonly warned: readonly string[] };
        readonly local?: {
          readonly oldest: number;
          readonly due: number;
          readonly verified?: { readonly at: number };
          readonly kept?: object;
        };
        readonly witnesses?: { readonly quorum: boolean; readonly contradicted: boolean; readonly size: number };
      }
    | undefined;
}

/** Counts since the mirror's thread started. */
export interface MirrorCounts {
  readonly counts: {
    readonly objects: number;
    readonly bytes: number;
    readonly present: number;
    readonly occupied: number;
  };
  readonly errors: Readonly<Partial<Record<string, number>>>;
}

/** Registers them and returns what takes the counts as they come. */
export function createMirrorMetrics(registry: Registry, observed: ObservedMirror): (now: MirrorCounts) => void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  gauge(
    'sealgate_mirror_lag_entries',
    'Entries that no checkpoint in the mirror covers.',
    () => observed.lag().entries,
  );
  gauge(
    'sealgate_mirror_lag_seconds',
    'Age of the oldest of them; 0 when there is none.',
    () => observed.lag().seconds,
  );
  gauge(
    'sealgate_mirror_pushed_size',
    'Entries of the newest shard that a checkpoint in the mirror covers.',
    () => observed.status()?.pushed ?? 0,
  );
  gauge(
    'sealgate_mirror_last_success_seconds',
    'When a checkpoint was last pushed, in seconds since the Unix epoch; 0 before the first.',
    () => (observed.status()?.succeeded ?? 0) / 1000,
  );
  gauge(
    'sealgate_mirror_diverged_shards',
    'Shards that are not pushed because the mirror holds another history of them.',
    () => observed.status()?.diverged.length ?? 0,
  );
  gauge(
    'sealgate_mirror_probe_failures',
    'What the store does not do of what the mirror relies on, as the probe at start found it.',
    () => observed.status()?.probe?.failed.length ?? 0,
  );
  gauge(
    'sealgate_mirror_probe_warnings',
    'Where the store protects less than it could, as the probe at start found it.',
    () => observed.status()?.probe?.warned.length ?? 0,
  );
  gauge(
    'sealgate_witness_quorum',
    'Whether enough witnesses cosigned the checkpoint that was pushed last; 0 without witnesses, too.',
    () => (observed.status()?.witnesses?.quorum === true ? 1 : 0),
  );
  gauge('sealgate_witness_contradicted', 'Whether a witness knows another history of this log: an alarm.', () =>
    observed.status()?.witnesses?.contradicted === true ? 1 : 0,
  );
  gauge(
    'sealgate_witness_cosigned_size',
    'Entries of the newest shard with enough cosignatures that they cover.',
    () => observed.status()?.witnesses?.size ?? 0,
  );
  gauge(
    'sealgate_mirror_removed_shards',
    'Shards that left the volume since the log began, once the mirror had them: number of the oldest one here. 0 without ledger.localRetentionDays.',
    () => observed.status()?.local?.oldest ?? 0,
  );
  gauge(
    'sealgate_mirror_kept_shards',
    'Shards that are past ledger.localRetentionDays and stay, because the mirror cannot be relied on; the log and /readyz?verbose say why.',
    () => {
      const { kept, due = 0 } = observed.status()?.local ?? {};
      return kept === undefined ? 0 : due;
    },
  );
  gauge(
    'sealgate_mirror_read_back_seconds',
    'When a shard was last read back whole from the mirror, in seconds since the Unix epoch; 0 before the first.',
    () => (observed.status()?.local?.verified?.at ?? 0) / 1000,
  );
  const totals = {
    objects: counter('sealgate_mirror_objects_total', 'Objects written to the mirror.'),
    bytes: counter('sealgate_mirror_bytes_total', 'Bytes of those objects.'),
    present: counter('sealgate_mirror_present_total', 'Objects that were there already, from before a crash.'),
    occupied: counter('sealgate_mirror_occupied_total', 'Keys of the mirror that somebody else had written to.'),
  };
  const errors = new Counter({
    name: 'sealgate_mirror_errors_total',
    help: 'Attempts that failed; all are repeated.',
    labelNames: ['code'],
    registers,
  });
  let before: MirrorCounts = { counts: { objects: 0, bytes: 0, present: 0, occupied: 0 }, errors: {} };
  // A thread that was started again counts from 0.
  const since = (now: number, then: number): number => (now < then ? now : now - then);
  return (now) => {
    for (const name of ['objects', 'bytes', 'present', 'occupied'] as const) {
      totals[name].inc(since(now.counts[name], before.counts[name]));
    }
    for (const [code, count] of Object.entries(now.errors))
      errors.inc({ code }, since(count ?? 0, before.errors[code] ?? 0));
    before = now;
  };
}
