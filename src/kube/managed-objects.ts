// The two objects of the cluster that the webhook's certificate is about: a Secret, which the replicas share, and the webhook
// configuration, which says which CAs the API server trusts. Writes name the version that was read: whoever comes second reads again.
import { readFileSync } from 'node:fs';
import { messageOf, SealgateError } from '../lib/errors.ts';

/** Namespace of the pod, as the kubelet mounts it. */
const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

export interface Versioned<T> {
  readonly value: T;
  readonly version: string;
}

/** Somebody else wrote in between, or first: read again. */
export class ConflictError extends Error {}

export interface ManagedObjects {
  /** Data of the Secret, base64; undefined when there is none. */
  readSecret(): Promise<Versioned<Readonly<Record<string, string>>> | undefined>;
  createSecret(data: Readonly<Record<string, string>>): Promise<void>;
  replaceSecret(data: Readonly<Record<string, string>>, version: string): Promise<void>;
  /** The caBundle of every webhook in the configuration, PEM; undefined when there is no such configuration. */
  readBundles(): Promise<Versioned<readonly string[]> | undefined>;
  /** Gives every webhook in it this bundle. */
  writeBundle(bundle: string, version: string): Promise<void>;
}

export interface ManagedPlaces {
  readonly secret: string;
  readonly webhookConfiguration: string;
  /** Default: the pod's. */
  readonly namespace: string | undefined;
  /** Default: as a pod in the cluster. */
  readonly kubeconfig: string | undefined;
}

/** The Kubernetes client is large: it is loaded when it is needed. */
export async function connectManaged(places: ManagedPlaces): Promise<ManagedObjects> {
  const { AdmissionregistrationV1Api, ApiException, CoreV1Api, KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (places.kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(places.kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const registrations = config.makeApiClient(AdmissionregistrationV1Api);
  const namespace = places.namespace ?? readFileSync(NAMESPACE_FILE, 'utf8').trim();
  const { secret: name, webhookConfiguration } = places;
  const metadata = { name, namespace };
  /** undefined for 404, ConflictError for 409. */
  const asked = async <T>(what: string, call: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await call();
    } catch (error) {
      const code = error instanceof ApiException ? error.code : undefined;
      if (code === 404) return undefined;
      if (code === 409) throw new ConflictError(what, { cause: error });
      const text = error instanceof ApiException ? `${error.code} ${reasonIn(error.body)}` : messageOf(error);
      throw failed(`${what}: ${text}`, error);
    }
  };
  const secretBody = (data: Readonly<Record<string, string>>, resourceVersion?: string) => ({
    metadata: { ...metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    type: 'Opaque',
    data: { ...data },
  });
  return {
    async readSecret() {
      const found = await asked(`reading Secret ${name}`, () => core.readNamespacedSecret(metadata));
      return found && { value: found.data ?? {}, version: found.metadata?.resourceVersion ?? '' };
    },
    async createSecret(data) {
      const body = secretBody(data);
      const made = await asked(`creating Secret ${name}`, () => core.createNamespacedSecret({ namespace, body }));
      if (made === undefined) throw failed(`creating Secret ${name}: there is no namespace ${namespace}`, undefined);
    },
    async replaceSecret(data, version) {
      const body = secretBody(data, version);
      await asked(`replacing Secret ${name}`, () => core.replaceNamespacedSecret({ ...metadata, body }));
    },
    async readBundles() {
      const found = await asked(`reading ValidatingWebhookConfiguration ${webhookConfiguration}`, () =>
        registrations.readValidatingWebhookConfiguration({ name: webhookConfiguration }),
      );
      return (
        found && {
          value: (found.webhooks ?? []).map(({ clientConfig }) =>
            Buffer.from(clientConfig.caBundle ?? '', 'base64').toString('utf8'),
          ),
          version: found.metadata?.resourceVersion ?? '',
        }
      );
    },
    async writeBundle(bundle, version) {
      const what = `patching ValidatingWebhookConfiguration ${webhookConfiguration}`;
      const body = await asked(what, () =>
        registrations.readValidatingWebhookConfiguration({ name: webhookConfiguration }),
      );
      if (body === undefined || body.metadata?.resourceVersion !== version) throw new ConflictError(what);
      for (const { clientConfig } of body.webhooks ?? [])
        clientConfig.caBundle = Buffer.from(bundle).toString('base64');
      await asked(what, () =>
        registrations.replaceValidatingWebhookConfiguration({
          name: webhookConfiguration,
          body,
          fieldManager: 'sealgate',
        }),
      );
    },
  };
}

function failed(message: string, cause: unknown): SealgateError {
  return new SealgateError('KUBE_API_FAILED', message, { cause });
}

/** The message of a Status, or the beginning of what came instead. */
function reasonIn(body: unknown): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return /"message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text.slice(0, 200);
}
