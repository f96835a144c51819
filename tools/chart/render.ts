// Runs the pinned helm on the chart.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { toolPath } from '../tool-path.ts';

export const CHART = join(import.meta.dirname, '..', '..', 'charts', 'sealgate');

/** Runs helm to its end. Nothing of the person's own helm settings takes part. */
export function helm(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr, error } = spawnSync(toolPath('helm'), args, {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], HELM_NAMESPACE: 'sealgate-system', ...environment },
  });
  if (error !== undefined) throw error;
  return { code: status ?? 1, stdout, stderr };
}

/** The chart as YAML documents for release `sealgate` in namespace `sealgate-system`. Throws with what helm says. */
export function render(...args: string[]): string {
  const { code, stdout, stderr } = helm([
    'template',
    'sealgate',
    CHART,
    '--kube-version=v1.36.0',
    '--api-versions=cert-manager.io/v1',
    ...args,
  ]);
  if (code !== 0) throw new Error(`helm template ${args.join(' ')}: ${stderr}`);
  return stdout;
}
