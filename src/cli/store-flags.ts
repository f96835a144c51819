// Options by which the offline commands reach an S3 bucket or a compatible: an auditor has no settings file of Sealgate.
import type { Command } from 'commander';
import { systemClock } from '../lib/clock.ts';
import { openStore } from '../mirror/stores/open.ts';
import type { ObjectStore } from '../mirror/stores/store.ts';

export interface StoreFlags {
  readonly endpoint?: string;
  readonly region?: string;
  readonly pathStyle?: boolean;
  readonly caFile?: string;
  readonly proxy?: string;
}

export function addStoreOptions(command: Command): Command {
  return command
    .option('--endpoint <url>', 'S3: endpoint of a compatible')
    .option('--region <name>', 'S3: region of the bucket')
    .option('--path-style', 'S3: bucket in the path, as most compatibles want it')
    .option('--ca-file <file>', 'S3: CA certificates of the endpoint')
    .option('--proxy <url>', 'S3: HTTP proxy');
}

/** One answer in thousands that does not come should not end a verification of an hour. */
const ATTEMPTS = 8;

/** Opens the store only to read. Credentials are those of the AWS SDK's default chain. Throws MIRROR_URL_INVALID. */
export function openToRead(url: string, { endpoint, region, pathStyle, caFile, proxy }: StoreFlags): ObjectStore {
  return openStore(url, {
    clock: systemClock(),
    attempts: ATTEMPTS,
    s3: {
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
      ...(pathStyle === undefined ? {} : { pathStyle }),
      ...(caFile === undefined ? {} : { caFile }),
      ...(proxy === undefined ? {} : { proxy }),
    },
  });
}
