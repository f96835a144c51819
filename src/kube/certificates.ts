// The certificates of one listener: given by files or issued, checked at start, read again when the files change, renewed in time.
import { messageOf, SealgateError } from '../lib/errors.ts';
import { type MaterialFiles, readCertificate, readMaterial, type TlsMaterial } from './certificate-files.ts';
import { type FolderOptions, keepFolder } from './certificate-folder.ts';

export interface CertificateOptions extends FolderOptions {
  /** Files named by the settings. They win over issued ones, the pair and the client CA each on its own. */
  readonly given: { readonly certFile?: string; readonly keyFile?: string; readonly clientCaFile?: string };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Time between looks at the files. */
  readonly pollMs?: number;
  /** Called when the files have changed and what they hold is good. */
  readonly onChange: (certificates: Current) => void;
  /** Called when they are not, once for each problem; what was there before stays in use. Also for an expired certificate. */
  readonly onProblem: (error: SealgateError) => void;
}

/** What is in use. */
export interface Current {
  readonly material: TlsMaterial;
  /** When the server certificate ends. */
  readonly expires: Date;
  /** When the issued CA ends; absent when nothing is issued. */
  readonly caExpires?: Date;
}

export interface Certificates {
  readonly current: Current;
  /** Looks at the files now. */
  check(): Promise<void>;
  close(): void;
}

/** Secrets and ConfigMaps take up to a minute to reach a pod anyway. */
const POLL_MS = 10_000;

/** Throws CERTIFICATE_INVALID when what is there cannot be used. Without given files, the folder is filled on first use. */
export async function openCertificates(options: CertificateOptions): Promise<Certificates> {
  let current = await read(options, true);
  let problem = '';
  const report = (error: SealgateError | undefined) => {
    if (error !== undefined && error.message !== problem) options.onProblem(error);
    problem = error?.message ?? '';
  };
  report(validityProblem(options, current));

  const check = async () => {
    try {
      const next = await read(options, false);
      if (!same(next.material, current.material)) {
        options.onChange(next); // throws when it cannot use them: they are not current then
        current = next;
      }
      report(validityProblem(options, current));
    } catch (error) {
      report(
        error instanceof SealgateError
          ? error
          : new SealgateError('CERTIFICATE_INVALID', `certificates cannot be read again: ${messageOf(error)}`, {
              cause: error,
            }),
      );
    }
  };
  const timer = setInterval(() => void check(), options.pollMs ?? POLL_MS).unref();
  return {
    get current() {
      return current;
    },
    check,
    close: () => clearInterval(timer),
  };
}

async function read(options: CertificateOptions, create: boolean): Promise<Current> {
  const { certFile, keyFile, clientCaFile } = options.given;
  const pair = certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };
  // The client's certificate comes from the same CA as the server's unless another CA is given.
  const needsFolder = pair === undefined || (options.client && clientCaFile === undefined);
  const issued = needsFolder ? await keepFolder(options, options.now(), create) : undefined;
  const clientCa = clientCaFile ?? (options.client ? issued?.caFile : undefined);
  const { certificate, material } = readMaterial({
    ...((pair ?? issued) as Pick<MaterialFiles, 'certFile' | 'keyFile'>),
    ...(clientCa === undefined ? {} : { clientCaFile: clientCa }),
  });
  const caExpires = issued === undefined ? {} : { caExpires: readCertificate(issued.caFile).validToDate };
  return { material, expires: certificate.validToDate, ...caExpires };
}

function same(a: TlsMaterial, b: TlsMaterial): boolean {
  return a.cert === b.cert && a.key === b.key && a.clientCa === b.clientCa;
}

/** An expired certificate is no reason not to start: whoever made it may replace it any moment, and it is read again then. */
function validityProblem(options: CertificateOptions, { expires }: Current): SealgateError | undefined {
  if (expires.getTime() > options.now()) return undefined;
  const file = options.given.certFile ?? options.dir;
  return new SealgateError(
    'CERTIFICATE_INVALID',
    `the ${options.name} certificate (${file}) expired on ${expires.toISOString()}: replace it`,
  );
}
