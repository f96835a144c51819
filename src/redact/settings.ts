// What is redacted beyond the values that never may be recorded (Secrets, tokens): settings, read once at start.
import { SealgateError } from '../lib/errors.ts';
import { type JsonPath, parseJsonPath } from '../lib/json-path.ts';

/** Fields of one kind of object whose values are not recorded. */
export interface FieldSetting {
  /** API group; the empty string is the core group. Absent: any. */
  readonly group?: string;
  readonly kind: string;
  /**
   * Plural name in the API, by which patches of the object are recognised: a patch need not name its kind. Absent: guessed
   * from the kind (ConfigMap → configmaps).
   */
  readonly resource?: string;
  /** Only objects in this namespace, or of this name. */
  readonly namespace?: string;
  readonly name?: string;
  /** See json-path.ts. Everything below a path goes; its keys stay. */
  readonly paths: readonly string[];
}

export interface RedactSettings {
  readonly fields: readonly FieldSetting[];
  /**
   * RE2 expressions for secrets in the command or URI of a session (exec, attach, port-forward, proxy), besides the
   * built-in ones. What the first group matches goes, or the whole match when there is no group.
   */
  readonly patterns: readonly string[];
  /** Annotations whose value is a manifest of the object itself. */
  readonly manifestAnnotations: readonly string[];
}

export const DEFAULT_REDACT_SETTINGS: RedactSettings = {
  fields: [],
  patterns: [],
  manifestAnnotations: [
    'kubectl.kubernetes.io/last-applied-configuration',
    'kapp.k14s.io/original',
    'objectset.rio.cattle.io/applied',
    'banzaicloud.com/last-applied',
  ],
};

/** A FieldSetting, ready for use. */
export interface FieldRule {
  readonly group?: string | undefined;
  readonly kind: string;
  readonly resource: string;
  readonly resourceGroup?: string | undefined;
  readonly subresource: string;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly paths: readonly JsonPath[];
}

/** Fields that hold a credential by the definition of their kind. */
const TOKENS: readonly FieldRule[] = [
  {
    group: 'authentication.k8s.io',
    kind: 'TokenReview',
    resource: 'tokenreviews',
    resourceGroup: 'authentication.k8s.io',
    subresource: '',
    paths: [parseJsonPath('spec.token')],
  },
  {
    group: 'authentication.k8s.io',
    kind: 'TokenRequest',
    resource: 'serviceaccounts',
    resourceGroup: '',
    subresource: 'token',
    paths: [parseJsonPath('status.token')],
  },
];

/** Throws CONFIG_INVALID, naming the field, for a path that makes no sense. */
export function fieldRules(settings: RedactSettings): readonly FieldRule[] {
  return [...TOKENS, ...settings.fields.map(fieldRule)];
}

function fieldRule(setting: FieldSetting): FieldRule {
  if (setting.paths.length === 0) {
    throw new SealgateError('CONFIG_INVALID', `redact.fields: the entry for ${setting.kind} has no paths`);
  }
  const [resource = '', subresource = ''] = (setting.resource ?? pluralOf(setting.kind)).split('/');
  return {
    group: setting.group,
    kind: setting.kind,
    resource,
    resourceGroup: setting.group,
    subresource,
    namespace: setting.namespace,
    name: setting.name,
    paths: setting.paths.map(parseJsonPath),
  };
}

/** As Kubernetes guesses it itself (meta.UnsafeGuessKindToResource). */
export function pluralOf(kind: string): string {
  const singular = kind.toLowerCase();
  if (singular.endsWith('endpoints')) return singular;
  if (singular.endsWith('s')) return `${singular}es`;
  if (singular.endsWith('y')) return `${singular.slice(0, -1)}ies`;
  return `${singular}s`;
}
