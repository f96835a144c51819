// Objects in an S3 bucket with Object Lock, or in a compatible.
import { createHash } from 'node:crypto';
import type { PutObjectCommandInput, S3 } from '@aws-sdk/client-s3';
import { SealgateError } from '../../lib/errors.ts';
import { deadline } from './deadline.ts';
import { isRetryable } from './errors.ts';
import { checkKey } from './keys.ts';
import type { RetentionRule, S3Options, StoreOptions } from './options.ts';
import { readBody } from './s3-body.ts';
import { clientConfig, connect, requestTimeout } from './s3-client.ts';
import { S3Clock } from './s3-clock.ts';
import { type S3Attempt, s3Code, s3Error, s3Status } from './s3-errors.ts';
import { listObjects, listVersions } from './s3-listing.ts';
import { parseS3Url, type S3Location } from './s3-url.ts';
import {
  DEFAULT_MAX_BYTES,
  type GetOptions,
  type ListedObject,
  type ObjectClass,
  type ObjectStore,
  type Retention,
  type StoredVersion,
} from './store.ts';

const NO_RETENTION: RetentionRule = { mode: 'none', logDays: 0, bodiesDays: 0, partialDays: 0, legalHold: false };

/** By this tag a lifecycle rule knows what may expire. */
const PARTIAL_TAG = 'sealgate-class=partial';

/** One request: it is given the client and what ends it. */
type Request<T> = (
  s3: S3,
  options: { abortSignal: AbortSignal; requestTimeout: number },
  allow: (bytes: number) => void,
) => Promise<T>;

export class S3Store implements ObjectStore {
  readonly url: string;
  readonly #at: S3Location;
  readonly #options: S3Options;
  readonly #retention: RetentionRule;
  readonly #clock: S3Clock;
  readonly #connect: () => Promise<S3>;
  #client: Promise<S3> | undefined;

  /** Sends nothing yet. Throws MIRROR_URL_INVALID. */
  constructor(url: string, { clock, retention = NO_RETENTION, s3 = {} }: StoreOptions) {
    this.#at = parseS3Url(url);
    this.url = `s3://${this.#at.bucket}/${this.#at.prefix}`.replace(/\/$/, '');
    this.#options = s3;
    this.#retention = retention;
    this.#clock = new S3Clock(clock, () => performance.now());
    const config = clientConfig(s3);
    this.#connect = () => connect(config, (date) => this.#clock.saw(date));
  }

