import { zstdDecompressSync } from 'node:zlib';
import { openNote, parseVkey } from './note.js';
export const same = (one, other) => one.vkey === other.vkey;
/** The statement of the shard's link, when there is one and both its keys signed it. */
export function rotationIn(db, shard) {
    try {
        const row = db.prepare('SELECT codec, data FROM pack NOT INDEXED WHERE first = 0 AND length(data) < 2000000').get();
        if (!(row?.['data'] instanceof Uint8Array))
            return undefined;
        const packed = Buffer.from(row['data']);
        const records = row['codec'] === 1 ? zstdDecompressSync(packed, { maxOutputLength: 1048576 }) : packed;
        const body = JSON.parse(records.toString('utf8', 21, 21 + records.readUInt32BE(17)));
        return typeof body.rotation === 'string' ? openRotation(body.rotation, shard) : undefined;
    }
    catch {
        return undefined; // whatever is wrong with it is found when the shard is verified
    }
}
/** A statement for this shard, or for whichever it names; undefined when it is none, or not signed by both. */
export function openRotation(statement, shard) {
    try {
        const [header, log, from, to, number, ...rest] = statement.slice(0, statement.lastIndexOf('\n\n') + 1).split('\n');
        if (header !== 'sealgate key rotation v1' || rest.join() !== '')
            return undefined;
        if (!/^[1-9][0-9]{0,14}$/.test(number ?? '') || (shard ?? Number(number)) !== Number(number))
            return undefined;
        const [previous, next] = [parseVkey(from ?? ''), parseVkey(to ?? '')];
        if (previous.name !== log || next.name !== log || same(previous, next))
            return undefined;
        const signed = [previous, next].every((key) => typeof openNote(Buffer.from(statement), key) === 'string');
        return signed ? { previous, next, shard: Number(number) } : undefined;
    }
    catch {
        return undefined;
    }
}
/** No eras unless every statement passes on the key that the one before it named, and the given key is among them. */
export function erasOf(rotations, given) {
    const eras = [];
    for (const { previous, next, shard } of rotations.toSorted((a, b) => a.shard - b.shard)) {
        if (eras.length === 0)
            eras.push({ from: 0, key: previous });
        if (!same(eras.at(-1)?.key ?? given, previous))
            return [];
        eras.push({ from: shard, key: next });
    }
    return eras.some(({ key }) => same(key, given)) ? eras : [];
}
