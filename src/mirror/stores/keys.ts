// Which keys Sealgate writes and asks for. Keys that are only listed may be any text.
import { SealgateError } from '../../lib/errors.ts';

const PART = '(?!\\.)[!-.0-~]+';
const KEY = new RegExp(`^${PART}(/${PART})*$`);

/** S3's limit; also PATH_MAX of Linux less what a folder needs. */
const MAX_KEY_BYTES = 1024;

/** Whether it is parts of visible ASCII between slashes, none empty or beginning with a dot. */
export function isKey(text: string): boolean {
  return text.length <= MAX_KEY_BYTES && KEY.test(text);
}

/** Throws MIRROR_KEY_INVALID unless isKey. */
export function checkKey(key: string): void {
  if (isKey(key)) return;
  throw new SealgateError(
    'MIRROR_KEY_INVALID',
    `${JSON.stringify(key.slice(0, 200))} cannot be the key of a mirrored object: parts of visible ASCII between slashes, none beginning with a dot, at most ${MAX_KEY_BYTES} characters in all`,
  );
}
