// Preloaded into a subject (--import, so into its threads too): gives it the source with the bug that CHAOS_BUG names.
import { registerHooks } from 'node:module';
import { seededBug, withBug } from './seeded-bugs.js';
const LEDGER = new URL('../../src/ledger/', import.meta.url).href;
const bug = seededBug(process.env['CHAOS_BUG'] ?? '');
registerHooks({
    load(url, context, nextLoad) {
        const loaded = nextLoad(url, context);
        const file = url.slice(LEDGER.length);
        if (!url.startsWith(LEDGER) || !bug.edits.some((edit) => edit.file === file))
            return loaded;
        const source = Buffer.from(loaded.source).toString('utf8');
        return { ...loaded, source: withBug(source, file, bug) };
    },
});
