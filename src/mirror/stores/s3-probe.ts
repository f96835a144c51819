// Whether a bucket does what the mirror relies on: looked up in its settings, then tried on an object.
import { messageOf, SealgateError } from '../../lib/errors.ts';
import type { RetentionRule } from './options.ts';
import type { Finding } from './probed.ts';
import type { S3Connection } from './s3-connection.ts';
import type { ObjectStore, StoredVersion } from './store.ts';

/** A clock may be this far off before it is worth a word. */
const NOTEWORTHY_SKEW_MS = 60_000;

/** Looks at the bucket's settings. Throws when the bucket does not answer to these credentials at all. */
export async function* inspectBucket(connection: S3Connection, retention: RetentionRule): AsyncIterable<Finding> {
  const { bucket, prefix, url } = connection;
  await connection.send(connection.attempt('listing', '', 's3:ListBucket'), (s3, options) =>
    s3.listObjectsV2({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 }, options),
  );
  yield passed('connection', `${url} answers and knows the credentials`);
  if (connection.plaintext) {
    yield warned(
      'encryption',
      'mirror.s3.endpoint is http://: bodies pass the network in clear, and answers can be forged on the way; use https://',
    );
  }
  yield clockFinding(connection);
  const versioning = await looked(connection, 's3:GetBucketVersioning', 'versioning', async (s3, options) => {
    const { Status: status } = await s3.getBucketVersioning({ Bucket: bucket }, options);
    if (status === 'Enabled') return passed('versioning', 'versioning is enabled: what is overwritten stays');
    return failed(
      'versioning',
      `versioning is ${status ?? 'off'}: whoever may write can overwrite history; enable it (aws s3api put-bucket-versioning --bucket ${bucket} --versioning-configuration Status=Enabled)`,
    );
  });
  yield retention.mode === 'none' && versioning.outcome === 'failed'
    ? { ...versioning, outcome: 'warned' }
    : versioning;
  if (retention.mode === 'none') {
    yield warned(
      'object lock',
      'mirror.retention.mode is none: nothing is locked, and whoever may delete versions can rewrite history',
    );
    return;
  }
  yield await looked(connection, 's3:GetBucketObjectLockConfiguration', 'object lock', async (s3, options) => {
    const { ObjectLockConfiguration: lock } = await s3.getObjectLockConfiguration({ Bucket: bucket }, options);
    if (lock?.ObjectLockEnabled === 'Enabled') return passed('object lock', 'Object Lock is enabled');
    return failed('object lock', `Object Lock is not enabled on ${bucket}: enable it, or create the bucket with it`);
  });
  yield* unlockedClasses(retention);
}

/** As somebody with these credentials could: overwrites the probe, and deletes its locked version. */
export async function* attackProbe(
  connection: S3Connection,
  store: ObjectStore,
  { key, mode, overwrite }: { key: string; mode: RetentionRule['mode']; overwrite: () => Promise<unknown> },
): AsyncIterable<Finding> {
  const [first] = await versionsOf(store, key);
  if (first === undefined) {
    yield failed(
      'probe',
      `${key} was written, and no version of it is listed: this is no S3 that a mirror can rely on`,
    );
    return;
  }
  await overwrite();
  yield (await versionsOf(store, key)).some(({ version }) => version === first.version)
    ? passed('overwriting', 'an overwritten object stays, as an older version')
    : failed('overwriting', 'an overwritten object is gone: enable versioning on the bucket');
  if (mode === 'none') {
    for (const { version } of await versionsOf(store, key)) await tryToDelete(connection, key, version, false);
    return;
  }
  const lock = await store.retention(key, first.version);
  if (lock?.mode !== mode || lock.until === undefined) {
    yield failed('lock', `the probe was to be locked in ${mode} mode, and its lock is ${lock?.mode ?? 'not there'}`);
  } else {
    yield passed('lock', `the probe is locked in ${mode} mode until ${lock.until.toISOString()}`);
  }
  yield deletionFinding(await tryToDelete(connection, key, first.version, false));
  if (mode === 'governance') yield* bypassFindings(connection, store, key);
}

type Deletion = { readonly deleted: true } | { readonly deleted: false; readonly reason: string };

