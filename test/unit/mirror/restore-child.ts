// Restores a mirror and is killed at the n-th object that it reads. Arguments: mirror, folder, vkey, n.
import { systemClock } from '../../../src/lib/clock.ts';
import { restoreLedger } from '../../../src/mirror/restore.ts';
import { DirectoryStore } from '../../../src/mirror/stores/directory.ts';
import type { GetOptions } from '../../../src/mirror/stores/store.ts';

const [mirror = '', dir = '', vkey = '', nth = ''] = process.argv.slice(2);

class Deadly extends DirectoryStore {
  #reads = 0;

  override get(key: string, options?: GetOptions): Promise<Buffer | undefined> {
    this.#reads += 1;
    if (this.#reads === Number(nth)) process.kill(process.pid, 'SIGKILL');
    return super.get(key, options);
  }
}

await restoreLedger(new Deadly(mirror, systemClock()), dir, { keys: [vkey] });
