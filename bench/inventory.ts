// What an inventory costs the policies that do not look at it, and what its updates cost while requests are evaluated:
// `make bench-inventory`. The last line is one JSON object.
import { cpus } from 'node:os';
import { join } from 'node:path';
import { buildBundle } from '../src/policy/bundle.ts';
import { DataDocument } from '../src/policy/data-document.ts';
import { startBundle } from '../src/policy/engine.ts';
import type { MatchFacts, PolicyEngine } from '../src/policy/types.ts';
import { toolPath } from '../tools/tool-path.ts';

const OBJECTS = 10_000;
const ROUNDS = 7;
const ROUND_MS = 1500;
const WARM_UP = 500;
const UPDATES = process.argv.includes('--quick') ? 20_000 : 1_000_000;

const POD: MatchFacts = {
  ...{ group: '', version: 'v1', kind: 'Pod', resource: 'pods', subresource: '', operation: 'CREATE' },
  ...{ namespace: 'shop', name: 'web', labels: {} },
};

/** An Ingress of about a kilobyte. */
function ingress(i: number, generation: number): { path: string[]; value: Buffer } {
  const [name, namespace] = [`web-${i}`, `team-${i % 100}`];
  const annotations = {
    'example.dev/owner': `team-${i % 100}`,
    'example.dev/note': 'n'.repeat(100 + ((i * 7 + generation * 13) % 400)),
  };
  const backend = { service: { name, port: { number: 8080 } } };
  const rules = [0, 1].map((n) => ({
    host: `${name}-${n}.example.com`,
    http: { paths: [{ path: '/', pathType: 'Prefix', backend }] },
  }));
  const metadata = {
    name,
    namespace,
    uid: `${i}`,
    resourceVersion: `${generation}`,
    annotations,
    labels: { app: name },
  };
  const object = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata,
    spec: { rules },
    status: { loadBalancer: {} },
  };
  const path = ['inventory', 'namespace', namespace, 'networking.k8s.io/v1', 'Ingress', name];
  return { path, value: Buffer.from(JSON.stringify(object)) };
}

function review(i: number): Buffer {
  const containers = [
    {
      name: 'web',
      image: 'registry.example/web:1',
      env: Array.from({ length: 20 }, (_, n) => ({ name: `E${n}`, value: `${i}${n}`.repeat(5) })),
    },
  ];
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${i}`, namespace: 'shop' },
    spec: { containers },
  };
  const request = {
    uid: `${i}`,
    kind: { group: '', version: 'v1', kind: 'Pod' },
    operation: 'CREATE',
    namespace: 'shop',
    userInfo: { username: 'u' },
    object,
  };
  return Buffer.from(JSON.stringify({ kind: 'AdmissionReview', request }));
}

const at = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
const round = (value: number): number => Math.round(value * 1000) / 1000;

/** One request after the other; milliseconds of each, sorted. */
async function latencies(engine: PolicyEngine, ms: number, from: number): Promise<number[]> {
  const times: number[] = [];
  for (const end = performance.now() + ms; performance.now() < end; ) {
    const began = performance.now();
    await engine.evaluate(POD, review(from + times.length), began + 10_000);
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b);
}

const bundle = await buildBundle(toolPath('opa'), join(import.meta.dirname, '..', 'policies'));
const options = { workers: 1, timeLimitMs: 10_000, maxPending: 1000 };
const data = new DataDocument<object | undefined>();
const without = await startBundle(bundle, options);
const loading = performance.now();
const withIt = await startBundle(bundle, { ...options, data });
for (let i = 0; i < OBJECTS; i += 250)
  await data.update(
    Array.from({ length: 250 }, (_, n) => ingress(i + n, 0)),
    undefined,
  );
const loadMs = performance.now() - loading;
const jsonBytes = data.size.bytes;

for (const engine of [without, withIt])
  for (let i = 0; i < WARM_UP; i++) await engine.evaluate(POD, review(i), performance.now() + 10_000);
const ratios: number[] = [];
const medians: [number, number][] = [];
for (let r = 0; r < ROUNDS; r++) {
  const [a, b] = [
    at(await latencies(without, ROUND_MS, r * 1e6), 0.5),
    at(await latencies(withIt, ROUND_MS, r * 1e6), 0.5),
  ];
  medians.push([a, b]);
  ratios.push(b / a);
}
ratios.sort((a, b) => a - b);

// Updates while requests are evaluated: what they delay, and what memory they leave behind.
const quiet = await latencies(withIt, ROUND_MS * 2, 5e7);
let stopped = false;
let updates = 0;
const visible: number[] = [];
const rssBefore = process.memoryUsage().rss;
const updating = (async () => {
  for (let g = 1; !stopped; g++) {
    const began = performance.now();
    await data.update(
      Array.from({ length: 50 }, (_, n) => ingress((g * 50 + n) % OBJECTS, g)),
      undefined,
    );
    visible.push(performance.now() - began);
    updates += 50;
    // 1,000 changes a second.
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, 50 - (performance.now() - began))));
  }
})();
const busy = await latencies(withIt, ROUND_MS * 4, 6e7);
stopped = true;
await updating;
const renewedBefore = withIt.stats().renewed;
const began = performance.now();
for (let g = 1e6; updates < UPDATES; g++, updates += 250) {
  await data.update(
    Array.from({ length: 250 }, (_, n) => ingress((g * 250 + n * 37) % OBJECTS, g)),
    undefined,
  );
}
const perSecond = UPDATES / ((performance.now() - began) / 1000);
visible.sort((a, b) => a - b);
const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
const figures = {
  inventory_ratio: round(at(ratios, 0.5)),
  p50_ms: medians.map((pair) => pair.map(round)),
  json_mib: mib(jsonBytes),
  load_ms: Math.round(loadMs),
  quiet: { p50: round(at(quiet, 0.5)), p99: round(at(quiet, 0.99)), max: round(at(quiet, 1)) },
  updating_1000_per_s: { p50: round(at(busy, 0.5)), p99: round(at(busy, 0.99)), max: round(at(busy, 1)) },
  visible_ms: { p50: round(at(visible, 0.5)), p99: round(at(visible, 0.99)), max: round(at(visible, 1)) },
  updates: UPDATES,
  updates_per_second: Math.round(perSecond),
  renewed: withIt.stats().renewed,
  renewed_before_burst: renewedBefore,
  rss_mib: [mib(rssBefore), mib(process.memoryUsage().rss)],
  cpu: cpus()[0]?.model,
  node: process.version,
};
await Promise.all([without.close(), withIt.close()]);
process.stdout.write(`${JSON.stringify(figures, null, 2)}\n${JSON.stringify(figures)}\n`);
