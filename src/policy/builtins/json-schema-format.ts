// The formats of strings that JSON Schemas may ask for, as OPA's library judges them; an unknown one always holds.
import { isIPv4, isIPv6 } from 'node:net';
import { RE2JS } from 're2js';
import { BuiltinError } from './error.ts';
import { parseTime } from './go-time-parse.ts';
import { type GoUrl, parseUrl } from './go-url.ts';

type Check = (text: string) => boolean;

const HOSTNAME =
  /^([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]))*$/;
const POINTER = /^(?:\/(?:[^~/]|~0|~1)*)*$/;
const RELATIVE_POINTER = /^(?:0|[1-9][0-9]*)(?:#|(?:\/(?:[^~/]|~0|~1)*)*)$/;
const UUID = /^[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$/i;
const DATE_TIME = ['15:04:05', '15:04:05Z07:00', '2006-01-02', '2006-01-02T15:04:05Z07:00'];

/** An address by itself or in angle brackets behind a name (the common part of RFC 5322). */
const EMAIL = /^(?:[^<>@]*<)?[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u0080-\uffff-]+@[A-Za-z0-9\u0080-\uffff.[\]:-]+>?$/;

const isUri = (text: string, accepts: (url: GoUrl) => boolean): boolean =>
  !text.includes('\\') && holds(() => accepts(parseUrl(text)));

const FORMATS: Readonly<Record<string, Check>> = {
  date: (text) => isTime(['2006-01-02'], text),
  time: (text) => isTime(['15:04:05Z07:00', '15:04:05'], text),
  'date-time': (text) => isTime(DATE_TIME, text),
  hostname: (text) => text.length < 256 && HOSTNAME.test(text),
  email: isEmail,
  'idn-email': isEmail,
  // OPA asks Go whether it is any address and then for a dot.
  ipv4: (text) => isIPv4(text) || (isAddress6(text) && text.includes('.')),
  ipv6: isAddress6,
  uri: (text) => isUri(text, (url) => url.scheme !== ''),
  'uri-reference': (text) => isUri(text, () => true),
  iri: (text) => isUri(text, (url) => url.scheme !== ''),
  'iri-reference': (text) => isUri(text, () => true),
  'uri-template': (text) => isUri(text, (url) => isBalanced(url.path)),
  uuid: (text) => UUID.test(text),
  regex: (text) => holds(() => RE2JS.compile(text) !== undefined),
  'json-pointer': (text) => POINTER.test(text),
  'relative-json-pointer': (text) => RELATIVE_POINTER.test(text),
};

export function isFormat(format: string, text: string): boolean {
  return !Object.hasOwn(FORMATS, format) || FORMATS[format]?.(text) === true;
}

/** Without a zone. */
function isAddress6(text: string): boolean {
  return !text.includes('%') && isIPv6(text);
}

function isEmail(text: string): boolean {
  const address = text.trim();
  return EMAIL.test(address) && address.includes('<') === address.endsWith('>') && !/\.\.|\.@|(?:^|<)\./.test(address);
}

function isTime(layouts: readonly string[], text: string): boolean {
  return layouts.some((layout) => holds(() => parseTime(layout, text) !== undefined));
}

/** Every opening brace is closed before the next one. */
function isBalanced(text: string): boolean {
  return /^[^{]*(?:\{[^}]*\}[^{]*)*$/.test(text);
}

/** What cannot be read does not hold. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch (error) {
    if (error instanceof BuiltinError || (error instanceof Error && error.name.startsWith('RE2JS'))) return false;
    throw error;
  }
}
