// Which policies look at a request: pure, decided on the main thread before anything is sent to a worker.
import type { Match, MatchFacts } from './types.ts';

/** A request matches when every key that the policy gives covers it. docs/policies.md states the rules for authors. */
export function matches(match: Match, facts: MatchFacts): boolean {
  return (
    matchesOperation(match, facts) &&
    matchesKind(match, facts) &&
    matchesResource(match, facts) &&
    matchesSubresource(match, facts) &&
    matchesNamespace(match, facts) &&
    matchesLabels(match, facts)
  );
}

function matchesOperation(match: Match, facts: MatchFacts): boolean {
  return match.operations === undefined || listed(match.operations, facts.operation);
}

function matchesKind(match: Match, facts: MatchFacts): boolean {
  if (match.kinds === undefined) return true;
  return match.kinds.some((entry) => listed(entry.groups, facts.group) && listed(entry.kinds, facts.kind));
}

function matchesResource(match: Match, facts: MatchFacts): boolean {
  if (match.resources === undefined) return true;
  const group = facts.resourceGroup ?? facts.group;
  return match.resources.some((entry) => {
    if (entry.resource !== '*' && entry.resource !== facts.resource) return false;
    if (entry.group !== '*' && entry.group !== group) return false;
    // As in a webhook's rules: pods is the resource itself, pods/* the resource and all of its subresources.
    return match.subresources !== undefined || entry.subresource === '*' || entry.subresource === facts.subresource;
  });
}

function matchesSubresource(match: Match, facts: MatchFacts): boolean {
  if (match.subresources !== undefined) return listed(match.subresources, facts.subresource);
  // Without either key: everything but status. A policy on Pods should see ephemeral containers arrive by their
  // subresource, and should not be able to stop a kubelet from reporting.
  return match.resources !== undefined || facts.subresource !== 'status';
}

function matchesNamespace(match: Match, facts: MatchFacts): boolean {
  if (match.namespaces !== undefined && !covers(match.namespaces, facts.namespace)) return false;
  return match.excludeNamespaces === undefined || !covers(match.excludeNamespaces, facts.namespace);
}

/** Cluster-scoped requests have no namespace and no pattern covers them. */
function covers(patterns: readonly string[], namespace: string): boolean {
  return namespace !== '' && patterns.some((pattern) => coversOne(pattern, namespace));
}

function coversOne(pattern: string, namespace: string): boolean {
  const text = pattern.replaceAll('*', '');
  const open = { start: pattern.startsWith('*'), end: pattern.length > 1 && pattern.endsWith('*') };
  if (pattern === '*') return true;
  if (open.start && open.end) return namespace.includes(text);
  if (open.start) return namespace.endsWith(text);
  return open.end ? namespace.startsWith(text) : namespace === text;
}

function matchesLabels(match: Match, facts: MatchFacts): boolean {
  if (match.labels === undefined) return true;
  return Object.entries(match.labels).every(([key, values]) => {
    if (!Object.hasOwn(facts.labels, key)) return false;
    return listed(values, facts.labels[key] ?? '');
  });
}

function listed(values: readonly string[], value: string): boolean {
  return values.includes('*') || values.includes(value);
}

/** Rules by kind, so that a request is held against few of many policies. */
export class MatchIndex {
  /** With those of any kind; ascending. */
  private readonly byKind = new Map<string, number[]>();
  private readonly anyKind: number[] = [];
  private readonly rules: readonly Match[];

  constructor(rules: readonly Match[]) {
    this.rules = rules;
    rules.forEach((match, index) => {
      const kinds = match.kinds?.flatMap((entry) => entry.kinds);
      if (kinds === undefined || kinds.includes('*')) {
        for (const list of this.byKind.values()) list.push(index);
        this.anyKind.push(index);
        return;
      }
      for (const kind of new Set(kinds)) {
        const list = this.byKind.get(kind);
        if (list === undefined) this.byKind.set(kind, [...this.anyKind, index]);
        else list.push(index);
      }
    });
  }

  /** Indexes of the rules that match, ascending. */
  select(facts: MatchFacts): number[] {
    const candidates = this.byKind.get(facts.kind) ?? this.anyKind;
    return candidates.filter((index) => matches(this.rules[index] ?? {}, facts));
  }
}
