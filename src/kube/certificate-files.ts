// Certificates and keys in files: read and checked so that what is wrong is said with the file's name, written so that a crash
// leaves the old file or the new one.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import { messageOf, SealgateError } from '../lib/errors.ts';

/** What a TLS listener needs; all PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** The CAs of client certificates. */
  readonly clientCa?: string;
}

export interface MaterialFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string;
}

/** Reads what the files hold. Throws CERTIFICATE_INVALID naming the file that is missing, malformed or of another pair. */
export function readMaterial(files: MaterialFiles): { material: TlsMaterial; certificate: X509Certificate } {
  const { certFile, keyFile, clientCaFile } = files;
  const certificate = readCertificate(certFile);
  checkPair(certificate, certFile, readKey(keyFile), keyFile);
  const material = {
    cert: readText(certFile),
    key: readText(keyFile),
    ...(clientCaFile === undefined ? {} : { clientCa: readCaFile(clientCaFile) }),
  };
  try {
    createSecureContext({ cert: material.cert, key: material.key, ca: material.clientCa });
  } catch (error) {
    // OpenSSL's own rules, too short a key for example; its text never quotes the key.
    throw invalid(`${certFile} and ${keyFile} cannot be used for TLS (${messageOf(error)}): replace them`, error);
  }
  return { material, certificate };
}

/** The first certificate of a PEM file. */
export function readCertificate(file: string): X509Certificate {
  const [first] = readCertificates(file);
  if (first === undefined)
    throw invalid(`${file} holds no certificate: it must be PEM with -----BEGIN CERTIFICATE-----`);
  return first;
}

export function readKey(file: string): KeyObject {
  try {
    return createPrivateKey(readText(file));
  } catch (error) {
    if (error instanceof SealgateError) throw error;
    throw invalid(`${file} holds no private key that can be used: it must be PEM without a passphrase`, error);
  }
}

/** Throws unless the certificate is for the key. */
export function checkPair(certificate: X509Certificate, certFile: string, key: KeyObject, keyFile: string): void {
  if (certificate.checkPrivateKey(key)) return;
  throw invalid(`${keyFile} is not the key of ${certFile}: give the certificate and the key that were issued together`);
}

export function invalid(message: string, cause?: unknown): SealgateError {
  return new SealgateError('CERTIFICATE_INVALID', message, cause === undefined ? {} : { cause });
}

/** Writes a file so that it is there as a whole or not at all, and durable. Its folder's entry needs syncFolder. */
export function writeWhole(file: string, text: string, mode: number): void {
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  writeFileSync(draft, text, { mode, flag: 'wx' });
  syncPath(draft);
  renameSync(draft, file);
  syncPath(dirname(file));
}

/** fsync of a file or a folder. */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function readCaFile(file: string): string {
  if (readCertificates(file).length === 0) {
    throw invalid(`${file} holds no CA certificate: it must be PEM with -----BEGIN CERTIFICATE-----`);
  }
  return readText(file);
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function readCertificates(file: string): X509Certificate[] {
  return (readText(file).match(PEM_CERTIFICATE) ?? []).map((pem, index) => {
    try {
      return new X509Certificate(pem);
    } catch (error) {
      throw invalid(`certificate ${index + 1} in ${file} is malformed: replace the file`, error);
    }
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalid(`${file} cannot be read (${messageOf(error)}): correct the setting or the permissions`, error);
  }
}
