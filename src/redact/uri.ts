// Credentials in the request URI of an audit event: the command of an exec, the query of a proxied request, parameters with a
// telling name anywhere.
import { announcesCredential, cutSpans, isTelling, mayBeTelling, type Span } from './command.ts';
import { REDACTED } from './scrub.ts';

/** A session with a container or a request passed on: what follows the subresource is not Kubernetes' own. */
const SESSION = /\/(?:exec|attach|portforward|proxy)(?:\/|$)/;

export interface UriRules {
  readonly search: (text: string) => readonly Span[];
  readonly removed: (value: string) => void;
}

/** Whether a request URI opens a session. */
export function isSession(uri: string): boolean {
  return SESSION.test(pathOf(uri));
}

/** The path of a request URI as the API server routes it: a client may write any letter of it as an escape. */
export function pathOf(uri: string): string {
  const query = uri.indexOf('?');
  const path = query < 0 ? uri : uri.slice(0, query);
  return path.includes('%') ? decode(path) : path;
}

/** Whether the name of a parameter says that it is a credential. */
export function hasTellingParameter(uri: string): boolean {
  const query = uri.indexOf('?');
  if (query < 0 || !mayBeTelling(uri.slice(query))) return false;
  return uri
    .slice(query + 1)
    .split('&')
    .some((parameter) => isTelling(decode(parameter.split('=', 1)[0] ?? '')));
}

/** The URI with credentials replaced; every other parameter as it was. */
export function redactUri(uri: string, session: boolean, rules: UriRules): string {
  const query = uri.indexOf('?');
  if (query < 0) return uri;
  let announced = false;
  const parameters = uri
    .slice(query + 1)
    .split('&')
    .map((parameter) => {
      const equals = parameter.indexOf('=');
      const name = decode(equals < 0 ? parameter : parameter.slice(0, equals));
      const raw = equals < 0 ? '' : parameter.slice(equals + 1);
      if (raw === '') return parameter;
      const value = decode(raw);
      if (isTelling(name) || (announced && !value.startsWith('-'))) {
        announced = false;
        rules.removed(value);
        return `${parameter.slice(0, equals + 1)}${REDACTED}`;
      }
      if (!session) return parameter;
      announced = name === 'command' && announcesCredential(value);
      const kept = cutSpans(value, rules.search(value), REDACTED, rules.removed);
      return kept === value ? parameter : `${parameter.slice(0, equals + 1)}${encode(kept)}`;
    });
  return `${uri.slice(0, query + 1)}${parameters.join('&')}`;
}

/** As Go's url.ParseQuery reads it; an escape that is malformed stays as it is. */
function decode(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced.replaceAll(/%([0-7][0-9A-Fa-f])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
}

/** As Go's url.QueryEscape writes it, but for the brackets of [redacted]. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll('%20', '+').replaceAll('%5Bredacted%5D', REDACTED);
}
