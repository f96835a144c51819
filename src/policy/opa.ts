// Runs the opa binary: the compiler and the parser of Rego. It never sees a request.
import { execFile } from 'node:child_process';
import { messageOf, SealgateError } from '../lib/errors.ts';

const TIME_LIMIT_MS = 120_000;
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

export interface OpaOutput {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `opa <args>` in `cwd` without the environment of this process. A non-zero exit is an answer (`ok` false);
 * POLICY_INVALID when the binary cannot be run at all or does not end in time.
 */
export function runOpa(opa: string, args: readonly string[], cwd: string): Promise<OpaOutput> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      // Nothing of this process's settings but where programs are: `opa` may be a name.
      env: { PATH: process.env['PATH'] },
      timeout: TIME_LIMIT_MS,
      maxBuffer: MAX_OUTPUT_BYTES,
      killSignal: 'SIGKILL' as const,
    };
    execFile(opa, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ ok: true, stdout, stderr });
      if (typeof error.code === 'number') return resolve({ ok: false, stdout, stderr });
      const why = error.killed ? `did not finish within ${TIME_LIMIT_MS / 1000} s` : messageOf(error);
      reject(new SealgateError('POLICY_INVALID', cannotRun(opa, args, why), { cause: error }));
    });
  });
}

function cannotRun(opa: string, args: readonly string[], why: string): string {
  return `cannot run ${opa} ${args[0] ?? ''} (${why}): set policy.opa to the path of OPA's program, which compiles policies`;
}
