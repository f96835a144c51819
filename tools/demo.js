// `make run`: starts Sealgate with embedded defaults, plays what a real kube-apiserver once sent (test/fixtures) through it over
// HTTPS, shows verdicts and the verification of the ledger, and stays up until interrupted.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { escapeTerminal } from '../src/cli/terminal.js';
import { run, waitUntil } from './cluster/process.js';
import { toolPath } from './tool-path.js';
const ROOT = join(import.meta.dirname, '..');
const FIXTURES = join(ROOT, 'test', 'fixtures');
const MAIN = join(ROOT, 'src', 'cli', 'main.ts');
const DATA = process.env.SEALGATE_DATA_DIR ?? join(ROOT, 'sealgate-data');
const READY_TIMEOUT_MS = 60_000;
const read = (...path) => readFileSync(join(DATA, 'tls', ...path));
function post(url, body, tls) {
    return new Promise((resolve, reject) => {
        const call = request(url, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            agent: new Agent(tls),
        });
        call.once('error', reject);
        call.once('response', (response) => {
            let text = '';
            response.setEncoding('utf8').on('data', (chunk) => {
                text += chunk;
            });
            response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
        });
        call.end(body);
    });
}
function fixtures(folder) {
    return readdirSync(join(FIXTURES, folder))
        .filter((name) => name.endsWith('.json'))
        .sort()
        .map((name) => readFileSync(join(FIXTURES, folder, name), 'utf8'));
}
async function isReady() {
    const answer = await fetch('http://127.0.0.1:9090/readyz');
    return answer.ok;
}
function row(cells, widths) {
    return cells
        .map((cell, i) => {
        const text = escapeTerminal(cell);
        const width = widths[i] ?? 0;
        return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
    })
        .join('  ')
        .trimEnd();
}
/** Plays the reviews; returns which entry each recorded uid became, as the API server would have written it into its audit events. */
async function playReviews() {
    const tls = { ca: read('admission', 'ca.crt') };
    const widths = [8, 8, 30, 34, 70];
    const entries = new Map();
    console.log(row(['VERDICT', 'USER', 'REQUEST', 'OBJECT', 'MESSAGE'], widths));
    for (const text of fixtures('reviews')) {
        const { request } = JSON.parse(text);
        const answer = await post('https://127.0.0.1:8443/v1/admit', text, tls);
        if (answer.status !== 200)
            throw new Error(`admission answered ${answer.status}: ${answer.text}`);
        const { response } = JSON.parse(answer.text);
        const warnings = response.warnings ?? [];
        const verdict = !response.allowed ? 'deny' : warnings.length > 0 ? 'warn' : 'allow';
        const resource = [request.resource.resource, request.subResource].filter(Boolean).join('/');
        const object = [request.namespace, request.name].filter(Boolean).join('/');
        const message = response.status?.message ?? warnings.join('; ');
        console.log(row([verdict, request.userInfo.username, `${request.operation} ${resource}`, object, message], widths));
        entries.set(request.uid, response.auditAnnotations[`d.${request.uid}`] ?? '');
    }
    return entries;
}
async function playAudit(entries) {
    const tls = { ca: read('audit', 'ca.crt'), cert: read('audit', 'client.crt'), key: read('audit', 'client.key') };
    const batches = fixtures('audit');
    let events = 0;
    for (const text of batches) {
        // The recording names no entry of this ledger: give each event the annotation that Sealgate has just answered with.
        const body = text.replace(/("[^"]+\/d\.([0-9a-f-]{36})":)"[^"]*"/g, (whole, key, uid) => {
            const entry = entries.get(uid);
            return entry === undefined ? whole : `${key}${JSON.stringify(entry)}`;
        });
        const answer = await post('https://127.0.0.1:8444/v1/audit', body, tls);
        if (answer.status !== 200)
            throw new Error(`audit answered ${answer.status}: ${answer.text}`);
        events += JSON.parse(text).items.length;
    }
    return { batches: batches.length, events };
}
if (await isReady().catch(() => false)) {
    console.error('A Sealgate is running on these ports already (make run or make cluster, perhaps in another checkout): stop it first.');
    process.exit(1);
}
const shown = relative(process.cwd(), DATA) || '.';
mkdirSync(DATA, { recursive: true });
const serve = run({
    name: 'sealgate',
    command: process.execPath,
    args: [
        ...[MAIN, 'serve', '--data-dir', DATA, '--policy-dir', join(ROOT, 'policies'), '--policy-opa', toolPath('opa')],
        // What is only tried out has no business on the network.
        ...['admission', 'audit', 'metrics'].flatMap((listener) => [`--${listener}-host`, '127.0.0.1']),
        ...process.argv.slice(2),
    ],
    logFile: join(DATA, 'sealgate.log'),
});
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
        interrupted = true;
        serve.kill('SIGTERM');
    });
}
try {
    await waitUntil('Sealgate was ready', isReady, [serve], READY_TIMEOUT_MS);
    console.log(`Sealgate is up (data in ${shown}/, log in ${relative(process.cwd(), serve.logFile)}).\n`);
    const entries = await playReviews();
    const { batches, events } = await playAudit(entries);
    console.log(`\n${entries.size} AdmissionReviews decided, ${events} audit events in ${batches} batches recorded.
The events are those of the recorded cluster, which asked another webhook: some requests that are denied here went through there.\n`);
    await sleep(1_500); // a checkpoint is signed every second: then it covers everything that was just recorded
    const key = join(DATA, 'keys', 'ledger.vkey');
    const verify = spawnSync(process.execPath, [MAIN, 'verify', DATA, '--key', key], { encoding: 'utf8' });
    process.stdout.write(verify.stdout);
    process.stderr.write(verify.stderr);
    if (verify.status !== 0)
        throw new Error(`sealgate verify ended with status ${verify.status}`);
    console.log(`
Next, in another terminal:
  ./sealgate query --denied                       what was denied, and by which policy
  ./sealgate query --kind event --limit 5         the audit events, with the decision of each
  ./sealgate query 2                              one entry, whole
  ./sealgate verify ${shown} --key ${relative(process.cwd(), key)}
  curl http://127.0.0.1:9090/metrics
  make cluster                                    the same on a real API server

Interrupt (Ctrl-C) to stop.`);
}
catch (error) {
    if (!interrupted) {
        console.error(error instanceof Error ? error.message : String(error));
        await serve.stop();
        process.exit(1);
    }
}
const outcome = await serve.ended;
console.log(interrupted ? '\nStopped.' : `\nSealgate ended by itself (${outcome}):\n${serve.tail()}`);
process.exit(interrupted ? 0 : 1);
