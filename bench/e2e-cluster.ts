// Which webhook a kube-apiserver asks: one at a time, changed while it runs.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlPlane } from '../tools/cluster/control-plane.ts';
import { WEBHOOK_NAME } from '../tools/cluster/webhook.ts';
import type { Creator } from './creations.ts';
import type { Mode } from './e2e-report.ts';
import type { Gatekeeper } from './gatekeeper.ts';
import { pod } from './pods.ts';
import type { Server } from './server.ts';

/** An API server takes a changed webhook configuration at once; a busy machine gets its time. */
const SWITCH_TIMEOUT_MS = 60_000;

export class Cluster {
  readonly #plane: ControlPlane;
  readonly #creator: Creator;
  readonly #server: Server;
  readonly #gatekeeper: Gatekeeper | undefined;

  constructor(plane: ControlPlane, creator: Creator, server: Server, gatekeeper: Gatekeeper | undefined) {
    this.#plane = plane;
    this.#creator = creator;
    this.#server = server;
    this.#gatekeeper = gatekeeper;
  }

  get gatekeeperPid(): number | undefined {
    return this.#gatekeeper?.pid;
  }

  /** Resolves when the API server asks that webhook, and no other. */
  async attach(mode: Mode): Promise<void> {
    const configurations = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
    await this.#plane.removeWebhook();
    const other = this.#gatekeeper?.webhook;
    if (other !== undefined) await this.#plane.call(`${configurations}/${other.metadata.name}`, { method: 'DELETE' });
    await this.#until('no webhook', (status) => status === 201);
    if (mode === 'none') return;
    if (mode === 'sealgate') {
      const { port, ca } = this.#server.admission;
      await this.#plane.installWebhook({ url: `https://127.0.0.1:${port}/v1/admit`, caBundle: ca });
      await this.#until(mode, (status, text) => status !== 201 && text.includes(WEBHOOK_NAME));
    } else {
      const answer = await this.#plane.call(configurations, { method: 'POST', body: other });
      if (answer.status !== 201) throw new Error(`the webhook of Gatekeeper: ${answer.status} ${answer.text}`);
      await this.#until(mode, (status, text) => status !== 201 && text.includes('validation.gatekeeper.sh'));
    }
  }

  /** Until a pod that every rule set denies is answered so. */
  async #until(what: string, seen: (status: number, text: string) => boolean): Promise<void> {
    const bad = pod('probe', { hostPID: true });
    for (const end = performance.now() + SWITCH_TIMEOUT_MS; ; await sleep(100)) {
      const { status, text } = await this.#creator.create(bad, true);
      if (seen(status, text)) return;
      if (performance.now() > end) throw new Error(`${what} is not in effect: ${status} ${text}`);
    }
  }
}
