// What a store is opened with, besides its URL.
import type { Clock } from '../../lib/clock.ts';

/** How long objects are locked. Days are of 24 hours; 0 locks nothing of that class. */
export interface RetentionRule {
  readonly mode: 'compliance' | 'governance' | 'none';
  readonly logDays: number;
  readonly bodiesDays: number;
  readonly partialDays: number;
  /** Also puts a legal hold on objects of the classes `log` and `bodies`. */
  readonly legalHold: boolean;
}

/** Connection to S3. '' is as if it were not given. */
export interface S3Options {
  /** For S3-compatibles: `https://host[:port]`. */
  readonly endpoint?: string;
  /** Default: AWS_REGION or the shared configuration file of AWS. */
  readonly region?: string;
  /** Bucket in the path instead of the host name, as most S3-compatibles want it. */
  readonly pathStyle?: boolean;
  /** Encrypts with SSE-KMS under this key (id, ARN or alias). */
  readonly kmsKeyId?: string;
  /** CA certificates, PEM, that the endpoint may have its certificate from, besides the public ones. */
  readonly caFile?: string;
  /** `http://[user:password@]host:port`. Default: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment. */
  readonly proxy?: string;
  /** Until an answer begins, and between any two parts of it. Default: 30. */
  readonly timeoutSeconds?: number;
  /** Tags objects of the class `partial` with `sealgate-class=partial`, by which a lifecycle rule can expire them. */
  readonly tagPartials?: boolean;
}

export interface StoreOptions {
  /** Retain-until dates are counted from its time. */
  readonly clock: Clock;
  /** Default: nothing is locked. Whoever only reads needs none. */
  readonly retention?: RetentionRule;
  readonly s3?: S3Options;
  /**
   * How often a request is tried while its failure may pass by itself. Default: 2, for a caller with a patience of its own; who
   * waits in front of a long verification has none.
   */
  readonly attempts?: number;
}

export const DEFAULT_ATTEMPTS = 2;
