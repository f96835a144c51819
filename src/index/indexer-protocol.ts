// What the index thread and the main thread say to each other.
import type { IndexPosition } from './writer.ts';

export interface IndexerData {
  readonly ledgerDir: string;
  readonly file: string;
  /** With less free space on the index's volume it adds nothing: records come before their view. */
  readonly keepFreeBytes: number;
}

export type ToIndexer =
  /** The ledger has grown. `paceMs`: from the last step to the next there may be so much; the smallest that came since counts. */
  | { readonly type: 'advance'; readonly paceMs: number }
  | { readonly type: 'rebuild'; readonly reason: string }
  | { readonly type: 'close' };

export type FromIndexer =
  /** Up to where the index is. `idle`: it has reached the ledger's end as it was when it was last told to advance. */
  | {
      readonly type: 'position';
      readonly position: IndexPosition | undefined;
      readonly generation: number;
      readonly idle: boolean;
    }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly fields: object;
      readonly message: string;
    }
  | { readonly type: 'closed' };
