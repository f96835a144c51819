// Connects the certificate that the replicas keep together with the pod: its settings, its log lines, its metric.
import { join } from 'node:path';
import type { Settings } from './config/schema.ts';
import type { Log } from './lib/log.ts';

interface ManagedParts {
  readonly settings: Settings;
  readonly log: Log;
  readonly metrics: { certificateKept(works: boolean): void };
  readonly started: { add(name: string, stop: () => void): void };
}

/** How long each step of a change of CA waits: several looks of every replica, and the time that API servers and listeners need. */
const SETTLE_MS = 15 * 60_000;

/** Where the webhook's pair is that the replicas keep together; undefined when it is kept otherwise. Resolves when it is there. */
export async function openManaged({
  settings,
  log,
  metrics,
  started,
}: ManagedParts): Promise<{ certFile: string; keyFile: string } | undefined> {
  const { managed } = settings.admission.tls;
  if (managed.secret === '') return undefined;
  const { openManagedCertificate } = await import('./kube/managed-certificate.ts');
  const stop = new AbortController();
  started.add('the managed certificate', () => stop.abort());
  const { certFile, keyFile } = await openManagedCertificate(
    {
      dir: join(settings.dataDir, 'tls', 'managed'),
      hostnames: managed.hostnames,
      validityDays: settings.tls.validityDays,
      caValidityDays: settings.tls.caValidityDays,
      settleMs: SETTLE_MS,
      connect: async () => {
        const { connectManaged } = await import('./kube/managed-objects.ts');
        return connectManaged({ namespace: undefined, kubeconfig: undefined, ...managed });
      },
      now: Date.now,
      onStep: (step) => log.info({ step }, "the webhook's certificate is kept"),
      onProblem: (error) => {
        metrics.certificateKept(error === undefined);
        if (error === undefined) log.info("the webhook's certificate is kept again");
        else log.error({ error }, "the webhook's certificate cannot be kept; it is tried again");
      },
    },
    stop.signal,
  );
  return { certFile, keyFile };
}
