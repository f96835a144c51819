import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonDocument } from '../../../src/lib/json-document.ts';
import type { Redacted } from '../../../src/lib/redaction.ts';
import { createRedactor } from '../../../src/redact/redactor.ts';
import { DEFAULT_REDACT_SETTINGS, type RedactSettings } from '../../../src/redact/settings.ts';

const CANARY = 'canary-value-that-must-never-be-recorded';
const CANARY_BASE64 = Buffer.from(CANARY).toString('base64');
const FIXTURES = join(import.meta.dirname, '../../fixtures');
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

function redactor(settings: Partial<RedactSettings> = {}) {
  const { review, event } = createRedactor({ ...DEFAULT_REDACT_SETTINGS, ...settings });
  const scan = (text: string) => {
    const doc = new JsonDocument();
    doc.scan(Buffer.from(text));
    return doc;
  };
  return {
    review: (text: string) => review(scan(text)),
    event: (text: string) => event(scan(text)),
  };
}

function expectNoCanary(text: string): void {
  for (const needle of [CANARY, CANARY_BASE64.slice(0, -4), encodeURIComponent(CANARY), CANARY.slice(0, 20)]) {
    expect(text).not.toContain(needle);
  }
}

/** The result as JSON, sure that the canary is gone from the bytes and from a text that quotes it. */
function clean(result: Redacted): Record<string, never> & { [key: string]: never } {
  const text = result.bytes.toString();
  expectNoCanary(text);
  expect(result.changed).toBe(true);
  expectNoCanary(result.scrub(`saw ${CANARY} and ${CANARY_BASE64}`));
  return JSON.parse(text);
}

const secret = {
  kind: 'Secret',
  apiVersion: 'v1',
  metadata: { name: 'database', namespace: 'shop', labels: { app: 'web' } },
  data: { password: CANARY_BASE64, empty: '' },
  type: 'Opaque',
};

const review = (request: object) =>
  JSON.stringify({
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      ...request,
    },
  });
const event = (rest: object) => JSON.stringify({ level: 'RequestResponse', auditID: 'a', verb: 'patch', ...rest });
const ofSecrets = { objectRef: { resource: 'secrets', namespace: 'shop', name: 'database', apiVersion: 'v1' } };
const ofPods = { objectRef: { resource: 'pods', namespace: 'shop', name: 'debug', apiVersion: 'v1' } };

