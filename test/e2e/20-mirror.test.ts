// The bucket in the cluster is a mirror that an auditor verifies with nothing but the public key, and nobody can shorten.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, it } from 'vitest';
import type { KubectlResult } from '../../tools/cluster/control-plane.ts';
import { BUCKET, type Cluster, cluster, MIRROR, queried, SOON, STORE_FLAGS, vkeyOf } from './cluster.ts';

let here: Cluster;
beforeAll(async () => {
  here = await cluster();
});

/** With what it said, if it was not 0. */
const exitOf = ({ code, stdout, stderr }: KubectlResult) => (code === 0 ? '0' : `${code} ${stdout} ${stderr}`);

describe('the bucket', () => {
  it('holds both ledgers, whole by their public keys alone', async () => {
    for (const replica of ['sealgate-0', 'sealgate-1']) {
      const key = join(here.dir, `${replica}.vkey`);
      writeFileSync(key, `${await vkeyOf(here, replica)}\n`);
      const verify = () => here.sealgate(['verify', MIRROR, '--key', key, ...STORE_FLAGS], here.storeEnvironment);
      await expect.poll(async () => exitOf(await verify()), SOON).toBe('0');
      expect((await verify()).stdout).toContain(`audit.example.com/prod-eu-1/${replica}`);
    }
  });

  it('answers a query without the cluster', async () => {
    const all: string[] = [];
    for (const replica of ['sealgate-0', 'sealgate-1']) {
      const args = [
        'query',
        '--from',
        MIRROR,
        '--key',
        join(here.dir, `${replica}.vkey`),
        '--denied',
        '-o',
        'json',
        ...STORE_FLAGS,
      ];
      const { code, stdout, stderr } = await here.sealgate(args, here.storeEnvironment);
      expect(code, stderr).toBe(0);
      all.push(...stdout.split('\n').filter((line) => line !== ''));
    }
    expect(all.map((line) => JSON.parse(line).name)).toContain('worse');
  });

  it('keeps every version, whoever asks for its removal', async () => {
    const { Versions = [] } = await here.store.send(
      new ListObjectVersionsCommand({
        Bucket: BUCKET,
        Prefix: 'sealgate/audit.example.com/prod-eu-1/sealgate-0/',
        MaxKeys: 500,
      }),
    );
    const locked = Versions.find(({ Key }) => /\/checkpoints\//.test(Key ?? ''));
    expect(locked?.VersionId).toBeDefined();
    const removal = here.store.deleteObject({ Bucket: BUCKET, Key: locked?.Key, VersionId: locked?.VersionId });
    await expect(removal).rejects.toThrow(/denied|locked/i);
  });

  it('and each replica says in its ledger what the mirror holds', async () => {
    await expect
      .poll(async () => (await queried(here, 'sealgate-0', '--local', '--kind', 'anchor')).length, SOON)
      .toBeGreaterThan(0);
  });
});
