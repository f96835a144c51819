// Asks the query API, and turns its refusals into errors with their codes.
import type { FoundEntry, Page } from '../index/search.ts';
import { ERROR_CODES, type ErrorCode, messageOf, SealgateError } from '../lib/errors.ts';

/** A page as the API answers it. */
export interface ListAnswer extends Pick<Page, 'entries' | 'next'> {
  /** Whether the index held everything that was on record when it was asked. */
  readonly current: boolean;
  /** History that the query reaches back to and that has left the volume; absent in answers of older releases. */
  readonly older?: OlderHistory | null;
  /** Each replica's part, where there are several. */
  readonly replicas?: readonly ReplicaPart[];
}

export interface OlderHistory {
  readonly oldestShard: number;
  readonly before: string;
  readonly store?: string;
}

export interface ReplicaPart {
  readonly replica: string;
  readonly answered: boolean;
  /** Why it did not answer, or not all. */
  readonly why?: string;
  readonly older?: OlderHistory | null;
}

/** A replica that is not in what was shown. */
export interface MissingReplica {
  readonly replica: string;
  readonly why: string;
}

/** A line of a stream that is no entry: who does not answer now. */
export interface MissingLine {
  readonly replicas: { readonly missing: readonly MissingReplica[] };
}

export interface QueryClient {
  list(parameters: URLSearchParams): Promise<ListAnswer>;
  /** `<seq>` or `<shard>/<seq>`; the answer's JSON text as it came, because numbers in a body may be larger than JavaScript's. */
  entry(place: string, parameters: URLSearchParams): Promise<string>;
  /** Entries as they come; ends with the connection. */
  follow(parameters: URLSearchParams): AsyncIterable<FoundEntry | MissingLine>;
}

/** Throws QUERY_INVALID when the URL is none; the calls reject with what the API refuses, or QUERY_UNAVAILABLE. */
export function createQueryClient(server: string): QueryClient {
  if (!URL.canParse(server) || !/^https?:/.test(server)) {
    throw new SealgateError('QUERY_INVALID', `--server ${server} is not a URL such as http://127.0.0.1:8080`);
  }
  const get = async (path: string, parameters?: URLSearchParams): Promise<Response> => {
    const url = new URL(`v1/entries${path}`, server.endsWith('/') ? server : `${server}/`);
    if (parameters !== undefined) url.search = parameters.toString();
    let response: Response;
    try {
      response = await fetch(url);
    } catch (error) {
      throw unreachable(server, error);
    }
    if (!response.ok) throw await refusal(response, server);
    return response;
  };
  return {
    list: async (parameters) => (await (await get('', parameters)).json()) as ListAnswer,
    entry: async (place, parameters) => (await get(`/${place}`, parameters)).text(),
    async *follow(parameters) {
      const response = await get('', parameters);
      try {
        for await (const line of linesOf(response)) yield readLine(line);
      } catch (error) {
        if (error instanceof SealgateError) throw error;
        throw broken(server, error);
      }
    },
  };
}

/** Lines without the empty ones, which are only a sign of life. */
async function* linesOf(response: Response): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield line;
  }
}

function readLine(line: string): FoundEntry | MissingLine {
  const value = JSON.parse(line) as FoundEntry | MissingLine | { readonly error: { code: string; message: string } };
  if ('error' in value) throw new SealgateError(codeOf(value.error.code), value.error.message);
  return value;
}

async function refusal(response: Response, server: string): Promise<SealgateError> {
  const text = await response.text();
  try {
    const { code, message } = JSON.parse(text) as { code: string; message: string };
    return new SealgateError(codeOf(code), message);
  } catch {
    return new SealgateError('QUERY_UNAVAILABLE', `${server} answered ${response.status}: is it the query API?`);
  }
}

/** A newer server may have codes that this release does not know. */
function codeOf(code: string): ErrorCode {
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'QUERY_UNAVAILABLE';
}

function broken(server: string, cause: unknown): SealgateError {
  return new SealgateError('QUERY_UNAVAILABLE', `the connection to ${server} broke: ${messageOf(cause)}`, { cause });
}

function unreachable(server: string, error: unknown): SealgateError {
  // fetch says only that it failed; why, its cause knows.
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return new SealgateError(
    'QUERY_UNAVAILABLE',
    `nothing answers at ${server} (${messageOf(cause)}): start Sealgate, forward its port (kubectl port-forward … 8080), or read a folder with --ledger`,
    { cause: error },
  );
}