describe('redaction of a Secret', () => {
  it('replaces each value of data and stringData, keeps the keys and everything else', () => {
    const object = { ...secret, stringData: { token: CANARY }, immutable: true };
    const parsed = clean(redactor().review(review({ object, oldObject: secret })));
    expect(parsed['request']).toMatchObject({
      object: {
        ...secret,
        data: { password: '[redacted]', empty: '[redacted]' },
        stringData: { token: '[redacted]' },
        immutable: true,
      },
      oldObject: { data: { password: '[redacted]' } },
    });
  });

  it.each([
    [
      'a member that is misspelled or new',
      { kind: 'Secret', apiVersion: 'v1', metadata: {}, StringData: { a: CANARY } },
    ],
    ['no apiVersion', { kind: 'Secret', data: { a: CANARY_BASE64 } }],
    ['no metadata', { kind: 'Secret', apiVersion: 'v1', stringData: { a: CANARY } }],
    ['values that are not strings', { ...secret, data: { a: { b: [CANARY, 1, null] } } }],
    ['a plain member that is no scalar', { ...secret, data: {}, type: { a: CANARY } }],
    ['data that is no object', { ...secret, data: CANARY }],
    [
      'a SecretList',
      { kind: 'SecretList', apiVersion: 'v1', items: [{ metadata: { name: 'a' }, data: { a: CANARY } }] },
    ],
    ['a List', { kind: 'List', apiVersion: 'v1', items: [{ kind: 'Pod' }, secret] }],
    ['a Table', { kind: 'Table', apiVersion: 'meta.k8s.io/v1', rows: [{ cells: ['database'], object: secret }] }],
    ['an object of another kind around it', { kind: 'Object', apiVersion: 'x/v1', spec: { manifest: secret } }],
    ['an escaped kind', JSON.stringify(secret).replace('"Secret"', '"\\u0053ecret"').replace('"kind"', '"\\u006bind"')],
    ['two kinds', JSON.stringify(secret).replace('"Secret"', '"Secret","kind":"Pod"')],
    ['two kinds, the other way round', JSON.stringify(secret).replace('"Secret"', '"Pod","kind":"Secret"')],
    [
      'two times data',
      JSON.stringify({ ...secret, data: undefined }).replace(/}$/, `,"data":{"a":"${CANARY}"},"data":{}}`),
    ],
    ['an escaped data', JSON.stringify(secret).replace('"data"', '"d\\u0061ta"')],
    ['an escaped value', JSON.stringify(secret).replace(CANARY_BASE64, `\\u0059${CANARY_BASE64.slice(1)}`)],
  ])('finds it with %s, in a review and in an event, whatever their resource', (_, object) => {
    const text = typeof object === 'string' ? object : JSON.stringify(object);
    for (const member of ['object', 'oldObject', 'options']) {
      clean(redactor().review(review({ [member]: 0 }).replace(`"${member}":0`, `"${member}":${text}`)));
    }
    for (const rest of [ofSecrets, ofPods, {}]) {
      for (const member of ['requestObject', 'responseObject']) {
        clean(redactor().event(event({ ...rest, [member]: 0 }).replace(`"${member}":0`, `"${member}":${text}`)));
      }
    }
  });

  it('does not take a reference to a Secret for one', () => {
    const object = {
      kind: 'Pod',
      metadata: { ownerReferences: [{ kind: 'Secret', apiVersion: 'v1', name: 'database', uid: 'x' }] },
      spec: { sourceRef: { kind: 'Secret', name: 'database' } },
    };
    const text = review({ object });
    expect(redactor().review(text).bytes.toString()).toBe(text);
  });

  it('leaves a kind Secret of another group alone', () => {
    const text = review({ object: { kind: 'Secret', apiVersion: 'vault.example.com/v1', data: { path: 'kv/x' } } });
    expect(redactor().review(text).changed).toBe(false);
  });
});

