// Requests and objects that pass by the webhook: those that failed open, and those with the exempting label.
import { attempt, byParty, finding, nameOf, type Rule, stretch } from './rule.ts';
import { EXEMPT_LABEL, WEBHOOK_NAME } from './settings.ts';
import { exemptKey } from './state.ts';

/** The API server could not ask, and `failurePolicy` is Ignore. */
export const failedOpen: Rule = (seen) => {
  if (!seen.failedOpen) return undefined;
  const message = `${nameOf(seen.what)}: ${seen.what.verb} was let pass because ${WEBHOOK_NAME} could not be asked`;
  return finding(seen, { rule: 'failed-open', severity: 'high', message });
};

/** An object gets the label or loses it. */
export const exemption: Rule = (seen, state) => {
  const { acts, what, exempt, outcome, time } = seen;
  if (!acts || exempt === undefined) return undefined;
  const object = nameOf(what);
  const key = exemptKey(what);
  const since = state.exempt.get(key);
  if (outcome === 'refused') return exempt ? attempt(seen, 'exemption-set', object) : undefined;
  if (outcome === 'unknown' && !exempt) return undefined;
  if (exempt) {
    if (since !== undefined) return undefined;
    // One without a name yet is another each time.
    if (outcome === 'done' && what.name !== '') state.exempt.set(key, time);
    // Controllers make the pods of an object whose template has the label.
    const severity = seen.party === 'control-plane' ? 'low' : byParty(seen, 'medium', 'high');
    const message = `${object} has the label ${EXEMPT_LABEL}: it passes by the webhook where that is allowed`;
    return finding(seen, { rule: 'exemption-set', severity, message });
  }
  if (since === undefined) return undefined;
  state.exempt.delete(key);
  const had = stretch(since, time);
  const message = `${object} is without the label ${EXEMPT_LABEL}: it had it from ${had.since} to ${had.until}`;
  return finding(seen, { rule: 'exemption-removed', severity: 'info', message, stretch: had });
};
