// Rows of the index file, read back.
import type { FiredPolicy } from './facts.ts';
import type { FacetFacts } from './keys.ts';

/** A row of `facet`, as SQLite gives it. */
export interface FacetRow {
  readonly kind: string;
  readonly allowed: number | null;
  readonly dry_run: number;
  readonly verb: string;
  readonly api_group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly code: number | null;
  readonly stage: string;
  readonly policies: string;
}

/** The values are the index's own: written by this release, because an index of another version is never opened. */
export function facetOfRow(row: FacetRow): FacetFacts {
  return {
    kind: row.kind as FacetFacts['kind'],
    allowed: row.allowed === null ? undefined : row.allowed === 1,
    dryRun: row.dry_run === 1,
    verb: row.verb,
    group: row.api_group,
    resource: row.resource,
    subresource: row.subresource,
    code: row.code ?? undefined,
    stage: row.stage,
    policies: row.policies === '' ? [] : (JSON.parse(row.policies) as FiredPolicy[]),
  };
}
