// What S3, its compatibles, STS and the network between say, as errors of ours: what, where, what to do.
// S3's codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
import { type ErrorCode, messageOf, SealgateError } from '../../lib/errors.ts';
import { storeError, systemCode } from './errors.ts';

/** What was being done. */
export interface S3Attempt {
  /** For the message, for example `writing s3://bucket/key`. */
  readonly doing: string;
  readonly bucket: string;
  /** What the credentials must allow for it, for example `s3:PutObject`. */
  readonly permissions: string;
}

/** The parts that the SDK's exceptions have, as far as they have them. */
interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code: string;
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly region: string | undefined;
}

type Answer = readonly [code: ErrorCode, remedy: string];

/** An error of the SDK as a SealgateError. */
export function s3Error(error: unknown, attempt: S3Attempt): SealgateError {
  if (error instanceof SealgateError) return error;
  const failure = partsOf(error);
  const [code, remedy] = meaning(failure, attempt);
  const status = failure.status === undefined ? '' : `, HTTP ${failure.status}`;
  const told = failure.message === '' || failure.message === 'UnknownError' ? 'no reason given' : failure.message;
  return storeError(code, `${attempt.doing} failed: ${oneLine(told)} (${failure.name}${status}): ${remedy}`, error);
}

/** S3's code of an error, for example `NoSuchKey`; '' when it has none. */
export function s3Code(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** The HTTP status of the answer, when there was one. */
export function s3Status(error: unknown): number | undefined {
  return partsOf(error).status;
}

function partsOf(error: unknown): Failure {
  const record = (value: unknown): Readonly<Record<string, unknown>> =>
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const top = record(error);
  const response = record(top['$response']);
  const status = record(top['$metadata'])['httpStatusCode'] ?? response['statusCode'];
  const region = top['Region'];
  // Node wraps the errors of several addresses in one that has no message.
  const nested = error instanceof AggregateError ? error.errors[0] : undefined;
  return {
    name: error instanceof Error ? error.name : 'Error',
    message: messageOf(error) || messageOf(nested ?? ''),
    code: systemCode(error) || systemCode(nested) || systemCode(top['cause']),
    status: typeof status === 'number' ? status : undefined,
    headers: record(response['headers']) as Readonly<Record<string, string>>,
    region: typeof region === 'string' ? region : undefined,
  };
}

/** The first that has an opinion wins: the more exact ones stand first. */
function meaning(failure: Failure, attempt: S3Attempt): Answer {
  return (
    ofCredentials(failure) ??
    ofBucket(failure, attempt) ??
    ofClock(failure) ??
    ofKms(failure) ??
    ofTransfer(failure) ??
    ofNetwork(failure) ??
    ofStatus(failure, attempt)
  );
}

function ofCredentials({ name, message }: Failure): Answer | undefined {
  if (/^(CredentialsProviderError|TokenProviderError|ProviderError)$/.test(name)) {
    // The token file of a pod that is gone or not readable, a profile that does not exist, nothing at all.
    return [
      'MIRROR_CREDENTIALS',
      'give the pod a role (web identity), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a shared credentials file',
    ];
  }
  if (
    /^(ExpiredToken|ExpiredTokenException|TokenRefreshRequired|RequestExpired|ExpiredAuthenticationException)$/.test(
      name,
    )
  ) {
    return [
      'MIRROR_CREDENTIALS',
      'the credentials have expired: renew them, or give the pod a role, which renews itself',
    ];
  }
  if (
    /^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|InvalidClientTokenId|InvalidSecurity|NotSignedUp|UnrecognizedClientException)$/.test(
      name,
    )
  ) {
    return ['MIRROR_CREDENTIALS', 'the credentials are not valid there: check key, secret and endpoint'];
  }
  if (name === 'InvalidIdentityToken' || /sts:AssumeRole/.test(message)) {
    return ['MIRROR_CREDENTIALS', "the role cannot be taken on: check AWS_ROLE_ARN and the role's trust policy"];
  }
  if (name === 'IDPCommunicationError') {
    return ['MIRROR_UNAVAILABLE', 'the identity provider of the cluster did not answer AWS; it is tried again'];
  }
  return undefined;
}

function ofBucket({ name, message, status, headers, region }: Failure, { bucket }: S3Attempt): Answer | undefined {
  if (name === 'NoSuchBucket') {
    return ['MIRROR_BUCKET_MISSING', `create the bucket ${bucket} with Object Lock, or correct mirror.url`];
  }
  const elsewhere =
    /^(PermanentRedirect|TemporaryRedirect|IllegalLocationConstraintException)$/.test(name) ||
    status === 301 ||
    (name === 'AuthorizationHeaderMalformed' && /region/i.test(message));
  if (elsewhere) {
    const there = headers['x-amz-bucket-region'] ?? region ?? /expecting '([a-z0-9-]+)'/.exec(message)?.[1];
    return [
      'MIRROR_WRONG_REGION',
      `set mirror.s3.region to ${there === undefined ? `the region of ${bucket}` : oneLine(there)}`,
    ];
  }
  const lockless =
    /^(ObjectLockConfigurationNotFoundError|InvalidBucketState|InvalidBucketObjectLockConfiguration)$/.test(name) ||
    (name === 'InvalidRequest' && /missing object ?lock/i.test(message.replace(/ Lock/g, 'Lock')));
  if (lockless) {
    return [
      'MIRROR_NO_OBJECT_LOCK',
      `enable versioning and Object Lock on ${bucket}, or set mirror.retention.mode to none and do without the protection`,
    ];
  }
  return undefined;
}

