// Does something to many items, several at a time, and hands the results over in the items' order.

/** Calls `work` for up to `count` items at once and `take` with each result, in order. Throws the first error, once all ended. */
export async function inBatches<T, R>(
  items: readonly T[],
  count: number,
  work: (item: T) => Promise<R>,
  take: (result: R) => void,
): Promise<void> {
  for (let at = 0; at < items.length; at += count) {
    const results = await Promise.allSettled(items.slice(at, at + count).map(work));
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
      take(result.value);
    }
  }
}
