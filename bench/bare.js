// The other side: a bare single-threaded better-sqlite3 loop with the same bytes, the same durability and one SHA-256 each.
// As a program (`node bench/bare.ts DIR SECONDS`) it inserts one body at a time and prints its latencies as JSON.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { latencyOf } from './numbers.js';
function open(dir) {
    mkdirSync(dir, { recursive: true });
    const db = new Database(join(dir, 'bare.sqlite'));
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.exec('CREATE TABLE event (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, body BLOB NOT NULL) STRICT');
    const statement = db.prepare('INSERT INTO event (hash, body) VALUES (?, ?)');
    let prev = Buffer.alloc(32);
    return {
        insert: db.transaction((bodies) => {
            for (const body of bodies) {
                prev = createHash('sha256').update(prev).update(body).digest();
                statement.run(prev, body);
            }
        }),
        close: () => db.close(),
    };
}
/** Events a second, one transaction a batch. */
export function bareLoop(dir, batches) {
    const bare = open(dir);
    const began = performance.now();
    for (const batch of batches)
        bare.insert(batch);
    const seconds = (performance.now() - began) / 1000;
    bare.close();
    rmSync(dir, { recursive: true });
    return batches.reduce((sum, { length }) => sum + length, 0) / seconds;
}
function bareInserts(dir, seconds) {
    const reviews = join(import.meta.dirname, '..', 'test', 'fixtures', 'reviews');
    const bodies = readdirSync(reviews).map((file) => readFileSync(join(reviews, file)));
    const bare = open(dir);
    const waits = [];
    const began = performance.now();
    const end = began + seconds * 1000;
    for (let i = 0; performance.now() < end; i++) {
        const start = performance.now();
        bare.insert([bodies[i % bodies.length]]);
        waits.push(performance.now() - start);
    }
    bare.close();
    return latencyOf(waits, (performance.now() - began) / 1000);
}
if (import.meta.main) {
    const [dir = '', seconds = '1'] = process.argv.slice(2);
    console.log(JSON.stringify(bareInserts(dir, Number(seconds))));
}
