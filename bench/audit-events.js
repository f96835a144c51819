// Audit events without end, no two alike: the recorded ones of test/fixtures/audit, each time with other ids, names, addresses,
// versions and times, from a seeded generator, and fast enough (some 2 µs an event) to be made while the server is measured. The
// annotation that names a decision is left out: it would name none of this ledger's, which the index keeps as evidence.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
const RECORDED = join(import.meta.dirname, '..', 'test', 'fixtures', 'audit');
export const BATCH = 400;
/** A source of 32-bit numbers that is the same for the same seed (mulberry32). */
export function seeded(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return (mixed ^ (mixed >>> 14)) >>> 0;
    };
}
/** What changes: slots of one group hold the same text in one event. */
const SLOTS = /(?<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})|(?<time>20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z)|(?<version>(?<="resourceVersion":")\d{7})|(?<name>~{9})|(?<address>10\.100\.100\.100)|(?<team>team-00)/g;
function templateOf(event) {
    const { objectRef } = event;
    const name = objectRef?.name;
    let text = JSON.stringify(event)
        .replaceAll(/"admission\.sealgate\.dev\/d\.[^"]*":"[^"]*",?/g, '')
        .replaceAll(/"resourceVersion":"\d+"/g, '"resourceVersion":"1000000"')
        .replaceAll('127.0.0.1', '10.100.100.100')
        .replaceAll('"shop"', '"team-00"')
        .replaceAll('/shop', '/team-00');
    if (name !== undefined && name !== '') {
        text = text.replaceAll(`"name":"${name}"`, `"name":"${name}-~~~~~~~~~"`);
        text = text.replaceAll(new RegExp(`/${name}(?=["?/])`, 'g'), `/${name}-~~~~~~~~~`);
    }
    const slots = new Map();
    for (const match of text.matchAll(SLOTS)) {
        const kind = Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined)?.[0];
        const key = `${kind}:${match[0]}`;
        const slot = slots.get(key) ?? { kind, offsets: [], length: match[0].length };
        slots.set(key, slot);
        slot.offsets.push(Buffer.byteLength(text.slice(0, match.index)));
    }
    return { bytes: Buffer.from(text), slots: [...slots.values()] };
}
let recorded;
function templates() {
    recorded ??= readdirSync(RECORDED)
        .sort()
        .flatMap((file) => JSON.parse(readFileSync(join(RECORDED, file), 'utf8')).items)
        .map(templateOf);
    return recorded;
}
/** Sources of different seeds share no event. */
export function eventSource(seed) {
    const next = seeded(seed);
    const all = templates();
    let at = Date.UTC(2026, 10, 23);
    const hex = (digits) => {
        let text = '';
        while (text.length < digits)
            text += next().toString(16).padStart(8, '0');
        return text.slice(0, digits);
    };
    const three = () => 100 + (next() % 156);
    const fill = {
        uuid: () => {
            const text = hex(32);
            return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-8${text.slice(17, 20)}-${text.slice(20)}`;
        },
        time: (length, iso) => length === 20 ? `${iso.slice(0, 19)}Z` : `${iso.slice(0, 23)}${String(next() % 1000).padStart(3, '0')}Z`,
        version: () => String(1_000_000 + (next() % 9_000_000)),
        name: () => hex(9),
        address: () => `10.${three()}.${three()}.${three()}`,
        team: () => `team-${String(next() % 100).padStart(2, '0')}`,
    };
    const write = (list, start, { bytes, slots }, iso) => {
        bytes.copy(list, start);
        for (const { kind, offsets, length } of slots) {
            const text = fill[kind](length, iso);
            for (const offset of offsets)
                list.write(text, start + offset, length, 'latin1');
        }
    };
    const head = '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[';
    return {
        batch() {
            const chosen = Array.from({ length: BATCH }, () => all[next() % all.length]);
            const jsonBytes = chosen.reduce((sum, { bytes }) => sum + bytes.length, 0);
            const list = Buffer.allocUnsafeSlow(head.length + jsonBytes + (BATCH - 1) + 2);
            list.write(head, 0, 'latin1');
            let offset = head.length;
            const events = chosen.map((template) => {
                if (offset > head.length)
                    list[offset++] = 0x2c;
                at += 1;
                write(list, offset, template, new Date(at).toISOString());
                offset += template.bytes.length;
                return list.subarray(offset - template.bytes.length, offset);
            });
            list.write(']}', offset, 'latin1');
            return { list, events, jsonBytes };
        },
    };
}
