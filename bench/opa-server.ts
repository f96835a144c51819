// `opa run --server` over TLS, the other side of the admission benchmark.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../tools/cluster/control-plane.ts';
import { selfSigned } from '../tools/cluster/self-signed.ts';
import { toolPath } from '../tools/tool-path.ts';
import { Connection, type Target } from './client.ts';

export interface OpaServer {
  readonly pid: number;
  /** POST of a review is answered with a review. */
  readonly admission: Target;
  stop(): Promise<void>;
}

/** `dir`: a folder for its certificate; `cores`: threads that run Go code. Resolves when it answers. */
export async function startOpa(dir: string, policies: string, cores: number): Promise<OpaServer> {
  mkdirSync(dir, { recursive: true });
  const { certificate, key } = await selfSigned('127.0.0.1');
  const [certFile, keyFile] = [join(dir, 'tls.crt'), join(dir, 'tls.key')];
  writeFileSync(certFile, certificate);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const [port] = (await freePorts(1)) as [number];
  const args = [
    ...['run', '--server', '--addr', `https://127.0.0.1:${port}`, '--tls-cert-file', certFile],
    ...['--tls-private-key-file', keyFile, '--log-level', 'error', '--disable-telemetry', policies],
  ];
  const child = spawn(toolPath('opa'), args, {
    env: { PATH: process.env['PATH'], HOME: dir, GOMAXPROCS: String(cores) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  process.once('exit', () => child.kill('SIGKILL'));
  const admission: Target = { port, path: '/', ca: certificate };
  for (let attempt = 0; ; attempt++) {
    const connection = await Connection.open(admission).catch(() => undefined);
    connection?.close();
    if (connection !== undefined) break;
    if (attempt === 200 || child.exitCode !== null) throw new Error(`opa run --server did not start: ${said}`);
    await sleep(50);
  }
  return {
    pid: child.pid as number,
    admission,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
