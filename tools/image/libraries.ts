// The root file system of an image without a distribution: the shared libraries that Node is linked to, from this machine, and
// the few files of /etc without which a C library does not know who and where it is.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Component {
  readonly name: string;
  readonly version: string;
}

/** The user that the image runs as: not root, and not one that a node is likely to have. */
const UID = 65_532;

/** Copies what `binary` needs into `root`. Returns the packages that it is from, as far as this machine's package manager knows. */
export function sharedLibraries(binary: string, root: string): Component[] {
  const listed = spawnSync('ldd', [binary], { encoding: 'utf8' });
  const paths = [...(listed.stdout ?? '').matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  if (listed.status !== 0 || paths.length === 0) throw new Error(`ldd ${binary} names no libraries: ${listed.stderr}`);
  for (const path of paths) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(realpathSync(path), join(root, path));
  }
  for (const dir of ['etc', 'data']) mkdirSync(join(root, dir), { recursive: true });
  mkdirSync(join(root, 'tmp'), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777); // past the umask
  writeFileSync(join(root, 'etc', 'passwd'), `sealgate:x:${UID}:${UID}::/data:/sbin/nologin\n`);
  writeFileSync(join(root, 'etc', 'group'), `sealgate:x:${UID}:\n`);
  writeFileSync(join(root, 'etc', 'nsswitch.conf'), 'hosts: files dns\n');
  return packagesOf(paths);
}

function packagesOf(paths: readonly string[]): Component[] {
  const found = new Map<string, Component>();
  for (const path of paths) {
    // Where /lib is a link to /usr/lib, the package manager may know the file by either name.
    const owner = [path, realpathSync(path), `/usr${path}`]
      .map((name) => spawnSync('dpkg-query', ['--search', name], { encoding: 'utf8' }))
      .find(({ status }) => status === 0);
    const name = owner?.stdout.split(': ')[0]?.split(',')[0];
    if (name === undefined || found.has(name)) continue;
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own
    const version = spawnSync('dpkg-query', ['--show', '--showformat=${Version}', name], { encoding: 'utf8' });
    found.set(name, { name: name.split(':')[0] ?? name, version: version.stdout });
  }
  return [...found.values()];
}
