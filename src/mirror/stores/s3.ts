// Objects in an S3 bucket with Object Lock, or in a compatible.
import { createHash } from 'node:crypto';
import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import { SealgateError } from '../../lib/errors.ts';
import type { RetentionRule, S3Options, StoreOptions } from './options.ts';
import type { Finding, ProbedStore } from './probed.ts';
import { readBody } from './s3-body.ts';
import { S3Connection } from './s3-connection.ts';
import { s3Code, s3Status } from './s3-errors.ts';
import { listObjects, listVersions } from './s3-listing.ts';
import { attackProbe, inspectBucket } from './s3-probe.ts';
import {
  DEFAULT_MAX_BYTES,
  type GetOptions,
  type ListedObject,
  type ObjectClass,
  type Retention,
  type StoredVersion,
} from './store.ts';

const NO_RETENTION: RetentionRule = { mode: 'none', logDays: 0, bodiesDays: 0, partialDays: 0, legalHold: false };
const PROBE_MS = 60_000;
const DAY_MS = 86_400_000;

/** By this tag a lifecycle rule knows what may expire. */
const PARTIAL_TAG = 'sealgate-class=partial';

export class S3Store implements ProbedStore {
  readonly url: string;
  readonly #connection: S3Connection;
  readonly #options: S3Options;
  readonly #retention: RetentionRule;

  /** Sends nothing yet. Throws MIRROR_URL_INVALID. */
  constructor(url: string, options: StoreOptions) {
    this.#connection = new S3Connection(url, options);
    this.url = this.#connection.url;
    this.#options = options.s3 ?? {};
    this.#retention = options.retention ?? NO_RETENTION;
  }

  async create(key: string, bytes: Uint8Array, of: ObjectClass): Promise<'created' | 'occupied'> {
    return await this.#createFor(key, bytes, of, this.#lockMs(of));
  }

  async replace(key: string, bytes: Uint8Array, of: ObjectClass): Promise<void> {
    await this.#put(key, bytes, of, this.#lockMs(of));
  }

