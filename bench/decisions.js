// Decisions over TLS, alone and beside an audit stream at full speed: from the AdmissionReview's first byte to the verdict's last,
// policies evaluated and the decision on disk.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Connection } from './client.js';
import { latencyOf, median, round } from './numbers.js';
import { startServer } from './server.js';
const REVIEWS = join(import.meta.dirname, '..', 'test', 'fixtures', 'reviews');
const CLIENTS = [1, 16];
/** Before anything counts: compilation, and the writer's change to small slices. */
const WARM_UP_MS = 300;
/** Rounds of: a bare insert, then for each number of clients alone and beside the stream. Medians of the rounds. */
export async function measureDecisions({ dir, rounds, seconds, under = [], }) {
    const server = await startServer(join(dir, 'decisions'), under);
    try {
        const bare = [];
        const alone = new Map(CLIENTS.map((clients) => [clients, []]));
        const beside = new Map(CLIENTS.map((clients) => [clients, []]));
        const streams = [];
        await decide(server.admission, 4, 1000);
        for (let i = 0; i < rounds; i++) {
            bare.push(bareInserts(join(dir, `bare-${i}`), seconds, under));
            for (const clients of CLIENTS) {
                alone.get(clients)?.push(await decide(server.admission, clients, seconds * 1000));
                const stream = startStream(server.audit, 1000 + i * CLIENTS.length + clients);
                await sleep(WARM_UP_MS);
                beside.get(clients)?.push(await decide(server.admission, clients, seconds * 1000));
                const sent = await stream();
                streams.push(sent.events / sent.seconds);
                await settle(server);
            }
        }
        const ratio = (clients) => round(median((beside.get(clients) ?? []).map(({ p99 }, i) => p99 / (alone.get(clients)?.[i]?.p99 ?? Number.NaN))));
        return {
            bare: medians(bare),
            alone: Object.fromEntries([...alone].map(([clients, all]) => [clients, medians(all)])),
            beside: Object.fromEntries([...beside].map(([clients, all]) => [clients, medians(all)])),
            streamPerSecond: Math.round(median(streams)),
            p99Ratio: ratio(1),
            p99Ratio16: ratio(16),
        };
    }
    finally {
        await server.stop();
    }
}
/** The index catches up before the next figure is taken. */
async function settle(server) {
    await server.indexed();
    await sleep(100);
}
function bareInserts(dir, seconds, under) {
    const command = [...under, process.execPath, '--no-warnings', join(import.meta.dirname, 'bare.ts')];
    const output = execFileSync(command[0], [...command.slice(1), dir, String(seconds)], { encoding: 'utf8' });
    return JSON.parse(output);
}
/** `clients` connections, each with one review after the other. */
async function decide(target, clients, ms) {
    const reviews = readdirSync(REVIEWS).map((file) => readFileSync(join(REVIEWS, file), 'utf8'));
    const waits = [];
    const connections = await Promise.all(Array.from({ length: clients }, () => Connection.open(target)));
    const began = performance.now();
    let turn = 0;
    await Promise.all(connections.map(async (connection) => {
        while (performance.now() - began < ms) {
            const review = reviews[turn++ % reviews.length];
            const body = Buffer.from(review.replace(/"uid":"[0-9a-f-]{36}"/, `"uid":"${randomUUID()}"`));
            const start = performance.now();
            await connection.post(body);
            waits.push(performance.now() - start);
        }
    }));
    for (const connection of connections)
        connection.close();
    return latencyOf(waits, (performance.now() - began) / 1000);
}
/** Returns what stops it. */
function startStream(target, seed) {
    const worker = new Worker(new URL('./stream-thread.ts', import.meta.url), { workerData: { target, seed } });
    const done = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    return () => {
        worker.postMessage('stop');
        return done;
    };
}
function medians(all) {
    const of = (pick) => round(median(all.map(pick)));
    return { p50: of(({ p50 }) => p50), p99: of(({ p99 }) => p99), perSecond: of(({ perSecond }) => perSecond) };
}
