// A ledger in memory, made of real leaves, for tests that need one entry more than the disk.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { IndexLog } from '../../../src/index/log.ts';
import type { LedgerSource, SourceEntry, SourceShard } from '../../../src/index/source.ts';
import { IndexTail } from '../../../src/index/tail.ts';
import { commitment } from '../../../src/ledger/commitment.ts';
import {
  type Append,
  type Appended,
  bodyText,
  type EntryKind,
  type Leaf,
  type LeafExtra,
  NO_PREVIOUS,
} from '../../../src/ledger/entry.ts';
import { loadOrCreateKey } from '../../../src/ledger/key.ts';
import { encodeLeaf, leafHashHex, parseLeaf } from '../../../src/ledger/leaf.ts';
import { type Ledger, openLedger } from '../../../src/ledger/ledger.ts';
import type { Head } from '../../../src/ledger/messages.ts';
import { formatMicros, type Micros } from '../../../src/lib/clock.ts';

export const LOG = 'example.org/test/0';
export const BUNDLE = `sha256:${'b'.repeat(64)}`;

/** Shards of entries, appended to like a ledger. */
export class MemoryLedger implements LedgerSource {
  readonly log: string;
  readonly all: SourceEntry[][] = [[]];
  time: Micros;
  /** Shards before this one were removed. */
  oldest = 0;

  constructor(log = LOG, time: Micros = Date.UTC(2026, 5, 1) * 1000) {
    this.log = log;
    this.time = time;
  }

  origin(shard: number): string {
    return `${this.log}/${shard}`;
  }

  shards(): SourceShard[] {
    return this.all
      .map((entries, number) => ({ number, origin: this.origin(number), size: entries.length }))
      .filter(({ number }) => number >= this.oldest);
  }

  get(shard: number, seq: number): SourceEntry | undefined {
    return shard < this.oldest ? undefined : this.all[shard]?.[seq];
  }

  *entries(shard: number, from: number, to?: number): Iterable<SourceEntry> {
    yield* (this.all[shard] ?? []).slice(from, to);
  }

  rotate(): void {
    this.all.push([]);
  }

  append(kind: EntryKind, body: object | string, extra: LeafExtra = {}, step = 1000): SourceEntry {
    const shard = this.all.length - 1;
    const entries = this.all[shard]!;
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const seq = entries.length;
    const salt = createHash('md5').update(`${shard}/${seq}`).digest();
    this.time += step;
    const leaf: Leaf = {
      v: 1,
      seq,
      time: formatMicros(this.time),
      kind,
      prev: entries.at(-1)?.leafHash ?? NO_PREVIOUS,
      body: commitment(salt, bytes),
      size: bytes.length,
      ...extra,
    };
    const leafText = encodeLeaf(leaf);
    const leafBytes = Buffer.from(leafText);
    const entry = {
      shard,
      seq,
      leaf: parseLeaf(leafBytes),
      leafBytes,
      leafText,
      leafHash: leafHashHex(leafBytes),
      salt,
      body: bytes,
      text: bodyText(bytes),
    };
    entries.push(entry);
    return entry;
  }

  decision(options: DecisionOptions): SourceEntry {
    const allowed = options.allowed ?? true;
    return this.append('decision', decisionBody(options), { uid: options.uid, bundle: BUNDLE, allowed }, options.step);
  }

  event(options: EventOptions): SourceEntry {
    return this.append('event', eventBody(options), {}, options.step);
  }

  /** What the audit annotation of this decision says. */
  reference(decision: SourceEntry): string {
    return `${this.origin(decision.shard)}:${decision.seq}:${decision.leafHash}`;
  }
}

interface Common {
  readonly user?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  /** Microseconds since the entry before. */
  readonly step?: number;
}

export interface DecisionOptions extends Common {
  readonly uid: string;
  readonly allowed?: boolean;
  readonly operation?: string;
  readonly dryRun?: boolean;
  readonly results?: readonly { policy: string; action: string; message?: string }[];
  readonly failures?: readonly { policy: string; action: string }[];
  readonly object?: unknown;
}

