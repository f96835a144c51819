// Looks at the policy folder while the pod runs: when it has changed and is at rest, it is prepared and made active, or refused while
// the one before stays.
import { messageOf } from '../lib/errors.ts';
import type { CompiledBundle } from './bundle.ts';
import { signatureOf } from './sources.ts';

export interface FolderWatchOptions {
  readonly dir: string;
  /** Time between looks, in milliseconds. What changed is taken when two looks see the same. */
  readonly pollMs: number;
  /** Throws what is wrong with the folder. */
  readonly prepare: () => Promise<CompiledBundle>;
  /** Digest of the bundle in use. */
  readonly active: () => string;
  /** Makes the bundle the one in use; throws when that fails, and then it is tried again at the next look. */
  readonly activate: (bundle: CompiledBundle) => Promise<void>;
  readonly onActivated: (digest: string) => void;
  readonly onRejected: (error: string) => void;
}

export class FolderWatch {
  readonly #options: FolderWatchOptions;
  /** Of what was taken or refused last. */
  #settled: string;
  /** Seen at the look before. */
  #seen: string;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;
  /** Why the folder as it is now is not in use. */
  rejected: string | undefined;

  /** `signature` is of before the folder was read for the bundle in use. */
  constructor(options: FolderWatchOptions, signature: string) {
    this.#options = options;
    this.#settled = signature;
    this.#seen = signature;
    this.#again();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #again(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().finally(() => this.#again());
    }, this.#options.pollMs);
  }

  async #look(): Promise<void> {
    const { dir, prepare, active, activate, onActivated, onRejected } = this.#options;
    const signature = signatureOf(dir);
    const atRest = signature === this.#seen;
    this.#seen = signature;
    if (signature === this.#settled || !atRest) return;
    let bundle: CompiledBundle;
    try {
      bundle = await prepare();
    } catch (error) {
      this.#settled = signature;
      this.#reject(messageOf(error), onRejected);
      return;
    }
    try {
      if (bundle.info.digest !== active()) {
        await activate(bundle);
        onActivated(bundle.info.digest);
      }
      this.rejected = undefined;
      this.#settled = signature;
    } catch (error) {
      this.#reject(`it could not be made active, which is tried again: ${messageOf(error)}`, onRejected);
    }
  }

  #reject(why: string, onRejected: (error: string) => void): void {
    const known = this.rejected === why;
    this.rejected = why;
    if (!known) onRejected(why);
  }
}
