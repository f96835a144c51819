/** Everything at RequestResponse: what redaction has to cope with when somebody's policy is careless. */
export const FULL_AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
  - level: None
    nonResourceURLs: [/livez*, /readyz*, /healthz*, /openapi/*, /api, /apis, /apis/*, /version]
  - level: None
    resources:
      - group: coordination.k8s.io
      - group: flowcontrol.apiserver.k8s.io
  - level: None
    users: [system:apiserver]
  - level: RequestResponse
    resources:
      - group: ""
        resources: [secrets, serviceaccounts/token, pods/exec, configmaps]
      - group: authentication.k8s.io
  - level: None
`;
const DIGEST = `registry.example.com/shop/web@sha256:${'1f'.repeat(32)}`;
/** A value that is plainly no credential, so that tests can search for it. */
export const CANARY = 'canary-value-that-must-never-be-recorded';
const DEPLOYMENT = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
    spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: {
            metadata: { labels: { app: 'web' } },
            spec: {
                containers: [
                    { name: 'web', image: DIGEST, securityContext: { runAsNonRoot: true, allowPrivilegeEscalation: false } },
                ],
            },
        },
    },
};
const SECRET = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'database', namespace: 'shop' },
    type: 'Opaque',
    stringData: { password: CANARY },
};
const TOKEN_REVIEW = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: CANARY } };
const BINDING = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'web' },
    target: { apiVersion: 'v1', kind: 'Node', name: 'node-1' },
};
const EVICTION = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'web', namespace: 'shop' } };
/** Plays every step as one of two users: alice, a developer who may edit, and carol, a cluster admin. Throws when one goes otherwise. */
export async function playScenario(plane) {
    /** `fails` states whether the step is meant to be refused: a recording of something else is no use. */
    const step = async (user, args, { input, fails = false } = {}) => {
        const result = await plane.kubectl(args, {
            user,
            ...(input === undefined ? {} : { input: JSON.stringify(input) }),
        });
        if ((result.code !== 0) !== fails)
            throw new Error(`kubectl ${args.join(' ')}: status ${result.code}\n${result.stderr}`);
    };
    const post = async (user, path, body, status) => {
        const answer = await plane.call(path, { method: 'POST', user, body });
        if (answer.status !== status)
            throw new Error(`POST ${path}: status ${answer.status}\n${answer.text}`);
    };
    const carol = 'carol';
    const alice = 'alice';
    await step(carol, ['create', 'namespace', 'shop']);
    await step(carol, ['label', 'namespace', 'shop', 'environment=production']);
    await step(carol, ['create', 'serviceaccount', 'default', '-n', 'shop']);
    // Workloads.
    await step(alice, ['run', 'debug', '-n', 'shop', '--image=busybox:latest', '--privileged'], { fails: true });
    await step(alice, ['run', 'debug', '-n', 'shop', '--image=busybox:latest', '--command', '--', 'sleep', '3600']);
    await step(alice, ['run', 'web', '-n', 'shop', `--image=${DIGEST}`]);
    await step(alice, ['run', 'probe', '-n', 'shop', '--image=busybox:latest', '--dry-run=server']);
    await step(alice, ['create', '-f', '-'], { input: DEPLOYMENT });
    await step(alice, ['scale', 'deployment', 'web', '-n', 'shop', '--replicas=3']);
    await step(alice, ['annotate', 'deployment', 'web', '-n', 'shop', 'change/approved-by=carol']);
    await step(alice, ['set', 'image', 'deployment/web', '-n', 'shop', 'web=nginx:latest']);
    // Sessions: the reviews are sent although no node would answer.
    await step(alice, ['exec', '-n', 'shop', 'debug', '--', 'sh', '-c', 'id; env TOKEN=abc123'], { fails: true });
    await post(alice, '/api/v1/namespaces/shop/pods/debug/portforward', undefined, 400); // kubectl would wait for a node first
    await step(carol, ['debug', '-n', 'shop', 'web', '--image=busybox:latest', '--target=web', '--profile=general']);
    // Secrets and tokens.
    await step(alice, ['create', '-f', '-'], { input: SECRET });
    await step(alice, ['apply', '-n', 'shop', '-f', '-'], {
        input: { ...SECRET, metadata: { ...SECRET.metadata, name: 'applied' } },
    });
    await step(alice, [
        'patch',
        'secret',
        'database',
        '-n',
        'shop',
        '-p',
        JSON.stringify({ stringData: { password: `${CANARY}-2` } }),
    ]);
    await step(alice, ['get', 'secrets', '-n', 'shop', '-o', 'json']);
    await step(carol, ['create', 'token', 'default', '-n', 'shop']);
    await post(carol, '/apis/authentication.k8s.io/v1/tokenreviews', TOKEN_REVIEW, 201);
    await step(alice, ['create', 'configmap', 'settings', '-n', 'shop', '--from-literal=mode=fast']);
    // Roles.
    await step(carol, ['create', 'clusterrolebinding', 'all-for-alice', '--clusterrole=cluster-admin', '--user=alice']);
    await step(carol, ['create', 'clusterrole', 'wild', '--verb=*', '--resource=*.*']);
    await step(carol, [
        'create',
        'role',
        'climber',
        '-n',
        'shop',
        '--verb=escalate,bind',
        '--resource=roles.rbac.authorization.k8s.io',
    ]);
    await step(carol, ['create', 'rolebinding', 'read-shop', '-n', 'shop', '--clusterrole=view', '--group=developers']);
    await step(carol, ['get', 'pods', '-n', 'shop', '--as=dave', '--as-group=developers'], { fails: true });
    // What the control plane and operators do to pods.
    await post(carol, '/api/v1/namespaces/shop/pods/web/binding', BINDING, 201);
    await post(carol, '/api/v1/namespaces/shop/pods/web/eviction', EVICTION, 201);
    // Ends.
    await step(alice, ['delete', 'pod', 'debug', '-n', 'shop', '--wait=false', '--grace-period=0', '--force']);
    await step(alice, ['delete', 'secret', 'database', '-n', 'shop']);
    await step(carol, ['delete', 'clusterrolebinding', 'all-for-alice']);
    await step(alice, ['run', 'last', '-n', 'shop', `--image=${DIGEST}`]);
    const collection = await plane.call('/api/v1/namespaces/shop/pods?labelSelector=run%3Dlast', {
        method: 'DELETE',
        user: alice,
    });
    if (collection.status !== 200)
        throw new Error(`deletecollection: status ${collection.status}\n${collection.text}`);
}