export function decisionBody(o: DecisionOptions): object {
  return {
    caller: { address: '10.0.0.1' },
    verdict: {
      allowed: o.allowed ?? true,
      results: (o.results ?? []).map((result) => ({
        rule: 'deny',
        severity: 'high',
        message: 'no',
        controls: [],
        ...result,
      })),
      failures: (o.failures ?? []).map((failure) => ({ code: 'POLICY_TIMEOUT', message: 'slow', ...failure })),
    },
    took: { totalMs: 3 },
    review: {
      kind: 'AdmissionReview',
      apiVersion: 'admission.k8s.io/v1',
      request: {
        uid: o.uid,
        kind: { group: o.group ?? '', version: 'v1', kind: 'Pod' },
        resource: { group: o.group ?? '', version: 'v1', resource: o.resource ?? 'pods' },
        ...(o.subresource === undefined ? {} : { subResource: o.subresource }),
        requestKind: { group: o.group ?? '', version: 'v1', kind: 'Pod' },
        requestResource: { group: o.group ?? '', version: 'v1', resource: o.resource ?? 'pods' },
        name: o.name ?? 'web',
        namespace: o.namespace ?? 'default',
        operation: o.operation ?? 'CREATE',
        userInfo: { username: o.user ?? 'alice', groups: ['system:authenticated'] },
        object: o.object ?? { kind: 'Pod', metadata: { name: o.name ?? 'web' } },
        oldObject: null,
        dryRun: o.dryRun ?? false,
        options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' },
      },
    },
  };
}

export interface EventOptions extends Common {
  readonly auditID: string;
  readonly verb?: string;
  readonly code?: number;
  readonly stage?: string;
  readonly impersonated?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly uri?: string;
  readonly responseObject?: unknown;
}

export function eventBody(o: EventOptions): object {
  return {
    source: { address: '10.0.0.1' },
    event: {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'RequestResponse',
      auditID: o.auditID,
      stage: o.stage ?? 'ResponseComplete',
      requestURI: o.uri ?? `/api/v1/namespaces/${o.namespace ?? 'default'}/pods`,
      verb: o.verb ?? 'create',
      user: { username: o.user ?? 'alice', groups: ['system:authenticated'] },
      ...(o.impersonated === undefined ? {} : { impersonatedUser: { username: o.impersonated } }),
      sourceIPs: ['192.0.2.7'],
      userAgent: 'kubectl/v1.36.3',
      ...(o.uri !== undefined && o.resource === undefined
        ? {}
        : {
            objectRef: {
              resource: o.resource ?? 'pods',
              namespace: o.namespace ?? 'default',
              name: o.name ?? 'web',
              apiVersion: 'v1',
              ...(o.group === undefined ? {} : { apiGroup: o.group }),
              ...(o.subresource === undefined ? {} : { subresource: o.subresource }),
            },
          }),
      responseStatus: { metadata: {}, code: o.code ?? 201 },
      requestObject: { kind: 'Pod', metadata: { name: 'other', annotations: { verb: 'delete', user: '"}' } } },
      ...(o.responseObject === undefined ? {} : { responseObject: o.responseObject }),
      requestReceivedTimestamp: '2026-06-01T00:00:00.000000Z',
      stageTimestamp: '2026-06-01T00:00:00.000000Z',
      annotations: { 'authorization.k8s.io/decision': 'allow', ...o.annotations },
    },
  };
}

/** A UUID made of a number. */
export function uuid(n: number): string {
  const hex = createHash('md5').update(String(n)).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/** What the index logged. */
export interface Logged extends IndexLog {
  readonly lines: { level: string; message: string; fields: Record<string, unknown> }[];
}

export function recordingLog(): Logged {
  const lines: Logged['lines'] = [];
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields: fields as Record<string, unknown> });
  };
  return { lines, info: at('info'), warn: at('warn'), error: at('error') };
}

/** Brings the index file to the ledger's end and closes it. */
export function buildIndex(file: string, source: LedgerSource, log = recordingLog()): Logged {
  const tail = new IndexTail({ file, source, log });
  while (tail.step(1000) === 1000);
  tail.close();
  return log;
}

/** A ledger on disk, in `<dir>/ledger` with its key in `<dir>/keys`. */
export function openTestLedger(dir: string, log = LOG, onHead: (head: Head) => void = () => {}): Promise<Ledger> {
  return openLedger({
    dir: join(dir, 'ledger'),
    key: loadOrCreateKey(join(dir, 'keys', 'ledger.key'), log),
    version: 'test',
    settingsDigest: `sha256:${'0'.repeat(64)}`,
    onHead,
    onFatal: (error) => {
      throw error;
    },
  });
}

export function decisionAppend(options: DecisionOptions): Append {
  const extra = { uid: options.uid, bundle: BUNDLE, allowed: options.allowed ?? true };
  return { kind: 'decision', extra, body: Buffer.from(JSON.stringify(decisionBody(options))) };
}

export function eventAppend(options: EventOptions): Append {
  return { kind: 'event', body: Buffer.from(JSON.stringify(eventBody(options))) };
}

/** The annotation that ties an event to this decision. */
export function annotation(origin: string, uid: string, { seq, leafHash }: Appended): Record<string, string> {
  return { [`admission.sealgate.dev/d.${uid}`]: `${origin}:${seq}:${leafHash}` };
}