describe('redaction of a patch of a Secret, known by its resource alone', () => {
  it.each([
    ['requestObject', { requestObject: { data: { a: CANARY } } }],
    ['responseObject', { responseObject: { data: { a: CANARY } } }],
    [
      'a requestObject that is not the last of its name',
      '"requestObject":{"data":{"a":"CANARY"}},"requestObject":null',
    ],
  ])('is made in an event with %s alone, and there is nothing to do without an object', (_, rest) => {
    const { event: redact } = redactor();
    const about = { objectRef: { resource: 'secrets', namespace: 'shop', name: 'db', apiVersion: 'v1' } };
    const whole = event(typeof rest === 'string' ? about : { ...about, ...rest });
    clean(redact(typeof rest === 'string' ? `${whole.slice(0, -1)},${rest.replace('CANARY', CANARY)}}` : whole));
    expect(redact(event(about)).changed).toBe(false);
  });

  it.each([
    ['a merge patch', { stringData: { password: CANARY } }],
    [
      'a merge patch with directives',
      { data: { $patch: 'replace', password: CANARY_BASE64 }, metadata: { labels: {} } },
    ],
    ['a merge patch of a member that Secrets do not have', { dataa: { password: CANARY } }],
    ['a merge patch that names no kind but Secret', { kind: 'Secret', stringData: { a: CANARY } }],
    ['a merge patch that names another kind', { kind: 'Pod', data: { a: CANARY } }],
    ['a JSON patch of a value', [{ op: 'add', path: '/data/password', value: CANARY_BASE64 }]],
    ['a JSON patch of all values', [{ op: 'replace', path: '/stringData', value: { password: CANARY } }]],
    ['a JSON patch of the whole object', [{ op: 'replace', path: '', value: secret }]],
    ['a JSON patch with a test', [{ op: 'test', path: '/data/password', value: CANARY_BASE64 }]],
    ['a JSON patch with an escaped path', [{ op: 'add', path: '/d~0ata/x', value: CANARY }]],
    ['a JSON patch with a misspelled value', [{ op: 'add', path: '/data/password', vaule: CANARY }]],
    ['a Secret sent as a JSON patch', [{ kind: 'Secret', data: { a: CANARY_BASE64 } }]],
    ['a JSON patch without a path', [{ op: 'add', value: CANARY }]],
    ['a JSON patch with a path that is none', [{ op: 'add', path: 'data/password', value: CANARY }]],
    ['a JSON patch of two paths', '[{"op":"add","path":"/metadata/labels/x","value":"CANARY","path":"/data/x"}]'],
    ['a JSON patch that is none', [CANARY, [CANARY]]],
    [
      'a JSON patch of the applied manifest',
      [{ op: 'add', path: `/metadata/annotations/${LAST_APPLIED.replaceAll('/', '~1')}`, value: `{"x":"${CANARY}"}` }],
    ],
    [
      'a JSON patch of all annotations',
      [{ op: 'add', path: '/metadata/annotations', value: { [LAST_APPLIED]: CANARY } }],
    ],
    ['a text', JSON.stringify(JSON.stringify({ data: { a: CANARY } }))],
    ['base64', JSON.stringify(Buffer.from(JSON.stringify({ data: { a: CANARY } })).toString('base64'))],
    ['YAML', JSON.stringify(`stringData:\n  a: ${CANARY}\n`)],
  ])('%s', (_, patch) => {
    const text = typeof patch === 'string' ? patch.replace('CANARY', CANARY) : JSON.stringify(patch);
    const result = redactor().event(event({ ...ofSecrets, requestObject: 0 }).replace(':0', `:${text}`));
    expectNoCanary(result.bytes.toString());
    expect(result.changed).toBe(true);
    JSON.parse(result.bytes.toString());
  });

  it('keeps what a patch does to labels and annotations', () => {
    const patch = [{ op: 'add', path: '/metadata/labels/tier', value: 'gold' }];
    const text = event({ ...ofSecrets, requestObject: patch });
    expect(redactor().event(text).bytes.toString()).toBe(text);
    const merge = event({ ...ofSecrets, requestObject: { metadata: { labels: { tier: 'gold' } }, type: 'Opaque' } });
    expect(redactor().event(merge).bytes.toString()).toBe(merge);
  });

  it('knows an event without objectRef by its URI', () => {
    const requestURI = '/api/v1/namespaces/shop/secrets/database?fieldManager=x';
    clean(redactor().event(event({ requestURI, requestObject: { stringData: { a: CANARY } } })));
  });

  it('replaces a body that is a text in whatever resource when it is of a Secret', () => {
    for (const body of [
      JSON.stringify(secret),
      Buffer.from(JSON.stringify(secret)).toString('base64'),
      `apiVersion: v1\nkind: Secret\nstringData:\n  a: ${CANARY}\n`,
      Buffer.from(`kind: "Secret"\ndata:\n  a: ${CANARY}`).toString('base64'),
    ]) {
      const result = redactor().event(event({ ...ofPods, requestObject: body }));
      expect(JSON.parse(result.bytes.toString()).requestObject).toBe('[redacted]');
    }
    const harmless = event({ ...ofPods, requestObject: 'kind: Pod\n' });
    expect(redactor().event(harmless).changed).toBe(false);
  });
});

