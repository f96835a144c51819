// The certificates that Sealgate issues for itself: one folder for each listener, with a CA that stays and a server certificate
// that is renewed under it. Whoever trusts the CA never has to be told anything again while it lasts.
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { checkPair, invalid, readCertificate, readKey, syncPath, writeWhole } from './certificate-files.ts';
import type { Identity, Validity } from './certificate-issuer.ts';

export interface FolderOptions {
  readonly dir: string;
  /** In the names of the certificates: `Sealgate <name> CA`, `sealgate-<name>`. */
  readonly name: string;
  /** DNS names and IP addresses besides those of the machine itself. */
  readonly hostnames: readonly string[];
  readonly validityDays: number;
  readonly caValidityDays: number;
  /** Whether a client certificate is issued too. It lasts as long as the CA: nobody could replace it where it is used. */
  readonly client: boolean;
}

export interface IssuedFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

const OWN_NAMES = ['localhost', '127.0.0.1', '::1'];
const DAY_MS = 86_400_000;
/** Certificates begin in the past, for clients whose clock is behind. */
const BACKDATED_MS = 3_600_000;
/** A server certificate is renewed when this part of its validity is left. */
const RENEWED_AT = 1 / 3;

/**
 * Makes everything if the folder is not there yet or is empty (unless `create` is false). Otherwise checks what is there, and
 * renews the server certificate when it is due or lacks a hostname. Throws CERTIFICATE_INVALID, with the remedy, for anything
 * missing or broken: a CA is never replaced by itself, because others trust it.
 */
export async function keepFolder(options: FolderOptions, now: number, create = true): Promise<IssuedFiles> {
  const files = {
    caFile: join(options.dir, 'ca.crt'),
    certFile: join(options.dir, 'tls.crt'),
    keyFile: join(options.dir, 'tls.key'),
  };
  if (create && !(existsSync(options.dir) && readdirSync(options.dir).length > 0)) {
    try {
      await makeFolder(options, now);
    } catch (error) {
      if (error instanceof SealgateError) throw error;
      throw invalid(`certificates cannot be written to ${options.dir}: ${messageOf(error)}`, error);
    }
    return files;
  }
  for (const file of Object.values(files)) {
    if (existsSync(file)) continue;
    throw invalid(
      `${file} is missing: put it back, or move ${options.dir} away to have a new CA and certificates issued, which clients must then be told to trust`,
    );
  }
  await renew(options, files, now);
  return files;
}

/** Built under another name and renamed: a crash leaves nothing or all of it. */
async function makeFolder(options: FolderOptions, now: number): Promise<void> {
  const parent = dirname(options.dir);
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const prefix = `${basename(options.dir)}.new-`;
  for (const left of readdirSync(parent)) {
    if (left.startsWith(prefix)) rmSync(join(parent, left), { recursive: true });
  }
  const draft = mkdtempSync(join(parent, prefix));
  const { issueCa, issueClient, makeKey } = await loadIssuer();
  try {
    const lasting = validity(now, options.caValidityDays);
    const ca = await issueCa(`Sealgate ${options.name} CA`, lasting);
    write(draft, 'ca', ca);
    const key = await makeKey();
    write(draft, 'tls', { key, certificate: await serverCertificate(options, ca, key, now) });
    if (options.client) {
      const clientKey = await makeKey();
      const certificate = await issueClient(ca, clientKey, `sealgate-${options.name}-client`, lasting);
      write(draft, 'client', { key: clientKey, certificate });
    }
    renameSync(draft, options.dir);
    syncPath(parent);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
}

function write(dir: string, name: string, { certificate, key }: Identity): void {
  writeWhole(join(dir, `${name}.key`), key, 0o600);
  writeWhole(join(dir, `${name}.crt`), certificate, 0o644);
}

async function renew(options: FolderOptions, files: IssuedFiles, now: number): Promise<void> {
  const { caFile, certFile, keyFile } = files;
  const ca = readCertificate(caFile);
  const server = readCertificate(certFile);
  checkPair(server, certFile, readKey(keyFile), keyFile);
  if (!server.checkIssued(ca) || !server.verify(ca.publicKey)) {
    throw invalid(
      `${certFile} was not issued by ${caFile}: put back the files that belong together, or move ${options.dir} away`,
    );
  }
  if (ca.validToDate.getTime() <= now) {
    throw invalid(
      `${caFile} expired on ${ca.validToDate.toISOString()}: move ${options.dir} away to have a new one issued, and tell clients to trust it`,
    );
  }
  if (!isDue(server, ca, options.hostnames, now)) return;
  const caKeyFile = join(options.dir, 'ca.key');
  if (!existsSync(caKeyFile)) {
    throw invalid(
      `${certFile} must be renewed, which needs ${caKeyFile}: put it back, or give a certificate by the settings`,
    );
  }
  checkPair(ca, caFile, readKey(caKeyFile), caKeyFile);
  const authority = { certificate: readFileSync(caFile, 'utf8'), key: readFileSync(caKeyFile, 'utf8') };
  // The key stays, so that one file changes and no crash can part the pair. It lies beside the CA's key anyway.
  writeWhole(certFile, await serverCertificate(options, authority, readFileSync(keyFile, 'utf8'), now), 0o644);
}

function isDue(server: X509Certificate, ca: X509Certificate, hostnames: readonly string[], now: number): boolean {
  const [from, to] = [server.validFromDate.getTime(), server.validToDate.getTime()];
  // One that lasts as long as its CA can get no longer.
  const due = to - now < (to - from) * RENEWED_AT && to < ca.validToDate.getTime();
  return due || !hostnames.every((name) => isNamed(server, name));
}

function isNamed(server: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? server.checkHost(name) : server.checkIP(name)) !== undefined;
}

/** Only when something is issued: loading it is a fifth of a start. */
function loadIssuer(): Promise<typeof import('./certificate-issuer.ts')> {
  return import('./certificate-issuer.ts');
}

async function serverCertificate(options: FolderOptions, ca: Identity, key: string, now: number): Promise<string> {
  const { issueServer } = await loadIssuer();
  const hostnames = [...new Set([...OWN_NAMES, ...options.hostnames])];
  const wanted = validity(now, options.validityDays);
  return issueServer(ca, key, { commonName: `sealgate-${options.name}`, hostnames }, within(ca, wanted));
}

function validity(now: number, days: number): Validity {
  return { notBefore: new Date(now - BACKDATED_MS), notAfter: new Date(now + days * DAY_MS) };
}

/** No longer than the CA. */
function within(ca: Identity, wanted: Validity): Validity {
  const end = new X509Certificate(ca.certificate).validToDate;
  return end < wanted.notAfter ? { ...wanted, notAfter: end } : wanted;
}
