// Go's net/url.Parse (go1.26, src/net/url/url.go), in its order of decisions. Not WHATWG's URL, which repairs what Go
// refuses.
import { isIPv6 } from 'node:net';
import { BuiltinError } from './error.ts';
import { escapeUrl, unescapeUrl } from './url-escape.ts';

/** What Go's url.URL holds; empty where the text has nothing. */
export interface GoUrl {
  readonly scheme: string;
  /** What follows the scheme when that is no path from the root: mailto:this. */
  readonly opaque: string;
  readonly hasUser: boolean;
  readonly hostname: string;
  readonly port: string;
  /** Host and port as they are written, brackets included. */
  readonly host: string;
  readonly path: string;
  /** The path as it came, only where the decoded one would not be encoded so. */
  readonly rawPath: string;
  readonly rawQuery: string;
  /** Whether there is a question mark and nothing behind it. */
  readonly forceQuery: boolean;
  readonly fragment: string;
  readonly rawFragment: string;
  /** Whether a path from the root follows the scheme without a host. */
  readonly omitHost: boolean;
}

/** Throws a BuiltinError for what Go refuses. */
export function parseUrl(text: string): GoUrl {
  const [main, fragment] = cut(text, '#');
  const parts = split(main);
  const authority = parts.authority === undefined ? NO_HOST : parseAuthority(parts.scheme, parts.authority);
  const path = unescapeUrl(parts.path);
  const decoded = unescapeUrl(fragment);
  return {
    scheme: parts.scheme,
    opaque: parts.opaque,
    ...authority,
    path,
    rawPath: parts.path === '*' || parts.path === escapeUrl(path, '$&+,/:;=@') ? '' : parts.path,
    rawQuery: parts.query,
    forceQuery: parts.forceQuery,
    fragment: decoded,
    rawFragment: fragment === escapeUrl(decoded, "!$&'()*+,/:;=?@") ? '' : fragment,
    omitHost: parts.scheme !== '' && parts.authority === undefined && parts.path.startsWith('/'),
  };
}

const NO_HOST = { hasUser: false, hostname: '', port: '', host: '' };

function cut(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

interface Parts {
  readonly scheme: string;
  readonly authority?: string;
  readonly opaque: string;
  readonly path: string;
  readonly query: string;
  readonly forceQuery: boolean;
}

/** What is to the left of the fragment, cut into its parts, nothing decoded. */
function split(text: string): Parts {
  if ([...text].some((one) => one < ' ' || one === '\u007f'))
    throw new BuiltinError('invalid control character in URL');
  if (text.startsWith(':')) throw new BuiltinError('missing protocol scheme');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1] ?? '';
  const [rest, query] = cut(scheme === '' ? text : text.slice(scheme.length + 1), '?');
  const forceQuery = query === '' && text.endsWith('?');
  const parts = { scheme: scheme.toLowerCase(), opaque: '', path: rest, query, forceQuery };
  if (!rest.startsWith('/')) {
    // A path without a root under a scheme is opaque, as in mailto:.
    if (scheme !== '') return { ...parts, opaque: rest, path: '' };
    if (cut(rest, '/')[0].includes(':')) throw new BuiltinError('first path segment in URL cannot contain colon');
  }
  if (!rest.startsWith('//') || (scheme === '' && rest.startsWith('///'))) return parts;
  const slash = rest.indexOf('/', 2);
  const end = slash < 0 ? rest.length : slash;
  return { ...parts, authority: rest.slice(2, end), path: rest.slice(end) };
}

type Authority = Pick<GoUrl, 'hasUser' | 'hostname' | 'port' | 'host'>;

function parseAuthority(scheme: string, authority: string): Authority {
  const at = authority.lastIndexOf('@');
  const host = authority.slice(at + 1);
  const parsed = host.includes('[') ? literalHost(host) : namedHost(scheme, host);
  if (at >= 0) {
    const user = authority.slice(0, at);
    if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) throw new BuiltinError('invalid userinfo');
    unescapeUrl(user);
  }
  const name = host.startsWith('[') ? `[${parsed.hostname}]` : parsed.hostname;
  // The colon stays even when nothing follows it.
  const colon = /:\d*$/.exec(host)?.[0] ?? '';
  return { ...parsed, hasUser: at >= 0, host: name + (host.endsWith(']') ? '' : colon) };
}

/** An IPv6 address in brackets, perhaps with a zone, perhaps with a port. */
function literalHost(host: string): { hostname: string; port: string } {
  const close = host.lastIndexOf(']');
  if (host.lastIndexOf('[') > 0) throw new BuiltinError('invalid IP-literal');
  if (close < 0) throw new BuiltinError("missing ']' in host");
  const port = portOf(host.slice(close + 1));
  const inner = host.slice(1, close);
  const zoneAt = inner.indexOf('%25');
  const address = unescapeHost(zoneAt < 0 ? inner : inner.slice(0, zoneAt));
  const zone = zoneAt < 0 ? '' : unescapeZone(inner.slice(zoneAt));
  // A zone is a percent sign and a name.
  if (!isIPv6(address) || zone === '%') throw new BuiltinError('invalid host');
  return { hostname: address + zone, port };
}

function namedHost(scheme: string, host: string): { hostname: string; port: string } {
  const isHttp = scheme === 'http' || scheme === 'https';
  const colon = isHttp ? host.indexOf(':') : host.lastIndexOf(':');
  if (colon < 0) return { hostname: unescapeHost(host), port: '' };
  const port = portOf(host.slice(colon));
  return { hostname: unescapeHost(host.slice(0, colon)), port };
}

/** Nothing, or a colon and digits. */
function portOf(text: string): string {
  if (!/^(?::[0-9]*)?$/.test(text)) throw new BuiltinError(`invalid port ${JSON.stringify(text)} after host`);
  return text.slice(1);
}

/** Of ASCII, these may stand in a host as they are; a percent sign begins an escape. */
const HOST_ASCII = /^[A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"%]$/;

function checkHost(text: string, alsoAllowed = ''): void {
  const wrong = [...text].find((one) => one < '\u0080' && !HOST_ASCII.test(one) && !alsoAllowed.includes(one));
  if (wrong !== undefined) throw new BuiltinError(`invalid character ${JSON.stringify(wrong)} in host name`);
}

/** Percent-encoding in a host stands for bytes beyond ASCII, and for the percent sign before a zone. */
function unescapeHost(host: string): string {
  checkHost(host);
  const ascii = /%(?!25)[0-7][0-9a-fA-F]/.exec(host);
  if (ascii !== null) throw new BuiltinError(`invalid URL escape ${JSON.stringify(ascii[0])}`);
  return unescapeUrl(host);
}

function unescapeZone(zone: string): string {
  checkHost(zone);
  const decoded = unescapeUrl(zone);
  checkHost(decoded, ' ');
  return decoded;
}
