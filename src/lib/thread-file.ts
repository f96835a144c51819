// Where a worker thread's code is: beside the file that starts it, with its extension.

/** `threadFile(import.meta.url, 'worker')`: worker.ts in a checkout, worker.js when it was compiled. */
export function threadFile(here: string, name: string): URL {
  return new URL(`./${name}.${here.endsWith('.ts') ? 'ts' : 'js'}`, here);
}
