// Deletes one ValidatingWebhookConfiguration with the pod's own token. Arguments: its name. An absent one is fine.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';

const dir = process.env.TOKEN_DIR ?? '/var/run/secrets/kubernetes.io/serviceaccount';
const read = (name) => readFileSync(`${dir}/${name}`, 'utf8');
const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
const call = request({
  ...{ host, port, method: 'DELETE', ca: read('ca.crt'), headers: { authorization: `Bearer ${read('token').trim()}` } },
  path: `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/${process.argv.at(-1)}`,
});
call.on('error', (error) => {
  throw error;
});
call.on('response', (response) => {
  process.stdout.write(`HTTP ${response.statusCode}\n`);
  response.pipe(process.stdout);
  if (response.statusCode !== 200 && response.statusCode !== 404) process.exitCode = 1;
});
call.end();
