// The writer thread's entry: wires the writer to its port. Everything else is in writer.ts.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../lib/clock.ts';
import type { FromWriter, ToWriter, WriterData } from './messages.ts';
import { Writer, wireError } from './writer.ts';

const port = parentPort;
if (port === null) throw new Error('the ledger writer runs as a worker thread only');

try {
  const writer = new Writer(workerData as WriterData, systemClock(), {
    post: (message: FromWriter, transfer = []) => {
      port.postMessage(message, transfer);
      if (message.type === 'closed') port.close();
    },
    receive: () => receiveMessageOnPort(port)?.message as ToWriter | undefined,
  });
  port.on('message', (message: ToWriter) => writer.handle(message));
} catch (error) {
  port.postMessage({ type: 'fatal', error: wireError(error) } satisfies FromWriter);
  port.close();
}
