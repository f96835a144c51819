// Keeps the webhook's certificate: takes the steps that are due, has the API server trust what is needed, and puts the pair where the
// listener reads it. The pair stays on the volume: a replica starts with it while the API cannot be reached.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { writeWhole } from './certificate-files.ts';
import {
  type Authority,
  type AuthorityOptions,
  bundleOf,
  decodeAuthority,
  encodeAuthority,
  newAuthority,
  nextStep,
} from './managed-authority.ts';
import { ConflictError, type ManagedObjects } from './managed-objects.ts';

export interface ManagedCertificateOptions extends AuthorityOptions {
  /** Where the pair is written: tls.crt and tls.key. */
  readonly dir: string;
  readonly connect: () => Promise<ManagedObjects>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Between two looks, in milliseconds. */
  readonly everyMs?: number;
  /** From 0 to below 1. */
  readonly random?: () => number;
  readonly onStep: (what: string) => void;
  /** Once for each problem; undefined when it is over. */
  readonly onProblem: (error: SealgateError | undefined) => void;
}

export interface ManagedCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** Takes what steps are due now. Rejects with why it could not. */
  keep(): Promise<void>;
  close(): void;
}

const EVERY_MS = 300_000;
/** Most time between two looks while there is no pair at all. */
const MAX_FIRST_WAIT_MS = 15_000;
/** At first, while there is no pair at all. */
const FIRST_WAIT_MS = 500;
/** Tries of one look when others write at the same time. */
const TRIES = 10;

/** Resolves when there is a pair: the one on the volume, else once the API has been reached. */
export async function openManagedCertificate(
  options: ManagedCertificateOptions,
  signal: AbortSignal,
): Promise<ManagedCertificate> {
  const keeper = new Keeper(options);
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, MAX_FIRST_WAIT_MS)) {
    await keeper.look();
    if (keeper.isThere()) break;
    await sleep(wait * (0.5 + keeper.random() / 2), undefined, { signal });
  }
  keeper.run(signal);
  return keeper;
}

class Keeper implements ManagedCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly #options: ManagedCertificateOptions;
  readonly #closing = new AbortController();
  #objects: ManagedObjects | undefined;
  #problem = '';

  constructor(options: ManagedCertificateOptions) {
    this.#options = options;
    this.certFile = join(options.dir, 'tls.crt');
    this.keyFile = join(options.dir, 'tls.key');
  }

  random(): number {
    return (this.#options.random ?? Math.random)();
  }

  isThere(): boolean {
    return existsSync(this.certFile) && existsSync(this.keyFile);
  }

  /** Looks again and again until it is closed. */
  run(signal: AbortSignal): void {
    const ends = AbortSignal.any([signal, this.#closing.signal]);
    const every = this.#options.everyMs ?? EVERY_MS;
    void (async () => {
      for (;;) {
        // Replicas that started together do not go on asking together.
        await sleep(every * (0.75 + this.random() / 2), undefined, { signal: ends, ref: false });
        await this.look();
      }
    })().catch(() => undefined); // closed
  }

  close(): void {
    this.#closing.abort();
  }

  /** `keep`, with what goes wrong told instead of thrown. */
  async look(): Promise<void> {
    let problem: SealgateError | undefined;
    try {
      await this.keep();
    } catch (error) {
      this.#objects = undefined; // credentials may have changed
      problem =
        error instanceof SealgateError
          ? error
          : new SealgateError('CERTIFICATE_INVALID', `the webhook's certificate: ${messageOf(error)}`, {
              cause: error,
            });
    }
    if ((problem?.message ?? '') !== this.#problem) this.#options.onProblem(problem);
    this.#problem = problem?.message ?? '';
  }

  async keep(): Promise<void> {
    for (let tried = 1; ; tried++) {
      try {
        while (await this.#step());
        return;
      } catch (error) {
        if (!(error instanceof ConflictError) || tried === TRIES) throw error;
        await sleep(20 * tried * this.random());
      }
    }
  }

  /** One step, if one is due; gives whether there may be another. */
  async #step(): Promise<boolean> {
    this.#objects ??= await this.#options.connect();
    const objects = this.#objects;
    const now = this.#options.now();
    // The configuration first: a bundle is written only if nobody has changed it since, so with what the Secret says now at least.
    const registered = await objects.readBundles();
    const secret = await objects.readSecret();
    if (secret === undefined || Object.keys(secret.value).length === 0) {
      const data = encodeAuthority(await newAuthority(this.#options, now));
      if (secret === undefined) await objects.createSecret(data);
      else await objects.replaceSecret(data, secret.version);
      this.#options.onStep('a CA and a certificate were made');
      return true;
    }
    const authority = decoded(secret.value);
    const bundle = bundleOf(authority);
    if (registered?.value.some((each) => each !== bundle) === true) {
      await objects.writeBundle(bundle, registered.version);
      this.#options.onStep('the API server was told which CAs to trust');
      return true;
    }
    this.#store(authority);
    const step = await nextStep(authority, registered?.value[0] ?? '', this.#options, now);
    if (step === undefined) return false;
    await objects.replaceSecret(encodeAuthority(step.authority), secret.version);
    this.#options.onStep(step.what);
    return true;
  }

  #store({ pair }: Authority): void {
    if (this.isThere() && readFileSync(this.certFile, 'utf8') === pair.certificate) return;
    mkdirSync(this.#options.dir, { recursive: true, mode: 0o700 });
    // A crash in between leaves a pair that does not fit, which the next look puts right.
    writeWhole(this.keyFile, pair.key, 0o600);
    writeWhole(this.certFile, pair.certificate, 0o644);
  }
}

function decoded(data: Readonly<Record<string, string>>): Authority {
  try {
    return decodeAuthority(data);
  } catch (error) {
    const remedy = 'delete it to have a new CA made, which the API server is then told to trust';
    throw broken(`the Secret with the webhook's certificate cannot be used, ${messageOf(error)}: ${remedy}`, error);
  }
}

function broken(message: string, cause: unknown): SealgateError {
  return new SealgateError('CERTIFICATE_INVALID', message, { cause });
}