describe('redaction of the manifest that kubectl apply leaves in an annotation', () => {
  const withManifest = (manifest: string, kind = 'ConfigMap') =>
    review({
      object: { kind, apiVersion: 'v1', metadata: { annotations: { [LAST_APPLIED]: manifest, note: 'kept' } } },
    });
  const annotationsOf = (result: Redacted) => JSON.parse(result.bytes.toString()).request.object.metadata.annotations;

  it('replaces that of a Secret whole', () => {
    for (const kind of ['Secret', 'ConfigMap']) {
      const result = redactor().review(withManifest(JSON.stringify({ ...secret, stringData: { b: CANARY } }), kind));
      expect(annotationsOf(result)).toEqual({ [LAST_APPLIED]: '[redacted]', note: 'kept' });
      expectNoCanary(result.scrub(CANARY));
    }
  });

  it('replaces what is not JSON whole, and keeps what holds nothing secret', () => {
    expect(annotationsOf(redactor().review(withManifest(`{"x":"${CANARY}`)))[LAST_APPLIED]).toBe('[redacted]');
    const text = withManifest('{"kind":"ConfigMap","n":12345678901234567890}\n');
    expect(redactor().review(text).bytes.toString()).toBe(text);
  });

  it('does so for each of several names, also where some are as long as others', () => {
    const manifestAnnotations = ['kite', 'note', 'note.example.com/x', 'kite.example.com/x', 'mite.example.com/y'];
    for (const name of manifestAnnotations) {
      const text = review({ object: { metadata: { annotations: { other: 'kept', [name]: CANARY } } } });
      const result = redactor({ manifestAnnotations }).review(text);
      expect(annotationsOf(result)).toEqual({ other: 'kept', [name]: '[redacted]' });
    }
  });

  it('redacts inside it otherwise', () => {
    const fields = [{ kind: 'ConfigMap', paths: ['data.password'] }];
    const manifest = `{"kind":"ConfigMap","data":{"password":"${CANARY}","n":1e400}}`;
    expect(annotationsOf(redactor({ fields }).review(withManifest(manifest)))[LAST_APPLIED]).toBe(
      '{"kind":"ConfigMap","data":{"password":"[redacted]","n":1e400}}',
    );
  });

  it('does not follow manifests inside manifests without end', () => {
    let manifest = JSON.stringify({ kind: 'ConfigMap', metadata: { annotations: { [LAST_APPLIED]: CANARY } } });
    for (let i = 0; i < 4; i++) {
      manifest = JSON.stringify({ kind: 'ConfigMap', metadata: { annotations: { [LAST_APPLIED]: manifest } } });
    }
    expectNoCanary(redactor().review(withManifest(manifest)).bytes.toString());
  });
});

describe('redaction of tokens', () => {
  it.each(['TokenReview', 'TokenRequest'])('takes the token out of a %s', (kind) => {
    const field = kind === 'TokenReview' ? 'spec' : 'status';
    const object = { kind, apiVersion: 'authentication.k8s.io/v1', [field]: { token: CANARY, audiences: ['a'] } };
    clean(redactor().review(review({ object })));
    const parsed = clean(redactor().event(event({ requestObject: object, responseObject: object })));
    expect(parsed['responseObject']).toMatchObject({ [field]: { token: '[redacted]', audiences: ['a'] } });
  });

  it('knows them by their resource', () => {
    const request = { resource: 'serviceaccounts', subresource: 'token', apiVersion: 'v1' };
    clean(redactor().event(event({ objectRef: request, responseObject: { status: { token: CANARY } } })));
    const tokenReview = { resource: 'tokenreviews', apiGroup: 'authentication.k8s.io', apiVersion: 'v1' };
    clean(redactor().event(event({ objectRef: tokenReview, requestObject: { spec: { token: CANARY } } })));
  });
});

