// The process that chaos is done to: opens the ledger of a folder and appends to both lanes. Whatever is acknowledged it says
// at once, synchronously, so that what was said before it died is in the pipe. It ends by itself when nobody listens any more.
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadOrCreateKey } from '../../src/ledger/key.js';
import { openLedger } from '../../src/ledger/ledger.js';
import { SealgateError } from '../../src/lib/errors.js';
import { EXIT, LOG_NAME } from './plan.js';
const plan = JSON.parse(process.argv[2] ?? '');
const PAUSE = new Int32Array(new SharedArrayBuffer(4));
let failed = false;
let acknowledged = 0;
let sinceRefusal = -1;
let next = 0;
function say(word, value = null) {
    let bytes = Buffer.from(`${word} ${JSON.stringify(value)}\n`);
    while (bytes.length > 0) {
        try {
            bytes = bytes.subarray(writeSync(1, bytes));
        }
        catch (error) {
            if (error.code !== 'EAGAIN')
                throw error;
            Atomics.wait(PAUSE, 0, 0, 1); // the pipe is full: the parent is busy
        }
    }
}
function failure(error) {
    return error instanceof SealgateError
        ? { code: error.code, message: error.message }
        : { code: 'none', message: String(error) };
}
/** Incompressible, so that bytes reach the disk; one in sixteen is large enough to span many pages. */
function makeBody(marker) {
    const size = plan.bytes * (next % 16 === 7 ? 20 : 1);
    return Buffer.from(JSON.stringify({ source: 'chaos', event: { marker, fill: randomBytes(size / 2).toString('hex') } }));
}
function makeEntry(lane, marker) {
    if (lane === 'audit')
        return { kind: 'event', body: makeBody(marker) };
    const uid = `00000000-0000-4000-8000-${next.toString(16).padStart(12, '0')}`;
    return {
        kind: 'decision',
        extra: { uid, bundle: `sha256:${'b'.repeat(64)}`, allowed: next % 2 === 0 },
        body: makeBody(marker),
    };
}
async function appendOnce(ledger, lane, count) {
    const markers = Array.from({ length: count }, () => `${plan.run}-${next++}`);
    try {
        const landed = await ledger.append(lane, markers.map((marker) => makeEntry(lane, marker)));
        say('acked', landed.map(({ shard, seq, leafHash }, i) => [shard, seq, leafHash, markers[i]]));
        acknowledged += 1;
        if (sinceRefusal >= 0)
            sinceRefusal += 1;
        if (acknowledged === plan.killAfter)
            process.kill(process.pid, 'SIGKILL');
    }
    catch (error) {
        if (failed)
            return;
        say('refused', failure(error));
        sinceRefusal = 0;
        await sleep(20);
    }
}
async function load(ledger) {
    const loops = [
        ['audit', plan.batch],
        ['audit', 3],
        ['decision', 1],
        ['decision', 2],
    ];
    const each = (plan.appends ?? Number.POSITIVE_INFINITY) / loops.length;
    await Promise.all(loops.map(async ([lane, count]) => {
        for (let i = 0; !failed && (i < each || sinceRefusal < (plan.afterRefusal ?? -1)); i++) {
            await appendOnce(ledger, lane, count);
            if (plan.pauseMs !== undefined)
                await sleep(plan.pauseMs);
        }
    }));
}
try {
    const ledger = await openLedger({
        dir: join(plan.root, 'ledger'),
        key: loadOrCreateKey(join(plan.root, 'keys', 'ledger.key'), LOG_NAME),
        version: '0.0.0-chaos',
        settingsDigest: `sha256:${'0'.repeat(64)}`,
        checkpointIntervalMs: plan.checkpointIntervalMs ?? 50,
        ...(plan.shardEntries === undefined ? {} : { shardLimits: { entries: plan.shardEntries } }),
        ...(plan.wal === undefined ? {} : { wal: plan.wal }),
        onFatal: (error) => {
            failed = true;
            say('fatal', failure(error));
            if (plan.killOnFatal)
                process.kill(process.pid, 'SIGKILL');
            process.exit(EXIT.fatal);
        },
    });
    say('open', ledger.recovery);
    if (plan.headEveryMs !== undefined)
        setInterval(() => say('head', ledger.head()), plan.headEveryMs).unref();
    await load(ledger);
    await ledger.close('done');
    say('closed');
    process.exit(EXIT.closed);
}
catch (error) {
    say('error', failure(error));
    process.exit(EXIT.refused);
}
