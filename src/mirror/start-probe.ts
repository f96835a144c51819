// The probe of `sealgate mirror check` as the pod runs it: once after a start, beside the pushing, so that a store that protects
// less than it was set up to is known before it is needed.
import type { MirrorLog } from './log.ts';
import { MirrorClosing } from './patience.ts';
import { probeStore } from './probe.ts';
import type { Finding, ProbedStore } from './stores/probed.ts';

/** Between two attempts while the store cannot even be asked, in milliseconds: at first, and at most. */
const FIRST_WAIT_MS = 5_000;
const MAX_WAIT_MS = 3_600_000;

/** What the probe found that is not as it should be. */
export interface ProbeStatus {
  /** What the store does not do of what the mirror relies on. */
  readonly failed: readonly string[];
  /** Where it protects less than it could. */
  readonly warned: readonly string[];
}

export interface StartProbeOptions {
  readonly store: ProbedStore;
  readonly ledgerDir: string;
  readonly log: MirrorLog;
  /** A key that nobody has used, each time: lower-case letters, digits and hyphens. */
  readonly nonce: () => string;
  /** Waits, and rejects when the mirror is closed. */
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * Probes the store until it has said something, and says what it found. Undefined when the mirror was closed before. A store that
 * is away is no finding: pushing tells of that.
 */
export async function probeAtStart({
  store,
  ledgerDir,
  log,
  nonce,
  sleep,
}: StartProbeOptions): Promise<ProbeStatus | undefined> {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, MAX_WAIT_MS)) {
    const findings: Finding[] = [];
    for await (const finding of probeStore(store, { nonce: nonce(), ledgerDir })) findings.push(finding);
    if (findings.at(-1)?.check !== 'store') return tell(findings, log);
    try {
      await sleep(wait);
    } catch (error) {
      if (error instanceof MirrorClosing) return undefined;
      throw error;
    }
  }
}

function tell(findings: readonly Finding[], log: MirrorLog): ProbeStatus {
  for (const { check, outcome, message } of findings) {
    if (outcome === 'passed') continue;
    const text = 'the probe of the mirror found that its store protects less than it should; see sealgate mirror check';
    log(outcome === 'failed' ? 'error' : 'warn', { check, outcome, found: message }, text);
  }
  const of = (wanted: Finding['outcome']) =>
    findings.filter(({ outcome }) => outcome === wanted).map(({ check, message }) => `${check}: ${message}`);
  return { failed: of('failed'), warned: of('warned') };
}
