// How much of a verified history enough witnesses have cosigned. The verification says that the checkpoints are of this history;
// this says who else vouches for them.
import type { Finding, ShardReport, VerifyReport } from '../ledger/verify-report.ts';
import { EXIT_CODES } from '../ledger/verify-report.ts';
import { type OpenedCheckpoint, openCheckpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/errors.ts';
import { quorumReached, type WitnessPolicy } from '../tlog/policy.ts';
import { createVerifier } from '../tlog/verifier.ts';
import { MAX_CHECKPOINT_BYTES } from './judge.ts';
import { mirrorKey, parseMirrorPath } from './layout.ts';
import type { ObjectStore } from './stores/store.ts';

/** Checkpoints of a shard that are looked at, the largest first. */
const MAX_CHECKPOINTS = 2000;

interface Cosigned {
  readonly shard: number;
  readonly checkpoint: OpenedCheckpoint;
}

/** The report with what the policy says of these checkpoints, which the verification compared with the history. */
export function judgeCosigned(
  report: VerifyReport,
  policy: WitnessPolicy,
  notes: readonly (string | Uint8Array)[],
): VerifyReport {
  let best: Cosigned | undefined;
  for (const note of notes) {
    for (const shard of report.shards) {
      const found = openCosigned(shard, policy, note);
      if (found !== undefined && isLater(found, best)) best = found;
    }
  }
  return withVerdict(report, best);
}

/** The same of the checkpoints in a mirror. Throws what the store throws. */
export async function judgeMirrorCosigned(
  report: VerifyReport,
  policy: WitnessPolicy,
  store: ObjectStore,
): Promise<VerifyReport> {
  for (const shard of report.shards.toReversed()) {
    const { origin } = shard;
    if (origin === undefined) continue;
    const read = async (key: string) => {
      const note = await store.get(key, { maxBytes: MAX_CHECKPOINT_BYTES });
      return note === undefined ? undefined : openCosigned(shard, policy, note);
    };
    const newest = await read(mirrorKey(origin, { kind: 'checkpoint' }));
    if (newest !== undefined) return withVerdict(report, newest);
    for (const size of await sizesOf(store, origin)) {
      const found = await read(mirrorKey(origin, { kind: 'checkpoints', size }));
      if (found !== undefined) return withVerdict(report, found);
    }
  }
  return withVerdict(report, undefined);
}

async function sizesOf(store: ObjectStore, origin: string): Promise<number[]> {
  const sizes: number[] = [];
  for await (const { key } of store.list(`${origin}/checkpoints/`)) {
    const object = parseMirrorPath(key.slice(origin.length + 1));
    if (object?.kind === 'checkpoints') sizes.push(object.size);
  }
  return sizes.sort((a, b) => b - a).slice(0, MAX_CHECKPOINTS);
}

/** The checkpoint, when it is one of this shard and enough witnesses have cosigned it. */
function openCosigned(shard: ShardReport, policy: WitnessPolicy, note: string | Uint8Array): Cosigned | undefined {
  const { origin, vkey } = shard;
  if (origin === undefined || vkey === undefined) return undefined;
  try {
    const witnesses = policy.witnesses.map(({ key }) => createVerifier(key));
    const checkpoint = openCheckpoint(note, { verifiers: [createVerifier(vkey)], witnesses, origin });
    if (checkpoint.size > shard.entries || !quorumReached(policy, checkpoint.cosignatures)) return undefined;
    return { shard: shard.shard, checkpoint };
  } catch (error) {
    // Of another shard, or altered: that is the verification's to report.
    if (error instanceof TlogError) return undefined;
    throw error;
  }
}

function isLater(one: Cosigned, other: Cosigned | undefined): boolean {
  if (other === undefined || one.shard !== other.shard) return other === undefined || one.shard > other.shard;
  return one.checkpoint.size > other.checkpoint.size;
}

function unwitnessed(report: VerifyReport, shard: number, message: string): VerifyReport {
  const finding: Finding = { code: 'quorum-missing', shard, message };
  const status = report.status === 'whole' ? 'incomplete' : report.status;
  return {
    ...report,
    status,
    exitCode: EXIT_CODES[status],
    findings: [...report.findings, finding],
    findingCount: report.findingCount + 1,
  };
}

function withVerdict(report: VerifyReport, cosigned: Cosigned | undefined): VerifyReport {
  const newest = report.shards.at(-1)?.shard ?? 0;
  if (cosigned === undefined) {
    const message =
      'no checkpoint that was looked at is cosigned as the policy asks: nobody but the holder of the key vouches for this history';
    return unwitnessed(report, newest, message);
  }
  const { shard, checkpoint } = cosigned;
  const who = checkpoint.cosignatures.map(({ name, time }) => `${name} at ${new Date(time * 1000).toISOString()}`);
  const note = `shard ${shard}: entries up to ${checkpoint.size - 1} are cosigned as the policy asks (${who.join(', ')})`;
  const here = report.shards.find((one) => one.shard === shard);
  const rest =
    here === undefined || here.entries <= checkpoint.size
      ? []
      : [`shard ${shard}, after entry ${checkpoint.size - 1}: nothing is cosigned as the policy asks`];
  const partly = { ...report, notes: [...report.notes, note], unchecked: [...report.unchecked, ...rest] };
  if (newest === shard) return partly;
  const since = shard + 1 === newest ? `shard ${newest} is` : `shards ${shard + 1} to ${newest} are`;
  return unwitnessed(
    partly,
    newest,
    `nothing after shard ${shard} is cosigned as the policy asks: ${since} vouched for by the holder of the key alone`,
  );
}
