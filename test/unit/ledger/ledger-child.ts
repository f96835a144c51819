// A process that uses a ledger and can be killed: `node ledger-child.ts MODE ROOT …`. Reports on standard output, one line
// each, written synchronously, so that what was reported before kill -9 is in the pipe.
import { rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Append } from '../../../src/ledger/entry.ts';
import { loadOrCreateKey } from '../../../src/ledger/key.ts';
import { type Ledger, openLedger } from '../../../src/ledger/ledger.ts';
import { SealgateError } from '../../../src/lib/errors.ts';

const [mode = '', root = '', argument = '', shardEntries] = process.argv.slice(2);

function say(word: string, value: unknown = ''): void {
  writeSync(1, `${word} ${JSON.stringify(value)}\n`);
}

function codeOf(error: unknown): { code: string; message: string } {
  return error instanceof SealgateError
    ? { code: error.code, message: error.message }
    : { code: 'none', message: String(error) };
}

function event(marker: string, size: number): Append {
  return {
    kind: 'event',
    body: Buffer.from(JSON.stringify({ source: 'child', event: { marker, fill: randomText(size) } })),
  };
}

/** Does not compress to nothing. */
function randomText(size: number): string {
  return Array.from({ length: Math.ceil(size / 10) }, () =>
    Math.random().toString(36).slice(2, 12).padEnd(10, '0'),
  ).join('');
}

/** Appends for ever on both lanes, and reports each append when it was acknowledged. */
async function load(ledger: Ledger, run: string): Promise<never> {
  let n = 0;
  const loop = async (lane: 'audit' | 'decision', count: number): Promise<void> => {
    for (;;) {
      const markers = Array.from({ length: count }, () => `${run}-${n++}`);
      const landed = await ledger.append(
        lane,
        markers.map((marker) => event(marker, 300)),
      );
      say(
        'acked',
        landed.map(({ shard, seq, leafHash }, i) => [`${shard}/${seq}`, leafHash, markers[i]]),
      );
    }
  };
  await Promise.all([loop('audit', 400), loop('audit', 7), loop('decision', 1), loop('decision', 2)]);
  throw new Error('unreachable');
}

/** Appends until one fails; then removes the ballast file `argument`, if there is one, and tries again. */
async function fill(ledger: Ledger): Promise<void> {
  let last = -1;
  for (;;) {
    try {
      last = (await ledger.append('audit', [event('x', 200_000)])).at(-1)?.seq ?? -1;
    } catch (error) {
      say('failed', { ...codeOf(error), last });
      break;
    }
  }
  if (argument === '') return;
  rmSync(argument);
  say('again', await ledger.append('decision', [event('again', 1000)]).catch(codeOf));
  await ledger.close('full').then(
    () => say('closed'),
    (error: unknown) => say('unclosed', codeOf(error)),
  );
}

try {
  const key = loadOrCreateKey(join(root, 'keys', 'ledger.key'), 'ledger.example/cluster-a/0');
  const ledger = await openLedger({
    dir: join(root, 'ledger'),
    key,
    version: '0.0.0-test',
    settingsDigest: 'sha256:child',
    checkpointIntervalMs: 50,
    ...(shardEntries === undefined ? {} : { shardLimits: { entries: Number(shardEntries) } }),
    onFatal: (error) => {
      say('fatal', codeOf(error));
    },
  });
  say('open', ledger.recovery);
  if (mode === 'load') await load(ledger, argument);
  if (mode === 'fill') await fill(ledger);
  if (mode === 'open') await ledger.close('child');
  // `hold` stays until it is killed.
} catch (error) {
  say('error', codeOf(error));
}
