// What a chaos class has to say for itself.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Random } from './random.ts';

export interface ChaosOptions {
  readonly quick: boolean;
  readonly random: Random;
  /** For folders that live no longer than the run. */
  readonly temp: Temp;
}

export interface ClassReport {
  /** What was done, and how often. */
  readonly counts: Readonly<Record<string, number>>;
  /** Each is a broken promise. */
  readonly problems: readonly string[];
  /** Seeded bug → how it was noticed, or undefined when it was not. */
  readonly caught: Readonly<Record<string, string | undefined>>;
  /** Parts that this machine cannot do, and why. */
  readonly skipped?: readonly string[];
}

export interface Temp {
  folder(): string;
  /** Copies a folder to where it survives the run, for somebody to look at; returns the copy. */
  keep(folder: string): string;
  remove(folder: string): void;
  removeAll(): void;
}

/** Folders under `base`, which may be in memory: what is tested is what reaches the kernel, not the disk. */
export function createTemp(base: string): Temp {
  const root = mkdtempSync(join(base, 'sealgate-chaos-'));
  const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true });
  return {
    folder: () => mkdtempSync(join(root, 'r')),
    keep(folder) {
      const copy = mkdtempSync(join(tmpdir(), 'sealgate-chaos-kept-'));
      cpSync(folder, copy, { recursive: true });
      return copy;
    },
    remove,
    removeAll: () => remove(root),
  };
}
