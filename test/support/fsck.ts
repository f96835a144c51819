// Tessera's fsck: an independent reader of C2SP tlog-tiles that recomputes every tile from the entries.
import { spawnSync } from 'node:child_process';
import { toolPath } from './tools.ts';

/**
 * More than a log here has tiles: fsck's workers end at the first tile that is wrong, and with fewer of them than tiles
 * it would wait for ever for the next one to be taken.
 */
const WORKERS = 512;

/** What fsck says is wrong with the log of `size` entries in a folder, or ''. Its exit status is 0 either way. */
export function fsck(dir: string, log: { size: number; origin: string; publicKey: string }): string {
  const args = [
    `--storage_url=file://${dir}/`,
    `--public_key=${log.publicKey}`,
    `--origin=${log.origin}`,
    `--N=${WORKERS}`,
    '--ui=false',
  ];
  const { stderr, error } = spawnSync(toolPath('fsck'), args, { encoding: 'utf8', timeout: 60_000 });
  if (error !== undefined) throw new Error(`fsck did not run or did not end: ${error.message}`);
  const accepted = stderr.includes(`Successfully fsck'd log with size ${log.size} `);
  const failed = stderr.includes('fsck failed');
  if (accepted === failed) throw new Error(`fsck said neither that it accepts nor that it does not: ${stderr}`);
  return failed ? stderr : '';
}
