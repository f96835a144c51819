// Listings of a bucket, page by page. Its keys may have been chosen by somebody hostile.
import type {
  DeleteMarkerEntry,
  ListObjectsV2CommandOutput,
  ListObjectVersionsCommandOutput,
  ObjectVersion,
} from '@aws-sdk/client-s3';
import { SealgateError } from '../../lib/errors.ts';
import type { ListedObject, StoredVersion } from './store.ts';

/** Where the next page of versions begins. */
export interface After {
  readonly KeyMarker?: string;
  readonly VersionIdMarker?: string;
}

/** Objects with `base` taken off their keys. `page` gets the token of the page before, none for the first. */
export async function* listObjects(
  base: string,
  page: (token: string | undefined) => Promise<ListObjectsV2CommandOutput>,
): AsyncIterable<ListedObject> {
  let token: string | undefined;
  do {
    const answer = await page(token);
    const decode = decoder(answer.EncodingType);
    for (const { Key = '', Size = 0 } of answer.Contents ?? []) yield { key: below(base, decode(Key)), size: Size };
    token = next(answer.IsTruncated, answer.NextContinuationToken, token);
  } while (token !== undefined);
}

/** Versions and delete markers with `base` taken off their keys; those of one key newest first. */
export async function* listVersions(
  base: string,
  page: (after: After) => Promise<ListObjectVersionsCommandOutput>,
): AsyncIterable<StoredVersion> {
  let after: After = {};
  // Some compatibles begin a page with the last version of the one before.
  let seen: ReadonlySet<string> = new Set();
  for (let position: string | undefined = ''; position !== undefined; ) {
    const answer = await page(after);
    const decode = decoder(answer.EncodingType);
    const versions = versionsOf(base, answer, decode);
    yield* versions.filter((one) => !seen.has(nameOf(one)));
    const last = versions.at(-1)?.key;
    seen = new Set(versions.filter(({ key }) => key === last).map(nameOf));
    const { NextKeyMarker: key, NextVersionIdMarker: version } = answer;
    const there = key === undefined ? undefined : `${key}\n${version ?? ''}`;
    position = next(answer.IsTruncated, there, position);
    after = { KeyMarker: decode(key ?? ''), ...(version && { VersionIdMarker: version }) };
  }
}

function nameOf({ key, version }: StoredVersion): string {
  return `${key}\n${version}`;
}

function versionsOf(
  base: string,
  { Versions: versions = [], DeleteMarkers: markers = [] }: ListObjectVersionsCommandOutput,
  decode: (text: string) => string,
): StoredVersion[] {
  const common = (one: ObjectVersion | DeleteMarkerEntry) => ({
    key: below(base, decode(one.Key ?? '')),
    version: one.VersionId ?? '',
    newest: one.IsLatest === true,
    modified: one.LastModified ?? new Date(0),
  });
  const all = [
    ...versions.map((one) => ({ ...common(one), size: one.Size ?? 0, deleteMarker: false })),
    ...markers.map((one) => ({ ...common(one), size: 0, deleteMarker: true })),
  ];
  return all.sort(
    (a, b) =>
      Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) ||
      Number(b.newest) - Number(a.newest) ||
      b.modified.getTime() - a.modified.getTime(),
  );
}

/** The next page's token. A listing that goes on without saying where, or at the same place again, would never end. */
function next(
  truncated: boolean | undefined,
  token: string | undefined,
  before: string | undefined,
): string | undefined {
  if (truncated !== true) return undefined;
  if (token !== undefined && token !== '' && token !== before) return token;
  throw new SealgateError(
    'MIRROR_REFUSED',
    'the object storage says that its listing goes on, but not where: it is no S3 that a mirror can rely on',
  );
}

/** Keys that XML cannot carry come URL-encoded, if the server knows how to. */
function decoder(encoding: string | undefined): (text: string) => string {
  if (encoding !== 'url') return (text) => text;
  return (text) => {
    try {
      return decodeURIComponent(text.replaceAll('+', ' '));
    } catch {
      // Not UTF-8, so no key of ours: it is shown as it came.
      return text;
    }
  };
}

function below(base: string, key: string): string {
  return key.startsWith(base) ? key.slice(base.length) : key;
}
