// The mirror's thread: pushes what is new in the ledger, at its own pace and below everybody else's priority.
import { randomBytes } from 'node:crypto';
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../lib/clock.ts';
import { type ErrorCode, messageOf, SealgateError } from '../lib/errors.ts';
import { parsePolicy } from '../tlog/policy.ts';
import { LedgerPush } from './ledger-push.ts';
import { LocalRetention, type VerifiedShard } from './local-retention.ts';
import { MirrorClosing, Patience, sleepUnlessAborted } from './patience.ts';
import type { FromMirror, MirrorData, MirrorStatus, ToMirror, WitnessData } from './protocol.ts';
import type { Renewal } from './shard-push.ts';
import { type ProbeStatus, probeAtStart } from './start-probe.ts';
import { openStore } from './stores/open.ts';
import type { ProbedStore } from './stores/probed.ts';
import { TroubleReport } from './trouble.ts';
import { Uploader } from './uploader.ts';
import { type Submission, WitnessClient, type Witnessed } from './witness-client.ts';
import { WitnessReport } from './witness-report.ts';

/** How often the ledger is looked at for full tiles: they are pushed as they fill. */
const LOOK_MS = 500;
/** How often the main thread is told how far the mirror is, also while a store does not answer. */
const STATUS_MS = 1000;
/** Before what is no matter of the store is tried again: a ledger that cannot be read, a URL that makes no sense. */
const RETRY_MS = 5000;
const DAY_MS = 86_400_000;

if (parentPort === null) throw new Error('runs as a worker thread');
const port = parentPort;
const data = workerData as MirrorData;
const send = (message: FromMirror): void => port.postMessage(message);
const log = (level: 'info' | 'warn' | 'error', fields: object, message: string): void =>
  send({ type: 'log', level, fields, message });

// On Linux a thread has a priority of its own: whoever waits for an answer goes before the mirror.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);

const clock = systemClock();
const abort = new AbortController();
/** Ends a pause between two rounds, not an upload. */
let woken = new AbortController();
/** Ends the reading back of a shard: only the last push is waited for. */
const reading = new AbortController();
let closing = false;
let succeeded: number | undefined;
const trouble = new TroubleReport(log, () => performance.now());

/** Of the shard that the main thread was asked to remove. */
let removal: PromiseWithResolvers<void> | undefined;

port.on('message', (message: ToMirror) => {
  switch (message.type) {
    case 'close':
      closing = true;
      woken.abort();
      reading.abort();
      setTimeout(() => abort.abort(), message.withinMs).unref();
      return;
    case 'removed':
      removal?.resolve();
      return;
    case 'not-removed':
      removal?.reject(new SealgateError(message.code, message.message));
      return;
  }
});

/** Asking witnesses, when there are any. The policy was read before the thread was started. */
function openWitnessing(witnesses: WitnessData) {
  const report = new WitnessReport(log, () => performance.now());
  const client = new WitnessClient({
    ...witnesses,
    policy: parsePolicy(witnesses.policy),
    now: () => performance.now(),
  });
  const cosign = async (submission: Submission): Promise<Witnessed> => {
    const witnessed = await client.cosign(submission);
    report.asked(submission, witnessed);
    return witnessed;
  };
  return { report, cosign };
}

const witnessing = data.witnesses === undefined ? undefined : openWitnessing(data.witnesses);

function connect(): { store: ProbedStore; uploader: Uploader; push: LedgerPush } {
  const store = openStore(data.url, { clock, retention: data.retention, s3: data.s3 });
  const patience = new Patience({
    signal: abort.signal,
    onFailure: (error) => trouble.failed(error),
    onSuccess: () => trouble.passed(),
    random: Math.random,
    sleep: sleepUnlessAborted,
    now: () => performance.now(),
  });
  const uploader = new Uploader(store, patience, data.parallel, log);
  const push = new LedgerPush({
    ledgerDir: data.ledgerDir,
    uploader,
    log,
    cosign: witnessing?.cosign,
    renewal: renewalOf(data.retention),
    onPushed: ({ root, ...pushed }) => {
      succeeded = clock.now() / 1000;
      send({ type: 'pushed', ...pushed, root: root.toString('hex'), url: store.url });
      report();
    },
  });
  return { store, uploader, push };
}

