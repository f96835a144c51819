// Tells `kubectl get events` of what was found: the ledger is the record, this is where people look first. Few are written, none
// is waited for, and what cannot be written is counted and left.
import { randomUUID } from 'node:crypto';
import { messageOf } from '../lib/errors.ts';

/** More at once are too many to read; then one for each so many milliseconds. */
const BURST = 20;
const REFILL_MS = 30_000;
/** Of events.k8s.io/v1, in bytes; the API server refuses longer ones. */
const MAX_NOTE = 1024;
/** Characters of an error in the log: the client's has all the headers behind it. */
const MAX_ERROR = 400;

export interface KubernetesEvent {
  /** CamelCase, as Kubernetes has them. */
  readonly reason: string;
  readonly note: string;
  readonly type: 'Normal' | 'Warning';
}

export type Create = (event: KubernetesEvent) => Promise<void>;

export interface KubernetesEventsOptions {
  readonly namespace: string;
  /** The pod that the events are about. */
  readonly pod: string;
  /** Default: as a pod in the cluster. */
  readonly kubeconfig: string | undefined;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  readonly onResult: (result: 'written' | 'failed' | 'limited') => void;
  readonly log: (level: 'info' | 'warn', fields: object, message: string) => void;
  /** How to write one. Default: with the Kubernetes client. */
  readonly connect?: () => Promise<Create>;
}

export class KubernetesEvents {
  readonly #options: KubernetesEventsOptions;
  #create: Promise<Create> | undefined;
  #tokens = BURST;
  #refilled: number;
  #failed = false;

  constructor(options: KubernetesEventsOptions) {
    this.#options = options;
    this.#refilled = options.now();
  }

  /** Writes the event when there have not been too many. Never throws, and returns before it is written. */
  offer(event: KubernetesEvent): void {
    if (this.#mayWrite()) void this.#write(event);
    else this.#options.onResult('limited');
  }

  #mayWrite(): boolean {
    const { now } = this.#options;
    const gained = Math.floor((now() - this.#refilled) / REFILL_MS);
    this.#refilled += gained * REFILL_MS;
    this.#tokens = Math.min(BURST, this.#tokens + gained);
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }

  async #write(event: KubernetesEvent): Promise<void> {
    const { connect: connected = () => connect(this.#options), log, onResult } = this.#options;
    try {
      this.#create ??= connected();
      await (await this.#create)(event);
      onResult('written');
      if (this.#failed) log('info', {}, 'Kubernetes Events are written again');
      this.#failed = false;
    } catch (error) {
      onResult('failed');
      // Said once, and tried again with the next.
      if (!this.#failed)
        log('warn', { error: messageOf(error).slice(0, MAX_ERROR) }, 'a Kubernetes Event cannot be written');
      this.#failed = true;
      this.#create = undefined;
    }
  }
}

/** The Kubernetes client is large: it is loaded when it is needed. */
async function connect({ namespace, pod, kubeconfig }: KubernetesEventsOptions): Promise<Create> {
  const { EventsV1Api, KubeConfig, V1MicroTime } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(kubeconfig);
  const api = config.makeApiClient(EventsV1Api);
  return async ({ reason, note, type }) => {
    const body = {
      // A generateName may not end with the point that names of Events have.
      metadata: { name: `${pod}.${randomUUID()}`, namespace },
      eventTime: new V1MicroTime(),
      reportingController: 'sealgate.dev/detect',
      reportingInstance: pod,
      action: 'Record',
      regarding: { apiVersion: 'v1', kind: 'Pod', name: pod, namespace },
      ...{ reason, type, note: cut(note) },
    };
    await api.createNamespacedEvent({ namespace, body });
  };
}

/** The first bytes of a text that make whole characters. */
function cut(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= MAX_NOTE ? text : new TextDecoder().decode(bytes.subarray(0, MAX_NOTE), { stream: true });
}
