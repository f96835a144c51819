// What no schema can say: settings that make no sense beside one another.
import type { Settings } from './schema.ts';

/** One message for each combination that cannot be. `locate` says where a setting was given. */
export function checkTogether(settings: Settings, locate: (path: readonly string[]) => string): string[] {
  return [
    ...halves(settings, locate),
    ...managedProblems(settings, locate),
    ...peerProblems(settings, locate),
    ...samePort(settings, locate),
    ...tooSmall(settings, locate),
  ];
}

function halves(settings: Settings, locate: (path: readonly string[]) => string): string[] {
  return (['admission', 'audit'] as const).flatMap((side) => {
    const { certFile, keyFile } = settings[side].tls;
    if ((certFile === undefined) === (keyFile === undefined)) return [];
    const [given, missing] = certFile === undefined ? ['keyFile', 'certFile'] : ['certFile', 'keyFile'];
    return [
      `${locate([side, 'tls', given])}: needs ${side}.tls.${missing} beside it; give both, or neither to have a certificate issued`,
    ];
  });
}

function managedProblems(settings: Settings, locate: (path: readonly string[]) => string): string[] {
  const { certFile, managed } = settings.admission.tls;
  if (managed.secret === '') return [];
  const where = locate(['admission', 'tls', 'managed', 'secret']);
  return [
    ...(managed.webhookConfiguration === ''
      ? [`${where}: needs admission.tls.managed.webhookConfiguration, which is told what to trust`]
      : []),
    ...(managed.hostnames.length === 0
      ? [`${where}: needs admission.tls.managed.hostnames, the names that the API server calls`]
      : []),
    ...(certFile === undefined ? [] : [`${where}: cannot be given beside admission.tls.certFile; remove one of them`]),
  ];
}

/** Whether there are other replicas to ask. */
export function hasPeers({ peers }: Settings): boolean {
  return peers.service !== '' || peers.addresses.length > 0;
}

/** Without a certificate there is no telling a replica from anybody else. */
function peerProblems(settings: Settings, locate: (path: readonly string[]) => string): string[] {
  const { service, expected, tls } = settings.peers;
  if (!hasPeers(settings)) {
    if (expected.length === 0) return [];
    return [`${locate(['peers', 'expected'])}: needs peers.service, under which the replicas are looked up`];
  }
  const given = service !== '' ? 'service' : 'addresses';
  const problems = (['certFile', 'keyFile', 'caFile'] as const)
    .filter((name) => tls[name] === undefined)
    .map(
      (name) => `${locate(['peers', given])}: needs peers.tls.${name}: replicas know one another by their certificates`,
    );
  if (service === '' && tls.serverName === '')
    problems.push(`${locate(['peers', given])}: needs peers.tls.serverName, the name in the replicas' certificates`);
  if (service === '' && expected.length > 0)
    problems.push(`${locate(['peers', 'expected'])}: needs peers.service, under which the replicas are looked up`);
  return problems;
}

/** Two listeners on one port would end in "address already in use" for the second, without saying who is the first. */
function samePort(settings: Settings, locate: (path: readonly string[]) => string): string[] {
  const names = ['admission', 'audit', 'api', 'metrics', ...(hasPeers(settings) ? (['peers'] as const) : [])] as const;
  const listeners = names.map((name) => ({ name, ...settings[name] }));
  const everywhere = (host: string) => host === '0.0.0.0' || host === '::';
  return listeners.flatMap((one, index) =>
    listeners
      .slice(0, index)
      .filter((other) => one.port !== 0 && one.port === other.port)
      .filter((other) => one.host === other.host || everywhere(one.host) || everywhere(other.host))
      .map(
        (other) =>
          `${locate([one.name, 'port'])}: ${one.port} is ${other.name}.port already; give each listener a port of its own`,
      ),
  );
}

function tooSmall(settings: Settings, locate: (path: readonly string[]) => string): string[] {
  const problems: string[] = [];
  const { admission, audit, ledger, server } = settings;
  const largest = Math.max(admission.bodyLimitBytes, audit.bodyLimitBytes);
  if (server.maxInFlightBytes < largest) {
    problems.push(
      `${locate(['server', 'maxInFlightBytes'])}: must be at least ${largest}, the largest body that is taken`,
    );
  }
  if (ledger.lowSpaceBytes < ledger.reserveBytes) {
    problems.push(
      `${locate(['ledger', 'lowSpaceBytes'])}: must be at least ledger.reserveBytes (${ledger.reserveBytes}), so that it warns before anything is refused`,
    );
  }
  problems.push(
    ...retentionProblems(settings, locate),
    ...withoutMirror(settings, locate),
    ...inventoryProblems(settings, locate),
  );
  if (admission.deadlineMarginMs >= admission.maxDeadlineMs) {
    problems.push(
      `${locate(['admission', 'deadlineMarginMs'])}: must be less than admission.maxDeadlineMs (${admission.maxDeadlineMs})`,
    );
  }
  return problems;
}

/** Bytes of an instance's memory for a byte of JSON, about, where objects are what Kubernetes has. */
const MEMORY_FACTOR = 10;

function inventoryProblems({ inventory, policy }: Settings, locate: (path: readonly string[]) => string): string[] {
  const { resources, maxMiB } = inventory;
  if (resources.length === 0) return [];
  const at = locate(['inventory', 'resources']);
  const names = resources.map(({ group = '', version, resource }) => `${group}/${version}/${resource}`);
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  const problems = twice.map((name) => `${at}: ${name.replace(/^\//, '')} twice: one entry for each resource`);
  if (resources.some(({ group = '', resource }) => group === '' && resource === 'secrets'))
    problems.push(`${at}: secrets: policies must not see the values of Secrets, because what they say is recorded`);
  if (maxMiB * MEMORY_FACTOR > policy.memoryLimitMiB) {
    const least = `policy.memoryLimitMiB (${policy.memoryLimitMiB}) must be at least ${MEMORY_FACTOR} times as much`;
    problems.push(`${locate(['inventory', 'maxMiB'])}: ${least}: lower this or raise that`);
  }
  return problems;
}

/** What hangs on a push would else be set and never happen. */
function withoutMirror({ mirror }: Settings, locate: (path: readonly string[]) => string): string[] {
  if (mirror.url !== '') return [];
  const named = [
    ...(mirror.witnesses.policyFile === undefined ? [] : [['mirror', 'witnesses', 'policyFile']]),
    ...(mirror.configMap.name === '' ? [] : [['mirror', 'configMap', 'name']]),
  ];
  return named.map((path) => `${locate(path)}: needs mirror.url: it goes with what is pushed to the mirror`);
}

/** What leaves the volume has to be somewhere else, where it cannot be deleted yet. */
function retentionProblems({ ledger, mirror }: Settings, locate: (path: readonly string[]) => string): string[] {
  const days = ledger.localRetentionDays;
  if (days === 0) return [];
  const at = locate(['ledger', 'localRetentionDays']);
  if (mirror.url === '') return [`${at}: needs mirror.url: a shard leaves the volume only when the mirror has it`];
  const { mode, logDays, bodiesDays } = mirror.retention;
  if (mode === 'none') return [];
  return Object.entries({ logDays, bodiesDays })
    .filter(([, locked]) => locked > 0 && locked <= days)
    .map(
      ([name, locked]) =>
        `${at}: must be less than mirror.retention.${name} (${locked}): a shard whose locks have ended in the mirror would never leave the volume`,
    );
}