/** Halfway through their lock: a pod that is away for some days finds them still there. */
function renewalOf({ partialDays }: MirrorData['retention']): Renewal | undefined {
  if (partialDays === 0) return undefined;
  return { afterMs: (partialDays * DAY_MS) / 2, now: () => clock.now() / 1000 };
}

let connected: ReturnType<typeof connect> | undefined;
let probed: ProbeStatus | undefined;

/** Beside the pushing, which does not wait for it. */
function probe(store: ProbedStore): void {
  const sleep = async (ms: number): Promise<void> => {
    await sleepUnlessAborted(ms, abort.signal);
    if (closing || abort.signal.aborted) throw new MirrorClosing();
  };
  const nonce = (): string => randomBytes(12).toString('hex');
  probeAtStart({ store, ledgerDir: data.ledgerDir, log, nonce, sleep }).then(
    (status) => {
      probed = status;
    },
    (error: unknown) => trouble.failed(coded(error)),
  );
}

/** One answer in thousands that does not come should not end the reading back of a whole shard. */
const READ_ATTEMPTS = 8;

function openRetention(days: number): LocalRetention {
  const { mode, logDays, bodiesDays } = data.retention;
  return new LocalRetention({
    ledgerDir: data.ledgerDir,
    days,
    openStore: () => openStore(data.url, { clock, s3: data.s3, attempts: READ_ATTEMPTS }),
    locks: mode === 'none' ? undefined : { mode, days: { log: logDays, bodies: bodiesDays }, inForce: true },
    isComplete: (shard) => connected?.push.isComplete(shard) === true,
    trouble: whyNot,
    remove: (verified: VerifiedShard) => {
      removal = Promise.withResolvers();
      send({ type: 'verified', verified });
      return removal.promise;
    },
    log,
    signal: reading.signal,
    wall: () => clock.now(),
    now: () => performance.now(),
  });
}

/** What is wrong with the mirror now. */
function whyNot(): { code: ErrorCode; message: string } | undefined {
  const { diverged = [] } = connected?.push ?? {};
  if (diverged.length === 0) return trouble.current;
  return { code: 'MIRROR_DIVERGED', message: `shard ${diverged.join(', ')} has another history in the mirror` };
}

const { localRetentionDays = 0 } = data;
const retention = localRetentionDays === 0 ? undefined : openRetention(localRetentionDays);

function report(): void {
  try {
    const { push, uploader } = connected ?? {};
    const progress = push?.progress() ?? { shard: 0, pushed: 0, behind: 0 };
    const status: MirrorStatus = {
      ...progress,
      ...(succeeded === undefined ? {} : { succeeded }),
      counts: { ...(uploader?.counts ?? { objects: 0, bytes: 0, present: 0, occupied: 0 }) },
      errors: trouble.counts(),
      ...(trouble.current === undefined ? {} : { problem: trouble.current }),
      diverged: push?.diverged ?? [],
      ...(probed === undefined ? {} : { probe: probed }),
      ...(witnessing === undefined ? {} : { witnesses: witnessing.report.status }),
      ...(retention?.status === undefined ? {} : { local: retention.status }),
    };
    send({ type: 'status', status });
  } catch (error) {
    trouble.failed(coded(error));
  }
}

function coded(error: unknown): SealgateError {
  if (error instanceof SealgateError) return error;
  const code: ErrorCode = 'INTERNAL';
  return new SealgateError(code, `the mirror stumbled: ${messageOf(error)}`, { cause: error });
}

async function pause(ms: number): Promise<void> {
  if (closing) return;
  woken = new AbortController();
  await sleepUnlessAborted(ms, woken.signal);
}

const timer = setInterval(report, STATUS_MS);
let finishedAt = Number.NEGATIVE_INFINITY;
for (;;) {
  const last = closing;
  const began = performance.now();
  const finish = last || began - finishedAt >= data.intervalMs;
  try {
    if (connected === undefined) {
      connected = connect();
      probe(connected.store);
    }
    await connected.push.round(finish);
    if (finish) finishedAt = began;
    trouble.passed();
    if (last) break;
    // Beside the pushing, which goes on meanwhile.
    void retention?.look();
    await pause(LOOK_MS);
  } catch (error) {
    if (error instanceof MirrorClosing || last) break;
    trouble.failed(coded(error));
    await pause(RETRY_MS);
  }
}
clearInterval(timer);
report();
connected?.store.close();
send({ type: 'closed' });
port.close();
