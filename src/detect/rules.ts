// The rules, in the order in which they are asked. Each may say something about the same event.
import { askedAgain, otherConfiguration, ownWebhook } from './admission-config.ts';
import { exemption, failedOpen } from './exemptions.ts';
import { ownObject, session } from './own-objects.ts';
import type { Rule } from './rule.ts';

export const EVENT_RULES: readonly Rule[] = [
  ownWebhook,
  otherConfiguration,
  askedAgain,
  session,
  ownObject,
  failedOpen,
  exemption,
];
