// A ledger with its mirror and a local retention of almost no time, in a process of its own, to be killed:
// node retention-child.ts '<{dir, url, s3}>'. Says `oldest <n>` whenever that has changed.
import { join } from 'node:path';
import { loadOrCreateKey } from '../../src/ledger/key.ts';
import { openLedger } from '../../src/ledger/ledger.ts';
import { removeShard } from '../../src/ledger/remove-shard.ts';
import { openMirrored } from '../../src/mirror/mirrored.ts';
import type { S3Options } from '../../src/mirror/stores/options.ts';

const { dir, url, s3 } = JSON.parse(process.argv[2] ?? '') as { dir: string; url: string; s3: S3Options };
const ledger = await openLedger({
  dir: join(dir, 'ledger'),
  key: loadOrCreateKey(join(dir, 'ledger.key'), 'log.example/cluster/0'),
  version: '0.0.0-test',
  settingsDigest: `sha256:${'0'.repeat(64)}`,
  checkpointIntervalMs: 20,
  shardLimits: { entries: 300 },
  onFatal: (error) => {
    throw error;
  },
});
let oldest = -1;
openMirrored({
  settings: {
    ...{ url, s3, intervalSeconds: 1, parallel: 4, maxLagSeconds: 0, anchorSeconds: 0 },
    retention: { mode: 'compliance', logDays: 30, bodiesDays: 20, partialDays: 2, legalHold: false },
  },
  ledger,
  log: (level, fields, message) => void process.stderr.write(`${level} ${message} ${JSON.stringify(fields)}\n`),
  onStatus: ({ local }) => {
    if (local === undefined || local.oldest === oldest) return;
    oldest = local.oldest;
    process.stdout.write(`oldest ${oldest}\n`);
  },
  wall: () => Date.now() * 1000,
  localRetentionDays: 1e-9,
  removeShard: (...args) => removeShard(ledger, ...args),
});
let written = 0;
for (; ledger.shard < 5; written += 100) {
  const batch = Array.from({ length: 100 }, (_, j) => ({
    kind: 'event' as const,
    body: Buffer.from(`{"i":${written + j}}`),
  }));
  await ledger.append('audit', batch);
}
// The thread alone does not keep a process alive for ever, and neither does this when its parent has gone.
process.stdin.resume().on('end', () => process.exit(0));