function ofClock({ name, message }: Failure): Answer | undefined {
  if (name === 'RequestTimeTooSkewed' || name === 'RequestInTheFuture') {
    return ['MIRROR_CLOCK', 'the clocks here and there are too far apart: synchronise the clock of this machine'];
  }
  if (/retain.?until.?date must be in the future/i.test(message)) {
    return [
      'MIRROR_CLOCK',
      'the time to lock the object until has passed there: synchronise the clock of this machine',
    ];
  }
  return undefined;
}

function ofKms({ name, message, status }: Failure): Answer | undefined {
  if (/^KMS\./.test(name) || /^KMS[A-Z]/.test(name) || (status === 403 && /\bkms:/.test(message))) {
    return [
      'MIRROR_KMS',
      'check mirror.s3.kmsKeyId, that the key is enabled, and that its policy allows kms:GenerateDataKey and kms:Decrypt',
    ];
  }
  return undefined;
}

function ofTransfer({ name, message }: Failure): Answer | undefined {
  const damaged =
    /^(BadDigest|InvalidDigest|IncompleteBody|XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch)$/.test(name) ||
    /^checksum mismatch/i.test(message);
  return damaged
    ? ['MIRROR_TRANSFER_DAMAGED', 'it is tried again; if it lasts, look at proxies in between']
    : undefined;
}

function ofNetwork({ name, message, code, status }: Failure): Answer | undefined {
  if (
    /^(CERT_|DEPTH_ZERO_SELF|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS_CERT|INVALID_CA|HOSTNAME_MISMATCH)/.test(code)
  ) {
    return [
      'MIRROR_CERTIFICATE',
      `give the CA of the endpoint in mirror.s3.caFile, or correct its name or dates (${code})`,
    ];
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return ['MIRROR_REFUSED', 'the endpoint does not speak the same TLS: is it https:// at all?'];
  }
  if (code === 'ENOTFOUND') {
    return [
      'MIRROR_UNAVAILABLE',
      'the name of the endpoint is unknown: check it and the DNS; an S3-compatible may need mirror.s3.pathStyle',
    ];
  }
  if (/^region is missing/i.test(message)) {
    return ['MIRROR_URL_INVALID', 'set mirror.s3.region or AWS_REGION'];
  }
  const away = status === undefined && (code !== '' || /^(TimeoutError|AbortError)$/.test(name));
  if (away || name === 'RequestTimeout') {
    return ['MIRROR_UNAVAILABLE', 'it is tried again; if it lasts, check endpoint, network policies and proxy'];
  }
  return undefined;
}

function ofStatus({ name, status }: Failure, { permissions }: S3Attempt): Answer {
  if (
    /^(SlowDown|SlowDownRead|SlowDownWrite|Throttl.*|TooManyRequests.*|RequestLimitExceeded|BandwidthLimitExceeded|PriorRequestNotComplete)$/.test(
      name,
    ) ||
    status === 429
  ) {
    return ['MIRROR_THROTTLED', 'it is tried again, more slowly'];
  }
  // Another writer of the same key, at the same time.
  if (name === 'ConditionalRequestConflict' || name === 'OperationAborted') {
    return ['MIRROR_UNAVAILABLE', 'another request for the same key is under way; it is tried again'];
  }
  if (status === 403 || name === 'AccessDenied') {
    return [
      'MIRROR_ACCESS_DENIED',
      `allow ${permissions} in the policies of the role and of the bucket (without s3:ListBucket a missing object looks like this, too)`,
    ];
  }
  if (status === 501) {
    return ['MIRROR_REFUSED', 'this S3-compatible lacks something that is needed: run sealgate mirror check'];
  }
  if (status !== undefined && status >= 500) return ['MIRROR_UNAVAILABLE', 'it is tried again'];
  if (status !== undefined && status >= 400) {
    return ['MIRROR_REFUSED', 'run sealgate mirror check, which tries everything that is needed'];
  }
  if (status !== undefined) {
    // A good status, and an answer that could not be read.
    return ['MIRROR_TRANSFER_DAMAGED', 'it is tried again; if it lasts, look at proxies in between'];
  }
  return ['INTERNAL', 'this is a mistake in Sealgate: report it'];
}

/** Text from outside for a message of one line. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 500);
}
