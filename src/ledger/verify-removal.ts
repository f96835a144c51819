// What is missing before the first shard of a folder: whether a signed entry of a later shard says that it was removed.
import { previousIn, removedIn, type SaidEnd, type ShardBegin } from './verify-link.ts';
import type { Findings } from './verify-report.ts';

/** A shard that was verified, and what its entries say. */
export interface Begun {
  readonly shard: number;
  readonly begin: ShardBegin;
}

interface Claim extends SaidEnd {
  /** The shard and the entry that say so. */
  readonly holder: number;
  readonly seq: number;
}

/**
 * Holds the gap before shard `first` against the newest signed `removal` entry. `outside` has the shards that checkpoints from
 * outside are of. With `from` or `to` not all bodies were checked, so that such an entry may not have been seen.
 */
export function verifyRemoved(
  first: number,
  begun: readonly Begun[],
  outside: ReadonlyMap<number, unknown>,
  { from, to }: { readonly from?: number; readonly to?: number },
  findings: Findings,
): void {
  if (first === 0) return;
  const claim = newestClaim(begun);
  const covered = claim === undefined ? 0 : Math.min(first, claim.shard + 1);
  for (const number of [...outside.keys()].toSorted((a, b) => a - b)) {
    if (number < covered) findings.unchecked(`shard ${number}, which was removed, against the checkpoint from outside`);
  }
  if (covered < first) {
    const what = `${covered === first - 1 ? `shard ${covered} is` : `shards ${covered} to ${first - 1} are`} not there, but shard ${first} is`;
    if (from !== undefined || to !== undefined) {
      findings.unchecked(`${what}: whether an entry says that this was removed: not all bodies were checked`);
      return;
    }
    findings.add({
      code: 'shard-missing',
      shard: covered,
      message: `${what}, and no signed entry says that it was removed`,
    });
  }
  if (claim === undefined) return;
  const { shard, size, holder, seq } = claim;
  const said = `entry ${seq} of shard ${holder} says that shard ${shard}, of ${size} entries,`;
  if (shard >= first) {
    findings.note(`${said} was to be removed; shard ${first} is still there`);
    return;
  }
  findings.note(`${said} and what was before it were removed; what they held is not checked`);
  const body = begun.find((one) => one.shard === first)?.begin.body;
  const link = body === undefined ? undefined : previousIn(body);
  if (shard !== first - 1 || link === undefined) return;
  if (link.size === size && link.checkpoint === claim.checkpoint) return;
  const message = `${said} was removed, but the link of shard ${first} is to another end of it`;
  findings.add({ code: 'link-broken', shard: first, from: 0, to: 0, checkpoint: size, message });
}

/** The one that names the highest shard; the entry has to be two shards further on at least. */
function newestClaim(begun: readonly Begun[]): Claim | undefined {
  let newest: Claim | undefined;
  for (const { shard: holder, begin } of begun) {
    for (const { seq, body } of begin.removals) {
      const said = removedIn(body);
      if (said === undefined || !Number.isInteger(said.shard) || said.shard > holder - 2) continue;
      if (said.shard >= (newest?.shard ?? 0)) newest = { ...said, holder, seq };
    }
  }
  return newest;
}
