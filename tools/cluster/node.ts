// A whole Kubernetes of one node from plain processes: control plane, scheduler, controller manager, containerd, kubelet, kube-proxy
// and DNS. Takes the network, the mounts and the process ids that it finds for its own: run it below test/e2e/main.ts, which makes
// namespaces of each, and with which they end.
import { spawnSync } from 'node:child_process';
import type { Socket } from 'node:dgram';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolPath } from '../tool-path.ts';
import { type ControlPlane, startControlPlane, type User } from './control-plane.ts';
import { CLUSTER_DOMAIN, startDns } from './dns.ts';
import { CNI_BIN } from './node-requirements.ts';
import { type Running, run, waitUntil } from './process.ts';

export const NODE_NAME = 'node-1';
/** Of the node, in an interface of its own; the API server and DNS listen there. */
export const NODE_ADDRESS = '10.90.0.1';
const POD_RANGE = '10.91.0.0/24';
export const SERVICE_RANGE = '10.96.0.0/16';
const CONTAINERD = '/run/containerd/containerd.sock';
const PAUSE = 'e2e.local/pause:1';
const START_TIMEOUT_MS = 180_000;

/** The control plane's own users, whom Kubernetes gives their roles by name. */
const USERS: readonly User[] = [
  { name: 'system:kube-controller-manager' },
  { name: 'system:kube-scheduler' },
  { name: 'system:kube-proxy' },
  { name: `system:node:${NODE_NAME}`, groups: ['system:nodes'] },
];

export interface NodeOptions {
  /** Folder for data, configuration and logs; created if missing. */
  readonly dir: string;
  /** A cgroup that exists for every controller, below which all of the pods' are made: `/name`. */
  readonly cgroup: string;
  /** Archives of images (docker-archive); one has to hold e2e.local/pause:1. */
  readonly images: readonly string[];
  /** Besides `admin`. */
  readonly users?: readonly User[];
  /** The API server's own audit log. */
  readonly auditLogPath: string;
}

export interface NodeCluster {
  readonly plane: ControlPlane;
  readonly processes: readonly Running[];
  stop(): Promise<void>;
}

