// `helm test`: a replica is ready to record, and the webhook answers under its certificate. Arguments: address of the metrics,
// name of the admission Service, path to its CA, which may be in the environment as CA instead.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';

const [metrics, host, caFile] = process.argv.slice(-3);
const answer = await fetch(`${metrics}/readyz?verbose`);
process.stdout.write(await answer.text());
if (!answer.ok) throw new Error(`readyz: HTTP ${answer.status}`);
const ca = process.env.CA ?? readFileSync(caFile);
await new Promise((resolve, reject) => {
  const call = request({ host, port: 443, path: '/', ca }, (response) => {
    process.stdout.write(`admission: TLS verified, HTTP ${response.statusCode}\n`);
    response.resume();
    resolve();
  });
  // Where client certificates are asked for, the refusal comes after the server's own was verified.
  call.on('error', (error) => (/alert/.test(String(error)) ? resolve() : reject(error)));
  call.end();
});
