// Creates pods through a kube-apiserver as fast as it answers: one request at a time on each of some kept connections.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { ControlPlane } from '../tools/cluster/control-plane.ts';
import { type Latency, latencyOf } from './numbers.ts';
import { type Pod, pod } from './pods.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Creator {
  create(one: Pod, dryRun: boolean): Promise<Answer>;
  /** Pods of distinct names, of which every one must be created. `names` gets each name that was sent. */
  load(options: LoadOptions): Promise<Latency>;
  close(): void;
}

export interface LoadOptions {
  readonly clients: number;
  readonly ms: number;
  readonly dryRun: boolean;
  /** Begins the names of the pods. */
  readonly prefix: string;
  readonly names: string[];
}

export function creatorOf(plane: ControlPlane): Creator {
  const { users } = JSON.parse(readFileSync(plane.kubeconfig, 'utf8')) as { users: { user: { token: string } }[] };
  const ca = readFileSync(plane.caFile);
  const { hostname, port } = new URL(plane.url);
  const agent = new Agent({ keepAlive: true, ca, scheduling: 'fifo' });
  const headers = { authorization: `Bearer ${users[0]?.user.token}`, 'content-type': 'application/json' };
  const create = (one: Pod, dryRun: boolean): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const body = JSON.stringify(one);
      const path = `/api/v1/namespaces/default/pods${dryRun ? '?dryRun=All' : ''}`;
      const length = { 'content-length': Buffer.byteLength(body) };
      const call = request({ hostname, port, path, method: 'POST', agent, headers: { ...headers, ...length } });
      call.once('error', reject);
      call.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
      });
      call.end(body);
    });
  return {
    create,
    async load({ clients, ms, dryRun, prefix, names }) {
      const waits: number[] = [];
      const began = performance.now();
      let made = 0;
      const client = async (): Promise<void> => {
        while (performance.now() - began < ms) {
          const name = `${prefix}-${made++}`;
          names.push(name);
          const start = performance.now();
          const { status, text } = await create(pod(name), dryRun);
          waits.push(performance.now() - start);
          if (status !== 201) throw new Error(`POST of pod ${name}: ${status} ${text.slice(0, 500)}`);
        }
      };
      await Promise.all(Array.from({ length: clients }, client));
      return latencyOf(waits, (performance.now() - began) / 1000);
    },
    close: () => agent.destroy(),
  };
}
