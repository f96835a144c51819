// A disk that forgets: what a folder can look like after a power cut, from the calls that were made on it.
//
// What fsync has promised is there. Of the rest, each write may be there, be missing or be torn at a sector; each change of a
// folder may be there or be missing, in whatever order. Bytes beside those that were written stay as they were (SQLite calls
// this powersafe overwrite and relies on it, as we do). A sync of a file that failed promises nothing, and the kernel forgets
// what it was about to write: no later sync brings it back. Names are in the file system's journal: after a failure there
// either nothing is synced any more, or all of it.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { STDOUT } from './strace.js';
const SECTOR = 512;
export const CUT_STYLES = [
    'nothing unsynced',
    'everything unsynced',
    'some writes',
    'torn writes',
    'garbled writes',
];
export class Disk {
    #path;
    #root = newInode(true);
    /** Lines at which something is synced or a name changes: where cuts are most telling. */
    edges = [];
    /** What was said on standard output, with the line at which the saying began. */
    said = [];
    /** `path` is the folder that is there and durable before the first call. */
    constructor(path) {
        this.#path = path;
    }
    /** Takes calls that ended, or that the end of the process cut off, in the order of their ends. */
    record(calls) {
        const ordered = [...calls].sort((a, b) => a.end - b.end || a.begin - b.begin);
        for (const call of ordered) {
            if (call.path === STDOUT)
                this.said.push({ line: call.begin, text: written(call).toString() });
            else
                this.#take(call);
        }
    }
    /** Throws unless the folder now looks as the calls say: so that a call nobody knows of is noticed. */
    assertMatches() {
        const differ = compare(this.#root, this.#path, '');
        if (differ !== undefined)
            throw new Error(`the recording does not explain ${differ}`);
    }
    /** Writes what is left after a cut at `line` into the folder `to`, which is empty. */
    cut(line, style, random, to) {
        materialise(this.#root, to, { line, style, random });
    }
    #take(call) {
        const { name, path, path2, rest, result } = call;
        if (path.endsWith('(deleted)'))
            return;
        if (result === undefined) {
            this.#takeUnfinished(call);
            return;
        }
        if (name === 'fsync' || name === 'fdatasync') {
            this.#sync(call);
            return;
        }
        if (result < 0)
            return;
        switch (name) {
            case 'openat':
                this.#open(call);
                return;
            case 'mkdir':
                this.#link(call, path, newInode(true));
                return;
            case 'link':
                this.#link(call, path2, this.#find(path));
                return;
            case 'rename': {
                const node = this.#find(path);
                if (dirname(path) !== dirname(path2))
                    throw new Error(`a rename between folders: ${path} → ${path2}`);
                this.#change(path, call, basename(path), { name: basename(path2), node });
                return;
            }
            case 'unlink':
                this.#change(path, call, basename(path), undefined);
                return;
            case 'write':
            case 'pwrite64': {
                const node = this.#file(path);
                const offset = name === 'write' ? sizeOf(node) : Number(/(\d+)[^\d]*(?:<unfinished|$|\) +=)/.exec(rest)?.[1]);
                const written = call.data?.subarray(0, result);
                if (!Number.isSafeInteger(offset) || written === undefined)
                    throw new Error(`not understood: ${name} ${rest}`);
                this.#write(node, call, offset, written);
                return;
            }
            case 'ftruncate':
                this.#write(this.#file(path), call, Number.parseInt(rest, 10), undefined);
                return;
            default:
                throw new Error(`a call that the simulator does not know: ${name} ${path}`);
        }
    }
    /** What the process was in when it was killed: the folder shows whether it happened, and how much of it. */
    #takeUnfinished(call) {
        const { name, path, path2, rest, data, begin } = call;
        const done = { ...call, end: begin, result: 0 };
        switch (name) {
            case 'pwrite64': {
                const offset = Number(/, (\d+)(?: <unfinished|\) )/.exec(rest)?.[1]);
                const bytes = readFileSync(path).subarray(offset, offset + (data?.length ?? 0));
                if (bytes.length > 0)
                    this.#write(this.#file(path), done, offset, bytes);
                return;
            }
            case 'ftruncate': {
                const size = Number.parseInt(rest, 10);
                if (statSync(path).size === size)
                    this.#write(this.#file(path), done, size, undefined);
                return;
            }
            case 'openat':
                if (existsSync(path))
                    this.#open(done);
                return;
            case 'rename':
                if (!existsSync(path) && existsSync(path2))
                    this.#take(done);
                return;
            case 'unlink':
                if (!existsSync(path))
                    this.#take(done);
                return;
            case 'fsync':
            case 'fdatasync':
                return;
            default:
                throw new Error(`killed in a call that the simulator does not know: ${name} ${path}`);
        }
    }
    #open(call) {
        const { path, rest } = call;
        const node = this.#find(path);
        if (node === undefined && rest.includes('O_CREAT'))
            this.#link(call, path, newInode(false));
        else if (node !== undefined && rest.includes('O_TRUNC') && sizeOf(node) > 0)
            this.#write(node, call, 0, undefined);
    }
    #link(call, path, node) {
        this.#change(path, call, undefined, { name: basename(path), node });
    }
    #change(path, call, removes, adds) {
        const folder = this.#find(dirname(path));
        if (folder === undefined)
            throw new Error(`the folder of ${path} was never made`);
        const change = { begin: call.begin, end: call.end, durable: Number.POSITIVE_INFINITY, removes, adds };
        folder.entries.push(change);
        folder.unsynced.push(change);
        this.edges.push(call.begin, call.end + 1);
    }
    #write(node, { begin, end }, offset, data) {
        const change = { begin, end, durable: Number.POSITIVE_INFINITY, offset, data };
        node.file.push(change);
        node.unsynced.push(change);
    }
    #sync(call) {
        const node = this.#find(call.path);
        if (node === undefined)
            throw new Error(`a sync of ${call.path}, which is not there`);
        const ok = call.result >= 0;
        for (const change of node.unsynced) {
            if (change.end < call.begin && ok)
                change.durable = call.end;
        }
        // What a failed sync was about to write counts as clean from then on: the kernel tells only once.
        if (!ok && node.folder)
            return;
        node.unsynced = node.unsynced.filter(({ end }) => end >= call.begin);
        this.edges.push(call.begin, call.end, call.end + 1);
    }
    #file(path) {
        const node = this.#find(path);
        if (node === undefined || node.folder)
            throw new Error(`${path} was written but never made`);
        return node;
    }
    /** What stands under a path now, as processes see it. */
    #find(path) {
        if (path === this.#path)
            return this.#root;
        const parent = this.#find(dirname(path));
        return parent === undefined ? undefined : namesOf(parent, () => true).get(basename(path));
    }
}
/** Of a write to a pipe: it may take a part only, or refuse. */
function written({ data, result }) {
    return (data ?? Buffer.alloc(0)).subarray(0, Math.max(0, result ?? Number.POSITIVE_INFINITY));
}
function newInode(folder) {
    return { folder, file: [], entries: [], unsynced: [] };
}
function namesOf(folder, happened) {
    const names = new Map();
    for (const change of folder.entries) {
        if (!happened(change))
            continue;
        // A name that comes from nowhere, because its coming was lost, goes nowhere either.
        if (change.removes !== undefined)
            names.delete(change.removes);
        if (change.adds !== undefined)
            names.set(change.adds.name, change.adds.node);
    }
    return names;
}
function sizeOf(node) {
    return node.file.reduce((size, { offset, data }) => (data === undefined ? offset : Math.max(size, offset + data.length)), 0);
}
function materialise(node, to, cut) {
    const folderChange = (change) => {
        if (change.begin >= cut.line)
            return false;
        if (change.durable < cut.line)
            return true;
        if (cut.style === 'nothing unsynced')
            return false;
        return cut.style === 'everything unsynced' || cut.random.next() < 0.5;
    };
    for (const [name, child] of namesOf(node, folderChange)) {
        const path = join(to, name);
        if (child.folder) {
            mkdirSync(path, { mode: 0o700 });
            materialise(child, path, cut);
        }
        else {
            // The index of a WAL lives in shared memory and is never synced: whatever is there must not matter.
            const content = name.endsWith('-shm') ? garbage(32_768, cut.random) : contentOf(child, cut);
            writeFileSync(path, content, { mode: 0o600 });
        }
    }
}
function contentOf(node, cut) {
    const past = node.file.filter(({ begin }) => begin < cut.line);
    let room = 0;
    for (const { offset, data } of past)
        room = Math.max(room, offset + (data?.length ?? 0));
    const bytes = Buffer.alloc(room);
    let size = 0;
    for (const change of past) {
        const { offset, data } = change;
        const promised = change.durable < cut.line;
        if (data === undefined) {
            if (!promised && !survives(cut))
                continue;
            if (offset < size)
                bytes.fill(0, offset, size);
            size = offset;
            continue;
        }
        for (const [from, to] of promised ? [[0, data.length]] : sectors(offset, data.length, cut.style)) {
            const fate = promised ? 'written' : fateOf(cut);
            if (fate === 'lost')
                continue;
            if (fate === 'written')
                data.copy(bytes, offset + from, from, to);
            else
                garbage(to - from, cut.random).copy(bytes, offset + from);
            size = Math.max(size, offset + to);
        }
    }
    return bytes.subarray(0, size);
}
function survives({ style, random }) {
    if (style === 'nothing unsynced')
        return false;
    return style === 'everything unsynced' || random.next() < 0.5;
}
function fateOf(cut) {
    if (survives(cut))
        return 'written';
    return cut.style === 'garbled writes' && cut.random.next() < 0.5 ? 'garbled' : 'lost';
}
/** The parts of a write that meet their fates separately, relative to its beginning. */
function sectors(offset, length, style) {
    if (style !== 'torn writes' && style !== 'garbled writes')
        return [[0, length]];
    const parts = [];
    for (let from = 0; from < length;) {
        const to = Math.min(length, from + SECTOR - ((offset + from) % SECTOR));
        parts.push([from, to]);
        from = to;
    }
    return parts;
}
function garbage(length, random) {
    return Buffer.alloc(length, Buffer.from(Array.from({ length: 61 }, () => random.between(0, 255))));
}
/** The first difference between a recorded folder and a real one, the index of a WAL aside. */
function compare(node, path, shown) {
    if (!node.folder) {
        if (path.endsWith('-shm'))
            return undefined;
        const now = contentOf(node, { line: Number.POSITIVE_INFINITY, style: 'everything unsynced', random: NEVER });
        const real = readFileSync(path);
        if (now.equals(real))
            return undefined;
        const at = now.findIndex((byte, i) => byte !== real[i]);
        return `the content of ${shown} (${now.length} bytes recorded, ${real.length} there, the first difference at ${at})`;
    }
    if (!statSync(path).isDirectory())
        return `${shown}: not a folder`;
    const names = namesOf(node, () => true);
    const found = new Set(readdirSync(path));
    for (const name of new Set([...names.keys(), ...found])) {
        const child = names.get(name);
        if (child === undefined || !found.has(name))
            return `the name ${shown}/${name}`;
        const below = compare(child, join(path, name), `${shown}/${name}`);
        if (below !== undefined)
            return below;
    }
    return undefined;
}
const NEVER = {
    next: () => 0,
    between: (low) => low,
    pick: (values) => values[0],
};
