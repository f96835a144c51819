// graph.reachable_paths; graph.reachable itself is native.
import { compareValues, type RegoObject, RegoSet, type Value } from '../terms.ts';
import { lookup, membersOperand, objectOperand } from './operands.ts';
import type { Builtin } from './types.ts';

export const GRAPH: Readonly<Record<string, Builtin>> = {
  'graph.reachable_paths': (args) => reachablePaths(objectOperand(args, 1), membersOperand(args, 2)),
};

/** There are exponentially many paths through a graph; they are built in the host's memory before the policy sees them. */
const MAX_PATHS = 100_000;

/** OPA v1/topdown/reachable.go: a path ends at a node without edges, before a node that is none, and where it closes. */
function reachablePaths(graph: RegoObject, roots: readonly Value[]): RegoSet {
  const paths: Value[][] = [];
  const add = (path: readonly Value[]): void => {
    if (paths.length >= MAX_PATHS) throw new RangeError(`graph.reachable_paths: more than ${MAX_PATHS} paths`);
    paths.push([...path]);
  };
  const follow = (node: Value, path: readonly Value[]): void => {
    const edges = edgesOf(graph, node);
    const longer = edges === undefined ? path : [...path, node];
    if (edges === undefined || edges.length === 0) add(longer);
    for (const next of edges ?? []) {
      if (longer.some((seen) => compareValues(seen, next) === 0)) add(longer);
      else follow(next, longer);
    }
  };
  for (const root of roots) {
    const edges = edgesOf(graph, root);
    if (edges === undefined) continue;
    if (edges.length === 0) add([root]);
    for (const next of edges) follow(next, [root]);
  }
  return new RegoSet(paths);
}

/** Undefined when the node is not in the graph; what is no list of nodes is no edge. */
function edgesOf(graph: RegoObject, node: Value): readonly Value[] | undefined {
  const edges = lookup(graph, node);
  if (edges === undefined) return undefined;
  if (edges instanceof RegoSet) return edges.members;
  return Array.isArray(edges) ? edges : [];
}
