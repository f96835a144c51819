// Builds the pinned Go tools that are not in the cache yet: node tools/build-tools.ts [--list] [tool…]. Needs Go and the
// standard library of Node only, so that it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  cacheDir,
  cachedPath,
  moduleDir,
  TOOL_NAMES,
  TOOLS,
  type ToolName,
  toolVariable,
  toolVersion,
  USUAL_TOOLS,
} from './tool-path.ts';

class BuildError extends Error {}

function fail(message: string): never {
  throw new BuildError(message);
}

/** Builds beside the final place and renames: a build that is interrupted, or runs twice at once, leaves no half binary. */
function build(name: ToolName): void {
  const target = cachedPath(name);
  const tool: { package: string; versionFlags?: string } = TOOLS[name];
  mkdirSync(cacheDir(), { recursive: true });
  const temp = mkdtempSync(join(cacheDir(), `.build-${name}-`));
  try {
    const versionFlags = (tool.versionFlags ?? '').replaceAll('%', toolVersion(name));
    const built = spawnSync(
      'go',
      [
        'build',
        '-mod=readonly',
        '-buildvcs=false',
        '-trimpath',
        '-ldflags',
        `-s -w ${versionFlags}`.trim(),
        '-o',
        join(temp, name),
        tool.package,
      ],
      {
        cwd: moduleDir(name),
        stdio: ['ignore', 'inherit', 'inherit'],
        // Neither a C compiler nor a workspace that happens to be around takes part.
        env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' },
      },
    );
    if (built.error !== undefined) {
      const missing = (built.error as NodeJS.ErrnoException).code === 'ENOENT';
      fail(missing ? 'Go is needed to build it and is not on PATH: install Go 1.26 or newer' : built.error.message);
    }
    if (built.status !== 0) fail(`go build of ${name} failed (status ${built.status ?? built.signal}), see above`);
    mkdirSync(dirname(target), { recursive: true });
    renameSync(join(temp, name), target);
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
}

function main(args: readonly string[]): void {
  const names = args.filter((arg) => !arg.startsWith('-'));
  for (const name of names) {
    if (!(TOOL_NAMES as string[]).includes(name)) fail(`no tool is called ${name}; there are ${TOOL_NAMES.join(', ')}`);
  }
  for (const name of (names.length > 0 ? names : USUAL_TOOLS) as ToolName[]) {
    const given = process.env[toolVariable(name)];
    if (!given && !existsSync(cachedPath(name))) {
      const started = performance.now();
      console.error(`Building ${name} ${toolVersion(name)} (once, kept in ${dirname(cachedPath(name))}) …`);
      build(name);
      console.error(`Built ${name} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
    }
    if (args.includes('--list')) console.log(given || cachedPath(name));
  }
}

try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(`build-tools: ${error.message}`);
  process.exitCode = 1;
}
