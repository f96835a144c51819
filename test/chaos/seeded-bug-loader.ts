// Preloaded into a subject (--import, so into its threads too): gives it the source with the bug that CHAOS_BUG names.
import { registerHooks } from 'node:module';
import { seededBug } from './seeded-bugs.ts';

const LEDGER = new URL('../../src/ledger/', import.meta.url).href;
const { name, edits } = seededBug(process.env['CHAOS_BUG'] ?? '');

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const own = edits.filter(({ file }) => url === LEDGER + file);
    if (own.length === 0) return loaded;
    let source = Buffer.from(loaded.source as Uint8Array).toString('utf8');
    for (const { file, find, replace } of own) {
      const parts = source.split(find);
      if (parts.length !== 2) throw new Error(`seeded bug ${name}: ${file} has ${parts.length - 1} times ${find}`);
      source = parts.join(replace);
    }
    return { ...loaded, source };
  },
});
