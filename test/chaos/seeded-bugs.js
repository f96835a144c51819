// Bugs that a chaos class must catch to be believed. Each is a change of the source that only a subject started with it
// sees (seeded-bug-loader.ts): there is no switch for any of them in src/.
import { readFileSync } from 'node:fs';
const LEDGER = new URL('../../src/ledger/', import.meta.url);
export const SEEDED_BUGS = {
    kill: [
        {
            name: 'answers-before-commit',
            what: 'entries are answered while their transaction is still open',
            edits: [
                {
                    file: 'store.ts',
                    find: '    statements.begin.run();\n',
                    replace: '    if (!this.#db.inTransaction) statements.begin.run();\n',
                },
                {
                    file: 'store.ts',
                    find: '      statements.commit.run();\n',
                    replace: '      if (committed.first < 50 || Math.random() < 0.1) statements.commit.run();\n',
                },
                {
                    file: 'store.ts',
                    find: '  walState(): WalState {\n',
                    replace: '  walState(): WalState {\n    if (this.#db.inTransaction) return { frames: 0, checkpointed: 0 };\n',
                },
            ],
        },
    ],
    faults: [
        {
            name: 'swallows-errors',
            what: 'a commit that failed is taken for one that succeeded',
            edits: [
                {
                    file: 'store.ts',
                    find: '      statements.commit.run();\n',
                    replace: '      try { statements.commit.run(); } catch {}\n',
                },
            ],
        },
        {
            name: 'draft-under-its-name',
            what: 'a new shard is built under its own name instead of being renamed when it is complete',
            edits: [{ file: 'store.ts', find: 'newShardPath(options.path);', replace: 'options.path;' }],
        },
    ],
    power: [
        {
            name: 'synchronous-normal',
            what: 'commits are not synced',
            edits: [{ file: 'schema.ts', find: "['synchronous', 'FULL', 2]", replace: "['synchronous', 'NORMAL', 1]" }],
        },
        {
            name: 'checkpointer-without-sync',
            what: 'pages go into the database and the WAL begins anew before they are synced',
            edits: [
                {
                    file: 'checkpointer-thread.ts',
                    find: "db.pragma('synchronous = FULL');",
                    replace: "db.pragma('synchronous = OFF');",
                },
            ],
        },
        {
            name: 'folder-not-synced',
            what: 'the files of a new ledger are synced, the name of its folder is not',
            edits: [{ file: 'open-shard.ts', find: '      fsyncAncestors(dir);\n', replace: '' }],
        },
        {
            name: 'wal-name-not-synced',
            what: 'that the folder is synced when a WAL is new is left to SQLite, which goes on when that fails',
            edits: [{ file: 'store.ts', find: '      fsyncPath(dirname(path));\n', replace: '' }],
            failingSync: [2, 2],
        },
        {
            name: 'trusts-the-wal',
            what: 'after a failed sync the next start goes on behind frames that are in the page cache only',
            edits: [{ file: 'store.ts', find: '      settleWal(db, path);\n', replace: '' }],
            failingSync: [18, 60],
        },
    ],
    space: [
        {
            name: 'gives-up-when-full',
            what: 'a full disk ends the process instead of refusing what does not fit',
            edits: [{ file: 'sqlite-errors.ts', find: "code === 'SQLITE_FULL' ||", replace: '' }],
        },
    ],
    clock: [
        {
            name: 'wall-clock-interval',
            what: 'the checkpoint interval is measured with the wall clock',
            edits: [
                {
                    file: 'writer.ts',
                    find: '    const began = performance.now();\n',
                    replace: '    const began = Date.now();\n',
                },
                { file: 'writer.ts', find: '    const now = performance.now();\n', replace: '    const now = Date.now();\n' },
                { file: 'writer.ts', find: '- performance.now());\n', replace: '- Date.now());\n' },
                { file: 'writer.ts', find: '  #signedAt = performance.now();\n', replace: '  #signedAt = Date.now();\n' },
            ],
        },
    ],
};
export function seededBug(name) {
    const all = Object.values(SEEDED_BUGS).flat();
    const found = all.find((bug) => bug.name === name);
    if (found === undefined)
        throw new Error(`there is no seeded bug ${name}`);
    return found;
}
/** The source with the bug in it. Throws when the source has changed so that the bug no longer fits. */
export function withBug(source, file, bug) {
    let changed = source;
    for (const { find, replace } of bug.edits.filter((edit) => edit.file === file)) {
        const parts = changed.split(find);
        if (parts.length !== 2) {
            throw new Error(`seeded bug ${bug.name}: src/ledger/${file} has ${parts.length - 1} times ${JSON.stringify(find)}`);
        }
        changed = parts.join(replace);
    }
    return changed;
}
/** Throws when a bug no longer fits the source: a subject that fails for that reason would look like a bug that was caught. */
export function assertSeededBugs() {
    const all = Object.values(SEEDED_BUGS).flat();
    for (const bug of all) {
        for (const { file } of bug.edits)
            withBug(readFileSync(new URL(file, LEDGER), 'utf8'), file, bug);
    }
}
