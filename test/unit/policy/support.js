// Policy folders in temporary places, and OPA itself as the judge of what Rego means.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildBundle } from '../../../src/policy/bundle.js';
import { PolicyInstance } from '../../../src/policy/host.js';
import { toolPath } from '../../support/tools.js';
const dirs = [];
/** A folder with these files; removeFolders() takes it away again. */
export function folder(files) {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-policy-'));
    dirs.push(dir);
    for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(dir, path)), { recursive: true });
        writeFileSync(join(dir, path), text);
    }
    return dir;
}
export function removeFolders() {
    for (const dir of dirs.splice(0))
        rmSync(dir, { recursive: true, force: true });
}
export function build(files) {
    return buildBundle(toolPath('opa'), folder(files));
}
export async function instanceOf(bundle) {
    const module = await WebAssembly.compile(new Uint8Array(bundle.wasm));
    return new PolicyInstance({ module, data: bundle.data, maxMemoryBytes: 256 * 1024 * 1024 });
}
/** The value of `query` as `opa eval` gives it, undefined when it is undefined. */
export function opaEval(dir, query, input) {
    const args = [
        'eval',
        '--format=json',
        '--ignore=*_test.rego',
        '--data',
        dir,
        ...(input === undefined ? [] : ['--stdin-input']),
        query,
    ];
    const output = execFileSync(toolPath('opa'), args, { input: input ?? '', encoding: 'utf8', maxBuffer: 1 << 28 });
    const { result } = JSON.parse(output);
    return result?.[0]?.expressions[0]?.value;
}
export const POD = {
    group: '',
    version: 'v1',
    kind: 'Pod',
    resource: 'pods',
    subresource: '',
    operation: 'CREATE',
    namespace: 'default',
    name: 'web',
    labels: {},
};
