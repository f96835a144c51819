// The newest checkpoint in a ConfigMap of a real API server: made when it is missing, an entry for each replica.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { CheckpointConfigMap } from '../../src/kube/checkpoint-config-map.ts';
import { startControlPlane } from '../../tools/cluster/control-plane.ts';

it('is made and kept by several replicas, each of which owns its entry', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-configmap-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const plane = await startControlPlane({ dir });
  onTestFinished(() => plane.stop());
  const lines: string[] = [];
  const replica = (name: string, kubeconfig = plane.kubeconfig) =>
    new CheckpointConfigMap({
      ...{ name: 'sealgate-checkpoints', namespace: 'default', kubeconfig, replica: name, everyMs: 0 },
      recorded: () => [],
      now: () => performance.now(),
      log: (_level, fields, message) => lines.push(`${message} ${JSON.stringify(fields)}`),
    });
  const data = async () => {
    const { stdout } = await plane.kubectl(['get', 'configmap', 'sealgate-checkpoints', '-o', 'jsonpath={.data}']);
    return stdout === '' ? {} : JSON.parse(stdout);
  };
  const until = async (wanted: object) => {
    for (let i = 0; i < 100; i++) {
      if (JSON.stringify(await data()) === JSON.stringify(wanted)) return;
      await sleep(100);
    }
    expect(await data(), lines.join('\n')).toEqual(wanted);
  };
  const [zero, one] = [replica('0'), replica('1')];
  zero.offer({ shard: 0, size: 3, note: 'note of 0\n' });
  await until({ 'checkpoint-0': 'note of 0\n' });
  one.offer({ shard: 0, size: 4, note: 'note of 1\n' });
  await until({ 'checkpoint-0': 'note of 0\n', 'checkpoint-1': 'note of 1\n' });
  zero.offer({ shard: 1, size: 5, note: 'newer\n' });
  await until({ 'checkpoint-0': 'newer\n', 'checkpoint-1': 'note of 1\n' });

  replica('2', join(dir, 'missing')).offer({ shard: 0, size: 1, note: 'x' });
  for (let i = 0; i < 50 && lines.length === 0; i++) await sleep(100);
  expect(lines).toEqual([expect.stringContaining('cannot be written')]);
});
