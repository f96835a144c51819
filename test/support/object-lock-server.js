// A real S3 server with Object Lock (versitygw) on a free port of loopback, which ends with the test however that ends.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3 } from '@aws-sdk/client-s3';
import { freePorts } from '../../tools/cluster/control-plane.js';
import { run, waitUntil } from '../../tools/cluster/process.js';
import { selfSigned } from '../../tools/cluster/self-signed.js';
import { toolPath } from './tools.js';
export const ACCESS_KEY = 'sealgate-test';
export const SECRET_KEY = 'sealgate-test-secret';
/** The environment by which the default credential chain finds the administrator. */
export const CREDENTIALS = {
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
    // Neither the machine's own configuration nor its metadata service has a say.
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
};
/** Resolves when it answers. */
export async function startObjectLockServer(options = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-s3-'));
    const [data, versions, caFile, keyFile] = ['data', 'versions', 'tls.crt', 'tls.key'].map((name) => join(dir, name));
    mkdirSync(data);
    mkdirSync(versions);
    const [port] = (await freePorts(1));
    const tls = [];
    if (options.tls === true) {
        const { certificate, key } = await selfSigned('127.0.0.1');
        writeFileSync(caFile, certificate);
        writeFileSync(keyFile, key, { mode: 0o600 });
        tls.push('--cert', caFile, '--key', keyFile);
    }
    const server = run({
        name: 'versitygw',
        command: toolPath('versitygw'),
        args: ['--port', `127.0.0.1:${port}`, ...tls, 'posix', '--versioning-dir', versions, data],
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
    }
    catch (error) {
        await stop();
        throw error;
    }
    let buckets = 0;
    return {
        endpoint,
        caFile,
        admin,
        async bucket({ objectLock = true, versioning = objectLock } = {}) {
            const name = `bucket-${++buckets}`;
            await admin.createBucket({ Bucket: name, ObjectLockEnabledForBucket: objectLock });
            if (versioning && !objectLock) {
                await admin.putBucketVersioning({ Bucket: name, VersioningConfiguration: { Status: 'Enabled' } });
            }
            return name;
        },
        async kill() {
            server.kill('SIGKILL');
            await server.ended;
        },
        stop,
    };
}
async function answers(endpoint) {
    try {
        await fetch(endpoint);
        return true;
    }
    catch (error) {
        const cause = error instanceof Error ? error.cause : undefined;
        return /SELF_SIGNED/.test(cause?.code ?? '');
    }
}
