// A TLS listener with its certificates: issued or given, read again when their files change.
import { join } from 'node:path';
import type { Settings } from './config/schema.ts';
import { type Current, openCertificates } from './kube/certificates.ts';
import type { Log } from './lib/log.ts';
import type { Route } from './server/exchange.ts';
import { type ListenerMetrics, openListener, type TlsListener } from './server/listener.ts';

export interface TlsParts {
  readonly settings: Settings;
  readonly name: 'admission' | 'audit';
  readonly route: Omit<Route, 'method'>;
  /** Files that stand for those of the settings. */
  readonly given?: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly metrics: ListenerMetrics;
  /** Told of the certificates at once, and whenever they have changed. */
  readonly onCertificates: (current: Current) => void;
  readonly log: Log;
  readonly started: { add(name: string, stop: () => void): void };
}

/** Throws LISTEN_FAILED or CERTIFICATE_INVALID. */
export async function openTls(parts: TlsParts): Promise<TlsListener> {
  const { settings, name, log, metrics, onCertificates, started } = parts;
  const { host, port, tls } = settings[name];
  let listener: TlsListener | undefined;
  const certificates = await openCertificates({
    name,
    dir: join(settings.dataDir, 'tls', name),
    hostnames: settings.tls.hostnames,
    validityDays: settings.tls.validityDays,
    caValidityDays: settings.tls.caValidityDays,
    client: name === 'audit',
    given: { ...tls, ...parts.given },
    now: Date.now,
    onChange: (changed) => {
      log.info({ expires: changed.expires }, 'certificates have changed');
      onCertificates(changed);
      listener?.setMaterial(changed.material);
    },
    onProblem: (error) => log.error({ error }, 'a certificate cannot be used'),
  });
  started.add(`the ${name} certificates`, () => certificates.close());
  const { material } = certificates.current;
  onCertificates(certificates.current);
  listener = await openListener({
    name,
    host,
    port,
    material,
    clientCertificates:
      material.clientCa === undefined ? 'none' : tls.requireClientCertificate ? 'required' : 'optional',
    routes: [{ method: 'POST', ...parts.route }],
    limits: settings.server,
    metrics,
    log,
  });
  return listener;
}
