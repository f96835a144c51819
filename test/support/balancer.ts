// What a Service does with connections, as far as tests need it: new ones go in turn to the backends that were ready when they were last
// looked at, established ones stay where they are, and a backend that is gone but not noticed yet refuses them.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Backend {
  readonly name: string;
  readonly port: number;
  /** URL of its /readyz. */
  readonly ready: string;
}

export interface Balancer {
  readonly port: number;
  /** Names of the backends that get new connections now. */
  serving(): string[];
  /** Resolves when just these get new connections. */
  until(names: readonly string[]): Promise<void>;
  /** The backend of a client's connection, by the client's port; also when it has ended. */
  backendOf(clientPort: number | undefined): string | undefined;
  /** New connections that no backend took: to one that was gone, or with none ready. */
  readonly refused: number;
  close(): Promise<void>;
}

const LOOK_MS = 100;

export async function startBalancer(backends: readonly Backend[]): Promise<Balancer> {
  let serving: readonly Backend[] = [];
  let turn = 0;
  let refused = 0;
  let closed = false;
  const sockets = new Set<Socket>();
  const placed = new Map<number, string>();
  const server = createServer((client) => {
    const backend = serving[turn++ % Math.max(1, serving.length)];
    client.on('error', () => client.destroy());
    if (backend === undefined) {
      refused++;
      client.destroy();
      return;
    }
    placed.set(client.remotePort ?? 0, backend.name);
    const upstream = connect(backend.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    upstream.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') refused++;
    });
    upstream.on('error', () => client.destroy());
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroySoon());
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const look = async (): Promise<void> => {
    const answers = await Promise.all(backends.map(isReady));
    serving = backends.filter((_, index) => answers[index] === true);
  };
  await look();
  const looking = (async () => {
    while (!closed) {
      await sleep(LOOK_MS);
      await look();
    }
  })();
  const names = () => serving.map(({ name }) => name);
  return {
    port: (server.address() as AddressInfo).port,
    serving: names,
    async until(wanted) {
      while (names().join() !== wanted.join()) await sleep(LOOK_MS);
    },
    backendOf: (port) => placed.get(port ?? 0),
    get refused() {
      return refused;
    },
    async close() {
      closed = true;
      await looking;
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function isReady({ ready }: Backend): Promise<boolean> {
  try {
    const answer = await fetch(ready);
    await answer.text();
    return answer.ok;
  } catch {
    return false;
  }
}
