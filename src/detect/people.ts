// Whom a request comes from, as far as the rules tell them apart.
import type { Who } from './finding.ts';
import type { DetectSettings } from './settings.ts';

/** `self`: Sealgate's own service accounts. `expected`: who installs it. `control-plane`: controllers, the scheduler, kubelets. */
export type Party = 'self' | 'expected' | 'control-plane' | 'other';

const CONTROL_PLANE: ReadonlySet<string> = new Set([
  'system:kube-controller-manager',
  'system:kube-scheduler',
  'system:apiserver',
]);

/** Who impersonates somebody is that party only when both are: else anybody with that right could pass for one. */
export function partyOf({ user, impersonated }: Who, settings: DetectSettings): Party {
  const party = partyOfUser(user, settings);
  return impersonated === undefined || partyOfUser(impersonated, settings) === party ? party : 'other';
}

function partyOfUser(user: string, { namespace, expectedUsers }: DetectSettings): Party {
  if (expectedUsers.includes(user)) return 'expected';
  if (user.startsWith(`system:serviceaccount:${namespace}:`)) return 'self';
  if (user.startsWith('system:serviceaccount:kube-system:') || user.startsWith('system:node:')) return 'control-plane';
  return CONTROL_PLANE.has(user) ? 'control-plane' : 'other';
}
