// `s3://bucket/prefix`, taken apart.
import { SealgateError } from '../../lib/errors.ts';
import { isKey } from './keys.ts';

export interface S3Location {
  readonly bucket: string;
  /** Of every key, with a slash at its end; '' for the whole bucket. */
  readonly prefix: string;
}

/** Throws MIRROR_URL_INVALID, saying what about the URL it is. */
export function parseS3Url(url: string): S3Location {
  const [, bucket = '', rest = ''] = /^s3:\/\/([^/]*)\/*(.*?)\/*$/is.exec(url) ?? [];
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw invalid(
      `${JSON.stringify(bucket)} is not the name of a bucket (3 to 63 lower-case letters, digits, dots and hyphens)`,
    );
  }
  if (rest === '') return { bucket, prefix: '' };
  // A prefix with a question mark is a key, too, but somebody meant an option by it.
  if (!isKey(rest) || rest.includes('?')) {
    throw invalid(
      `${JSON.stringify(rest)} cannot be the prefix: parts of visible ASCII between slashes, none beginning with a dot; options are settings (mirror.s3), not part of the URL`,
    );
  }
  return { bucket, prefix: `${rest}/` };
}

function invalid(why: string): SealgateError {
  return new SealgateError('MIRROR_URL_INVALID', `the URL of the mirror is not s3://bucket/prefix: ${why}`);
}
