// What the benchmark says: a table for people, and as the last line one JSON object.
import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import Database from 'better-sqlite3';
const MIB = 2 ** 20;
export function table({ ingest, decisions, slowFsync }) {
    const { disk } = ingest;
    const whole = (value) => Math.round(value).toLocaleString('en');
    const mib = (bytes) => `${Math.round(bytes / MIB)} MiB`;
    const rows = [
        ['', 'Sealgate', 'bare SQLite', 'ratio'],
        ['ingest, events/s', whole(ingest.perSecond), whole(ingest.barePerSecond), `${ingest.ratio}`],
        [
            `ingest at ${whole(ingest.entries)} entries, to a small ledger's`,
            whole(ingest.perSecondLarge),
            '',
            `${ingest.scaleRatio}`,
        ],
        [
            'bytes on disk, to the JSON',
            `${mib(disk.ledger)} + index ${mib(disk.index)} + WAL ${mib(disk.wal)}`,
            '',
            `${ingest.diskRatio}`,
        ],
        ['resident memory at most', `${ingest.rssMib} MiB (by entries: ${JSON.stringify(ingest.rssByEntries)})`, '', ''],
        ['verification, entries/s', `${whole(ingest.verifyPerSecond)} (${ingest.verifyRssMib} MiB)`, '', ''],
        ['start after a clean stop, s', `${ingest.startSeconds}`, '', ''],
        ...decisionRows('decisions', decisions),
        ...(slowFsync === undefined ? [] : decisionRows('decisions, fsync + 3 ms', slowFsync)),
    ];
    const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
    return rows
        .map((row) => row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd())
        .join('\n');
}
function decisionRows(what, figures) {
    const text = ({ p50, p99, perSecond }) => `p50 ${p50} p99 ${p99} ms, ${perSecond}/s`;
    const rows = Object.keys(figures.alone).map(Number);
    return rows.flatMap((clients) => [
        [`${what}, ${clients} at once, alone`, text(figures.alone[clients]), text(figures.bare), ''],
        [
            `${what}, ${clients} at once, beside a stream of ${figures.streamPerSecond}/s`,
            text(figures.beside[clients]),
            '',
            `p99 ${clients === 1 ? figures.p99Ratio : figures.p99Ratio16} of alone`,
        ],
    ]);
}
export function json({ ingest, decisions, slowFsync, leftOut, seconds }) {
    return JSON.stringify({
        ingest_ratio: ingest.ratio,
        disk_ratio: ingest.diskRatio,
        scale_ratio: ingest.scaleRatio,
        rss_mib: ingest.rssMib,
        verify_per_s: ingest.verifyPerSecond,
        start_s: ingest.startSeconds,
        p99_beside_stream_ratio: decisions.p99Ratio,
        p99_beside_stream_ratio_16: decisions.p99Ratio16,
        ingest_per_s: ingest.perSecond,
        bare_per_s: ingest.barePerSecond,
        ingest_ratios: ingest.ratios,
        event_bytes: ingest.eventBytes,
        entries: ingest.entries,
        rss_mib_by_entries: ingest.rssByEntries,
        verify_rss_mib: ingest.verifyRssMib,
        decisions,
        decisions_fsync_3ms: slowFsync ?? null,
        left_out: leftOut,
        seconds: Math.round(seconds),
        machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
        versions: versions(),
    });
}
function versions() {
    const db = new Database(':memory:');
    const sqlite = db.prepare('SELECT sqlite_version()').pluck().get();
    db.close();
    return { node: process.versions.node, sqlite, commit: commit() };
}
function commit() {
    try {
        return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', cwd: import.meta.dirname }).trim();
    }
    catch {
        return 'unknown';
    }
}
