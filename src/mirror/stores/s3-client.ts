// The AWS SDK's client as the mirror needs it. The SDK costs 35 MiB of memory and 70 ms to load: it is loaded only when an
// s3:// URL is used.
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';
import type { S3, S3ClientConfig } from '@aws-sdk/client-s3';
import { messageOf, SealgateError } from '../../lib/errors.ts';
import { SLOWEST_BYTES_PER_MS } from './deadline.ts';
import type { S3Options } from './options.ts';

const CONNECT_MS = 5000;
const DEFAULT_SILENCE_SECONDS = 30;
const MAX_SOCKETS = 64;
/** S3-compatibles take any; AWS has no default of its own. */
const COMPATIBLE_REGION = 'us-east-1';

/** Milliseconds until an answer has to begin when so many bytes are sent before it. */
export function requestTimeout(options: S3Options, bytes: number): number {
  return silenceMs(options) + bytes / SLOWEST_BYTES_PER_MS;
}

function silenceMs({ timeoutSeconds = DEFAULT_SILENCE_SECONDS }: S3Options): number {
  return timeoutSeconds * 1000;
}

/** Settings of the SDK's client. Throws MIRROR_URL_INVALID when the CA file cannot be used. */
export function clientConfig(options: S3Options, attempts: number): S3ClientConfig {
  const { endpoint = '', region = '', pathStyle = false, caFile = '', proxy = '' } = options;
  const agent = {
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    proxyEnv: proxy === '' ? process.env : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy },
  };
  const where = region === '' && endpoint !== '' ? (process.env['AWS_REGION'] ?? COMPATIBLE_REGION) : region;
  return {
    ...(endpoint === '' ? {} : { endpoint }),
    ...(where === '' ? {} : { region: where }),
    forcePathStyle: pathStyle,
    maxAttempts: attempts,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: requestTimeout(options, 0),
      throwOnRequestTimeout: true,
      socketTimeout: silenceMs(options),
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({ ...agent, ...(caFile === '' ? {} : { ca: authorities(caFile) }) }),
    },
    // A region that is wrong is an error to be seen, not a detour for ever.
    followRegionRedirects: false,
    expectContinueHeader: false,
  };
}

/** Loads the SDK. `saw` gets the `Date` header of every answer, also of those that are errors. */
export async function connect(config: S3ClientConfig, saw: (date: string | undefined) => void): Promise<S3> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3(config);
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      saw((result.response as { headers?: Record<string, string> }).headers?.['date']);
      return result;
    },
    // Next to the wire: inside of what turns an answer into an error.
    { step: 'deserialize', priority: 'low', name: 'sealgateServerDate' },
  );
  return client;
}

/** The given CAs besides the public ones, which STS has when it gives the credentials. */
function authorities(caFile: string): string[] {
  let pem: string;
  try {
    pem = readFileSync(caFile, 'utf8');
  } catch (cause) {
    throw unusable(caFile, messageOf(cause), cause);
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw unusable(caFile, 'it holds no PEM certificate');
  return [...getCACertificates('default'), pem];
}

function unusable(caFile: string, why: string, cause?: unknown): SealgateError {
  return new SealgateError('MIRROR_URL_INVALID', `mirror.s3.caFile ${caFile} cannot be used: ${why}`, { cause });
}
