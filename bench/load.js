// Batches into the server, over mutual TLS.
import { BATCH } from './audit-events.js';
import { Connection } from './client.js';
/** Batches on their way at the same time: a kube-apiserver sends up to 10 a second without waiting for answers. */
const IN_FLIGHT = 4;
/** Posts what `next` gives until it gives nothing; resolves when all of it is acknowledged, and so on disk. */
export async function send(target, next) {
    const connections = await Promise.all(Array.from({ length: IN_FLIGHT }, () => Connection.open(target)));
    let events = 0;
    let jsonBytes = 0;
    const began = performance.now();
    await Promise.all(connections.map(async (connection) => {
        for (let batch = next(); batch !== undefined; batch = next()) {
            await connection.post(batch.list);
            events += BATCH;
            jsonBytes += batch.jsonBytes;
        }
    }));
    const seconds = (performance.now() - began) / 1000;
    for (const connection of connections)
        connection.close();
    return { events, jsonBytes, seconds };
}
/** The same for batches that were made before, so that making them takes nothing from the server. */
export function sendAll(target, batches) {
    let at = 0;
    return send(target, () => batches[at++]);
}
export function makeBatches(source, events) {
    return Array.from({ length: Math.ceil(events / BATCH) }, () => source.batch());
}
