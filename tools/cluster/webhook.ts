// The objects that attach Sealgate to an API server: the webhook configuration, and the kubeconfig that an audit backend is.

/** Name of the webhook: the audit annotations are `<name>/d.<uid>`. */
export const WEBHOOK_NAME = 'admission.sealgate.dev';

export interface WebhookTarget {
  /** Where reviews are posted, for example https://127.0.0.1:8443/v1/admit. */
  readonly url: string;
  /** PEM of the CA that the webhook's certificate is checked against. */
  readonly caBundle: string;
  /** Default: WEBHOOK_NAME. */
  readonly name?: string;
  /** Default: Fail. */
  readonly failurePolicy?: 'Fail' | 'Ignore';
  /** Default: 10. */
  readonly timeoutSeconds?: number;
}

/** Everything that changes something or opens a session, in every API group, apart from the control plane's own heartbeats. */
export function webhookConfiguration(target: WebhookTarget): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'sealgate' },
    webhooks: [
      {
        name: target.name ?? WEBHOOK_NAME,
        clientConfig: { url: target.url, caBundle: Buffer.from(target.caBundle).toString('base64') },
        rules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'], scope: '*' }],
        matchPolicy: 'Equivalent',
        sideEffects: 'NoneOnDryRun',
        failurePolicy: target.failurePolicy ?? 'Fail',
        timeoutSeconds: target.timeoutSeconds ?? 10,
        admissionReviewVersions: ['v1'],
        // Sealgate's own namespace must come up without it.
        namespaceSelector: {
          matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['sealgate-system'] }],
        },
        matchConditions: [
          {
            name: 'not-leases',
            expression: "!(request.resource.group == 'coordination.k8s.io' && request.resource.resource == 'leases')",
          },
          {
            name: 'not-events',
            expression: "!(request.resource.resource == 'events' && request.resource.group in ['', 'events.k8s.io'])",
          },
          {
            name: 'not-node-status',
            expression:
              "!(request.resource.resource == 'nodes' && has(request.subResource) && request.subResource == 'status')",
          },
        ],
      },
    ],
  };
}

export interface AuditTarget {
  /** Where EventLists are posted, for example https://127.0.0.1:8444/v1/audit. */
  readonly url: string;
  /** Files: the CA of the audit listener, the client certificate and its key. */
  readonly ca: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
}

interface KubeconfigParts {
  readonly server: string;
  readonly ca: string;
  readonly user: Readonly<Record<string, string>>;
}

/** A kubeconfig with one cluster, one user and one context. JSON is YAML, so no serialiser is needed. */
export function kubeconfig(parts: KubeconfigParts): string {
  const document = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sealgate', cluster: { server: parts.server, 'certificate-authority': parts.ca } }],
    users: [{ name: 'user', user: parts.user }],
    contexts: [{ name: 'sealgate', context: { cluster: 'sealgate', user: 'user' } }],
    'current-context': 'sealgate',
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The file for --audit-webhook-config-file. */
export function auditKubeconfig(target: AuditTarget): string {
  const user =
    target.clientCert === undefined || target.clientKey === undefined
      ? {}
      : { 'client-certificate': target.clientCert, 'client-key': target.clientKey };
  return kubeconfig({ server: target.url, ca: target.ca, user });
}
