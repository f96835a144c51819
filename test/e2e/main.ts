// `make e2e`: the tests of this folder in a cluster of one node. Everything runs in namespaces of its own (network, mounts, process
// ids): when this process ends, however it does, the kernel ends all of them and takes their network and mounts away.
// Arguments: --skip-if-impossible ends with 0 where the machine cannot be a node; the rest is handed to vitest.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { missingForNode } from '../../tools/cluster/node-requirements.ts';
import { buildImages } from './images.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** With the tools there and the image built it takes three to six minutes. */
const TIME_LIMIT_MS = 15 * 60_000;
const IMPOSSIBLE = 3;
const CGROUPS = '/sys/fs/cgroup';

const maySkip = process.argv.includes('--skip-if-impossible');
const vitestArgs = process.argv.slice(2).filter((arg) => arg !== '--skip-if-impossible');

const missing = missingForNode();
if (missing.length > 0) {
  console.error(
    `e2e: ${maySkip ? 'skipped' : 'failed'}: this machine cannot be a node of Kubernetes:\n- ${missing.join('\n- ')}`,
  );
  process.exit(maySkip ? 0 : IMPOSSIBLE);
}

const dir = mkdtempSync(join(tmpdir(), 'sealgate-e2e-'));
const cgroup = basename(dir);
let status = 1;
try {
  const images = buildImages(join(dir, 'images'));
  makeCgroups();
  status = await inNamespaces(images);
  if (status !== 0) keepLogs();
} finally {
  removeCgroups();
  rmSync(dir, { recursive: true, force: true, maxRetries: 20 });
}
process.exitCode = status;

/** Resolves with the exit status of the tests. */
function inNamespaces(images: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      'unshare',
      [
        ...['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
        ...[process.execPath, '--no-warnings', join(import.meta.dirname, 'inside.ts'), ...vitestArgs],
      ],
      {
        cwd: ROOT,
        stdio: ['ignore', 'inherit', 'inherit'],
        env: { ...process.env, SEALGATE_E2E: JSON.stringify({ dir, cgroup: `/${cgroup}`, images }) },
      },
    );
    const timer = setTimeout(() => {
      console.error(`e2e: not done after ${TIME_LIMIT_MS / 60_000} minutes: stopped`);
      child.kill('SIGKILL');
    }, TIME_LIMIT_MS);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => child.kill('SIGKILL'));
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(code ?? 1);
    });
  });
}

/** Of cgroup v1 one for each controller; of v2 one. */
function hierarchies(): string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return [CGROUPS];
  return readdirSync(CGROUPS)
    .map((name) => join(CGROUPS, name))
    .filter((path) => existsSync(join(path, 'cgroup.procs')));
}

function makeCgroups(): void {
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, cgroup), { recursive: true });
}

/** Their processes are gone with the namespaces; a cgroup is removed from the innermost outwards. */
function removeCgroups(): void {
  const remove = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(path, entry.name));
    rmdirSync(path);
  };
  for (const hierarchy of hierarchies()) {
    const path = join(hierarchy, cgroup);
    for (let attempt = 0; existsSync(path); attempt++) {
      try {
        remove(path);
      } catch (error) {
        if (attempt === 50) {
          console.error(`e2e: ${path} could not be removed: ${error}`);
          break;
        }
        spawnSync('sleep', ['0.1']);
      }
    }
  }
}

/** For whoever looks for the reason. */
function keepLogs(): void {
  const kept = join(ROOT, '.tmp', 'e2e');
  rmSync(kept, { recursive: true, force: true });
  cpSync(join(dir, 'logs'), kept, { recursive: true, dereference: true });
  console.error(`e2e: the logs are in ${kept}`);
}
