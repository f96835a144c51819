// What happens to Sealgate's own namespace: its objects, and sessions opened with its pods.
import { attempt, byParty, finding, nameOf, type Rule, type Seen } from './rule.ts';
import type { DetectSettings } from './settings.ts';

/** With one of these gone, records, keys or the whole of Sealgate may be gone. */
const VITAL: ReadonlySet<string> = new Set(['namespaces', 'statefulsets', 'persistentvolumeclaims', 'secrets']);

/** What Sealgate writes itself: the newest checkpoint, certificates, who is at work. */
const OWN_WORK: ReadonlySet<string> = new Set(['configmaps', 'secrets', 'leases']);

/** A command, or a container of one's own, inside of a pod; other sessions only reach what it serves. */
const INSIDE: ReadonlySet<string> = new Set(['exec', 'attach', 'ephemeralcontainers']);
const SESSIONS: ReadonlySet<string> = new Set([...INSIDE, 'portforward', 'proxy']);

/** A command in a pod, a forwarded port: whoever opens one sees or changes what no API tells of. */
export const session: Rule = (seen, state, settings) => {
  const { acts, what, received, who, outcome } = seen;
  if (!acts || !isOurs(seen, settings) || !SESSIONS.has(what.subresource)) return undefined;
  const object = nameOf(what);
  if (outcome === 'refused') return attempt(seen, 'session', object);
  // Its beginning and its end are two events; the first that comes is the one that counts. Nothing in the key but the times is
  // of the API server's own making, and those have microseconds.
  const key = JSON.stringify([received, who.user, what.subresource, what.name]);
  if (state.sessions.has(key)) return undefined;
  state.sessions.set(key, true);
  const inside = INSIDE.has(what.subresource);
  const severity = inside ? byParty(seen, 'medium', 'high') : 'low';
  const message = inside
    ? `${object}: somebody worked inside of a pod of Sealgate`
    : `${object}: a connection to Sealgate`;
  return finding(seen, { rule: 'session', severity, message });
};

/** Changes of the namespace and of what is in it, but for the routine of controllers and of Sealgate itself. */
export const ownObject: Rule = (seen, _state, settings) => {
  const { acts, what, party, outcome } = seen;
  const { resource, subresource, verb } = what;
  const ours = isOurs(seen, settings) || (resource === 'namespaces' && what.name === settings.namespace);
  if (!acts || !ours || SESSIONS.has(subresource) || party === 'control-plane') return undefined;
  if (party === 'self' && OWN_WORK.has(resource)) return undefined;
  const object = nameOf(what);
  if (outcome === 'refused') return attempt(seen, 'object-changed', object);
  const vital = VITAL.has(resource) && verb.startsWith('delete');
  const [expected, other] = vital ? (['medium', 'high'] as const) : (['low', 'medium'] as const);
  // What Sealgate never does itself was done with a token that somebody took. An eviction is how a node is drained.
  const severity = subresource === 'eviction' ? 'low' : party === 'expected' ? expected : other;
  return finding(seen, { rule: 'object-changed', severity, message: `${object}: ${verb}` });
};

function isOurs({ what }: Seen, { namespace }: DetectSettings): boolean {
  return what.namespace === namespace;
}
