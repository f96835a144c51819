// One entry as the API gives it. The body goes out byte for byte: parsed and written again, a large number could change.
import type { EntryAnswer } from './query-protocol.ts';

/** A JSON object; docs/query.md has its keys. */
export function entryJson({ detail, found }: EntryAnswer, replica?: string): string {
  const { body, bodyIsJson, ...rest } = detail;
  const { links = [], copies, replica: _, ...summary } = found ?? {};
  const head = JSON.stringify({
    ...(replica === undefined ? {} : { replica }),
    ...rest,
    summary: found === null ? null : summary,
    links,
    ...(copies === undefined ? {} : { copies }),
  });
  return `${head.slice(0, -1)},"body":${bodyIsJson ? body : JSON.stringify(body)}}`;
}
