// Taking it away: the webhook goes, the evidence stays; a new release goes on with it; and deleting the namespace leaves no webhook behind.
import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, cluster, install, NAMESPACE, podsAndLogs, queried, SOON, upgrade } from './cluster.ts';
import { documented } from './documented.ts';
import { SEALGATE_IMAGE } from './images.ts';

let here: Cluster;
beforeAll(async () => {
  here = await cluster();
});

const webhook = async () =>
  (await here.kubectl('get', 'validatingwebhookconfiguration', 'sealgate', '-o', 'name')).stdout.trim();
const createsFreely = () =>
  expect
    .poll(
      async () =>
        (await here.kubectl('run', `free-${Date.now()}`, '--image=nginx', '--privileged', '--dry-run=server')).stderr,
      SOON,
    )
    .toBe('');

describe('helm uninstall', () => {
  it('removes the webhook, here by its job, and keeps volumes and audit certificates', async () => {
    expect((await here.helm('get', 'hooks', 'sealgate', '--namespace', NAMESPACE)).stdout).toContain(
      'sealgate-removal',
    );
    const removed = await here.helm('uninstall', 'sealgate', '--namespace', NAMESPACE, '--wait');
    expect(removed.code, removed.stderr).toBe(0);
    expect(await webhook()).toBe('');
    await createsFreely();
    const kept = await here.kubectl('get', 'pvc,secret', '-n', NAMESPACE, '-o', 'name');
    expect(kept.stdout).toContain('persistentvolumeclaim/data-sealgate-0');
    expect(kept.stdout).toContain('secret/sealgate-audit-client');
  });

  it('and a new release goes on with the same ledgers, here with a certificate that the replicas keep', async () => {
    const installed = await install(here, 'webhook.certificate.source=managed');
    expect(installed.code, `${installed.stderr}\n${await podsAndLogs(here)}`).toBe(0);
    const old = await queried(here, 'sealgate-0', '--local', '--kind', 'start');
    expect(old.length).toBeGreaterThan(1);
    await expect
      .poll(async () => (await here.kubectl('run', 'bad', '--image=nginx', '--privileged')).stderr, SOON)
      .toContain('container "bad" is privileged');
    const tested = await here.helm('test', 'sealgate', '--namespace', NAMESPACE, '--logs', '--timeout=3m');
    expect(tested.code, tested.stderr + tested.stdout).toBe(0);
    // An upgrade leaves the CAs in the configuration that the replicas have written there.
    const bundle = () =>
      here.kubectl(
        'get',
        'validatingwebhookconfiguration',
        'sealgate',
        '-o',
        'jsonpath={.webhooks[0].clientConfig.caBundle}',
      );
    const before = (await bundle()).stdout;
    const upgraded = await upgrade(here, 'webhook.certificate.source=managed');
    expect(upgraded.code, `${upgraded.stderr}\n${await podsAndLogs(here)}`).toBe(0);
    expect(before).not.toBe('');
    expect((await bundle()).stdout).toBe(before);
  });
});

describe('deleting the namespace', () => {
  it('takes the webhook along', async () => {
    expect(await webhook()).not.toBe('');
    const deleted = await here.kubectl('delete', 'namespace', NAMESPACE, '--timeout=180s');
    expect(deleted.code, deleted.stderr).toBe(0);
    await expect.poll(webhook, SOON).toBe('');
    await createsFreely();
  });
});

describe('an installation that does not come about', () => {
  it('fails, stops nothing, and leaves nothing behind when told so', async () => {
    const elsewhere = ['broken', '--namespace', 'elsewhere'];
    const image = 'image.repository=nowhere.example.com/sealgate';
    const values = [image, 'replicas=1', 'persistence.whenDeleted=Delete'].map((value) => `--set=${value}`);
    const failed = await here.helm(
      ...['install', ...elsewhere, '--create-namespace', 'charts/sealgate', ...values, '--timeout=20s'],
    );
    expect(failed.code).not.toBe(0);
    const { stdout } = await here.kubectl('get', 'validatingwebhookconfiguration', '-o', 'name');
    expect(stdout).toContain('/broken-sealgate');
    await createsFreely();
    const removed = await here.helm('uninstall', ...elsewhere, '--wait');
    expect(removed.code, removed.stderr).toBe(0);
    await expect
      .poll(async () => (await here.kubectl('get', 'pvc,secret', '-n', 'elsewhere', '-o', 'name')).stdout, SOON)
      .toBe('');
    const deleted = await here.kubectl('delete', 'namespace', 'elsewhere', '--timeout=180s');
    expect(deleted.code, deleted.stderr).toBe(0);
  }, 400_000);
});

describe('the commands of the README', () => {
  it('install it with its defaults, so that it denies', async () => {
    const script = documented('README.md', 'helm install').replace('YOUR-REGISTRY', SEALGATE_IMAGE.split('/')[0] ?? '');
    const installed = await here.shell(script);
    expect(installed.code, `${installed.stderr}\n${await podsAndLogs(here)}`).toBe(0);
    await expect
      .poll(async () => (await here.kubectl('run', 'bad', '--image=nginx', '--privileged')).stderr, SOON)
      .toContain('container "bad" is privileged');
  });
});
