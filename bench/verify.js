// Verifies a data folder once and prints how long it took: `node bench/verify.ts DIR`. One thread, as in `sealgate verify`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyLedger } from '../src/ledger/verify.js';
const dir = process.argv[2] ?? '';
const key = readFileSync(join(dir, 'keys', 'ledger.vkey'), 'utf8').trim();
const began = performance.now();
const { status, shards, findings } = verifyLedger(dir, { keys: [key] });
const seconds = (performance.now() - began) / 1000;
if (status !== 'whole')
    throw new Error(`the ledger is ${status}: ${JSON.stringify(findings.slice(0, 5))}`);
const entries = shards.reduce((sum, shard) => sum + shard.entries, 0);
console.log(JSON.stringify({ entries, seconds, rssMib: process.resourceUsage().maxRSS / 1024 }));
