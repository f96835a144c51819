// Opening a port, with an error that says which setting to change.
import type { AddressInfo, Server } from 'node:net';
import { messageOf, SealgateError } from '../lib/errors.ts';

/** Listens and returns the port. `name` is the settings section of host and port. Throws LISTEN_FAILED. */
export async function listen(server: Server, name: string, host: string, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen({ host, port }, resolve);
  try {
    await promise;
  } catch (error) {
    throw refusal(name, host, port, error);
  }
  server.off('error', reject);
  return (server.address() as AddressInfo).port;
}

function refusal(name: string, host: string, port: number, error: unknown): SealgateError {
  const message = `the ${name} listener cannot open port ${port} of ${host} (${messageOf(error)}): set ${name}.host and ${name}.port to what is free and allowed`;
  return new SealgateError('LISTEN_FAILED', message, { cause: error });
}
