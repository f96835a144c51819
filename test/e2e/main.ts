// `make e2e`: makes a node of Kubernetes out of this machine and runs test/e2e on it. Everything of the node is in namespaces of its
// own (network, mounts, processes), so that nothing of the machine changes and nothing survives. Exit status 77: no node can run here.
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { DEBIAN_PACKAGES, missingForNode } from '../../tools/cluster/node-requirements.ts';
import { toolPath } from '../../tools/tool-path.ts';
import { buildImages } from './images.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CGROUPS = '/sys/fs/cgroup';
/** The usual status of a test that was skipped. */
const SKIPPED = 77;
/** From here to the end, tools being built. It takes four to eight minutes on two cores. */
const LIMIT_MS = 15 * 60_000;

/**
 * Process 1 of the namespaces: collects those that lose their parents, and kills all when the other end of fd 3, which only the
 * process outside holds, is closed: on Ctrl-C, when the time is up, and when that process is killed.
 */
const INIT = `{ read -r x <&3; kill -KILL -1; } </dev/null &
exec 3<&-
mount -t tmpfs -o mode=755 run /run && ip link set lo up && "$@"
exit $?`;

function say(text: string): void {
  process.stdout.write(`e2e: ${text}\n`);
}

/** Debian's packages, where they are missing and can be had. */
function installPackages(): void {
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).error !== undefined) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const aptGet = (...args: string[]) => spawnSync('apt-get', ['-qq', ...args], { env, encoding: 'utf8' });
  const install = () => aptGet('install', '--yes', '--no-upgrade', '--no-install-recommends', ...DEBIAN_PACKAGES);
  say(`installing ${DEBIAN_PACKAGES.join(' ')}`);
  if (install().status === 0) return;
  aptGet('update');
  const { status, stderr } = install();
  if (status !== 0) say(`apt-get: ${stderr.trim()}`);
}

/** A cgroup in every hierarchy: those of the pods come below it, so that what is left can be found. */
function makeCgroups(name: string): void {
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, name), { recursive: true });
}

function hierarchies(): string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return [CGROUPS];
  return readdirSync(CGROUPS)
    .map((name) => join(CGROUPS, name))
    .filter((dir) => existsSync(join(dir, 'cgroup.procs')));
}

/** Their processes are gone by now; rmdir is how a cgroup ends. */
function removeCgroups(name: string): void {
  const remove = (dir: string) => {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.isDirectory()) remove(join(dir, entry.name));
    }
    rmdirSync(dir);
  };
  for (const hierarchy of hierarchies()) {
    const cgroup = join(hierarchy, name);
    for (let attempt = 0; existsSync(cgroup); attempt++) {
      try {
        remove(cgroup);
      } catch (error) {
        // The kernel takes a moment to bury the last processes.
        if (attempt < 50) spawnSync('sleep', ['0.1']);
        else {
          say(`${cgroup} is left: ${error}`);
          break;
        }
      }
    }
  }
}

/** What a person would have on PATH: the commands of the documentation are run as they stand there. */
function commandsOnPath(dir: string): string {
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  for (const tool of ['kubectl', 'helm'] as const) symlinkSync(toolPath(tool), join(bin, tool));
  symlinkSync(join(ROOT, 'sealgate'), join(bin, 'sealgate'));
  return `${bin}:${process.env['PATH']}`;
}

/** Runs the tests in namespaces of their own. Resolves with their exit status. */
async function runTests(
  given: { readonly dir: string; readonly cgroup: string; readonly images: readonly string[] },
  interruption: AbortSignal,
  interrupt: (reason: string) => void,
): Promise<number> {
  const reports = process.env['REPORTS'];
  const report = reports ? ['--reporter=json', `--outputFile.json=${join(reports, 'e2e.json')}`] : [];
  const vitest = [join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', 'e2e'];
  const namespaces = [
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    '--propagation',
    'private',
  ];
  const child = spawn(
    'unshare',
    [
      ...[...namespaces, 'sh', '-c', INIT, 'sh'],
      ...[process.execPath, ...vitest, '--reporter=default', ...report, ...process.argv.slice(2)],
    ],
    {
      cwd: ROOT,
      // A group of its own: Ctrl-C reaches this process only, which then ends all of it.
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      env: { ...process.env, PATH: commandsOnPath(given.dir), SEALGATE_E2E: JSON.stringify(given) },
    },
  );
  const leash = child.stdio[3] as NodeJS.WritableStream;
  leash.on('error', () => {
    // it ended by itself
  });
  const end = () => leash.end();
  if (interruption.aborted) end();
  else interruption.addEventListener('abort', end);
  const timeIsUp = () => interrupt(`not done after ${LIMIT_MS / 60_000} minutes`);
  const timer = setTimeout(timeIsUp, LIMIT_MS - performance.now());
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
  clearTimeout(timer);
  if (!interruption.aborted) return status;
  say(`${interruption.reason}: everything was ended`);
  return status || 1;
}

/** For whoever looks for the reason. */
function keepLogs(dir: string): void {
  const [from, to] = [join(dir, 'logs'), join(ROOT, '.tmp', 'e2e')];
  rmSync(to, { recursive: true, force: true });
  if (!existsSync(from)) return;
  // The rest is what containerd and etcd keep, and as large as all images.
  const rest = ['containerd', 'etcd', 'kubelet'].map((name) => join(from, name));
  cpSync(from, to, { recursive: true, dereference: true, filter: (file) => !rest.includes(file) });
  say(`the logs are in ${to}`);
}

async function main(): Promise<number> {
  if (missingForNode().length > 0) installPackages();
  const missing = missingForNode();
  if (missing.length > 0) {
    say(`skipped, no node of Kubernetes can run here: ${missing.join('; ')}`);
    say('with a Docker engine, see test/kind/');
    const reports = process.env['REPORTS'];
    if (reports) writeFileSync(join(reports, 'skipped-e2e'), missing.join('; '));
    return SKIPPED;
  }
  // Noticed before the tests, too, so that nothing is left; what runs then ends by the same Ctrl-C.
  const interruption = new AbortController();
  const interrupt = (reason: string) => interruption.abort(reason);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt(signal));
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-e2e-'));
  const cgroup = basename(dir);
  try {
    say('building the images');
    const images = buildImages(join(dir, 'images'));
    makeCgroups(cgroup);
    const status = await runTests({ dir, cgroup: `/${cgroup}`, images }, interruption.signal, interrupt);
    if (status !== 0) keepLogs(dir);
    say(`${status === 0 ? 'passed' : 'failed'} after ${(performance.now() / 1000).toFixed(0)} s`);
    return status === SKIPPED ? 1 : status;
  } finally {
    removeCgroups(cgroup);
    rmSync(dir, { recursive: true, force: true, maxRetries: 20 });
  }
}

process.exitCode = await main();
