// One bucket as everything about it reaches it: with deadlines, errors of ours, and an eye on the server's clock.
import type { S3 } from '@aws-sdk/client-s3';
import { SealgateError } from '../../lib/errors.ts';
import { deadline } from './deadline.ts';
import { isRetryable } from './errors.ts';
import { checkKey } from './keys.ts';
import { DEFAULT_ATTEMPTS, type S3Options, type StoreOptions } from './options.ts';
import { clientConfig, connect, requestTimeout } from './s3-client.ts';
import { S3Clock } from './s3-clock.ts';
import { type S3Attempt, s3Code, s3Error, s3Status } from './s3-errors.ts';
import { parseS3Url } from './s3-url.ts';

/** One request: it is given the client and what ends it. `allow` grants time for so many bytes of an answer. */
export type S3Request<T> = (
  s3: S3,
  options: { abortSignal: AbortSignal; requestTimeout: number },
  allow: (bytes: number) => void,
) => Promise<T>;

const LOOPBACK = /^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?\/?$/i;

export class S3Connection {
  readonly url: string;
  readonly bucket: string;
  /** Of every key, with a slash at its end; '' for the whole bucket. */
  readonly prefix: string;
  /** Everything passes networks in clear. */
  readonly plaintext: boolean;
  readonly clock: S3Clock;
  readonly #options: S3Options;
  readonly #attempts: number;
  readonly #connect: () => Promise<S3>;
  #client: Promise<S3> | undefined;

  /** Sends nothing yet. Throws MIRROR_URL_INVALID. */
  constructor(url: string, { clock, s3 = {}, attempts = DEFAULT_ATTEMPTS }: StoreOptions) {
    const { bucket, prefix } = parseS3Url(url);
    this.bucket = bucket;
    this.prefix = prefix;
    this.url = `s3://${bucket}/${prefix}`.replace(/\/$/, '');
    this.plaintext = /^http:\/\//i.test(s3.endpoint ?? '') && !LOOPBACK.test(s3.endpoint ?? '');
    this.clock = new S3Clock(clock, () => performance.now());
    this.#options = s3;
    this.#attempts = attempts;
    const config = clientConfig(s3, attempts);
    this.#connect = () => connect(config, (date) => this.clock.saw(date));
  }

  /** The key as the bucket has it. Throws MIRROR_KEY_INVALID. */
  key(key: string): string {
    checkKey(key);
    return this.prefix + key;
  }

  /** For the message when it fails: `doing` as in `writing`, and what must be allowed for it. */
  attempt(doing: string, key: string, permissions: string): S3Attempt {
    return { doing: `${doing} s3://${this.bucket}/${this.prefix}${key}`, bucket: this.bucket, permissions };
  }

  /** `bytes`: how many are sent. What came damaged is asked for again, which the SDK does not do. Throws SealgateError only. */
  async send<T>(attempt: S3Attempt, request: S3Request<T>, bytes = 0): Promise<T> {
    for (let left = this.#attempts - 1; ; left--) {
      try {
        return await this.#sendOnce(attempt, request, bytes);
      } catch (error) {
        const damaged = error instanceof SealgateError && error.code === 'MIRROR_TRANSFER_DAMAGED';
        if (!damaged || left <= 0) throw error;
      }
    }
  }

  /** As send; undefined when there is no such object or version, or it is a delete marker. */
  async sendUnlessAbsent<T>(attempt: S3Attempt, request: S3Request<T>): Promise<T | undefined> {
    try {
      return await this.send(attempt, request);
    } catch (error) {
      if (error instanceof SealgateError && isAbsent(error.cause)) return undefined;
      throw error;
    }
  }

  /** Knows the server's time, from its last answer or from one asked for, and throws MIRROR_CLOCK if ours is another. */
  async agreeOnTime(): Promise<void> {
    if (this.clock.agrees()) return;
    const before = this.clock.ahead();
    try {
      await this.send(this.attempt('reaching', '', 's3:ListBucket'), (s3, options) =>
        s3.headBucket({ Bucket: this.bucket }, options),
      );
    } catch (error) {
      // Also a refusal carries the time.
      if (isRetryable(error) || this.clock.ahead() === undefined || this.clock.ahead() === before) throw error;
    }
    this.clock.check(this.url);
  }

  async #sendOnce<T>(attempt: S3Attempt, request: S3Request<T>, bytes: number): Promise<T> {
    const limit = deadline(bytes);
    try {
      this.#client ??= this.#connect();
      const options = { abortSignal: limit.signal, requestTimeout: requestTimeout(this.#options, bytes) };
      return await request(await this.#client, options, limit.allow);
    } catch (error) {
      throw s3Error(error, attempt);
    } finally {
      limit.end();
    }
  }

  close(): void {
    this.#client?.then(
      (client) => client.destroy(),
      () => undefined,
    );
    this.#client = undefined;
  }
}

/** A 404 that is about the object and not the bucket, or S3's answer about a delete marker. */
function isAbsent(error: unknown): boolean {
  const status = s3Status(error);
  return (status === 404 && s3Code(error) !== 'NoSuchBucket') || status === 405;
}
