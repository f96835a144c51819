// What the rules remember from event to event. The part that has to outlive a restart is kept in a small file beside the ledger.
// The file vouches for nothing and may be deleted: then a finding that ends something lacks when that began.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { What } from './finding.ts';
import { recent } from './recent.ts';

/** Digests of the fields of an admission configuration, by name. */
export type Fields = Readonly<Record<string, string>>;

export interface State {
  /** Sealgate's webhook configuration as last seen. */
  configuration?: Fields | undefined;
  /** What it was before somebody unexpected altered it, and when that was. */
  before?: { readonly fields: Fields; readonly since: string } | undefined;
  /** Since when it is not there. */
  missing?: { readonly since: string } | undefined;
  /** Objects with the exempting label, and since when. */
  readonly exempt: Map<string, string>;
  /** Configurations of others as last seen. Forgotten with the process. */
  readonly others: Map<string, Fields>;
  /** Sessions whose beginning was found. Forgotten with the process. */
  readonly sessions: Map<string, true>;
}

/** Where in the ledger the rules are: what comes behind it is not in the file yet. */
export interface Mark {
  readonly shard: number;
  readonly seq: number;
}

const MAX_EXEMPT = 1000;
const MAX_OTHERS = 1000;
const MAX_SESSIONS = 1000;

export function emptyState(): State {
  return { exempt: recent(MAX_EXEMPT), others: recent(MAX_OTHERS), sessions: recent(MAX_SESSIONS) };
}

interface Kept {
  readonly v: 1;
  readonly mark: Mark;
  readonly configuration?: Fields | undefined;
  readonly before?: State['before'];
  readonly missing?: State['missing'];
  readonly exempt: readonly (readonly [string, string])[];
}

/** What of the state outlives a restart, as text: the same text for the same. */
export function keptState({ configuration, before, missing, exempt }: State): string {
  const kept: Omit<Kept, 'v' | 'mark'> = { configuration, before, missing, exempt: [...exempt] };
  return JSON.stringify(kept);
}

/** Writes the file anew, `kept` as keptState gives it. Throws what the file system does. */
export function saveState(file: string, kept: string, mark: Mark): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, `${JSON.stringify({ v: 1, mark }).slice(0, -1)},${kept.slice(1)}`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** What the file holds; an empty state and no mark where it is missing or makes no sense. */
export function loadState(file: string): { readonly state: State; readonly mark: Mark | undefined } {
  const state = emptyState();
  const kept = readKept(file);
  if (kept === undefined) return { state, mark: undefined };
  state.configuration = kept.configuration;
  state.before = kept.before;
  state.missing = kept.missing;
  for (const [key, since] of kept.exempt) state.exempt.set(key, since);
  return { state, mark: kept.mark };
}

function readKept(file: string): Kept | undefined {
  try {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as Partial<Kept> | null;
    const { mark } = kept ?? {};
    const whole =
      kept?.v === 1 && Array.isArray(kept.exempt) && Number.isInteger(mark?.shard) && Number.isInteger(mark?.seq);
    return whole ? (kept as Kept) : undefined;
  } catch {
    // Missing at the first start; what is damaged is as good as missing.
    return undefined;
  }
}

/** Which object of `exempt` it is. */
export function exemptKey({
  group,
  resource,
  namespace,
  name,
}: Pick<What, 'group' | 'resource' | 'namespace' | 'name'>): string {
  return JSON.stringify([group, resource, namespace, name]);
}
