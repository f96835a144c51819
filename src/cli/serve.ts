// `sealgate serve`: the pod. Runs until it is told to stop, or until the ledger can no longer keep its promise.
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { addSettingOptions } from '../config/flags.ts';
import { loadSettings } from '../config/loader.ts';
import type { SealgateError } from '../lib/errors.ts';
import { startServer } from '../serve.ts';

/**
 * V8 lets the heap of a process that was idle once grow by 30 % between two collections of all of it, of which twice a second were made
 * under load. With this it takes three times of what lives, some 50 MiB more, and a decision a tenth less processor time.
 */
const HEAP_GROWTH = '--heap-growing-percent=200';

export function register(program: Command): void {
  const command = program
    .command('serve')
    .summary('run the admission webhook, the audit sink and the query API')
    .description(
      'Runs Sealgate until SIGTERM or SIGINT. Every setting can be given as a flag, in the environment or in a file (docs/settings.md).',
    );
  addSettingOptions(command).action(async (_options, self: Command) => {
    setFlagsFromString(HEAP_GROWTH);
    const settings = loadSettings({ flags: self.opts(), environment: process.env });
    // From the beginning: the first process of a container does not even end by a signal that nobody waits for. A second one ends it.
    const signal = new Promise<string>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
    });
    const running = await startServer(settings);
    const reason = await Promise.race([signal, running.failed]);
    if (typeof reason !== 'string') {
      // Nothing can be acknowledged any more, and what the disk holds is found out by starting again: no orderly stop.
      report(reason);
      process.exit(1);
    }
    await running.stop(reason);
    // The ledger may have failed at its last entries.
    const failed = await Promise.race([running.failed, Promise.resolve(undefined)]);
    if (failed === undefined) return;
    report(failed);
    process.exitCode = 1;
  });
}

function report({ code, message }: SealgateError): void {
  process.stderr.write(`sealgate serve: ${code}: ${message}\n`);
}
