// base64url as OPA decodes it: padding may be left out, line breaks do not count, everything else is an error.
import { BuiltinError } from './error.ts';

export function decodeBase64Url(text: string): Buffer {
  const digits = text.replace(/[\r\n]/g, '');
  const data = digits.replace(/={0,2}$/, '');
  const padding = digits.length - data.length;
  if (!/^[A-Za-z0-9_-]*$/.test(data) || data.length % 4 === 1 || (padding > 0 && digits.length % 4 !== 0))
    throw new BuiltinError('illegal base64url string');
  return Buffer.from(data, 'base64url');
}