/** Resolves when the node is ready. Throws with the end of the logs. */
export async function startNode(options: NodeOptions): Promise<NodeCluster> {
  const { dir } = options;
  mkdirSync(dir, { recursive: true });
  prepareNetwork();
  const plane = await startControlPlane({
    dir: join(dir, 'control-plane'),
    address: NODE_ADDRESS,
    serviceAccounts: true,
    users: [...USERS, ...(options.users ?? [])],
    auditLogPath: options.auditLogPath,
    extraArgs: [
      `--service-cluster-ip-range=${SERVICE_RANGE}`,
      '--authorization-mode=Node', // besides RBAC
      '--enable-admission-plugins=NodeRestriction',
      '--endpoint-reconciler-type=lease',
      '--kubelet-preferred-address-types=InternalIP',
    ],
  });
  const processes: Running[] = [];
  const start = (name: string, command: string, args: readonly string[]): Running => {
    const running = run({ name, command, args, logFile: join(dir, `${name}.log`) });
    processes.push(running);
    return running;
  };
  let dns: Socket | undefined;
  // Containers go on: they end with the process ids that they were given.
  const stop = async () => {
    dns?.close();
    for (const running of [...processes].reverse()) await running.stop();
    await plane.stop();
  };
  try {
    const containerd = start('containerd', 'containerd', ['--config', containerdConfig(dir)]);
    await waitUntil('containerd answered', async () => ctr('version').status === 0, [containerd], START_TIMEOUT_MS);
    for (const image of options.images) {
      const imported = ctr('images', 'import', image);
      if (imported.status !== 0) throw new Error(`ctr images import ${image}: ${imported.stderr}`);
    }
    dns = await startDns(NODE_ADDRESS, plane.call);
    start('kube-controller-manager', toolPath('kube-controller-manager'), [
      `--kubeconfig=${plane.kubeconfigFor('system:kube-controller-manager')}`,
      `--service-account-private-key-file=${join(dir, 'control-plane', 'service-account.key')}`,
      `--root-ca-file=${plane.caFile}`,
      '--use-service-account-credentials',
      '--leader-elect=false',
      '--controllers=*,-nodeipam,-service-lb-controller,-node-route-controller,-cloud-node-lifecycle-controller',
      ...['--bind-address=127.0.0.1', `--cert-dir=${join(dir, 'controller-manager')}`],
    ]);
    start('kube-scheduler', toolPath('kube-scheduler'), [
      `--kubeconfig=${plane.kubeconfigFor('system:kube-scheduler')}`,
      '--leader-elect=false',
      ...['--bind-address=127.0.0.1', `--cert-dir=${join(dir, 'scheduler')}`],
    ]);
    start('kubelet', toolPath('kubelet'), kubeletFlags(options, plane));
    start('kube-proxy', toolPath('kube-proxy'), [
      `--kubeconfig=${plane.kubeconfigFor('system:kube-proxy')}`,
      `--hostname-override=${NODE_NAME}`,
      '--proxy-mode=iptables',
      `--cluster-cidr=${POD_RANGE}`,
      // These are the machine's, not the namespace's.
      ...[
        '--conntrack-max-per-core=0',
        '--conntrack-tcp-timeout-established=0s',
        '--conntrack-tcp-timeout-close-wait=0s',
      ],
      ...['--conntrack-udp-timeout=0s', '--conntrack-udp-timeout-stream=0s'],
    ]);
    await waitUntil('the node was ready', () => nodeIsReady(plane), processes, START_TIMEOUT_MS);
    // Without it no pod is admitted to the namespace.
    const account = '/api/v1/namespaces/default/serviceaccounts/default';
    const controlled = async () => (await plane.call(account)).status === 200;
    await waitUntil('the controllers were at work', controlled, processes, START_TIMEOUT_MS);
    return { plane, processes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** containerd's own client, in the namespace of Kubernetes. */
export function ctr(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('ctr', ['--address', CONTAINERD, '--namespace', 'k8s.io', ...args], { encoding: 'utf8' });
}

async function nodeIsReady(plane: ControlPlane): Promise<boolean> {
  const answer = await plane.call(`/api/v1/nodes/${NODE_NAME}`);
  if (answer.status !== 200) return false;
  const { status } = answer.json() as { status: { conditions?: { type: string; status: string }[] } };
  return status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') ?? false;
}

function prepareNetwork(): void {
  for (const command of [
    'ip link set lo up',
    // A pair of which only one end is used: an interface that is always up.
    'ip link add node0 type veth peer name node0-peer',
    `ip address add ${NODE_ADDRESS}/32 dev node0`,
    'ip link set node0 up',
    'ip link set node0-peer up',
    // kube-proxy rewrites addresses of Services, once there is a route.
    `ip route add ${SERVICE_RANGE} dev node0`,
    'sysctl -qw net.ipv4.ip_forward=1',
  ]) {
    const [program = '', ...args] = command.split(' ');
    const done = spawnSync(program, args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`${command}: ${done.stderr ?? done.error}`);
  }
}

function containerdConfig(dir: string): string {
  const cni = join(dir, 'cni');
  mkdirSync(cni, { recursive: true });
  const network = {
    cniVersion: '1.0.0',
    name: 'e2e',
    // Each pod has a link of its own to the node, so that all its packets pass the rules of kube-proxy; across a bridge they
    // would only with another kernel module.
    plugins: [
      {
        type: 'ptp',
        ipMasq: true,
        ipam: {
          type: 'host-local',
          dataDir: join(dir, 'cni-addresses'),
          ranges: [[{ subnet: POD_RANGE }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  };
  writeFileSync(join(cni, '10-e2e.conflist'), JSON.stringify(network));
  const file = join(dir, 'containerd.toml');
  writeFileSync(
    file,
    `version = 2
root = "${join(dir, 'containerd')}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "${CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "${PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${CNI_BIN}"
    conf_dir = "${cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`,
  );
  return file;
}

function kubeletFlags({ dir, cgroup }: NodeOptions, plane: ControlPlane): string[] {
  const config = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    // Nobody else is in this network namespace.
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: cgroup,
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    containerRuntimeEndpoint: `unix://${CONTAINERD}`,
    clusterDNS: [NODE_ADDRESS],
    clusterDomain: CLUSTER_DOMAIN,
    resolvConf: '',
    // How full the machine's disk is has no bearing on the test.
    evictionHard: {
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
      'memory.available': '1Mi',
    },
    imageGCHighThresholdPercent: 100,
    podLogsDir: join(dir, 'pod-logs'),
    nodeStatusUpdateFrequency: '2s',
    shutdownGracePeriod: '0s',
  };
  mkdirSync(join(dir, 'pod-logs'), { recursive: true });
  const file = join(dir, 'kubelet.json');
  writeFileSync(file, JSON.stringify(config));
  return [
    `--config=${file}`,
    `--kubeconfig=${plane.kubeconfigFor(`system:node:${NODE_NAME}`)}`,
    `--hostname-override=${NODE_NAME}`,
    `--node-ip=${NODE_ADDRESS}`,
    `--root-dir=${join(dir, 'kubelet')}`,
    `--cert-dir=${join(dir, 'kubelet-certs')}`,
  ];
}