describe('redaction of configured fields', () => {
  const fields = [
    { group: 'apps', kind: 'Deployment', paths: ['spec.template.spec.containers[*].env[*].value'] },
    { kind: 'ConfigMap', namespace: 'shop', name: 'settings', paths: ['data["db.password"]'] },
    { group: 'audit.k8s.io', kind: 'Event', paths: ['user.extra'] },
    { kind: 'AdmissionReview', paths: ['request.userInfo.extra'] },
  ];
  const deployment = {
    kind: 'Deployment',
    apiVersion: 'apps/v1',
    spec: { template: { spec: { containers: [{ name: 'web', env: [{ name: 'A', value: CANARY }] }] } } },
  };

  it('removes them from an object, a list and an embedded object of the kind', () => {
    const result = clean(redactor({ fields }).review(review({ object: deployment })));
    expect(JSON.stringify(result)).toContain('"env":[{"name":"A","value":"[redacted]"}]');
    const list = { kind: 'DeploymentList', apiVersion: 'apps/v1', items: [{ spec: deployment.spec }] };
    clean(redactor({ fields }).event(event({ responseObject: list })));
    const other = review({ object: { ...deployment, apiVersion: 'example.com/v1' } });
    expect(redactor({ fields }).review(other).changed).toBe(false);
  });

  it('removes them from patches, known by the resource', () => {
    const ref = { objectRef: { apiGroup: 'apps', resource: 'deployments', name: 'web' } };
    clean(redactor({ fields }).event(event({ ...ref, requestObject: { spec: deployment.spec } })));
    for (const path of [
      '/spec/template/spec/containers/0/env/1/value',
      '/spec/template/spec/containers/-/env/-/value',
    ]) {
      clean(redactor({ fields }).event(event({ ...ref, requestObject: [{ op: 'add', path, value: CANARY }] })));
    }
    const value = deployment.spec.template.spec.containers;
    const whole = [{ op: 'add', path: '/spec/template/spec/containers', value }];
    const parsed = clean(redactor({ fields }).event(event({ ...ref, requestObject: whole })));
    expect(JSON.stringify(parsed)).toContain('"name":"web"');
    const elsewhere = event({ ...ref, requestObject: [{ op: 'add', path: '/spec/replicas', value: 3 }] });
    expect(redactor({ fields }).event(elsewhere).changed).toBe(false);
  });

  it('looks at the name and the namespace, and takes what has none for the one meant', () => {
    const map = (metadata: object) =>
      review({ object: { kind: 'ConfigMap', apiVersion: 'v1', metadata, data: { 'db.password': CANARY } } });
    clean(redactor({ fields }).review(map({ name: 'settings', namespace: 'shop' })));
    clean(redactor({ fields }).review(map({ generateName: 'settings-' })));
    expect(redactor({ fields }).review(map({ name: 'settings', namespace: 'bank' })).changed).toBe(false);
    expect(redactor({ fields }).review(map({ name: 'other', namespace: 'shop' })).changed).toBe(false);
    const patch = { requestObject: { data: { 'db.password': CANARY } } };
    const ref = { resource: 'configmaps', namespace: 'shop', name: 'settings' };
    clean(redactor({ fields }).event(event({ objectRef: ref, ...patch })));
    expect(redactor({ fields }).event(event({ objectRef: { ...ref, name: 'other' }, ...patch })).changed).toBe(false);
  });

  it('removes fields of the event and of the review themselves', () => {
    clean(redactor({ fields }).event(event({ user: { username: 'u', extra: { token: [CANARY] } } })));
    clean(redactor({ fields }).review(review({ userInfo: { username: 'u', extra: { token: [CANARY] } } })));
  });

  it('refuses paths and patterns that make no sense', () => {
    const invalid = expect.objectContaining({ code: 'CONFIG_INVALID' });
    expect(() => redactor({ fields: [{ kind: 'X', paths: ['a..b'] }] })).toThrow(invalid);
    expect(() => redactor({ fields: [{ kind: 'X', paths: [] }] })).toThrow(invalid);
    expect(() => redactor({ patterns: ['(?<=x)y'] })).toThrow(invalid);
  });
});