  async get(key: string, options: GetOptions = {}): Promise<Buffer | undefined> {
    const attempt = this.#connection.attempt('reading', key, 's3:GetObject and s3:GetObjectVersion');
    const target = { ...this.#target(key), ...(options.version && { VersionId: options.version }) };
    return await this.#connection.sendUnlessAbsent(attempt, async (s3, sendOptions, allow) => {
      const answer = await s3.getObject({ ...target, ChecksumMode: 'ENABLED' }, sendOptions);
      allow(answer.ContentLength ?? 0);
      return await readBody(answer, attempt, options.maxBytes ?? DEFAULT_MAX_BYTES);
    });
  }

  async *list(prefix: string): AsyncIterable<ListedObject> {
    const { bucket, prefix: base } = this.#connection;
    const attempt = this.#connection.attempt('listing', prefix, 's3:ListBucket');
    const common = { Bucket: bucket, Prefix: base + prefix, EncodingType: 'url' } as const;
    yield* listObjects(base, (token) =>
      this.#connection.send(attempt, (s3, options) =>
        s3.listObjectsV2({ ...common, ...(token && { ContinuationToken: token }) }, options),
      ),
    );
  }

  async *versions(prefix: string): AsyncIterable<StoredVersion> {
    const { bucket, prefix: base } = this.#connection;
    const attempt = this.#connection.attempt('listing the versions of', prefix, 's3:ListBucketVersions');
    const common = { Bucket: bucket, Prefix: base + prefix, EncodingType: 'url' } as const;
    yield* listVersions(base, (after) =>
      this.#connection.send(attempt, (s3, options) => s3.listObjectVersions({ ...common, ...after }, options)),
    );
  }

  async retention(key: string, version: string): Promise<Retention | undefined> {
    const attempt = this.#connection.attempt(
      'reading the lock of',
      key,
      's3:GetObjectVersion, s3:GetObjectRetention and s3:GetObjectLegalHold',
    );
    const target = { ...this.#target(key), ...(version === '' ? {} : { VersionId: version }) };
    const head = await this.#connection.sendUnlessAbsent(attempt, (s3, options) => s3.headObject(target, options));
    if (head === undefined) return undefined;
    const legalHold = head.ObjectLockLegalHoldStatus === 'ON';
    const said = retentionOf(head.ObjectLockMode, head.ObjectLockRetainUntilDate, legalHold);
    if (said.mode !== 'none') return said;
    // HEAD keeps silent about a lock to whoever may not see it. Asked for it, S3 says which of the two it is.
    try {
      const { Retention: asked } = await this.#connection.send(attempt, (s3, options) =>
        s3.getObjectRetention(target, options),
      );
      return retentionOf(asked?.Mode, asked?.RetainUntilDate, legalHold);
    } catch (error) {
      if (error instanceof SealgateError && isUnlocked(error)) return said;
      throw error;
    }
  }

  inspect(): AsyncIterable<Finding> {
    return inspectBucket(this.#connection, this.#retention);
  }

  async createProbe(key: string, bytes: Uint8Array): Promise<'created' | 'occupied'> {
    return await this.#createFor(key, bytes, 'partial', this.#retention.mode === 'none' ? 0 : PROBE_MS);
  }

  async *attack(key: string): AsyncIterable<Finding> {
    const { mode } = this.#retention;
    const overwrite = () => this.#put(key, Buffer.from('overwritten'), 'partial', mode === 'none' ? 0 : PROBE_MS);
    yield* attackProbe(this.#connection, this, { key, mode, overwrite });
  }

  close(): void {
    this.#connection.close();
  }

  #target(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#connection.bucket, Key: this.#connection.key(key) };
  }

  /** How long objects of a class are locked; 0 is not at all. */
  #lockMs(of: ObjectClass): number {
    const { mode, logDays, bodiesDays, partialDays } = this.#retention;
    return mode === 'none' ? 0 : { log: logDays, bodies: bodiesDays, partial: partialDays }[of] * DAY_MS;
  }

  async #createFor(key: string, bytes: Uint8Array, of: ObjectClass, lockMs: number): Promise<'created' | 'occupied'> {
    if (await this.#put(key, bytes, of, lockMs, '*')) return 'created';
    // S3 does not count what a delete marker hides; some compatibles do.
    const attempt = this.#connection.attempt('looking for', key, 's3:GetObject and s3:ListBucket');
    const target = this.#target(key);
    const found = await this.#connection.sendUnlessAbsent(attempt, (s3, options) => s3.headObject(target, options));
    if (found !== undefined) return 'occupied';
    await this.#put(key, bytes, of, lockMs);
    return 'created';
  }

  /** False when the condition did not hold. */
  async #put(key: string, bytes: Uint8Array, of: ObjectClass, lockMs: number, ifNoneMatch?: '*'): Promise<boolean> {
    const connection = this.#connection;
    const attempt = connection.attempt('writing', key, permissionsToPut(this.#retention, this.#options));
    const target = this.#target(key);
    if (lockMs > 0) await connection.agreeOnTime();
    const input = {
      ...target,
      Body: bytes,
      // S3 asks for a checksum with a lock, and refuses a body that does not match.
      ChecksumSHA256: createHash('sha256').update(bytes).digest('base64'),
      ContentType: 'application/octet-stream',
      ...(ifNoneMatch && { IfNoneMatch: ifNoneMatch }),
      ...(lockMs > 0 ? lockUntil(this.#retention.mode, connection.clock.in(lockMs)) : {}),
      ...this.#extras(of),
    };
    try {
      await connection.send(attempt, (s3, options) => s3.putObject(input, options), bytes.length);
      return true;
    } catch (error) {
      if (ifNoneMatch && error instanceof SealgateError && s3Status(error.cause) === 412) return false;
      throw error;
    }
  }

  /** Of a write, besides its bytes and its lock. */
  #extras(of: ObjectClass): Partial<PutObjectCommandInput> {
    const { kmsKeyId = '', tagPartials = true } = this.#options;
    return {
      ...(kmsKeyId === '' ? {} : { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kmsKeyId, BucketKeyEnabled: true }),
      ...(of === 'partial' && tagPartials ? { Tagging: PARTIAL_TAG } : {}),
      ...(of !== 'partial' && this.#retention.legalHold ? { ObjectLockLegalHoldStatus: 'ON' } : {}),
    };
  }
}

/** What a write needs to be allowed. */
function permissionsToPut(
  { mode, legalHold }: RetentionRule,
  { kmsKeyId = '', tagPartials = true }: S3Options,
): string {
  return [
    's3:PutObject',
    ...(mode === 'none' ? [] : ['s3:PutObjectRetention']),
    ...(legalHold ? ['s3:PutObjectLegalHold'] : []),
    ...(tagPartials ? ['s3:PutObjectTagging'] : []),
    ...(kmsKeyId === '' ? [] : ['kms:GenerateDataKey']),
  ].join(', ');
}

function lockUntil(mode: RetentionRule['mode'], until: Date): Partial<PutObjectCommandInput> {
  return { ObjectLockMode: mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE', ObjectLockRetainUntilDate: until };
}

/** The object or the whole bucket has no lock; S3 and its compatibles differ in the status. */
function isUnlocked({ code, cause }: SealgateError): boolean {
  return code === 'MIRROR_NO_OBJECT_LOCK' || s3Code(cause) === 'NoSuchObjectLockConfiguration';
}

function retentionOf(mode: string | undefined, until: Date | undefined, legalHold: boolean): Retention {
  if (mode === undefined || until === undefined) return { mode: 'none', legalHold };
  return { mode: mode === 'COMPLIANCE' ? 'compliance' : 'governance', until, legalHold };
}
