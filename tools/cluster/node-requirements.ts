// What a machine needs to be a node of Kubernetes for a test, without Docker.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Debian's containernetworking-plugins puts them. */
export const CNI_BIN = '/usr/lib/cni';

/** Program and the Debian package that has it. */
const PROGRAMS = {
  containerd: 'containerd',
  ctr: 'containerd',
  runc: 'runc',
  buildah: 'buildah',
  iptables: 'iptables',
  'iptables-restore': 'iptables',
  ip: 'iproute2',
  unshare: 'util-linux',
  mount: 'mount',
} as const;

/** All of them, as apt-get has them. */
export const DEBIAN_PACKAGES = [...new Set([...Object.values(PROGRAMS), 'containernetworking-plugins'])];

/** Controllers of cgroup v1 that the kubelet manages pods with; with cgroup v2 they are in one file. */
const CONTROLLERS = ['cpu', 'cpuset', 'memory', 'pids'];

/** What is missing, a sentence each; nothing when a node can run here. */
export function missingForNode(): string[] {
  if (process.platform !== 'linux') return ['a node runs on Linux only'];
  if (process.getuid?.() !== 0) return ['a node needs root: containers, network namespaces and cgroups'];
  const missing = Object.entries(PROGRAMS)
    .filter(([program]) => !onPath(program))
    .map(([program, debian]) => `${program} is not on PATH (Debian: ${debian})`);
  if (!existsSync(join(CNI_BIN, 'ptp')))
    missing.push(`${CNI_BIN}/ptp is not there (Debian: containernetworking-plugins)`);
  const controllers = CONTROLLERS.filter((name) => !existsSync(join('/sys/fs/cgroup', name, 'cgroup.procs')));
  if (controllers.length > 0 && !existsSync('/sys/fs/cgroup/cgroup.controllers'))
    missing.push(`cgroups for ${controllers.join(', ')} are not mounted under /sys/fs/cgroup`);
  else if (!writable('/sys/fs/cgroup/memory') && !writable('/sys/fs/cgroup/cgroup.subtree_control'))
    missing.push('/sys/fs/cgroup is mounted read-only');
  if (missing.length > 0) return missing;
  const tried = spawnSync(
    'unshare',
    [
      ...['--net', '--mount', '--pid', '--fork', '--mount-proc', 'sh', '-c'],
      'ip link add e2e-a type veth peer name e2e-b && iptables -t nat -L >/dev/null && mount -t tmpfs t /run',
    ],
    { encoding: 'utf8' },
  );
  return tried.status === 0 ? [] : [`namespaces with a network of their own cannot be made: ${tried.stderr.trim()}`];
}

function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((dir) => dir !== '' && existsSync(join(dir, program)));
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
