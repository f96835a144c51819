// Prepares dist/: what the image consists of, and what runs on any Linux without a checkout. node tools/image/main.ts [folder]
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { cachedPath, toolVersion } from '../tool-path.ts';
import { sharedLibraries } from './libraries.ts';
import { writeSbom } from './sbom.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** Of packages, what only their authors, type checkers and other platforms need. */
const NOT_NEEDED = [
  /\.(ts|mts|cts|map|md|markdown|tsbuildinfo|flow|c|cc|cpp|h|gyp|gypi)$/i,
  /^(test|tests|__tests__|docs|doc|example|examples|benchmark|\.github|\.vscode)$/,
  /^(CHANGELOG|CHANGES|HISTORY|AUTHORS|CONTRIBUTING|SECURITY|\.eslintrc|\.prettierrc|\.editorconfig|\.npmignore|\.travis\.yml).*$/,
];

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args[0]} ended with ${status}`);
}

function compile(app: string): void {
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  run(tsc, ['--project', join(import.meta.dirname, 'tsconfig.json'), '--outDir', join(app, 'src')], ROOT);
}

function installPackages(app: string): void {
  for (const name of ['package.json', 'package-lock.json', '.npmrc', 'LICENSE']) {
    if (existsSync(join(ROOT, name))) copyFileSync(join(ROOT, name), join(app, name));
  }
  run('npm', ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], app);
  rmSync(join(app, 'node_modules', '.package-lock.json'), { force: true });
  prune(join(app, 'node_modules'));
  prunePrebuilds(join(app, 'node_modules', 'better-sqlite3'));
}

/** Removes files and folders whose name says that nothing loads them. */
function prune(dir: string): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isSymbolicLink()) continue;
    // Inside a package a folder called doc or test may be code: only those at its top are left out.
    const top = existsSync(join(dir, 'package.json'));
    const [files, ...folders] = NOT_NEEDED;
    const gone = entry.isDirectory()
      ? top && folders[0]?.test(entry.name)
      : files?.test(entry.name) || folders[1]?.test(entry.name);
    if (gone) rmSync(path, { recursive: true });
    else if (entry.isDirectory()) prune(path);
  }
}

/** better-sqlite3 brings binaries for every platform, and SQLite's source. */
function prunePrebuilds(dir: string): void {
  for (const name of ['deps', 'src']) rmSync(join(dir, name), { recursive: true, force: true });
  const prebuilds = join(dir, 'prebuilds');
  if (!existsSync(prebuilds)) return;
  for (const name of readdirSync(prebuilds)) {
    if (!name.startsWith(`${process.platform}-${process.arch}`)) rmSync(join(prebuilds, name), { recursive: true });
  }
}

function copyBinaries(bin: string): void {
  mkdirSync(bin, { recursive: true });
  for (const [name, from] of [
    ['node', process.execPath],
    ['opa', cachedPath('opa')],
  ] as const) {
    const to = join(bin, name);
    copyFileSync(from, to);
    chmodSync(to, 0o755);
    // Symbols are a tenth of Node; without strip the image is larger, and runs all the same.
    if (name === 'node') spawnSync('strip', ['--strip-unneeded', to], { stdio: 'ignore' });
  }
}

const LAUNCHER = `#!/bin/sh
# Sealgate from this folder, with the Node and the OPA in it.
here=$(dirname -- "$(readlink -f -- "$0")")
SEALGATE_POLICY_OPA=\${SEALGATE_POLICY_OPA-$here/bin/opa}
MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072
export SEALGATE_POLICY_OPA MALLOC_MMAP_THRESHOLD_ MALLOC_TRIM_THRESHOLD_
exec "$here/bin/node" --max-semi-space-size=4 "$here/app/src/cli/main.js" "$@"
`;

function size(dir: string): number {
  return readdirSync(dir, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(dir, entry.name);
    return sum + (entry.isDirectory() ? size(path) : entry.isFile() ? statSync(path).size : 0);
  }, 0);
}

function main(folder: string): void {
  const dist = resolve(ROOT, folder);
  rmSync(dist, { recursive: true, force: true });
  const app = join(dist, 'app');
  mkdirSync(app, { recursive: true });
  compile(app);
  installPackages(app);
  cpSync(join(ROOT, 'policies'), join(app, 'policies'), {
    recursive: true,
    filter: (file) => !file.endsWith('_test.rego'),
  });
  copyBinaries(join(dist, 'bin'));
  const libraries = sharedLibraries(join(dist, 'bin', 'node'), join(dist, 'root'));
  writeSbom(app, join(dist, 'sbom.cdx.json'), [
    { name: 'node', version: process.versions.node },
    { name: 'opa', version: toolVersion('opa') },
    ...libraries,
  ]);
  writeFileSync(join(dist, 'sealgate'), LAUNCHER, { mode: 0o755 });
  process.stdout.write(`${dist}: ${(size(dist) / 2 ** 20).toFixed(0)} MiB\n`);
}

main(process.argv[2] ?? 'dist');
