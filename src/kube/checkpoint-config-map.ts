// Keeps the newest pushed checkpoint in a ConfigMap: etcd, its backups and the API server's own audit log then carry it, which
// whoever rewrites the ledger would have to rewrite as well.
import { readFileSync } from 'node:fs';
import { messageOf } from '../lib/errors.ts';

/** Namespace of the pod, as the kubelet mounts it. */
const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
/** A write leaves a decision, some audit events and an anchor. Where there is more than this, something else was recorded. */
const MAX_TRACES = 16;

export interface CheckpointConfigMapOptions {
  readonly name: string;
  /** Default: the pod's. */
  readonly namespace: string | undefined;
  /** Default: as a pod in the cluster. */
  readonly kubeconfig: string | undefined;
  /** Which entry of the ConfigMap is ours: replicas share it. */
  readonly replica: string;
  /** Least time between two writes, in milliseconds. */
  readonly everyMs: number;
  /** Kinds and bodies of the entries `from` … `to`−1 of a shard; asked for a few at most. */
  readonly recorded: (
    shard: number,
    from: number,
    to: number,
  ) => readonly { readonly kind: string; readonly body: Buffer }[];
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  readonly log: (level: 'info' | 'warn', fields: object, message: string) => void;
  /** How to write it. Default: with the Kubernetes client. */
  readonly connect?: () => Promise<Write>;
}

export interface PushedCheckpoint {
  readonly shard: number;
  readonly size: number;
  /** The checkpoint, a signed note. */
  readonly note: string;
}

export type Write = (note: string) => Promise<void>;

export class CheckpointConfigMap {
  readonly #options: CheckpointConfigMapOptions;
  #write: Promise<Write> | undefined;
  #at = Number.NEGATIVE_INFINITY;
  #writing = false;
  #last: { readonly shard: number; readonly size: number } | undefined;
  #failed = false;

  constructor(options: CheckpointConfigMapOptions) {
    this.#options = options;
  }

  /** Writes the checkpoint, unless the last write is not long ago or nothing but its traces came since. Never throws. */
  offer(pushed: PushedCheckpoint): void {
    const { now, everyMs } = this.#options;
    if (this.#writing || now() - this.#at < everyMs || !this.#isNews(pushed)) return;
    this.#writing = true;
    this.#at = now();
    void this.#put(pushed).finally(() => {
      this.#writing = false;
    });
  }

  async #put({ shard, size, note }: PushedCheckpoint): Promise<void> {
    const { log, name } = this.#options;
    try {
      this.#write ??= (this.#options.connect ?? (() => connect(this.#options)))();
      await (await this.#write)(note);
      this.#last = { shard, size };
      if (this.#failed) log('info', { configMap: name }, 'the ConfigMap with the newest checkpoint is written again');
      this.#failed = false;
    } catch (error) {
      // Said once; it is tried again when the time has come.
      if (!this.#failed)
        log(
          'warn',
          { configMap: name, error: messageOf(error) },
          'the ConfigMap with the newest checkpoint cannot be written',
        );
      this.#failed = true;
      this.#write = undefined;
    }
  }

  /** Whether something else was recorded since the last write than what that write caused. */
  #isNews({ shard, size }: PushedCheckpoint): boolean {
    const last = this.#last;
    if (last === undefined || last.shard !== shard || size - last.size > MAX_TRACES) return true;
    return this.#options.recorded(shard, last.size, size).some((entry) => !this.#isTrace(entry));
  }

  #isTrace({ kind, body }: { readonly kind: string; readonly body: Buffer }): boolean {
    if (kind === 'anchor') return true;
    if (kind !== 'decision' && kind !== 'event') return false;
    const { event, review } = JSON.parse(body.toString('utf8'));
    const named =
      kind === 'event' ? event?.objectRef : { ...review?.request, resource: review?.request?.resource?.resource };
    return named?.resource === 'configmaps' && named?.name === this.#options.name;
  }
}

/** The Kubernetes client is large: it is loaded when it is needed. */
async function connect({ name, namespace, kubeconfig, replica }: CheckpointConfigMapOptions): Promise<Write> {
  const { KubeConfig, KubernetesObjectApi, PatchStrategy } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(kubeconfig);
  const place = namespace ?? readFileSync(NAMESPACE_FILE, 'utf8').trim();
  const api = KubernetesObjectApi.makeApiClient(config);
  const field = `checkpoint-${replica.replaceAll(/[^A-Za-z0-9._-]/g, '-')}`;
  return async (note) => {
    const metadata = { name, namespace: place };
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [field]: note } };
    // Each replica owns its entry, and applying one leaves the others as they are.
    await api.patch(object, undefined, undefined, `sealgate-${replica}`, true, PatchStrategy.ServerSideApply);
  };
}
