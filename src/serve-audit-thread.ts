// The thread of the audit stream: its listener, what becomes of a batch until its entries go to the thread that writes, and the rules
// that look at each event. So a stream however thick takes none of the time of decisions but that of its commits.
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { createAuditHandler } from './audit/handler.ts';
import { decisionsWaiting } from './audit/precedence.ts';
import { createRedeliveryWindow, type RedeliveryWindow, rebuild } from './audit/redelivery.ts';
import { Watch } from './detect/watch.ts';
import { type Entry, LedgerReader } from './ledger/reader.ts';
import { newestSince } from './ledger/recent.ts';
import { RemoteLedger } from './ledger/remote.ts';
import { systemClock } from './lib/clock.ts';
import { messageOf, SealgateError } from './lib/errors.ts';
import { createLog } from './lib/log.ts';
import { createRedactor } from './redact/redactor.ts';
import { type AuditSetup, type FromAudit, LOAD, type ToAudit, type WireError } from './serve-audit-messages.ts';
import { openTls } from './serve-listener.ts';
import type { TlsListener } from './server/listener.ts';

/** How often what the main thread may read is brought up to date. */
const LOAD_MS = 250;

const port = parentPort;
if (port === null) throw new Error('serve-audit-thread.ts runs as a worker thread only');
const { settings, ledgerDir, shard, precedence, load: loadMemory }: AuditSetup = workerData;
const log = createLog(settings.log.level);

function post(message: FromAudit, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

const ledger = new RemoteLedger(post);
const stops: (() => Promise<void> | void)[] = [];
let listener: TlsListener | undefined;

function wire(error: unknown): WireError {
  return { code: error instanceof SealgateError ? error.code : 'INTERNAL', message: messageOf(error) };
}

/** Says why when it throws or rejects. */
async function guarded(work: () => Promise<void> | void): Promise<void> {
  try {
    await work();
  } catch (error) {
    post({ type: 'failed', error: wire(error) });
  }
}

let watch: Watch;
let window: RedeliveryWindow;
let rebuilt: Promise<void>;

function start(): void {
  watch = new Watch({
    settings: settings.detect,
    ledger,
    file: join(settings.dataDir, 'detect', 'state.json'),
    onRecorded: (finding, events) => post({ type: 'recorded', finding, events }),
    onProblem: (error) => log.warn({ error }, 'the memory of the findings could not be written'),
  });
  ({ window, rebuilt } = redeliveryWindow());
  post({ type: 'ready' });
}

async function open(): Promise<void> {
  const auditLog = log.child({ part: 'audit' });
  const handle = createAuditHandler({
    ...{ ledger, redactor: createRedactor(settings.redact), window, settings: settings.audit, watch, log: auditLog },
    decisionsWaiting: decisionsWaiting(precedence),
    metrics: {
      acknowledged: (batch, seconds) => post({ type: 'acknowledged', batch, seconds }),
      refused: (code) => post({ type: 'unacknowledged', code }),
      redacted: (events) => post({ type: 'redacted', events }),
    },
  });
  listener = await openTls({
    ...{ settings, name: 'audit', log: auditLog },
    route: {
      path: settings.audit.path,
      bodyLimitBytes: settings.audit.bodyLimitBytes,
      reusesBodies: true,
      handler: async (request) => {
        await rebuilt;
        return handle(request);
      },
    },
    metrics: { rejected: (reason) => post({ type: 'rejected', reason }), opened: showLoad },
    onCertificates: ({ expires, caExpires }) => post({ type: 'certificates', expires, caExpires }),
    started: { add: (_, stop) => void stops.push(stop) },
  });
  post({ type: 'open', port: listener.port });
}

function showLoad(of: Pick<TlsListener, 'inFlight' | 'inFlightBytes'>): void {
  const load = new Float64Array(loadMemory);
  const show = () => {
    load[LOAD.inFlight] = of.inFlight;
    load[LOAD.inFlightBytes] = of.inFlightBytes;
    load[LOAD.webhookMissing] = watch.missingSince === undefined ? 0 : 1;
  };
  show();
  const timer = setInterval(show, LOAD_MS);
  stops.push(() => clearInterval(timer));
}

async function report({ id, finding }: ToAudit & { type: 'report' }): Promise<void> {
  try {
    await watch.report(finding);
    post({ type: 'reported', id, error: undefined });
  } catch (error) {
    post({ type: 'reported', id, error: wire(error) });
  }
}

async function close(): Promise<void> {
  try {
    for (const stop of stops.splice(0).reverse()) await stop();
  } finally {
    post({ type: 'closed' });
    port?.close();
  }
}

port.on('message', (message: ToAudit) => {
  switch (message.type) {
    case 'appended':
    case 'refused':
      ledger.receive(message);
      return;
    case 'report':
      void report(message);
      return;
    case 'open':
      void guarded(open);
      return;
    case 'retire':
      listener?.retire();
      return;
    case 'drain':
      void guarded(async () => post({ type: 'drained', cut: (await listener?.drain(message.graceMs)) ?? 0 }));
      return;
    case 'close':
      void guarded(close);
      return;
  }
});

/**
 * What the API server may deliver again: the newest events of the ledger, from before this start. After much traffic that is
 * seconds of work; audit batches wait for `rebuilt`, which never rejects.
 */
function redeliveryWindow(): { readonly window: RedeliveryWindow; readonly rebuilt: Promise<void> } {
  const { redelivery } = settings.audit;
  const clock = systemClock();
  const now = () => clock.now() / 1000;
  const made = createRedeliveryWindow(redelivery, now);
  const reader = LedgerReader.open(ledgerDir);
  const abort = new AbortController();
  const since = (now() - redelivery.seconds * 1000) * 1000;
  const entries = newestSince(reader, shard, since, redelivery.maxEvents);
  // With a window that lacks something, an event that comes again may be recorded twice; refusing the stream would lose it.
  const done = rebuild(made, shownTo(watch, entries), abort.signal)
    .catch((error: unknown) => {
      log.error({ error }, 'the redelivery window holds only a part: events that come again may be recorded twice');
    })
    .then(() => watch.caughtUp())
    .catch((error: unknown) => {
      log.error({ error }, 'what was found in the newest events cannot be recorded yet: it is tried with each batch');
    })
    .finally(() => reader.close());
  // Ended after the listener: no batch goes on with a window that is rebuilt in part.
  stops.push(() => {
    abort.abort();
    return done;
  });
  return { window: made, rebuilt: done };
}

/** The watch sees the same entries: it finds what a crash kept it from finding. */
function* shownTo(seer: Watch, entries: Iterable<Entry>): Generator<Entry, void, undefined> {
  for (const entry of entries) {
    seer.recorded(entry);
    yield entry;
  }
}

await guarded(start);
