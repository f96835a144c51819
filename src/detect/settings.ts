// What the rules have to know of the installation.

/** Name of the webhook within its configuration: the chart's, and the first part of the keys of Sealgate's audit annotations. */
export const WEBHOOK_NAME = 'admission.sealgate.dev';

/** The label that exempts a namespace or an object, where the chart was told to allow that. */
export const EXEMPT_LABEL = 'sealgate.dev/exempt';

export interface DetectSettings {
  /** Name of Sealgate's ValidatingWebhookConfiguration; its admission policies are named after it, too. */
  readonly webhookConfiguration: string;
  /** Where its pods run. */
  readonly namespace: string;
  /** Users that install and upgrade it: what they change is recorded as of lower severity. */
  readonly expectedUsers: readonly string[];
}
