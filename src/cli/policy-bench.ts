// `sealgate policy bench`: how fast the policies of a folder are, one by one and all together.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SealgateError } from '../lib/errors.ts';
import { buildBundle } from '../policy/bundle.ts';
import { type MeasuredReview, measure, type Speed } from '../policy/measure.ts';
import { fail, refusedBySystem } from './failure.ts';
import { readGiven, readObject } from './policy-review.ts';
import { escapeTerminal } from './terminal.ts';

export interface BenchFlags {
  readonly opa: string;
  readonly policies: string;
  readonly reviews?: string;
  readonly time: number;
  readonly json?: boolean;
}

export async function runBench(flags: BenchFlags): Promise<number> {
  try {
    const bundle = await buildBundle(flags.opa, flags.policies);
    const reviews = flags.reviews === undefined ? [samplePod()] : readReviews(flags.reviews);
    const clock = (): number => performance.now();
    const speeds = await measure({ bundle, reviews, ms: flags.time, clock });
    const bytes = reviews.reduce((sum, review) => sum + review.bytes.length, 0) / reviews.length;
    const report = {
      report: 1,
      bundle: bundle.info.digest,
      reviews: reviews.length,
      meanBytes: Math.round(bytes),
      speeds,
    };
    process.stdout.write(flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : format(report));
    return 0;
  } catch (thrown) {
    return fail('policy bench', thrown);
  }
}

/** A file, or every JSON and YAML file of a folder, as eval takes them. */
function readReviews(path: string): MeasuredReview[] {
  const files = statOf(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => /\.(json|ya?ml)$/.test(name))
        .sort()
        .map((name) => join(path, name))
    : [path];
  if (files.length === 0)
    throw new SealgateError('REQUEST_INVALID', `${path} holds no .json or .yaml file with a review`);
  return files.map((file) => readGiven(file, {}));
}

function statOf(path: string): ReturnType<typeof statSync> & object {
  try {
    return statSync(path);
  } catch (cause) {
    throw refusedBySystem('REQUEST_INVALID', `${path} cannot be read`, cause);
  }
}

/** What most clusters are asked about most: a new pod of two containers. */
function samplePod(): MeasuredReview {
  const container = (name: string) => ({
    name,
    image: `registry.example/shop/${name}@sha256:${'0'.repeat(64)}`,
    env: Array.from({ length: 10 }, (_, i) => ({ name: `SETTING_${i}`, value: `value of setting ${i}` })),
    resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
    securityContext: { runAsNonRoot: true, allowPrivilegeEscalation: false },
  });
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'sample', namespace: 'shop', labels: { app: 'sample' } },
    spec: { containers: [container('web'), container('proxy')] },
  };
  return readObject(Buffer.from(JSON.stringify(pod)), {});
}

function format({
  bundle,
  reviews,
  meanBytes,
  speeds,
}: {
  bundle: string;
  reviews: number;
  meanBytes: number;
  speeds: readonly Speed[];
}): string {
  const rows = speeds.map(({ policy, reviews: matched, perSecond, p50, p99, failed }) =>
    matched === 0
      ? [policy, '0', '-', '-', '-', '']
      : [
          policy,
          String(matched),
          perSecond.toFixed(0),
          p50.toFixed(3),
          p99.toFixed(3),
          failed === 0 ? '' : `${failed} failed`,
        ],
  );
  const table = [['policy', 'reviews', 'per second', 'p50 ms', 'p99 ms', ''], ...rows];
  const widths = table[0]?.map((_, i) => Math.max(...table.map((row) => (row[i] ?? '').length))) ?? [];
  const lines = table.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.map(escapeTerminal).join('\n')}\n\n${reviews} ${reviews === 1 ? 'review' : 'reviews'} of ${meanBytes} bytes in the mean, one thread\nbundle ${bundle}\n`;
}
