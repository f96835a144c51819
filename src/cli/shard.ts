// Finds the one shard that a command is about.
import { InvalidArgumentError } from 'commander';
import { TreeReader } from '../ledger/tree-reader.ts';
import { findLedger, numbersText } from '../ledger/verify.ts';
import { SealgateError } from '../lib/errors.ts';
import { UsageError } from './failure.ts';

/** Reads an option or argument that counts from 0. */
export function parseCount(value: string): number {
  if (!/^(0|[1-9]\d{0,14})$/.test(value)) throw new InvalidArgumentError('It is not a number from 0 up.');
  return Number(value);
}

/**
 * Opens the shard that the path and --shard name; without --shard there must be only one to choose from. Close the tree.
 * Throws UsageError, LEDGER_NOT_FOUND, and what TreeReader.open throws.
 */
export function openShard(given: string, wanted: number | undefined): { shard: number; tree: TreeReader } {
  const { folder, shards } = findLedger(given);
  const numbers = [...shards.keys()].sort((a, b) => a - b);
  if (wanted === undefined && numbers.length > 1) {
    throw new UsageError(
      `${folder} holds ${numbers.length} shards: say which one with --shard (${numbersText(numbers)})`,
    );
  }
  const shard = wanted ?? numbers[0] ?? 0;
  const file = shards.get(shard);
  if (file === undefined) {
    throw new SealgateError('LEDGER_NOT_FOUND', `${given} has no shard ${shard}, only ${numbersText(numbers)}`);
  }
  return { shard, tree: TreeReader.open(file) };
}
