// The images of the test's cluster as archives that containerd takes: Sealgate's own by `make image`, and each of two programs from
// the tools alone. No registry takes part.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type ToolName, toolPath } from '../../tools/tool-path.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** As the documentation names it, by the version that the chart asks for. */
export const SEALGATE_IMAGE = 'registry.example.com/sealgate:0.1.0';
export const PAUSE_IMAGE = 'e2e.local/pause:1';
export const OBJECT_STORE_IMAGE = 'e2e.local/versitygw:1';

const PROGRAM_IMAGES: readonly { readonly name: string; readonly tool: ToolName }[] = [
  { name: PAUSE_IMAGE, tool: 'pause' },
  { name: OBJECT_STORE_IMAGE, tool: 'versitygw' },
];

/** What main.ts gives to the tests. */
export interface Given {
  readonly dir: string;
  readonly cgroup: string;
  readonly images: readonly string[];
}

export function given(): Given {
  return JSON.parse(process.env['SEALGATE_E2E'] ?? 'null') as Given;
}

/** The image of Sealgate among the archives. */
export function sealgateArchive(): string {
  const archive = given().images.find((file) => basename(file) === archiveName(SEALGATE_IMAGE));
  if (archive === undefined) throw new Error('there is no archive of the image');
  return archive;
}

const DOCKERFILE = `FROM scratch
COPY program /program
ENTRYPOINT ["/program"]
`;

function archiveName(image: string): string {
  return `${image.replaceAll(/[/:]/g, '-')}.tar`;
}

/** Builds all with docker where there is an engine, else with buildah and a store of its own. Returns the archives, in `dir`. */
export function buildImages(dir: string): string[] {
  mkdirSync(dir, { recursive: true });
  const docker = spawnSync('docker', ['info'], { stdio: 'ignore' }).status === 0;
  const env = { ...process.env };
  if (!docker) {
    const store = join(dir, 'store.conf');
    const paths = `graphroot = "${join(dir, 'store')}"\nrunroot = "${join(dir, 'store-run')}"`;
    writeFileSync(store, `[storage]\ndriver = "vfs"\n${paths}\n`);
    env['CONTAINERS_STORAGE_CONF'] = store;
  }
  const archives: string[] = [];
  const archive = (name: string) => {
    const file = join(dir, archiveName(name));
    if (docker) command('docker', ['save', '--output', file, name], env);
    else command('buildah', ['push', '--storage-driver', 'vfs', name, `docker-archive:${file}:${name}`], env);
    archives.push(file);
  };
  command('make', ['--silent', '-C', ROOT, 'image', `IMAGE=${SEALGATE_IMAGE}`], env);
  archive(SEALGATE_IMAGE);
  for (const { name, tool } of PROGRAM_IMAGES) {
    const context = join(dir, `image-${tool}`);
    mkdirSync(context);
    copyFileSync(toolPath(tool), join(context, 'program'));
    writeFileSync(join(context, 'Dockerfile'), DOCKERFILE);
    if (docker) command('docker', ['build', '--quiet', '--tag', name, context], env);
    else command('buildah', ['bud', '--isolation', 'chroot', '--storage-driver', 'vfs', '--tag', name, context], env);
    archive(name);
  }
  rmSync(join(dir, 'store'), { recursive: true, force: true });
  return archives;
}

/** Far more than any needs. */
const COMMAND_LIMIT_MS = 5 * 60_000;

/** Shows what it printed only when it fails: builders say a lot. */
function command(program: string, args: readonly string[], env: NodeJS.ProcessEnv): void {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    timeout: COMMAND_LIMIT_MS,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
}
