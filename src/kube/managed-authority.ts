// What the replicas share about the webhook's certificate, and the steps in which its CA is replaced without a moment at which the API
// server trusts another CA than the one that the replicas' certificate is from. Pure but for the keys it makes: any replica may take
// any step, a crash leaves the state of one of them.
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type Identity, issueCa, issueServer, makeKey, type Validity } from './certificate-issuer.ts';

/** The contents of the Secret, PEM and RFC 3339. */
export interface Authority {
  /** The CA that the pair is from. */
  readonly ca: Identity;
  /** The webhook's server certificate, the same in every replica. */
  readonly pair: Identity;
  /** The CA that will be next; `trusted`: since when it is in the webhook configuration. */
  readonly next?: { readonly ca: Identity; readonly trusted?: string };
  /** The CA before, trusted until every replica surely shows the new certificate. */
  readonly old?: { readonly certificate: string; readonly since: string };
}

export interface AuthorityOptions {
  /** DNS names and addresses that the webhook is called by. */
  readonly hostnames: readonly string[];
  readonly validityDays: number;
  readonly caValidityDays: number;
  /** How long each step waits for API servers and replicas to have heard of the one before, in milliseconds. */
  readonly settleMs: number;
}

const DAY_MS = 86_400_000;
/** Certificates begin in the past, for clients whose clock is behind. */
const BACKDATED_MS = 3_600_000;
/** Replaced when this part of the validity is left. */
const DUE_AT = 1 / 3;

/** A CA and a pair under it. */
export async function newAuthority(options: AuthorityOptions, now: number): Promise<Authority> {
  const ca = await newCa(options, now);
  return { ca, pair: await newPair(options, ca, now) };
}

/** The CA certificates that the API server is to trust, PEM: the one in use first. */
export function bundleOf({ ca, next, old }: Authority): string {
  return [ca.certificate, next?.ca.certificate, old?.certificate]
    .filter((pem) => pem !== undefined)
    .map((pem) => `${pem.trim()}\n`)
    .join('');
}

/**
 * The next step that is due, or undefined. `trusted`: the bundle that is in the webhook configuration now.
 * Steps: the pair renewed under the same CA; a next CA made; noted that it is trusted, and some time after that a pair under it; once
 * that has been in use for some time, the CA before forgotten.
 */
export async function nextStep(
  authority: Authority,
  trusted: string,
  options: AuthorityOptions,
  now: number,
): Promise<{ readonly authority: Authority; readonly what: string } | undefined> {
  const { ca, pair, next, old } = authority;
  const settled = (since: string) => now - Date.parse(since) >= options.settleMs;
  if (old !== undefined && settled(old.since)) {
    const { old: _, ...rest } = authority;
    return { authority: rest, what: 'the CA before is not trusted any more' };
  }
  if (next === undefined && old === undefined && isDue(new X509Certificate(ca.certificate), now)) {
    return { authority: { ...authority, next: { ca: await newCa(options, now) } }, what: 'a new CA was made' };
  }
  if (next !== undefined && next.trusted === undefined && holds(trusted, next.ca.certificate)) {
    const noted = { ca: next.ca, trusted: new Date(now).toISOString() };
    return { authority: { ...authority, next: noted }, what: 'the new CA is trusted' };
  }
  // Still trusted, too: somebody may have changed the configuration since.
  if (next?.trusted !== undefined && settled(next.trusted) && holds(trusted, next.ca.certificate)) {
    const changed: Authority = {
      ca: next.ca,
      pair: await newPair(options, next.ca, now),
      old: { certificate: ca.certificate, since: new Date(now).toISOString() },
    };
    return { authority: changed, what: 'the certificate is from the new CA' };
  }
  const server = new X509Certificate(pair.certificate);
  const lasts = server.validToDate < new X509Certificate(ca.certificate).validToDate;
  if ((isDue(server, now) && lasts) || !options.hostnames.every((name) => isNamed(server, name)))
    return { authority: { ...authority, pair: await newPair(options, ca, now) }, what: 'the certificate was renewed' };
  return undefined;
}

