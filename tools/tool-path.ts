// Where the pinned command-line tools live: `<cache>/<tool>-<version>/<tool>`, by the version in tools/*/go.mod, so that
// every clone of every branch shares one build of each.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const TOOLS_DIR = import.meta.dirname;

interface Tool {
  /** Go module under tools/ that pins it. */
  readonly module: string;
  /** Package that `go build` is given, from inside that module. */
  readonly package: string;
  /** Module in go.mod whose version is the tool's version; without one, the sources here are the version. */
  readonly versionOf?: string;
  /** Only what asks for it by name needs it: `make tools` passes it over. */
  readonly onDemand?: true;
  /** Linker flags that make the tool report its version; `%` stands for it. */
  readonly versionFlags?: string;
}

const KUBERNETES = {
  module: 'kubernetes',
  versionOf: 'k8s.io/kubernetes',
  versionFlags:
    '-X k8s.io/component-base/version.gitVersion=% -X k8s.io/component-base/version.gitTreeState=archive -X k8s.io/client-go/pkg/version.gitVersion=%',
};

/** What makes a node of Kubernetes, for `make e2e`. */
const NODE = { ...KUBERNETES, onDemand: true } as const;

export const TOOLS = {
  opa: { module: 'opa', package: 'github.com/open-policy-agent/opa', versionOf: 'github.com/open-policy-agent/opa' },
  etcd: { module: 'etcd', package: 'go.etcd.io/etcd/server/v3', versionOf: 'go.etcd.io/etcd/server/v3' },
  'kube-apiserver': { ...KUBERNETES, package: 'k8s.io/kubernetes/cmd/kube-apiserver' },
  kubectl: { ...KUBERNETES, package: 'k8s.io/kubernetes/cmd/kubectl' },
  'kube-controller-manager': { ...NODE, package: 'k8s.io/kubernetes/cmd/kube-controller-manager' },
  'kube-scheduler': { ...NODE, package: 'k8s.io/kubernetes/cmd/kube-scheduler' },
  kubelet: { ...NODE, package: 'k8s.io/kubernetes/cmd/kubelet' },
  'kube-proxy': { ...NODE, package: 'k8s.io/kubernetes/cmd/kube-proxy' },
  pause: { module: 'pause', package: '.', onDemand: true },
  helm: {
    module: 'helm',
    package: 'helm.sh/helm/v4/cmd/helm',
    versionOf: 'helm.sh/helm/v4',
    versionFlags: '-X helm.sh/helm/v4/internal/version.version=%',
  },
  fsck: {
    module: 'tessera',
    package: 'github.com/transparency-dev/tessera/cmd/fsck',
    versionOf: 'github.com/transparency-dev/tessera',
  },
  gatekeeper: {
    module: 'gatekeeper',
    package: 'github.com/open-policy-agent/gatekeeper/v3',
    versionOf: 'github.com/open-policy-agent/gatekeeper/v3',
    onDemand: true,
  },
  litewitness: {
    module: 'litewitness',
    package: 'filippo.io/torchwood/cmd/litewitness',
    versionOf: 'filippo.io/torchwood',
  },
  conformance: { module: 'conformance', package: '.' },
  tlogcheck: { module: 'tlogcheck', package: '.' },
  versitygw: {
    module: 'versitygw',
    package: 'github.com/versity/versitygw/cmd/versitygw',
    versionOf: 'github.com/versity/versitygw',
  },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

export const TOOL_NAMES = Object.keys(TOOLS) as ToolName[];

/** Those that are built when none is named. */
export const USUAL_TOOLS = TOOL_NAMES.filter((name) => !('onDemand' in TOOLS[name]));

/** Folder of the Go module that pins `name`. */
export function moduleDir(name: ToolName): string {
  return join(TOOLS_DIR, TOOLS[name].module);
}

/** `v1.2.3` from the module's go.mod, or a digest of the sources for a tool that is written here. */
export function toolVersion(name: ToolName): string {
  const tool: Tool = TOOLS[name];
  const dir = moduleDir(name);
  if (tool.versionOf === undefined) return sourcesDigest(dir);
  for (const line of readFileSync(join(dir, 'go.mod'), 'utf8').split('\n')) {
    const [module, version] = line
      .replace(/^\s*require\s+/, '')
      .trim()
      .split(/\s+/);
    if (module === tool.versionOf && version !== undefined && /^v\d/.test(version)) return version;
  }
  throw new Error(`${join(dir, 'go.mod')} names no version of ${tool.versionOf}`);
}

function sourcesDigest(dir: string): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(dir).sort()) {
    if (/\.go$|^go\.(mod|sum)$/.test(file))
      hash
        .update(`${file}\0`)
        .update(readFileSync(join(dir, file)))
        .update('\0');
  }
  return hash.digest('hex').slice(0, 12);
}

/** Sealgate's folder in the user's cache ($XDG_CACHE_HOME, else ~/.cache). */
export function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sealgate');
}

/** Where `make tools` puts the binary. */
export function cachedPath(name: ToolName): string {
  return join(cacheDir(), `${name}-${toolVersion(name)}`, name);
}

/** The environment variable that overrides the cache, for example SEALGATE_TOOL_KUBE_APISERVER. */
export function toolVariable(name: ToolName): string {
  return `SEALGATE_TOOL_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** Path of a tool's binary: the environment variable if set, else the cache. Throws, saying `make tools`, when it is not there. */
export function toolPath(name: ToolName): string {
  const variable = toolVariable(name);
  const given = process.env[variable];
  if (given !== undefined && given !== '') {
    if (!existsSync(given)) throw new Error(`${variable} names ${given}, which does not exist`);
    return given;
  }
  const path = cachedPath(name);
  if (!existsSync(path))
    throw new Error(`${name} is not built (${path} is missing): run \`make tools\`, or set ${variable}`);
  return path;
}
