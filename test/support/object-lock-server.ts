// A real S3 server with Object Lock (versitygw) on a free port of loopback, which ends with the test however that ends.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { S3 } from '@aws-sdk/client-s3';
import { freePorts } from '../../tools/cluster/control-plane.ts';
import { run, waitUntil } from '../../tools/cluster/process.ts';
import { selfSigned } from '../../tools/cluster/self-signed.ts';
import { toolPath } from './tools.ts';

export const ACCESS_KEY = 'sealgate-test';
export const SECRET_KEY = 'sealgate-test-secret';

export interface ObjectLockServer {
  /** http(s)://127.0.0.1:<port> */
  readonly endpoint: string;
  /** With `tls`: its certificate, PEM, in a file. */
  readonly caFile: string;
  /** With `accessLog`: one line a request, in the form of S3's own access logs. */
  readonly accessLog: string;
  /** The administrator, for set-up and for attacks through the server's own API. */
  readonly admin: S3;
  /** A new bucket, with versioning and Object Lock unless told otherwise; returns its name. */
  bucket(options?: { readonly objectLock?: boolean; readonly versioning?: boolean }): Promise<string>;
  /** A new user, whom nothing is allowed until a bucket policy says so. */
  user(name: string): Promise<{ readonly accessKeyId: string; readonly secretAccessKey: string }>;
  /** SIGKILL, as if the machine were gone. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** The environment by which the default credential chain finds the administrator. */
export const CREDENTIALS = {
  AWS_ACCESS_KEY_ID: ACCESS_KEY,
  AWS_SECRET_ACCESS_KEY: SECRET_KEY,
  // Neither the machine's own configuration nor its metadata service has a say.
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
} as const;

/** Resolves when it answers. */
export async function startObjectLockServer(
  options: { readonly tls?: boolean; readonly accessLog?: boolean } = {},
): Promise<ObjectLockServer> {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-s3-'));
  const [data, versions, users, caFile, keyFile] = ['data', 'versions', 'users', 'tls.crt', 'tls.key'].map((name) =>
    join(dir, name),
  ) as [string, string, string, string, string];
  for (const folder of [data, versions, users]) mkdirSync(folder);
  const [port] = (await freePorts(1)) as [number];
  const accessLog = join(dir, 'access');
  const logged = options.accessLog === true ? ['--access-log', accessLog, '--quiet'] : [];
  const tls: string[] = [];
  if (options.tls === true) {
    const { certificate, key } = await selfSigned('127.0.0.1');
    writeFileSync(caFile, certificate);
    writeFileSync(keyFile, key, { mode: 0o600 });
    tls.push('--cert', caFile, '--key', keyFile);
  }
  const server = run({
    name: 'versitygw',
    command: toolPath('versitygw'),
    args: [
      '--port',
      `127.0.0.1:${port}`,
      ...tls,
      ...logged,
      '--iam-dir',
      users,
      'posix',
      '--versioning-dir',
      versions,
      data,
    ],
    logFile: join(dir, 'log'),
    env: { PATH: process.env['PATH'], ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY },
  });
  const endpoint = `${options.tls === true ? 'https' : 'http'}://127.0.0.1:${port}`;
  const admin = new S3({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
  });
  const stop = async () => {
    admin.destroy();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    // Any answer will do; the administrator does not trust a certificate that was made for one test.
    await waitUntil('versitygw answers', async () => await answers(endpoint), [server], 20_000);
  } catch (error) {
    await stop();
    throw error;
  }
  let buckets = 0;
  return {
    endpoint,
    caFile,
    accessLog,
    admin,
    async bucket({ objectLock = true, versioning = objectLock } = {}) {
      const name = `bucket-${++buckets}`;
      await admin.createBucket({ Bucket: name, ObjectLockEnabledForBucket: objectLock });
      if (versioning && !objectLock) {
        await admin.putBucketVersioning({ Bucket: name, VersioningConfiguration: { Status: 'Enabled' } });
      }
      return name;
    },
    async user(name) {
      const secret = `${name}-secret`;
      const root = ['--access', ACCESS_KEY, '--secret', SECRET_KEY, '--endpoint-url', endpoint];
      const who = ['--access', name, '--secret', secret, '--role', 'user'];
      await promisify(execFile)(toolPath('versitygw'), ['admin', ...root, 'create-user', ...who]);
      return { accessKeyId: name, secretAccessKey: secret };
    },
    async kill() {
      server.kill('SIGKILL');
      await server.ended;
    },
    stop,
  };
}

async function answers(endpoint: string): Promise<boolean> {
  try {
    await fetch(endpoint);
    return true;
  } catch (error) {
    const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
    return /SELF_SIGNED/.test(cause?.code ?? '');
  }
}
