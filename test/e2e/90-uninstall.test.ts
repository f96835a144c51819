// Taking it away: the webhook goes, the evidence stays; a new release goes on with it; and deleting the namespace leaves no webhook behind.
import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, cluster, install, NAMESPACE, podsAndLogs, queried, SOON } from './cluster.ts';
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
  it('removes the webhook and keeps volumes and audit certificates', async () => {
    const removed = await here.helm('uninstall', 'sealgate', '--namespace', NAMESPACE, '--wait');
    expect(removed.code, removed.stderr).toBe(0);
    expect(await webhook()).toBe('');
    await createsFreely();
    const kept = await here.kubectl('get', 'pvc,secret', '-n', NAMESPACE, '-o', 'name');
    expect(kept.stdout).toContain('persistentvolumeclaim/data-sealgate-0');
    expect(kept.stdout).toContain('secret/sealgate-audit-client');
  });

  it('and a new release goes on with the same ledgers', async () => {
    const installed = await install(here);
    expect(installed.code, `${installed.stderr}\n${await podsAndLogs(here)}`).toBe(0);
    const old = await queried(here, 'sealgate-0', '--local', '--kind', 'start');
    expect(old.length).toBeGreaterThan(2);
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
