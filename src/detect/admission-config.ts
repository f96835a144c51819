// Changes of webhook configurations and admission policies. No webhook is asked about them, so the audit stream alone shows them.
import { parseMicros } from '../lib/clock.ts';
import { changedFields, fieldsOf, hasWebhook, isOnlyCa, namesIn } from './configuration.ts';
import type { Finding } from './finding.ts';
import { attempt, byParty, finding, nameOf, type Rule, type Seen, stretch } from './rule.ts';
import { type DetectSettings, WEBHOOK_NAME } from './settings.ts';
import type { Fields, State } from './state.ts';

const GROUP = 'admissionregistration.k8s.io';
const WEBHOOKS = 'validatingwebhookconfigurations';

/** Requests that came so soon after the deletion may have been sent by an API server that had not heard of it. */
const SETTLING_MICROS = 10_000_000;

/** Sealgate's own webhook configuration: who touched it, what is different, and for how long nothing was enforced. */
export const ownWebhook: Rule = (seen, state, settings) => {
  if (!isOwn(seen, settings)) return undefined;
  const { what, outcome } = seen;
  const object = nameOf({ ...what, name: settings.webhookConfiguration });
  if (outcome === 'refused') return attempt(seen, 'webhook-changed', object);
  const done = outcome === 'done';
  if (what.verb === 'delete' || what.verb === 'deletecollection') return vanished(seen, state, `${object} was deleted`);
  const fields = done ? fieldsOf(seen.object) : undefined;
  if (fields !== undefined && !hasWebhook(fields, WEBHOOK_NAME)) {
    return vanished(seen, state, `${object} was left without the webhook ${WEBHOOK_NAME}`);
  }
  const { configuration: prior, missing } = state;
  const changed = changeOf(prior, fields);
  if (done) state.configuration = fields ?? prior;
  if (done && missing !== undefined) {
    state.missing = undefined;
    const off = stretch(missing.since, seen.time);
    const message = `${object} is there again: nothing was enforced from ${off.since} to ${off.until}`;
    return finding(seen, { rule: 'webhook-restored', severity: 'info', message, changed, stretch: off });
  }
  return altered(seen, state, object, { prior, fields, changed });
};

/** While the configuration is missed: a request that Sealgate was asked about says that it is there again, whoever put it there. */
export const askedAgain: Rule = ({ decided, received, time }, state) => {
  const { missing } = state;
  if (!decided || missing === undefined) return undefined;
  const since = parseMicros(missing.since);
  const at = parseMicros(received);
  if (since === undefined || at === undefined || at < since + SETTLING_MICROS) return undefined;
  state.missing = undefined;
  const off = stretch(missing.since, received);
  const message = `Sealgate is asked again: nothing was enforced from ${off.since} to ${off.until} at the latest`;
  return { rule: 'webhook-restored', severity: 'info', message, time, stretch: off };
};

/** All the other configurations. One whose content is the same as before, certificate authorities aside, is no news. */
export const otherConfiguration: Rule = (seen, state, settings) => {
  const { what, outcome, acts, object } = seen;
  if (!acts || what.group !== GROUP || isOwn(seen, settings)) return undefined;
  const ours =
    what.resource.startsWith('validatingadmissionpolic') && what.name.startsWith(`${settings.webhookConfiguration}-`);
  if (outcome === 'refused') return ours ? attempt(seen, 'admission-config-changed', nameOf(what)) : undefined;
  const key = `${what.resource}/${what.name}`;
  const fields = outcome === 'done' ? fieldsOf(object) : undefined;
  const before = state.others.get(key);
  const changed = changeOf(before, fields);
  if (fields === undefined) state.others.delete(key);
  else state.others.set(key, fields);
  const deletes = what.verb.startsWith('delete');
  if (!deletes && changed !== undefined && isOnlyCa(changed)) return undefined;
  const severity = ours ? byParty(seen, 'low', 'high') : 'low';
  const message = `${nameOf(what)}: ${what.verb}`;
  return finding(seen, { rule: 'admission-config-changed', severity, message, changed });
};

function isOwn({ acts, what, object }: Seen, { webhookConfiguration }: DetectSettings): boolean {
  if (!acts || what.group !== GROUP || what.resource !== WEBHOOKS || what.subresource !== '') return false;
  // A collection that was deleted says in its answer what was in it; where it does not, ours may have been.
  if (what.verb === 'deletecollection') return namesIn(object)?.includes(webhookConfiguration) ?? true;
  return what.name === webhookConfiguration;
}

function vanished(seen: Seen, state: State, what: string): Finding {
  if (seen.outcome === 'done') {
    state.missing ??= { since: seen.time };
    state.before = undefined;
  }
  const message = `${what}: nothing is enforced until it is back`;
  return finding(seen, { rule: 'webhook-deleted', severity: byParty(seen, 'high', 'critical'), message });
}

interface Change {
  readonly prior: Fields | undefined;
  readonly fields: Fields | undefined;
  /** What differs between the two, where both are known. */
  readonly changed: readonly string[] | undefined;
}

function changeOf(prior: Fields | undefined, fields: Fields | undefined): readonly string[] | undefined {
  return prior === undefined || fields === undefined ? undefined : changedFields(prior, fields);
}

function altered(seen: Seen, state: State, object: string, { prior, fields, changed }: Change): Finding {
  const { what, party, outcome, time } = seen;
  const rule = 'webhook-changed';
  if (changed !== undefined && isOnlyCa(changed)) {
    const message = changed.length === 0 ? `${object}: ${what.verb} changed nothing in it` : `${object} has another CA`;
    return finding(seen, { rule, severity: 'info', message, changed });
  }
  const { before } = state;
  // What was changed on purpose is what counts from then on.
  if (outcome === 'done') state.before = undefined;
  if (before !== undefined && fields !== undefined && isOnlyCa(changedFields(before.fields, fields))) {
    const other = stretch(before.since, time);
    const message = `${object} is again as it was before ${other.since}: it was another until ${other.until}`;
    return finding(seen, { rule: 'webhook-restored', severity: 'info', message, changed, stretch: other });
  }
  if (party === 'other' && outcome === 'done') {
    state.before = before ?? (prior === undefined ? undefined : { fields: prior, since: time });
  }
  const created = what.verb === 'create';
  const message = created ? `${object} was created` : `${object} was changed`;
  return finding(seen, { rule, severity: byParty(seen, 'low', created ? 'medium' : 'high'), message, changed });
}
