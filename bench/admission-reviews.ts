// Reviews of three sizes, no two alike: pods as kube-apiserver sends them, one in ten of which breaks a rule.
import { Buffer } from 'node:buffer';

export type Size = 'small' | '3k' | '60k';

/** Bytes that a review of each size has, or a little more. */
const BYTES: Readonly<Record<Size, number>> = { small: 1_000, '3k': 3_000, '60k': 60_000 };

export interface Review {
  readonly uid: string;
  readonly allowed: boolean;
  readonly body: Buffer;
}

/** Every tenth pod is privileged. */
const BAD_EVERY = 10;

/** Makes reviews one after the other; each has a uid and a name of its own. */
export class Reviews {
  readonly #size: Size;
  readonly #run: string;
  #count = 0;
  readonly #prepared: { readonly head: string; readonly tail: string; readonly bad: string };

  /** `run`: a number that no other instance has, so that no two reviews of a benchmark are the same. */
  constructor(size: Size, run: number) {
    this.#size = size;
    this.#run = run.toString(16).padStart(8, '0');
    const [head = '', tail = ''] = JSON.stringify(review(size, false)).split('UID');
    this.#prepared = { head, tail, bad: JSON.stringify(review(size, true)).split('UID')[1] ?? '' };
  }

  get size(): Size {
    return this.#size;
  }

  next(): Review {
    const number = this.#count++;
    const digits = number.toString(16).padStart(12, '0');
    const uid = `${this.#run}-0000-4000-8000-${digits}`;
    const allowed = number % BAD_EVERY !== 0;
    const { head, tail, bad } = this.#prepared;
    const text = `${head}${uid}${(allowed ? tail : bad).replace('NAME', digits)}`;
    return { uid, allowed, body: Buffer.from(text) };
  }
}

function review(size: Size, bad: boolean): object {
  const container = {
    name: 'main',
    image: 'registry.example.com/shop/web:1.27.3',
    resources: { limits: { memory: '128Mi' }, requests: { cpu: '50m' } },
    terminationMessagePath: '/dev/termination-log',
    imagePullPolicy: 'IfNotPresent',
    securityContext: { privileged: bad, readOnlyRootFilesystem: true },
  };
  const request = {
    uid: 'UID',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    requestKind: { group: '', version: 'v1', kind: 'Pod' },
    requestResource: { group: '', version: 'v1', resource: 'pods' },
    name: 'web-NAME',
    namespace: 'shop',
    operation: 'CREATE',
    userInfo: {
      username: 'system:serviceaccount:shop:deployer',
      groups: ['system:serviceaccounts', 'system:authenticated'],
    },
    object: {
      kind: 'Pod',
      apiVersion: 'v1',
      metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
      spec: { containers: [container], restartPolicy: 'Always', dnsPolicy: 'ClusterFirst' },
    },
    oldObject: null,
    dryRun: false,
    options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'kubectl-create' },
  };
  const whole = { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request };
  const env: { name: string; value: string }[] = [];
  Object.assign(container, { env });
  for (let i = 0; JSON.stringify(whole).length < BYTES[size]; i++) {
    env.push({ name: `SETTING_${i}`, value: `the value of the setting with the number ${i * 7919}` });
  }
  return whole;
}