/** Whether a PEM bundle has this certificate. */
function holds(bundle: string, certificate: string): boolean {
  const bare = (pem: string) => pem.replaceAll(/\s/g, '');
  return bare(bundle).includes(bare(certificate));
}

function isDue(certificate: X509Certificate, now: number): boolean {
  const [from, to] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
  return to - now < (to - from) * DUE_AT;
}

function isNamed(server: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? server.checkHost(name) : server.checkIP(name)) !== undefined;
}

function newCa({ caValidityDays }: AuthorityOptions, now: number): Promise<Identity> {
  return issueCa('Sealgate admission CA', validity(now, caValidityDays));
}

async function newPair(options: AuthorityOptions, ca: Identity, now: number): Promise<Identity> {
  const key = await makeKey();
  const wanted = validity(now, options.validityDays);
  const end = new X509Certificate(ca.certificate).validToDate;
  const within = end < wanted.notAfter ? { ...wanted, notAfter: end } : wanted;
  const subject = { commonName: 'sealgate-admission', hostnames: options.hostnames };
  return { key, certificate: await issueServer(ca, key, subject, within) };
}

function validity(now: number, days: number): Validity {
  return { notBefore: new Date(now - BACKDATED_MS), notAfter: new Date(now + days * DAY_MS) };
}

/** `bundle.crt` is what follows from the rest: for the chart, which puts the very same text into the webhook configuration. */
const FIELDS = [
  'bundle.crt',
  'ca.crt',
  'ca.key',
  'tls.crt',
  'tls.key',
  'next.crt',
  'next.key',
  'next.trusted',
  'old.crt',
  'old.since',
] as const;
type Fields = Partial<Record<(typeof FIELDS)[number], string>>;

/** As the data of a Secret, base64. */
export function encodeAuthority(authority: Authority): Record<string, string> {
  const { ca, pair, next, old } = authority;
  const fields: Fields = {
    'bundle.crt': bundleOf(authority),
    'ca.crt': ca.certificate,
    'ca.key': ca.key,
    'tls.crt': pair.certificate,
    'tls.key': pair.key,
    ...(next === undefined
      ? {}
      : {
          'next.crt': next.ca.certificate,
          'next.key': next.ca.key,
          ...(next.trusted === undefined ? {} : { 'next.trusted': next.trusted }),
        }),
    ...(old === undefined ? {} : { 'old.crt': old.certificate, 'old.since': old.since }),
  };
  return Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, Buffer.from(text).toString('base64')]));
}

/** The reverse; throws, naming the field, when one is missing or malformed. */
export function decodeAuthority(data: Readonly<Record<string, string>>): Authority {
  const text = (name: (typeof FIELDS)[number]): string => {
    const value = Buffer.from(data[name] ?? '', 'base64').toString('utf8');
    if (value === '') throw new Error(`it lacks ${name}`);
    return value;
  };
  const certificate = (name: (typeof FIELDS)[number]): string => {
    const pem = text(name);
    try {
      new X509Certificate(pem);
    } catch (cause) {
      throw new Error(`its ${name} is no certificate`, { cause });
    }
    return pem;
  };
  const pair = { certificate: certificate('tls.crt'), key: text('tls.key') };
  return {
    ca: { certificate: certificate('ca.crt'), key: text('ca.key') },
    pair,
    ...(data['next.crt'] === undefined
      ? {}
      : {
          next: {
            ca: { certificate: certificate('next.crt'), key: text('next.key') },
            ...(data['next.trusted'] === undefined ? {} : { trusted: text('next.trusted') }),
          },
        }),
    ...(data['old.crt'] === undefined
      ? {}
      : { old: { certificate: certificate('old.crt'), since: text('old.since') } }),
  };
}
