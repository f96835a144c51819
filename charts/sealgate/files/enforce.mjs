// Makes the webhook fail closed, once the API server has had an answer of Sealgate. Arguments: seconds to try, the webhook
// configuration, the webhook in it, and the one that only this account's questions go to and that fails closed from the beginning.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

const [seconds, configuration, webhook, probe] = process.argv.slice(-4);
const dir = process.env.TOKEN_DIR ?? '/var/run/secrets/kubernetes.io/serviceaccount';
const read = (name) => readFileSync(`${dir}/${name}`, 'utf8');
const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
const GROUP = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
/** Answers one after another, a second apart: an API server may not have heard of the configuration yet, and then asks nobody. */
const ENOUGH = 3;
const MANAGER = 'sealgate-enforcement';
const deadline = Date.now() + seconds * 1000;
const say = (text) => process.stdout.write(`${text}\n`);

function call(method, path, body, type = 'application/json') {
  return new Promise((resolve, reject) => {
    const authorization = `Bearer ${read('token').trim()}`;
    const headers = { authorization, ...(body && { 'content-type': type }) };
    const sent = request({ host, port, path, method, headers, ca: read('ca.crt'), timeout: 60_000 });
    sent.on('timeout', () => sent.destroy(new Error('no answer within a minute')));
    sent.on('error', reject);
    sent.on('response', (response) => {
      const whole = response.setEncoding('utf8').toArray();
      whole.then((parts) => resolve({ status: response.statusCode, text: parts.join('') }), reject);
    });
    sent.end(body && JSON.stringify(body));
  });
}

/** The API server's own reason, which is what a person can use. */
function failure({ status, text }) {
  let reason = text;
  try {
    reason = JSON.parse(text).message ?? text;
  } catch {
    // it is not the API server that answers
  }
  return new Error(`HTTP ${status} ${reason}`);
}

/** Throws when the API server has no answer of Sealgate. A policy's denial is one, too; that nothing can be recorded (503) is none. */
async function ask() {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const answer = await call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', review);
  const reason = failure(answer);
  const denied = answer.status === 403 && reason.message.includes(`webhook "${probe}" denied the request`);
  if (answer.status !== 201 && !denied) throw reason;
}

async function current() {
  const answer = await call('GET', `${GROUP}/${configuration}`);
  if (answer.status !== 200) throw failure(answer);
  return JSON.parse(answer.text);
}

/** One patch that fails where somebody was faster. The webhook for the question has done its work. */
async function failClosed() {
  const { metadata, webhooks } = await current();
  const index = (name) => webhooks.findIndex((each) => each.name === name);
  await patch([
    { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
    { op: 'replace', path: `/webhooks/${index(webhook)}/failurePolicy`, value: 'Fail' },
    ...(index(probe) < 0 ? [] : [{ op: 'remove', path: `/webhooks/${index(probe)}` }]),
  ]);
}

/** Lets go of the field, which would be in Helm's way when a value changes it. */
async function letGo() {
  const { metadata } = await current();
  const index = metadata.managedFields.findIndex(({ manager }) => manager === MANAGER);
  if (index < 0) return;
  await patch([
    { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
    { op: 'remove', path: `/metadata/managedFields/${index}` },
  ]);
}

async function patch(operations) {
  const path = `${GROUP}/${configuration}?fieldManager=${MANAGER}`;
  const answer = await call('PATCH', path, operations, 'application/json-patch+json');
  if (answer.status !== 200) throw failure(answer);
}

/** Tries until it succeeds or the time is up; says a reason once. */
async function untilDone(what, work) {
  let last;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error.message !== last) say(`${what}: ${error.message}`);
      last = error.message;
      if (Date.now() > deadline) throw new Error(`${what}: given up`, { cause: error });
    }
    await sleep(1000);
  }
}

await untilDone('no answer of Sealgate yet, so nothing is denied', async () => {
  for (let answers = 0; answers < ENOUGH; answers++) {
    if (answers > 0) await sleep(1000);
    await ask();
  }
});
await untilDone(`changing ${configuration}`, failClosed);
await untilDone(`changing ${configuration}`, letGo);
say(`Sealgate answers: ${webhook} fails closed from now on`);
