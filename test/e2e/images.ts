// The images of the cluster, as archives that containerd imports: Sealgate as `make image` has built it, and two of one static binary each.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolPath } from '../../tools/tool-path.ts';

/** What `make e2e` tags the image of this checkout with. */
export const SEALGATE_IMAGE = 'e2e.local/sealgate:e2e';
export const PAUSE_IMAGE = 'e2e.local/pause:1';
export const OBJECT_STORE_IMAGE = 'e2e.local/versitygw:1';

/** Paths of the archives. */
export function buildImages(dir: string): string[] {
  mkdirSync(dir, { recursive: true });
  const docker = spawnSync('docker', ['info'], { stdio: 'ignore' }).status === 0;
  binaryImage(dir, PAUSE_IMAGE, 'pause');
  binaryImage(dir, OBJECT_STORE_IMAGE, 'versitygw');
  return [PAUSE_IMAGE, OBJECT_STORE_IMAGE, SEALGATE_IMAGE].map((image) => {
    const archive = join(dir, `${image.replaceAll(/[/:]/g, '-')}.tar`);
    const save =
      docker && image === SEALGATE_IMAGE
        ? ['docker', 'save', '--output', archive, image]
        : ['buildah', '--storage-driver', 'vfs', 'push', '--quiet', image, `docker-archive:${archive}:${image}`];
    command(save);
    return archive;
  });
}

function binaryImage(dir: string, image: string, tool: 'pause' | 'versitygw'): void {
  const context = join(dir, tool);
  mkdirSync(context);
  copyFileSync(toolPath(tool), join(context, tool));
  writeFileSync(join(context, 'Dockerfile'), `FROM scratch\nCOPY ${tool} /${tool}\nENTRYPOINT ["/${tool}"]\n`);
  command([
    ...['buildah', '--storage-driver', 'vfs', 'bud', '--quiet', '--isolation', 'chroot', '--tag', image],
    context,
  ]);
}

function command([program = '', ...args]: readonly string[]): void {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}`);
}