  async create(key: string, bytes: Uint8Array, of: ObjectClass): Promise<'created' | 'occupied'> {
    if (await this.#put(key, bytes, of, '*')) return 'created';
    // S3 does not count what a delete marker hides; some compatibles do.
    const attempt = this.#attempt('looking for', key, 's3:GetObject and s3:ListBucket');
    const target = { Bucket: this.#at.bucket, Key: this.#key(key) };
    if ((await this.#unlessAbsent(attempt, (s3, options) => s3.headObject(target, options))) !== undefined)
      return 'occupied';
    await this.#put(key, bytes, of);
    return 'created';
  }

  async replace(key: string, bytes: Uint8Array, of: ObjectClass): Promise<void> {
    await this.#put(key, bytes, of);
  }

  async get(key: string, options: GetOptions = {}): Promise<Buffer | undefined> {
    const attempt = this.#attempt('reading', key, 's3:GetObject and s3:GetObjectVersion');
    try {
      return await this.#getOnce(attempt, key, options);
    } catch (error) {
      // The SDK does not try again once a body has begun.
      if (!(error instanceof SealgateError) || error.code !== 'MIRROR_TRANSFER_DAMAGED') throw error;
      return await this.#getOnce(attempt, key, options);
    }
  }

  async *list(prefix: string): AsyncIterable<ListedObject> {
    const { bucket, prefix: base } = this.#at;
    const attempt = this.#attempt('listing', prefix, 's3:ListBucket');
    yield* listObjects(base, (token) =>
      this.#send(attempt, (s3, options) =>
        s3.listObjectsV2(
          { Bucket: bucket, Prefix: base + prefix, EncodingType: 'url', ...(token && { ContinuationToken: token }) },
          options,
        ),
      ),
    );
  }

  async *versions(prefix: string): AsyncIterable<StoredVersion> {
    const { bucket, prefix: base } = this.#at;
    const attempt = this.#attempt('listing the versions of', prefix, 's3:ListBucketVersions');
    yield* listVersions(base, (after) =>
      this.#send(attempt, (s3, options) =>
        s3.listObjectVersions({ Bucket: bucket, Prefix: base + prefix, EncodingType: 'url', ...after }, options),
      ),
    );
  }

  async retention(key: string, version: string): Promise<Retention | undefined> {
    const attempt = this.#attempt('reading the lock of', key, 's3:GetObjectVersion and s3:GetObjectRetention');
    const target = { Bucket: this.#at.bucket, Key: this.#key(key), ...(version === '' ? {} : { VersionId: version }) };
    const head = await this.#unlessAbsent(attempt, (s3, options) => s3.headObject(target, options));
    if (head === undefined) return undefined;
    const legalHold = head.ObjectLockLegalHoldStatus === 'ON';
    const said = retentionOf(head.ObjectLockMode, head.ObjectLockRetainUntilDate, legalHold);
    if (said.mode !== 'none') return said;
    // HEAD keeps silent about a lock to whoever may not see it. Asked for it, S3 says which of the two it is.
    try {
      const { Retention: asked } = await this.#send(attempt, (s3, options) => s3.getObjectRetention(target, options));
      return retentionOf(asked?.Mode, asked?.RetainUntilDate, legalHold);
    } catch (error) {
      if (error instanceof SealgateError && isUnlocked(error)) return said;
      throw error;
    }
  }

  close(): void {
    this.#client?.then(
      (client) => client.destroy(),
      () => undefined,
    );
    this.#client = undefined;
  }

  #key(key: string): string {
    checkKey(key);
    return this.#at.prefix + key;
  }

  #attempt(doing: string, key: string, permissions: string): S3Attempt {
    return { doing: `${doing} s3://${this.#at.bucket}/${this.#at.prefix}${key}`, bucket: this.#at.bucket, permissions };
  }

  async #put(key: string, bytes: Uint8Array, of: ObjectClass, ifNoneMatch?: '*'): Promise<boolean> {
    const days = { log: 'logDays', bodies: 'bodiesDays', partial: 'partialDays' } as const;
    const locked = this.#retention.mode !== 'none' && this.#retention[days[of]] > 0;
    const input = {
      Bucket: this.#at.bucket,
      Key: this.#key(key),
      Body: bytes,
      // S3 asks for a checksum with a lock, and refuses a body that does not match.
      ChecksumSHA256: createHash('sha256').update(bytes).digest('base64'),
      ContentType: 'application/octet-stream',
      ...(ifNoneMatch && { IfNoneMatch: ifNoneMatch }),
      ...this.#extras(of),
    };
    const attempt = this.#attempt('writing', key, permissionsToPut(this.#retention, this.#options));
    if (locked) await this.#agreeOnTime();
    const lock = locked ? lockUntil(this.#retention.mode, this.#clock.in(this.#retention[days[of]])) : {};
    try {
      await this.#send(attempt, (s3, options) => s3.putObject({ ...input, ...lock }, options), bytes.length);
      return true;
    } catch (error) {
      if (error instanceof SealgateError && s3Status(error.cause) === 412) return false;
      throw error;
    }
  }

  /** Of a write, besides its bytes and its time. */
  #extras(of: ObjectClass): Partial<PutObjectCommandInput> {
    const { kmsKeyId = '', tagPartials = true } = this.#options;
    return {
      ...(kmsKeyId === '' ? {} : { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kmsKeyId, BucketKeyEnabled: true }),
      ...(of === 'partial' && tagPartials ? { Tagging: PARTIAL_TAG } : {}),
      ...(of !== 'partial' && this.#retention.legalHold ? { ObjectLockLegalHoldStatus: 'ON' } : {}),
    };
  }

  /** Knows the server's time, from its last answer or from one asked for, and throws MIRROR_CLOCK if ours is another. */
  async #agreeOnTime(): Promise<void> {
    if (this.#clock.agrees()) return;
    const attempt = this.#attempt('reaching', '', 's3:ListBucket');
    const before = this.#clock.ahead();
    try {
      await this.#send(attempt, (s3, options) => s3.headBucket({ Bucket: this.#at.bucket }, options));
    } catch (error) {
      // Also a refusal carries the time.
      if (isRetryable(error) || this.#clock.ahead() === undefined || this.#clock.ahead() === before) throw error;
    }
    this.#clock.check(this.url);
  }

  async #getOnce(attempt: S3Attempt, key: string, options: GetOptions): Promise<Buffer | undefined> {
    const target = {
      Bucket: this.#at.bucket,
      Key: this.#key(key),
      ...(options.version && { VersionId: options.version }),
    };
    return await this.#unlessAbsent(attempt, async (s3, sendOptions, allow) => {
      const answer = await s3.getObject({ ...target, ChecksumMode: 'ENABLED' }, sendOptions);
      allow(answer.ContentLength ?? 0);
      return await readBody(answer, attempt, options.maxBytes ?? DEFAULT_MAX_BYTES);
    });
  }

  /** Undefined when there is no such object or version, or it is a delete marker. */
  async #unlessAbsent<T>(attempt: S3Attempt, request: Request<T>): Promise<T | undefined> {
    try {
      return await this.#send(attempt, request);
    } catch (error) {
      if (error instanceof SealgateError && isAbsent(error.cause)) return undefined;
      throw error;
    }
  }

  async #send<T>(attempt: S3Attempt, request: Request<T>, bytes = 0): Promise<T> {
    const limit = deadline(bytes);
    try {
      this.#client ??= this.#connect();
      return await request(
        await this.#client,
        { abortSignal: limit.signal, requestTimeout: requestTimeout(bytes) },
        limit.allow,
      );
    } catch (error) {
      throw s3Error(error, attempt);
    } finally {
      limit.end();
    }
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

/** A 404 that is about the object and not the bucket, or S3's answer about a delete marker. */
function isAbsent(error: unknown): boolean {
  const status = s3Status(error);
  return (status === 404 && s3Code(error) !== 'NoSuchBucket') || status === 405;
}

/** The object or the whole bucket has no lock; S3 and its compatibles differ in the status. */
function isUnlocked({ code, cause }: SealgateError): boolean {
  return code === 'MIRROR_NO_OBJECT_LOCK' || s3Code(cause) === 'NoSuchObjectLockConfiguration';
}

function retentionOf(mode: string | undefined, until: Date | undefined, legalHold: boolean): Retention {
  if (mode === undefined || until === undefined) return { mode: 'none', legalHold };
  return { mode: mode === 'COMPLIANCE' ? 'compliance' : 'governance', until, legalHold };
}
