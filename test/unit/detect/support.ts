// A watch on a real ledger behind the real audit handler, and events as kube-apiserver writes them.
import { join } from 'node:path';
import type { Finding } from '../../../src/detect/finding.ts';
import { Watch } from '../../../src/detect/watch.ts';
import type { Append, Appended } from '../../../src/ledger/entry.ts';
import { createRedactor } from '../../../src/redact/redactor.ts';
import { DEFAULT_REDACT_SETTINGS } from '../../../src/redact/settings.ts';
import { eventOf, handlerWith, listOf, recordedIn, requestOf } from '../audit/support.ts';
import { openTestLedger, tempDir } from '../ledger/temp-ledger.ts';

const SETTINGS = { webhookConfiguration: 'sealgate', namespace: 'sealgate-system', expectedUsers: ['helm'] };

export interface Asked {
  readonly verb?: string;
  readonly user?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly code?: number;
  /** Seconds after 12:00. */
  readonly at?: number;
  readonly rest?: object;
}

let count = 0;

function timeAt(seconds: number): string {
  return new Date(Date.UTC(2026, 10, 23, 12) + seconds * 1000).toISOString().replace('Z', '000Z');
}

/** An audit event; by default somebody deletes Sealgate's webhook configuration. */
export function asked(request: Asked = {}): object {
  const { verb = 'delete', user = 'alice', at = 0, code = 200, rest = {} } = request;
  const { group, resource, subresource, namespace, name } = { ...CONFIGURATION, ...request };
  const ref = { resource, namespace, name, apiGroup: group, subresource };
  count++;
  return eventOf(count, {
    ...{ verb, user: { username: user }, sourceIPs: ['192.0.2.4'], responseStatus: { code } },
    objectRef: Object.fromEntries(Object.entries(ref).filter(([, value]) => value !== undefined && value !== '')),
    requestReceivedTimestamp: timeAt(at),
    stageTimestamp: timeAt(at),
    ...rest,
  });
}

const CONFIGURATION = {
  group: 'admissionregistration.k8s.io',
  resource: 'validatingwebhookconfigurations',
  subresource: '',
  namespace: '',
  name: 'sealgate',
};

export function configuration(changes: object = {}, webhook = 'admission.sealgate.dev'): object {
  const clientConfig = { url: 'https://127.0.0.1/x', caBundle: 'QQ==' };
  return {
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'sealgate' },
    webhooks: [{ name: webhook, clientConfig, failurePolicy: 'Fail', ...changes }],
  };
}

export interface FoundEntry extends Finding {
  readonly event?: { readonly shard: number; readonly seq: number; readonly leaf: string };
  readonly count?: number;
  readonly others?: readonly { readonly shard: number; readonly seq: number }[];
}

export interface WatchOptions {
  readonly root?: string;
  /** Whether the append of these entries fails. */
  readonly fails?: (entries: readonly Append[]) => boolean;
  readonly fields?: (typeof DEFAULT_REDACT_SETTINGS)['fields'];
}

export async function watched({ root = tempDir(), fails = () => false, fields = [] }: WatchOptions = {}) {
  const ledger = await openTestLedger(root);
  const told: Finding[] = [];
  const problems: unknown[] = [];
  const guarded = {
    append: async (lane: 'audit', entries: readonly Append[]): Promise<Appended[]> => {
      if (fails(entries)) throw Object.assign(new Error('no'), { code: 'LEDGER_SPACE_LOW' });
      return await ledger.append(lane, entries);
    },
  };
  const watch = new Watch({
    settings: SETTINGS,
    ledger: guarded,
    file: join(root, 'detect', 'state.json'),
    onRecorded: (finding) => void told.push(finding),
    onProblem: (error) => void problems.push(error),
  });
  const redactor = createRedactor({ ...DEFAULT_REDACT_SETTINGS, fields });
  const { handler } = handlerWith(guarded, { watch, redactor });
  return {
    ...{ root, ledger, watch, told, problems },
    send: async (...events: object[]) => (await handler(requestOf(listOf(...events)))).status,
    entries: () => recordedIn(root),
    findings: () =>
      recordedIn(root)
        .filter(({ leaf }) => leaf.kind === 'finding')
        .map(({ json }) => json as unknown as FoundEntry),
  };
}
