// The METADATA of a policy, checked key by key: what is misspelled is refused, because a `match` or an `onError` that
// is silently ignored is a hole.

import type { Action, Match, RuleInfo, Severity } from './types.ts';
import type { YamlValue } from './yaml-block.ts';

/**
 * Keys of an OPA annotation (https://www.openpolicyagent.org/docs/policy-language#metadata); OPA itself ignores unknown
 * ones.
 */
const ANNOTATION_KEYS = [
  'scope',
  'title',
  'description',
  'related_resources',
  'organizations',
  'authors',
  'schemas',
  'entrypoint',
  'compile',
  'custom',
];

const CUSTOM_KEYS = ['action', 'severity', 'match', 'controls', 'remediation', 'onError'];
const MATCH_KEYS = ['kinds', 'resources', 'subresources', 'operations', 'namespaces', 'excludeNamespaces', 'labels'];
const OPERATIONS = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT', '*'];
const ACTIONS: readonly Action[] = ['deny', 'warn', 'audit'];
const SEVERITIES: readonly Severity[] = ['low', 'medium', 'high', 'critical'];

/** What one METADATA block sets; an absent key leaves it to the wider scope or the default. */
export interface Settings {
  title?: string;
  description?: string;
  action?: Action;
  severity?: Severity;
  match?: Match;
  controls?: readonly string[];
  remediation?: string;
  onError?: RuleInfo['onError'];
}

/** Refuses unknown keys of the annotation itself and returns its entries. */
export function checkAnnotation(block: YamlValue): Map<string, YamlValue> {
  return block.fields(ANNOTATION_KEYS, 'METADATA key');
}

/** The settings of a block that speaks of a policy or one of its rules. Throws POLICY_INVALID with file and line. */
export function readSettings(block: YamlValue): Settings {
  const annotation = checkAnnotation(block);
  const settings: Settings = {};
  const title = annotation.get('title');
  if (title !== undefined) settings.title = title.text();
  const description = annotation.get('description');
  if (description !== undefined) settings.description = description.text().trim();
  const custom = annotation.get('custom');
  return custom === undefined ? settings : { ...settings, ...readCustom(custom.fields(CUSTOM_KEYS, 'custom key')) };
}

function readCustom(custom: ReadonlyMap<string, YamlValue>): Settings {
  const settings: Settings = {};
  const action = custom.get('action');
  if (action !== undefined) settings.action = action.oneOf(ACTIONS);
  const severity = custom.get('severity');
  if (severity !== undefined) settings.severity = severity.oneOf(SEVERITIES);
  const match = custom.get('match');
  if (match !== undefined) settings.match = readMatch(match.fields(MATCH_KEYS, 'match key'));
  const controls = custom.get('controls');
  if (controls !== undefined) settings.controls = controls.texts();
  const remediation = custom.get('remediation');
  if (remediation !== undefined) settings.remediation = remediation.text().trim();
  const onError = custom.get('onError');
  if (onError !== undefined) settings.onError = onError.oneOf(['deny', 'allow'] as const);
  return settings;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

function readMatch(fields: ReadonlyMap<string, YamlValue>): Match {
  const match: Writable<Match> = {};
  const kinds = fields.get('kinds');
  if (kinds !== undefined) match.kinds = kinds.items().map(readKind);
  const resources = fields.get('resources');
  if (resources !== undefined) match.resources = resources.items().map(readResource);
  const subresources = fields.get('subresources');
  if (subresources !== undefined) {
    if (match.resources?.some((entry) => entry.subresource !== '')) {
      subresources.fail('subresources stands beside resources that name a subresource themselves: keep one of the two');
    }
    match.subresources = subresources.texts();
  }
  const operations = fields.get('operations');
  if (operations !== undefined) match.operations = operations.items().map((item) => item.oneOf(OPERATIONS));
  const namespaces = fields.get('namespaces');
  if (namespaces !== undefined) match.namespaces = namespaces.items().map(readNamespace);
  const excluded = fields.get('excludeNamespaces');
  if (excluded !== undefined) match.excludeNamespaces = excluded.items().map(readNamespace);
  const labels = fields.get('labels');
  if (labels !== undefined) {
    match.labels = Object.fromEntries([...labels.entries()].map(([key, value]) => [key, value.texts()]));
  }
  return match;
}

/** `{groups: [apps], kinds: [Deployment]}`, or short `Deployment` (of any group) or `apps/Deployment`. */
function readKind(value: YamlValue): { groups: readonly string[]; kinds: readonly string[] } {
  if (value.isMap()) {
    const fields = value.fields(['groups', 'kinds'], 'key of a match kind');
    return { groups: fields.get('groups')?.texts() ?? ['*'], kinds: fields.get('kinds')?.texts() ?? ['*'] };
  }
  const parts = /^(?:([a-z0-9.-]*)\/)?([A-Z][A-Za-z0-9]*|\*)$/.exec(value.text());
  if (parts === null)
    value.fail(`"${value.text()}" is not a kind: write Pod, apps/Deployment or /Pod (the core group)`);
  return { groups: [parts[1] ?? '*'], kinds: [parts[2] ?? '*'] };
}

/** `pods`, `deployments.apps`, `pods/exec`, `pods/*`: without a group, any group. */
function readResource(value: YamlValue): { group: string; resource: string; subresource: string } {
  const parts = /^([a-z0-9-]+|\*)(?:\.([a-z0-9.-]+))?(?:\/([a-z0-9-]+|\*))?$/.exec(value.text());
  if (parts === null) {
    value.fail(
      `"${value.text()}" is not a resource: write pods, deployments.apps, pods/exec or pods/* (all subresources)`,
    );
  }
  return { group: parts[2] ?? '*', resource: parts[1] ?? '*', subresource: parts[3] ?? '' };
}

function readNamespace(value: YamlValue): string {
  const text = value.text();
  if (!/^\*?[a-z0-9-]*\*?$/.test(text) || text === '') {
    value.fail(`"${text}" is not a namespace: a name, with * at its start or end for any text`);
  }
  return text;
}
