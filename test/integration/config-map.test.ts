// The newest checkpoint in a ConfigMap of a real API server: made when it is missing, an entry for each replica.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { CheckpointConfigMap } from '../../src/kube/checkpoint-config-map.ts';
import { render } from '../../tools/chart/render.ts';
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

it('is written with what the chart lets its pods do, past its own protection, and they may write no other', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-configmap-chart-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const namespace = 'sealgate-system';
  const account = `system:serviceaccount:${namespace}:sealgate`;
  const plane = await startControlPlane({ dir, users: [{ name: account }, { name: 'editor' }] });
  onTestFinished(() => plane.stop());
  const made = async (args: string[], input?: string) => {
    const { code, stderr } = await plane.kubectl(args, input === undefined ? {} : { input });
    expect(code, stderr).toBe(0);
  };
  await made(['create', 'namespace', namespace]);
  await made(['-n', namespace, 'create', 'role', 'editor', '--resource=configmaps', '--verb=*']);
  await made(['-n', namespace, 'create', 'rolebinding', 'editor', '--role=editor', '--user=editor']);
  const rendered = ['serviceaccount', 'checkpoint', 'protection'].map((name) => `--show-only=templates/${name}.yaml`);
  const values = ['settings.mirror.url=file:///mirror', 'settings.mirror.configMap.name=newest'];
  await made(['apply', '-f', '-'], render(...rendered, ...values.map((value) => `--set=${value}`)));
  // The protection is in force once it stops somebody who may write every ConfigMap here by RBAC.
  const others = () =>
    plane.kubectl(['-n', namespace, 'create', 'configmap', 'newest', '--dry-run=server'], { user: 'editor' });
  await expect
    .poll(async () => (await others()).stderr, { timeout: 60_000, interval: 200 })
    .toContain('this belongs to Sealgate');

  const lines: string[] = [];
  const replica = new CheckpointConfigMap({
    ...{ name: 'newest', namespace, kubeconfig: plane.kubeconfigFor(account), replica: 'sealgate-0', everyMs: 0 },
    recorded: () => [],
    now: () => performance.now(),
    log: (_level, fields, message) => lines.push(`${message} ${JSON.stringify(fields)}`),
  });
  const newest = async () => {
    const { stdout } = await plane.kubectl(['-n', namespace, 'get', 'configmap', 'newest', '-o', 'jsonpath={.data}']);
    return stdout + lines.join('\n');
  };
  for (const note of ['first', 'second']) {
    // Offered again: one that comes while another is written is left out.
    const written = async () => {
      replica.offer({ shard: 0, size: note.length * 100, note });
      return await newest();
    };
    await expect
      .poll(written, { timeout: 60_000, interval: 200 })
      .toBe(JSON.stringify({ 'checkpoint-sealgate-0': note }));
  }
  const may = async (verb: string, what: string) =>
    (await plane.kubectl(['-n', namespace, 'auth', 'can-i', verb, what], { user: account })).stdout.trim();
  expect(await may('patch', 'configmaps/newest')).toBe('yes');
  for (const [verb, what] of [
    ['patch', 'configmaps/other'],
    ['create', 'configmaps'],
    ['delete', 'configmaps/newest'],
    ['get', 'secrets'],
  ] as const) {
    expect(await may(verb, what), `${verb} ${what}`).toBe('no');
  }
});
