// OPA's own conformance cases, compiled to Wasm once for each version of OPA, of the helper and of the capabilities, and
// kept as one compressed stream in the cache beside the tools.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { supportedCapabilities } from '../../src/policy/capabilities.ts';
import { cacheDir, moduleDir, toolPath, toolVersion } from '../../tools/tool-path.ts';

/** What tools/conformance/main.go says of a case; documents are JSON texts. */
export interface Case {
  readonly name: string;
  readonly file: string;
  readonly data?: string;
  readonly input?: string;
  readonly want_result?: string;
  readonly want_defined?: boolean;
  readonly want_error: boolean;
  readonly want_code?: string;
  readonly strict_error: boolean;
  readonly sort_bindings: boolean;
  readonly ignore_locals: boolean;
  readonly compile_error?: string;
  /** Empty when the case did not compile. */
  readonly module: Uint8Array<ArrayBuffer>;
  /** Of the module, as OPA writes it. */
  readonly plan: Uint8Array;
}

const MAX_STREAM_BYTES = 4 * 1024 ** 3;

/** Every case of v0 and v1, in order. Compiles them first, in about half a minute, when the cache does not have them. */
export function* compiledCases(): Generator<Case> {
  const stream = zstdDecompressSync(readFileSync(compiled()), { maxOutputLength: MAX_STREAM_BYTES });
  let at = 0;
  const frame = (): Buffer => {
    const start = at + 4;
    at = start + stream.readUInt32BE(at);
    return stream.subarray(start, at);
  };
  while (at < stream.length) {
    const header = JSON.parse(frame().toString('utf8')) as Omit<Case, 'module' | 'plan'>;
    const module = new Uint8Array(frame());
    yield { ...header, module, plan: frame() };
  }
}

/** Path of the stream. */
function compiled(): string {
  const current = execFileSync(toolPath('opa'), ['capabilities', '--current'], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const { json } = supportedCapabilities(current);
  const digest = createHash('sha256').update(json).digest('hex').slice(0, 12);
  const file = join(cacheDir(), `conformance-${toolVersion('conformance')}`, `cases-${digest}.zst`);
  if (existsSync(file)) return file;
  const started = performance.now();
  console.error('Compiling the conformance cases of OPA (once for each set of built-ins) …');
  const temp = `${file}.${process.pid}`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${temp}.json`, json);
  const output = openSync(temp, 'w');
  try {
    const args = ['-capabilities', `${temp}.json`, '-cases', caseFolder()];
    const { status, error } = spawnSync(toolPath('conformance'), args, { stdio: ['ignore', output, 'inherit'] });
    if (status !== 0) throw new Error(`the conformance helper failed: ${error?.message ?? `status ${status}`}`);
    renameSync(temp, file);
  } finally {
    closeSync(output);
    rmSync(temp, { force: true });
    rmSync(`${temp}.json`, { force: true });
  }
  console.error(`Compiled them in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  return file;
}

/** Where Go keeps the cases: in the source of the module that the helper is built with. */
function caseFolder(): string {
  const args = ['list', '-m', '-f', '{{.Dir}}', 'github.com/open-policy-agent/opa'];
  const env = { ...process.env, GOWORK: 'off', GOFLAGS: '-mod=mod' };
  const dir = execFileSync('go', args, { cwd: moduleDir('conformance'), encoding: 'utf8', env }).trim();
  if (dir === '')
    throw new Error('go list names no folder of OPA: is Go the version that tools/conformance/go.mod asks for?');
  return join(dir, 'v1', 'test', 'cases', 'testdata');
}
