// strace as a recorder: which calls a subject made on its folder, with every byte, and when it acknowledged what.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
/** Whether strace is there and may trace. Returns why not. */
export function straceMissing() {
    const tried = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
    if (tried.error !== undefined)
        return 'strace is not on PATH (as root on Debian, make chaos installs it)';
    return tried.status === 0 ? undefined : `strace may not trace here: ${tried.stderr.trim()}`;
}
const CALLS = 'openat,open,creat,mkdir,mkdirat,link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,write,writev,pwrite64,pwritev,' +
    'ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,sendfile,copy_file_range';
/** The command line that records what follows it into `file`. Only calls that are of interest stop the process. */
export function recorder(file, inject = []) {
    const injections = inject.flatMap((one) => ['-e', `inject=${one}`]);
    const what = ['-f', '-y', '-xx', '-s', '20000000', '--seccomp-bpf', '-e', `trace=${CALLS}`, '-e', 'signal=none'];
    return ['strace', ...what, ...injections, '-o', file];
}
const HEX = '(?:\\\\x[0-9a-f]{2})*';
const LINE = /^(\d+) +(.*)$/s;
const RESUMED = /^<\.\.\. (\w+) resumed>/;
const START = /^(\w+)\((.*)$/s;
const RESULT = /^\) += (-?\d+|\?)/;
const DESCRIPTOR = new RegExp(`^(?:AT_FDCWD|\\d+)<(${HEX})>(\\(deleted\\))?(?:, )?`);
const TEXT = new RegExp(`^"(${HEX})"(?:, )?`);
/**
 * Parses a recording; `offset` is added to its line numbers. Calls come in the order in which they began. `killed`: the process
 * was ended by SIGKILL; strace then reports whatever stood in a register as the results of the calls that threads were in.
 */
export function parseTrace(file, root, offset, killed) {
    const lines = readFileSync(file, 'latin1').split('\n');
    const open = new Map();
    const calls = [];
    for (const [i, line] of lines.entries()) {
        const [, pid = '', text = ''] = LINE.exec(line) ?? [];
        if (pid === '')
            continue;
        if (RESUMED.test(text)) {
            const call = open.get(pid);
            if (call !== undefined)
                finish(call, text, offset + i);
            open.delete(pid);
            continue;
        }
        const call = parseStart(text, offset + i);
        if (call === undefined || !isOurs(call, root))
            continue;
        calls.push(call);
        if (text.endsWith('<unfinished ...>'))
            open.set(pid, call);
        else
            finish(call, text, offset + i);
    }
    if (killed) {
        const last = lines.findLastIndex((line) => LINE.test(line) && !/^\d+ +(<\.\.\.|\+\+\+|---)/.test(line));
        for (const call of calls)
            if (call.end > offset + last || !isPlausible(call))
                forgetResult(call);
    }
    return { calls, lines: lines.length };
}
/** Calls on the folder, and the writes to standard output, which are the acknowledgements. */
function isOurs({ path, path2 }, root) {
    return path === STDOUT || path === root || path.startsWith(`${root}/`) || path2?.startsWith(`${root}/`) === true;
}
/** The path of calls that write to standard output. */
export const STDOUT = '<stdout>';
function finish(call, text, line) {
    // Everything from outside is in hex: the first parenthesis before a space is the call's own.
    const result = RESULT.exec(text.slice(text.indexOf(') ')))?.[1];
    if (result === undefined || result === '?')
        return;
    call.result = Number(result);
    call.end = line;
}
function forgetResult(call) {
    call.result = undefined;
    call.end = Number.POSITIVE_INFINITY;
}
/** Nothing here writes short: the disk is not full. */
function isPlausible({ name, data, result }) {
    if (result === undefined || result < 0)
        return true;
    if (name === 'openat')
        return true;
    return result === (data?.length ?? 0);
}
function parseStart(text, begin) {
    const [, name = '', args = ''] = START.exec(text) ?? [];
    if (name === '')
        return undefined;
    let rest = args;
    const paths = [];
    let data;
    const descriptor = DESCRIPTOR.exec(rest);
    if (descriptor !== null) {
        rest = rest.slice(descriptor[0].length);
        if (name === 'write' && args.startsWith('1<'))
            paths.push(STDOUT);
        else if (!args.startsWith('AT_FDCWD'))
            paths.push(decode(descriptor[1]).toString() + (descriptor[2] ?? ''));
    }
    for (let found = TEXT.exec(rest); found !== null; found = TEXT.exec(rest)) {
        rest = rest.slice(found[0].length);
        const bytes = decode(found[1]);
        if (name.includes('write'))
            data = bytes;
        else
            paths.push(bytes.toString());
    }
    if (paths[0] === undefined)
        return undefined;
    return { name, begin, end: Number.POSITIVE_INFINITY, path: paths[0], path2: paths[1], data, rest, result: undefined };
}
function decode(hex = '') {
    return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}
