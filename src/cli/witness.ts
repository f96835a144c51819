// `sealgate witness`: watches the logs of others. Cosigns their checkpoints as long as each continues the one before.
import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Command, InvalidArgumentError } from 'commander';
import { loadOrCreateKey } from '../ledger/key.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { createLog, type Log } from '../lib/log.ts';
import { MAX_REQUEST_BYTES, Witness } from '../mirror/witness.ts';
import { WitnessHeads } from '../mirror/witness-heads.ts';
import { openHttpListener } from '../server/http-listener.ts';
import { privateKeyFromSeed } from '../tlog/ed25519.ts';
import { parseVkey, type VerifierKey } from '../tlog/vkey.ts';
import { fail } from './failure.ts';
import { readKey } from './keys.ts';

interface Flags {
  readonly name: string;
  readonly log: readonly string[];
  readonly key: string;
  readonly state: string;
  readonly host: string;
  readonly port: number;
  readonly init?: boolean;
}

export function register(program: Command): void {
  program
    .command('witness')
    .summary('watch the logs of others and cosign their checkpoints')
    .description(
      'Runs a witness (C2SP tlog-witness) until SIGTERM or SIGINT: POST /add-checkpoint answers a checkpoint that continues the\n' +
        'last one with a cosignature, and keeps as evidence one that contradicts it. Plain HTTP: put TLS in front of it.\n' +
        'Exit codes: 0 stopped, 1 could not run, 2 usage.',
    )
    .requiredOption('--name <name>', 'name of the witness, which its cosignatures carry: witness.example/west')
    .requiredOption('--log <vkey>', 'verifying key of a log to watch, as text or in a file; repeatable', collect, [])
    .option('--key <file>', 'private key of the witness', 'witness.key')
    .option('--state <file>', 'what it has cosigned: never lose it, never go back to an older copy', 'witness.sqlite')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'port to listen on', port, 7380)
    .option('--init', 'make the key and the state when they are not there')
    .action(async (flags: Flags) => {
      try {
        await run(flags);
      } catch (thrown) {
        process.exitCode = fail('witness', thrown);
      }
    });
}

async function run(flags: Flags): Promise<void> {
  const log = createLog('info').child({ part: 'witness' });
  const logs = flags.log.flatMap(readKey).map(logKey);
  for (const file of [flags.key, flags.state]) {
    if (flags.init !== true && !existsSync(file)) throw missing(file);
  }
  const { privateKey } = loadOrCreateKey(flags.key, flags.name, { type: 'cosignature/v1' });
  const heads = WitnessHeads.open(flags.state, flags.init === true);
  try {
    const witness = new Witness({
      name: flags.name,
      privateKey: privateKeyFromSeed(privateKey),
      logs,
      heads,
      now: () => Math.floor(Date.now() / 1000),
      onMisbehaviour: (origin, why) =>
        log.error({ origin, why }, 'a log contradicts itself; the request is kept as evidence'),
    });
    const listener = await openHttpListener({
      ...{ name: 'witness', host: flags.host, port: flags.port },
      handler: (request, response) => handle({ witness, heads, log }, request, response),
    });
    log.info(
      { host: flags.host, port: listener.port, vkey: witness.vkey, logs: logs.map(({ name }) => name) },
      'the witness is ready',
    );
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
    });
    await listener.close();
  } finally {
    heads.close();
  }
}

interface Parts {
  readonly witness: Witness;
  readonly heads: WitnessHeads;
  readonly log: Log;
}

function handle(parts: Parts, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '').split('?')[0];
  if (path === '/add-checkpoint') {
    if (request.method === 'POST') receive(parts, request, response);
    else answer(response, 405, 'only POST\n', { allow: 'POST' });
  } else if (path === '/' && request.method === 'GET') {
    const heads = parts.heads.heads().map(({ origin, size }) => `${origin} ${size}\n`);
    answer(response, 200, `${parts.witness.vkey}\n\n${heads.join('')}`);
  } else answer(response, 404, 'there are / and /add-checkpoint\n');
}

function receive({ witness, log }: Parts, request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_REQUEST_BYTES) {
      chunks.push(chunk);
      return;
    }
    request.removeAllListeners('data').removeAllListeners('end').resume();
    answer(response, 413, `a request has at most ${MAX_REQUEST_BYTES} bytes\n`, { connection: 'close' });
  });
  request.on('end', () => {
    try {
      const { status, contentType, body } = witness.add(Buffer.concat(chunks));
      answer(response, status, body, { 'content-type': contentType });
    } catch (error) {
      log.error({ error }, 'a checkpoint could not be judged or recorded');
      answer(response, 500, 'the witness failed; its log says why\n');
    }
  });
  request.on('error', (error) => log.warn({ error: messageOf(error) }, 'a request was cut off'));
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(body);
}

function collect(value: string, all: readonly string[]): readonly string[] {
  return [...all, value];
}

function port(value: string): number {
  const number = Number(value);
  if (/^\d{1,5}$/.test(value) && number <= 65_535) return number;
  throw new InvalidArgumentError('a port is 0 to 65535.');
}

function logKey(vkey: string): VerifierKey {
  let key: VerifierKey;
  try {
    key = parseVkey(vkey);
  } catch (error) {
    throw invalidKey(messageOf(error), error);
  }
  if (key.type === 'ed25519') return key;
  throw new SealgateError('KEY_INVALID', `${key.name} is a witness's key; give that of a log`);
}

function invalidKey(why: string, cause: unknown): SealgateError {
  return new SealgateError('KEY_INVALID', `a key given with --log cannot be used: ${why}`, { cause });
}

function missing(file: string): SealgateError {
  return new SealgateError(
    'WITNESS_STATE_INVALID',
    `${file} is not there: begin a new witness with --init; one whose key or state was lost must not go on`,
  );
}
