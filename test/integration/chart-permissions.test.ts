// docs/security.md lists what the chart may do in a cluster: held equal to the roles that it renders, over all its sets of values.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { CHART, render } from '../../tools/chart/render.ts';

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string }[];
}

const FILES = readdirSync(join(CHART, 'ci')).filter((file) => file.endsWith('-values.yaml'));

function objectsOf(values: string): Rendered[] {
  // With Helm 3 there is one role more.
  const args = ['--values', join(CHART, 'ci', values), '--set=removalHook=true', '--set=fullnameOverride=sealgate'];
  return parseAllDocuments(render(...args))
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

/** A line for each account, resource and name: `account: verbs on group/resource name`. */
function grants(objects: readonly Rendered[]): string[] {
  return objects.flatMap(({ kind, roleRef, subjects = [] }) => {
    if (kind !== 'RoleBinding' && kind !== 'ClusterRoleBinding') return [];
    const role = objects.find((object) => object.kind === roleRef?.kind && object.metadata.name === roleRef.name);
    expect(role, `the role that a ${kind} names is in the chart`).toBeDefined();
    const scope = kind === 'RoleBinding' ? ' in its namespace' : '';
    return subjects.flatMap((subject) => {
      expect(subject.kind).toBe('ServiceAccount');
      return (role?.rules ?? []).flatMap(
        ({ apiGroups = [], resources = [], resourceNames, nonResourceURLs, verbs }) => {
          expect(nonResourceURLs).toBeUndefined();
          expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
          return apiGroups.flatMap((group) =>
            resources.flatMap((resource) =>
              (resourceNames ?? ['']).map((name) =>
                grant(subject.name, [...verbs], group === '' ? resource : `${group}/${resource}`, name, scope),
              ),
            ),
          );
        },
      );
    });
  });
}

function grant(account: string, verbs: string[], resource: string, name: string, scope: string): string {
  return `${account}: ${verbs.sort().join(', ')} on ${resource}${name === '' ? '' : ` only ${name}`}${scope}`;
}

/** The rows of the table, in the same form. */
function documented(): string[] {
  const page = readFileSync(join(CHART, '..', '..', 'docs', 'security.md'), 'utf8');
  const rows = page.matchAll(/^\| `([a-z-]+)` \| ((?:`[a-z]+`(?:, )?)+) \| `([a-z0-9./]+)`([^|]*)\|/gm);
  return [...rows].flatMap(([, account = '', verbs = '', resource = '', where = '']) => {
    const names = [...where.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
    const scope = where.includes('in its namespace') ? ' in its namespace' : '';
    return (names.length === 0 ? [''] : names).map((name) =>
      grant(account, verbs.replaceAll('`', '').split(', '), resource, name, scope),
    );
  });
}

it('docs/security.md lists every permission that the chart gives, and no other', () => {
  const given = new Set(FILES.flatMap((values) => grants(objectsOf(values))));
  expect([...given].sort()).toEqual(documented().sort());
  expect(given.size).toBeGreaterThan(0);
});
