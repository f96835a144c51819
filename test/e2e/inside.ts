// Process 1 of the namespaces that main.ts makes: gives them a /run of their own and runs the tests.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const mounted = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run'], { stdio: 'inherit' });
if (mounted.status !== 0) process.exit(1);
mkdirSync('/run/netns');
const vitest = spawn(
  process.execPath,
  [join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', 'e2e', ...process.argv.slice(2)],
  { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] },
);
// As process 1 it ends when the tests have ended, and everything else in the namespaces with it.
vitest.once('exit', (code) => process.exit(code ?? 1));
