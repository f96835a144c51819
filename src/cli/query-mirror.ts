// Serves the query API over history that is in a mirror, for one command: it is restored into a temporary folder, which proves all of
// it against signed checkpoints, and read there. So the answers are those that a ledger gives, joins and checks included.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { restoreLedger } from '../mirror/restore.ts';
import { readKey } from './keys.ts';
import { type ServedFolder, serveFolder } from './query-folder.ts';
import { openToRead, type StoreFlags } from './store-flags.ts';
import { progressLine } from './verify.ts';

export interface ServeMirrorFlags extends StoreFlags {
  readonly key: readonly string[];
  /** Only this shard: the rest is not fetched. */
  readonly shard?: number;
}

/** Throws what restoreLedger throws: RESTORE_UNPROVEN when the mirror does not prove what is asked for. */
export async function serveMirror(url: string, flags: ServeMirrorFlags): Promise<ServedFolder> {
  const temp = mkdtempSync(join(tmpdir(), 'sealgate-query-mirror-'));
  const remove = () => rmSync(temp, { recursive: true, force: true });
  const progress = process.stderr.isTTY ? progressLine() : undefined;
  try {
    const dir = join(temp, 'ledger');
    const store = openToRead(url, flags);
    try {
      await restoreLedger(store, dir, {
        keys: flags.key.flatMap(readKey),
        ...(flags.shard === undefined ? {} : { shard: flags.shard }),
        ...(progress === undefined ? {} : { onProgress: progress.show }),
      });
    } finally {
      progress?.clear();
      store.close();
    }
    const served = await serveFolder(dir);
    return {
      url: served.url,
      async close() {
        await served.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
