// The mirror as the pod sees it: what it means for readiness, for the audit stream, and for the ledger's own entries.
import type { Append, Appended } from '../ledger/entry.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { Anchors } from './anchors.ts';
import type { LocalRetentionStatus } from './local-retention.ts';
import type { MirrorLog } from './log.ts';
import { type Lag, type Mirror, type MirrorOptions, type PushedMessage, startMirror } from './mirror.ts';
import type { MirrorStatus, WitnessData } from './protocol.ts';
import { type RemoveShard, removeVerified } from './remove-verified.ts';
import type { RetentionRule, S3Options } from './stores/options.ts';
import type { WitnessStatus } from './witness-report.ts';

export interface MirrorSettings {
  readonly url: string;
  readonly intervalSeconds: number;
  readonly parallel: number;
  readonly maxLagSeconds: number;
  readonly anchorSeconds: number;
  readonly retention: RetentionRule;
  readonly s3: S3Options;
}

/** The part of the ledger that is used. */
export interface MirroredLedger {
  readonly dir: string;
  append(lane: 'audit', entries: readonly Append[]): Promise<Appended[]>;
  head(): { readonly shard: number; readonly size: number };
}

export interface MirroredOptions {
  readonly settings: MirrorSettings;
  readonly ledger: MirroredLedger;
  readonly log: MirrorLog;
  readonly onStatus: (status: MirrorStatus) => void;
  /** Microseconds by the wall clock. */
  readonly wall: () => number;
  /** A checkpoint is in the store. */
  readonly onPushed?: (pushed: PushedMessage) => void;
  /** Who is asked to cosign what is pushed. */
  readonly witnesses?: WitnessData | undefined;
  /** Days that a full shard stays on the volume; 0: for ever. */
  readonly localRetentionDays: number;
  readonly removeShard: RemoveShard;
  /** For tests. */
  readonly start?: (options: MirrorOptions) => Mirror;
}

export interface Mirrored {
  lag(): Lag;
  status(): MirrorStatus | undefined;
  check(): { readonly ok: boolean; readonly detail: string; readonly warning: boolean };
  /** The ledger as the audit stream is given it: refuses with MIRROR_LAGGING while the mirror is too far behind. */
  readonly auditLedger: { append(lane: 'audit', entries: readonly Append[]): Promise<Appended[]> };
  /** Before the ledger closes: no more anchors. */
  quiet(): void;
  /** After the ledger has closed: pushes the rest for at most so long. */
  close(withinMs: number): Promise<void>;
}

function witnessText({ quorum, size, shard, failing, contradicted }: WitnessStatus): string {
  if (contradicted) return `WITNESS_CONTRADICTS: ${failing.join(', ')} knows another history of this log`;
  if (quorum) return `${size} entries of shard ${shard} are cosigned`;
  return `too few witnesses cosign (${failing.join(', ') || 'none was asked yet'})`;
}

function localText({ oldest, due, verified, kept }: LocalRetentionStatus): string {
  const read =
    verified === undefined ? '' : `, shard ${verified.shard} read back ${new Date(verified.at).toISOString()}`;
  const left = `here from shard ${oldest}${oldest === 0 ? '' : ' (older ones were removed)'}${read}`;
  return kept === undefined ? left : `${left}; ${due} past their time stay: ${kept.code}: ${kept.why}`;
}

/** More than this many intervals behind is worth a warning. */
const WARN_INTERVALS = 6;

export function openMirrored({
  settings,
  ledger,
  log,
  onStatus,
  wall,
  witnesses,
  onPushed,
  localRetentionDays,
  removeShard,
  start = startMirror,
}: MirroredOptions): Mirrored {
  const { url, retention, s3, parallel, intervalSeconds, maxLagSeconds } = settings;
  const anchors = new Anchors({
    everyMs: settings.anchorSeconds * 1000,
    append: (entry) => ledger.append('audit', [entry]),
    onFailure: (error) => log('warn', { error: messageOf(error) }, 'what the mirror holds could not be recorded'),
    wall,
    now: () => performance.now(),
  });
  const intervalMs = intervalSeconds * 1000;
  const mirror: Mirror = start({
    data: { ledgerDir: ledger.dir, url, retention, s3, parallel, witnesses, intervalMs, localRetentionDays },
    log,
    onPushed: (pushed) => {
      anchors.pushed(pushed);
      onPushed?.(pushed);
    },
    onVerified: (verified) => removeVerified(removeShard, verified, () => mirror.status()),
    onStatus,
  });
  const lag = (): Lag => mirror.lag(ledger.head(), wall() / 1000);
  const tooFar = (): boolean => maxLagSeconds > 0 && lag().seconds > maxLagSeconds;
  return {
    lag,
    status: () => mirror.status(),
    check: () => {
      const { entries, seconds } = lag();
      const { problem, diverged = [], probe, witnesses: cosigning, local } = mirror.status() ?? {};
      const probed = [...(probe?.failed ?? []), ...(probe?.warned ?? [])];
      const detail = [
        entries === 0 ? 'nothing is behind' : `${entries} entries behind, the oldest for ${Math.floor(seconds)} s`,
        ...(diverged.length > 0 ? [`MIRROR_DIVERGED: shard ${diverged.join(', ')} has another history there`] : []),
        ...(problem === undefined ? [] : [`${problem.code}: ${problem.message}`]),
        ...(probed.length === 0 ? [] : [`the probe of its store at start found: ${probed.join('; ')}`]),
        ...(cosigning === undefined ? [] : [witnessText(cosigning)]),
        ...(local === undefined ? [] : [localText(local)]),
        ...(tooFar() ? ['more than mirror.maxLagSeconds: audit batches are refused'] : []),
      ].join('; ');
      const uncosigned = cosigning !== undefined && (!cosigning.quorum || cosigning.contradicted);
      const kept = local?.kept !== undefined;
      const alarmed = diverged.length > 0 || probed.length > 0 || uncosigned || kept;
      const warning = alarmed || seconds > WARN_INTERVALS * intervalSeconds;
      return { ok: !tooFar(), detail, warning };
    },
    auditLedger: {
      append: (lane, entries) => {
        if (!tooFar()) return ledger.append(lane, entries);
        const text = `the mirror is ${Math.floor(lag().seconds)} s behind, more than the ${maxLagSeconds} s of mirror.maxLagSeconds: audit events are taken again when it has caught up`;
        return Promise.reject(new SealgateError('MIRROR_LAGGING', text));
      },
    },
    quiet: () => anchors.close(),
    close: (withinMs) => mirror.close(withinMs),
  };
}