function deletionFinding(deletion: Deletion): Finding {
  if (deletion.deleted) {
    return failed('deleting', 'a version was deleted while it was locked: this Object Lock protects nothing');
  }
  const byLock = /object ?lock|WORM|retention/i.test(deletion.reason);
  return passed(
    'deleting',
    byLock
      ? 'a locked version cannot be deleted: the lock refuses it'
      : `a locked version cannot be deleted with these credentials, which may not delete at all; for others the lock counts (${deletion.reason})`,
  );
}

/** In governance mode a permission opens the lock; the mirror's own credentials should not have it. */
async function* bypassFindings(connection: S3Connection, store: ObjectStore, key: string): AsyncIterable<Finding> {
  let deleted = false;
  for (const { version } of await versionsOf(store, key)) {
    if ((await tryToDelete(connection, key, version, true)).deleted) deleted = true;
  }
  yield deleted
    ? warned(
        'bypassing',
        'these credentials may bypass governance (s3:BypassGovernanceRetention): whoever takes over the pod can delete history; take that permission away, or use compliance mode',
      )
    : passed('bypassing', 'these credentials cannot bypass governance');
}

async function tryToDelete(connection: S3Connection, key: string, version: string, bypass: boolean): Promise<Deletion> {
  const target = { Bucket: connection.bucket, Key: connection.key(key), VersionId: version };
  try {
    await connection.send(connection.attempt('deleting', key, 's3:DeleteObjectVersion'), (s3, options) =>
      s3.deleteObject({ ...target, ...(bypass && { BypassGovernanceRetention: true }) }, options),
    );
    return { deleted: true };
  } catch (error) {
    // Refused is what is hoped for; anything else proves nothing.
    if (!(error instanceof SealgateError) || !['MIRROR_ACCESS_DENIED', 'MIRROR_REFUSED'].includes(error.code))
      throw error;
    return { deleted: false, reason: messageOf(error.cause) };
  }
}

async function versionsOf(store: ObjectStore, key: string): Promise<StoredVersion[]> {
  const found: StoredVersion[] = [];
  for await (const one of store.versions(key)) if (one.key === key && !one.deleteMarker) found.push(one);
  return found;
}

function clockFinding(connection: S3Connection): Finding {
  const ahead = connection.clock.ahead();
  if (ahead === undefined) return warned('clock', 'the bucket does not say what time it is');
  const seconds = Math.round(Math.abs(ahead) / 1000);
  const says = `the clock here is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} that of the object storage`;
  if (!connection.clock.agrees()) {
    return failed('clock', `${says}: nothing is written, because locks would end at the wrong time; synchronise it`);
  }
  return Math.abs(ahead) > NOTEWORTHY_SKEW_MS ? warned('clock', `${says}: synchronise it`) : passed('clock', says);
}

function* unlockedClasses({ logDays, bodiesDays, partialDays }: RetentionRule): Iterable<Finding> {
  const classes = [
    ['logDays', logDays, 'leaves, tiles and checkpoints'],
    ['bodiesDays', bodiesDays, 'bodies'],
    ['partialDays', partialDays, 'the newest entries, until their tile is full,'],
  ] as const;
  for (const [setting, days, what] of classes) {
    if (days === 0) yield warned('retention', `mirror.retention.${setting} is 0: ${what} can be deleted`);
  }
}

/** A setting that the credentials may not see is only worth a warning: what it does is tried afterwards. */
async function looked(
  connection: S3Connection,
  permission: string,
  check: string,
  look: (...args: Parameters<Parameters<typeof connection.send<Finding>>[1]>) => Promise<Finding>,
): Promise<Finding> {
  try {
    return await connection.send(connection.attempt('looking at', '', permission), look);
  } catch (error) {
    if (!(error instanceof SealgateError)) throw error;
    if (error.code === 'MIRROR_ACCESS_DENIED') {
      return warned(check, `the credentials may not look at it: allow ${permission} to have it checked`);
    }
    if (['MIRROR_NO_OBJECT_LOCK', 'MIRROR_REFUSED'].includes(error.code)) return failed(check, error.message);
    throw error;
  }
}

function passed(check: string, message: string): Finding {
  return { check, outcome: 'passed', message };
}

function warned(check: string, message: string): Finding {
  return { check, outcome: 'warned', message };
}

function failed(check: string, message: string): Finding {
  return { check, outcome: 'failed', message };
}