describe('redaction of sessions', () => {
  const uri = (query: string, path = 'pods/debug/exec') =>
    event({ requestURI: `/api/v1/namespaces/shop/${path}?${query}` });
  const uriOf = (result: Redacted) => JSON.parse(result.bytes.toString()).requestURI.split('?')[1];

  it('takes credentials out of the command of an exec, and leaves the rest as it was', () => {
    const query = `command=sh&command=-c&command=id%3B+env+TOKEN%3D${CANARY}+x&container=debug&stdout=true`;
    const result = redactor().event(uri(query));
    clean(result);
    expect(uriOf(result)).toBe(
      'command=sh&command=-c&command=id%3B+env+TOKEN%3D[redacted]+x&container=debug&stdout=true',
    );
  });

  it.each([
    `command=curl&command=-H&command=Authorization%3A+Bearer+${CANARY}`,
    `command=%54OKEN%3D${CANARY}`,
    `com%6Dand=TOKEN%3D${CANARY}`,
    `command=mysql&command=--password&command=${CANARY}`,
    `command=mysql+--password+${CANARY}`,
    `command=x%zz+TOKEN%3D${CANARY}`,
    `token=${CANARY}`,
    `command=echo&access_token=${CANARY}`,
  ])('finds it in %s', (query) => {
    clean(redactor().event(uri(query)));
  });

  it('knows a session and a Secret by a path with escapes in it, which the API server takes as well', () => {
    clean(redactor().event(uri(`command=TOKEN%3D${CANARY}`, 'pods/debug/%65xec')));
    clean(redactor().event(uri(`command=TOKEN%3D${CANARY}`, 'pods/debug%2Fexec')));
    const requestURI = '/api/v1/namespaces/shop/%73ecrets/a';
    clean(redactor().event(event({ requestURI, requestObject: { data: { a: CANARY_BASE64 } } })));
  });

  it('takes telling parameters out of any URI, and nothing else of an ordinary one', () => {
    clean(redactor().event(uri(`limit=5&access_token=${CANARY}`, 'pods')));
    const ordinary = uri('limit=500&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ&labelSelector=token%3Dx', 'pods');
    expect(redactor().event(ordinary).changed).toBe(false);
  });

  it('takes them out of a proxied path, of annotations of a session and of the options in a review', () => {
    clean(redactor().event(uri(`x=1&q=Bearer+${CANARY}`, 'services/web/proxy/login')));
    const requestURI = '/api/v1/namespaces/shop/pods/debug/exec?command=id';
    clean(redactor().event(event({ requestURI, annotations: { 'example.com/command': `PASSWORD=${CANARY}` } })));
    const exec = { kind: 'PodExecOptions', apiVersion: 'v1', container: 'debug' };
    const options = (command: string[]) => review({ object: { ...exec, command } });
    const parsed = clean(redactor().review(options(['sh', '-c', `id; env TOKEN=${CANARY} x`])));
    expect(parsed['request']).toMatchObject({ object: { command: ['sh', '-c', 'id; env TOKEN=[redacted] x'] } });
    clean(redactor().review(options(['mysql', '--password', CANARY])));
    const proxy = { kind: 'ServiceProxyOptions', apiVersion: 'v1', path: `/login?token=${CANARY}` };
    clean(redactor().review(review({ object: proxy })));
  });

  it('takes out what a configured pattern matches, its group or all of it', () => {
    const patterns = ['pin ([a-z-]+)', 'canary-[a-z-]+'];
    const result = redactor({ patterns: patterns.slice(0, 1) }).event(uri(`command=set+pin+${CANARY}+now`));
    expect(uriOf(result)).toBe('command=set+pin+[redacted]+now');
    clean(redactor({ patterns: patterns.slice(1) }).event(uri(`command=say+${CANARY}`)));
  });
});

describe('redaction of texts that quote what was removed', () => {
  it('cleans the messages and annotations of the event', () => {
    const message = `Secret "database" is invalid: data: Invalid value: "${CANARY}"`;
    const status = { kind: 'Status', apiVersion: 'v1', message, details: { causes: [{ message, field: 'data' }] } };
    const parsed = clean(
      redactor().event(
        event({
          ...ofSecrets,
          requestObject: { stringData: { a: CANARY } },
          responseStatus: status,
          responseObject: status,
          annotations: { 'example.com/reason': `refused ${CANARY_BASE64}` },
        }),
      ),
    );
    expect(JSON.stringify(parsed)).toContain('Secret \\"database\\" is invalid: data: Invalid value: \\"[redacted]\\"');
  });

  it('keeps the name and the namespace, though a value be the same', () => {
    const tokenSecret = {
      ...secret,
      data: { namespace: Buffer.from('shop').toString('base64'), token: CANARY_BASE64 },
    };
    const result = redactor().event(event({ ...ofSecrets, responseObject: tokenSecret }));
    expect(clean(result)['objectRef']).toEqual(ofSecrets.objectRef);
    expect(result.scrub('namespace shop is closed')).toBe('namespace shop is closed');
  });
});

