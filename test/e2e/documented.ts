// Commands as the documentation has them: what a reader types is what the tests run.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

/** The block of code on a page that contains `part`, without its indent and prompts. */
export function documented(page: string, part: string): string {
  // Opening and closing fences alternate, each with its indent as a piece of its own: every fourth piece is a block.
  const pieces = readFileSync(join(ROOT, page), 'utf8').split(/^( *)```.*\n/m);
  const blocks = pieces.flatMap((piece, i) => (i % 4 === 2 ? [unindented(piece, pieces[i - 1] ?? '')] : []));
  const found = blocks.filter((block) => block.includes(part));
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${page} contain ${part}`);
  return found[0] as string;
}

function unindented(block: string, indent: string): string {
  const lines = block.split('\n').map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
  return lines.map((line) => line.replace(/^\$ /, '')).join('\n');
}
