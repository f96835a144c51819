// The cluster's DNS, as small as a test needs it: addresses of Services, asked of the API server at each question. CoreDNS does
// more, and takes longer to build than all else that a node consists of.
import { createSocket, type Socket } from 'node:dgram';
import type { ControlPlane } from './control-plane.ts';

export const CLUSTER_DOMAIN = 'cluster.local';

const TYPE_A = 1;
const [OK, SERVER_FAILURE, NO_SUCH_NAME] = [0, 2, 3];
const TTL_SECONDS = 1;

interface Answer {
  readonly code: number;
  /** IPv4 addresses. */
  readonly addresses: readonly string[];
}

/** Answers on UDP port 53 of `address` until it is closed. */
export async function startDns(address: string, call: ControlPlane['call']): Promise<Socket> {
  const socket = createSocket('udp4');
  let open = true;
  socket.once('close', () => {
    open = false;
  });
  socket.on('message', (query, from) => {
    void reply(query, call).then((answer) => {
      if (answer !== undefined && open) socket.send(answer, from.port, from.address);
    });
  });
  await new Promise<void>((resolve, reject) => socket.once('error', reject).bind(53, address, resolve));
  return socket;
}

/** RFC 1035, one question. Undefined for what is no query: nothing is sent back. */
async function reply(query: Buffer, call: ControlPlane['call']): Promise<Buffer | undefined> {
  const question = parseQuestion(query);
  if (question === undefined) return undefined;
  const { name, type, end } = question;
  const { code, addresses } = await lookUp(name, call);
  const given = type === TYPE_A ? addresses : [];
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8580 | code, 2); // a response, authoritative, recursion asked for and done
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(given.length, 6);
  header.writeUInt32BE(0, 8);
  const records = given.map((address) => {
    const record = Buffer.alloc(16);
    record.writeUInt16BE(0xc00c, 0); // the name in the question
    record.writeUInt16BE(TYPE_A, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(TTL_SECONDS, 6);
    record.writeUInt16BE(4, 10);
    for (const [i, part] of address.split('.').entries()) record.writeUInt8(Number(part), 12 + i);
    return record;
  });
  return Buffer.concat([header, query.subarray(12, end), ...records]);
}

function parseQuestion(query: Buffer): { name: string; type: number; end: number } | undefined {
  if (query.length < 17 || query.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  if (at + 5 > query.length) return undefined;
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** `service.namespace.svc.cluster.local`, and `pod.service.namespace.svc.cluster.local` for one without an address. */
async function lookUp(name: string, call: ControlPlane['call']): Promise<Answer> {
  const suffix = `.svc.${CLUSTER_DOMAIN}`;
  const labels = name.endsWith(suffix) ? name.slice(0, -suffix.length).split('.') : [];
  const [service, namespace, host] = [labels.at(-2), labels.at(-1), labels.at(-3)];
  if (service === undefined || namespace === undefined || labels.length > 3)
    return { code: NO_SUCH_NAME, addresses: [] };
  try {
    const found = await call(`/api/v1/namespaces/${namespace}/services/${service}`);
    if (found.status === 404) return { code: NO_SUCH_NAME, addresses: [] };
    const { clusterIP } = (found.json() as { spec: { clusterIP: string } }).spec;
    if (clusterIP !== 'None')
      return host === undefined ? { code: OK, addresses: [clusterIP] } : { code: NO_SUCH_NAME, addresses: [] };
    const addresses = await endpoints(namespace, service, host, call);
    return { code: addresses.length > 0 ? OK : NO_SUCH_NAME, addresses };
  } catch {
    // The API server is away: whoever asks asks again.
    return { code: SERVER_FAILURE, addresses: [] };
  }
}

async function endpoints(
  namespace: string,
  service: string,
  host: string | undefined,
  call: ControlPlane['call'],
): Promise<string[]> {
  const selector = encodeURIComponent(`kubernetes.io/service-name=${service}`);
  const slices = await call(
    `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${selector}`,
  );
  const { items } = slices.json() as {
    items: { endpoints: { addresses: string[]; hostname?: string; conditions: { ready?: boolean } }[] }[];
  };
  return items
    .flatMap((slice) => slice.endpoints ?? [])
    .filter((endpoint) => (host === undefined ? endpoint.conditions.ready !== false : endpoint.hostname === host))
    .flatMap((endpoint) => endpoint.addresses);
}
