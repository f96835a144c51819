import { describe, expect, it } from 'vitest';
import { MatchIndex, matches } from '../../../src/policy/match.js';
import { POD } from './support.js';
const EXEC = { kind: 'PodExecOptions', subresource: 'exec', operation: 'CONNECT' };
const SCALE = {
    group: 'autoscaling',
    kind: 'Scale',
    resourceGroup: 'apps',
    resource: 'deployments',
    subresource: 'scale',
    operation: 'UPDATE',
};
const NODE = { kind: 'Node', resource: 'nodes', namespace: '' };
const resource = (group, name, subresource = '') => ({ group, resource: name, subresource });
const TABLE = [
    ['nothing given matches everything', {}, {}, true],
    ['nothing given matches a subresource', {}, EXEC, true],
    ['nothing given leaves status out', {}, { subresource: 'status', operation: 'UPDATE' }, false],
    ['status is matched where it is asked for', { subresources: ['status'] }, { subresource: 'status' }, true],
    ['kind in its group', { kinds: [{ groups: [''], kinds: ['Pod'] }] }, {}, true],
    ['kind in another group', { kinds: [{ groups: ['apps'], kinds: ['Pod'] }] }, {}, false],
    ['kind in any group', { kinds: [{ groups: ['*'], kinds: ['Pod'] }] }, {}, true],
    ['another kind', { kinds: [{ groups: ['*'], kinds: ['Node'] }] }, {}, false],
    ['any kind of a group', { kinds: [{ groups: [''], kinds: ['*'] }] }, {}, true],
    ['one of several kinds', { kinds: [{ groups: ['*'], kinds: ['Node', 'Pod'] }] }, {}, true],
    [
        'kind by ephemeralcontainers',
        { kinds: [{ groups: [''], kinds: ['Pod'] }] },
        { subresource: 'ephemeralcontainers' },
        true,
    ],
    ['resource itself', { resources: [resource('*', 'pods')] }, {}, true],
    ['resource without its subresources', { resources: [resource('*', 'pods')] }, EXEC, false],
    ['subresource of a resource', { resources: [resource('*', 'pods', 'exec')] }, EXEC, true],
    ['another subresource', { resources: [resource('*', 'pods', 'attach')] }, EXEC, false],
    ['resource with every subresource', { resources: [resource('*', 'pods', '*')] }, EXEC, true],
    ['resource with every subresource: itself', { resources: [resource('*', 'pods', '*')] }, {}, true],
    ['resource of a group', { resources: [resource('apps', 'pods')] }, {}, false],
    [
        'resource with the group of the resource, not of the kind',
        { resources: [resource('apps', 'deployments', 'scale')] },
        SCALE,
        true,
    ],
    [
        'resource and subresources apart',
        { resources: [resource('*', 'pods')], subresources: ['exec', 'attach'] },
        EXEC,
        true,
    ],
    [
        'subresources without the resource itself',
        { resources: [resource('*', 'pods')], subresources: ['exec'] },
        {},
        false,
    ],
    ['operation', { operations: ['CREATE', 'UPDATE'] }, {}, true],
    ['another operation', { operations: ['DELETE'] }, {}, false],
    ['any operation', { operations: ['*'] }, { operation: 'CONNECT' }, true],
    ['namespace', { namespaces: ['default'] }, {}, true],
    ['another namespace', { namespaces: ['prod'] }, {}, false],
    ['namespace by its start', { namespaces: ['def*'] }, {}, true],
    ['namespace by its end', { namespaces: ['*ault'] }, {}, true],
    ['namespace by its middle', { namespaces: ['*fau*'] }, {}, true],
    ['a pattern is not a prefix without its star', { namespaces: ['defaul'] }, {}, false],
    ['excluded namespace', { excludeNamespaces: ['kube-*', 'default'] }, {}, false],
    ['namespace that is not excluded', { excludeNamespaces: ['kube-*'] }, {}, true],
    ['a cluster-scoped object is in no namespace', { namespaces: ['*'] }, NODE, false],
    ['a cluster-scoped object is in no excluded namespace', { excludeNamespaces: ['*'] }, NODE, true],
    ['label', { labels: { app: ['web'] } }, { labels: { app: 'web' } }, true],
    ['label with another value', { labels: { app: ['web', 'api'] } }, { labels: { app: 'db' } }, false],
    ['label with any value', { labels: { app: ['*'] } }, { labels: { app: '' } }, true],
    ['label that is missing', { labels: { app: ['*'] } }, {}, false],
    ['every key must hold', { operations: ['CREATE'], namespaces: ['prod'] }, {}, false],
];
describe('match', () => {
    it.each(TABLE)('%s', (_promise, match, facts, expected) => {
        expect(matches(match, { ...POD, ...facts })).toBe(expected);
    });
    it('finds by its index exactly the rules that match', () => {
        const rules = TABLE.map(([, match]) => match);
        const index = new MatchIndex(rules);
        for (const [, , facts] of TABLE) {
            const request = { ...POD, ...facts };
            const expected = rules.flatMap((match, i) => (matches(match, request) ? [i] : []));
            expect(index.select(request)).toEqual(expected);
        }
    });
});