describe('redaction of anything else', () => {
  it('gives the very same bytes back', () => {
    const doc = new JsonDocument();
    const { review: ofReview, event: ofEvent } = createRedactor(DEFAULT_REDACT_SETTINGS);
    const text = Buffer.from(review({ object: { kind: 'Pod', data: { n: 1 }, spec: { message: 'x' } } }));
    doc.scan(text);
    expect(ofReview(doc).bytes.buffer).toBe(text.buffer);
    const list = Buffer.from(`[0,${event(ofPods)},1]`);
    doc.scan(list, 3);
    const { bytes, changed } = ofEvent(doc);
    expect([bytes.buffer === list.buffer, bytes.toString(), changed]).toEqual([true, event(ofPods), false]);
  });

  it('replaces only the values: every other byte is as it came', () => {
    const json = fc.jsonValue({ maxDepth: 2 });
    void fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.string()),
        json,
        json,
        fc.constantFrom(0, 1, '\t'),
        (data, a, b, space) => {
          const object = (values: object) => ({ before: a, kind: 'Secret', data: values, metadata: { labels: b } });
          const write = (values: object) =>
            JSON.stringify({ request: { x: a, object: object(values), y: b } }, null, space);
          const redacted = Object.fromEntries(Object.keys(data).map((key) => [key, '[redacted]']));
          const expected = JSON.parse(write(redacted));
          // `before` is no member of a Secret.
          expected.request.object.before = null;
          const actual = JSON.parse(redactor().review(write(data)).bytes.toString());
          actual.request.object.before = null;
          expect(actual).toEqual(expected);
          if (a === null || typeof a === 'object') return;
          const written = redactor().review(write(data)).bytes.toString();
          expect(written).toBe(
            JSON.stringify(
              { request: { x: a, object: { ...object(redacted), before: '[redacted]' }, y: b } },
              null,
              space,
            ),
          );
        },
      ),
    );
  });

  it('survives any document, and a body nested as deep as the API server takes', () => {
    const value = fc.jsonValue({ maxDepth: 6 });
    void fc.assert(
      fc.property(value, value, (a, b) => {
        const text = JSON.stringify({
          requestObject: a,
          objectRef: b,
          request: { object: a, resource: b },
          annotations: a,
        });
        for (const result of [redactor().event(text), redactor().review(text)]) JSON.parse(result.bytes.toString());
      }),
    );
    const deep = `${'{"a":'.repeat(9000)}{"kind":"Secret","data":{"a":"${CANARY}"}}${'}'.repeat(9000)}`;
    clean(redactor().event(event({ ...ofPods, requestObject: 0 }).replace(':0', `:${deep}`)));
    clean(redactor().event(event({ ...ofSecrets, requestObject: 0 }).replace(':0', `:${deep}`)));
  });

  it('leaves no canary in anything that a real API server sent', () => {
    for (const name of readdirSync(join(FIXTURES, 'reviews'))) {
      const result = redactor().review(readFileSync(join(FIXTURES, 'reviews', name), 'utf8'));
      expectNoCanary(result.bytes.toString());
      expect(result.bytes.toString()).not.toContain('abc123');
      JSON.parse(result.bytes.toString());
    }
    for (const folder of ['audit', 'audit-full']) {
      for (const name of readdirSync(join(FIXTURES, folder))) {
        for (const item of JSON.parse(readFileSync(join(FIXTURES, folder, name), 'utf8')).items) {
          const text = redactor().event(JSON.stringify(item)).bytes.toString();
          expectNoCanary(text);
          expect(text).not.toMatch(/abc123|eyJhbGciOi/);
        }
      }
    }
  });

  it('survives an object that claims ten thousands of kinds and versions, and takes it for a Secret if it is one of them', () => {
    const many = (name: string) => Array.from({ length: 20_000 }, (_, i) => `"${name}":"${name}${i}",`).join('');
    const object = `{${many('kind')}${many('apiVersion')}"kind":"Secret","data":{"a":"${CANARY_BASE64}"}}`;
    clean(redactor().event(event({ ...ofPods, requestObject: 0 }).replace(':0', `:${object}`)));
  });
});
