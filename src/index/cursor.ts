// A cursor names the entry behind which the next page begins. It names it as the ledger does, so that it outlives the index.

export interface Cursor {
  readonly shard: number;
  readonly seq: number;
}

/** Opaque to clients: they may keep it and give it back, nothing else. */
export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(`1.${cursor.shard}.${cursor.seq}`).toString('base64url');
}

/** undefined when it is not a cursor of ours. `seq` may be −1: before the first entry of the shard. */
export function decodeCursor(text: string): Cursor | undefined {
  const match = /^1\.(\d{1,9})\.(-1|\d{1,15})$/.exec(Buffer.from(text.slice(0, 64), 'base64url').toString('latin1'));
  return match === null ? undefined : { shard: Number(match[1]), seq: Number(match[2]) };
}
