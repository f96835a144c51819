import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { addSettingOptions } from '../../../src/config/flags.ts';
import { loadSettings } from '../../../src/config/loader.ts';
import { SealgateError } from '../../../src/lib/errors.ts';

const dir = mkdtempSync(join(tmpdir(), 'sealgate-config-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
function file(text: string): string {
  const path = join(dir, `settings-${++count}.yaml`);
  writeFileSync(path, text);
  return path;
}

/** As the command line gives them. */
function flags(...args: string[]): Record<string, unknown> {
  const command = addSettingOptions(new Command('serve')).exitOverride();
  command.configureOutput({ writeErr: () => {} });
  return command.parse(args, { from: 'user' }).opts();
}

/** The message of the refusal, one line for each problem. */
function refusal(input: Parameters<typeof loadSettings>[0]): string {
  try {
    loadSettings(input);
  } catch (error) {
    expect(error).toBeInstanceOf(SealgateError);
    expect((error as SealgateError).code).toBe('CONFIG_INVALID');
    return (error as SealgateError).message;
  }
  throw new Error('the settings were not refused');
}

const fromFile = (text: string) => loadSettings({ flags: { config: file(text) } }).settings;
const fromEnvironment = (environment: Record<string, string>) => loadSettings({ environment }).settings;

describe('settings', () => {
  it('have defaults that need no file', () => {
    const { settings, file: path } = loadSettings({});
    expect(path).toBeUndefined();
    expect(settings.dataDir).toBe('sealgate-data');
    expect(settings.admission).toMatchObject({
      host: '0.0.0.0',
      port: 8443,
      path: '/v1/admit',
      bodyLimitBytes: 16 * 2 ** 20,
    });
    expect(settings.audit).toMatchObject({
      port: 8444,
      tls: { requireClientCertificate: true },
      redelivery: { seconds: 300 },
    });
    expect(settings.api).toMatchObject({ host: '127.0.0.1', port: 8080 });
    expect(settings.metrics.port).toBe(9090);
    expect(settings.tls.hostnames).toEqual([]);
    expect('keyFile' in settings.ledger).toBe(false);
  });

  it('come from flags before the environment before the file before the default', () => {
    const config = file('admission: {port: 1, host: file, path: /file}\napi: {port: 11}\nlog: {level: debug}\n');
    const environment = {
      SEALGATE_CONFIG: config,
      SEALGATE_ADMISSION_PORT: '2',
      SEALGATE_ADMISSION_HOST: 'environment',
    };
    const { settings } = loadSettings({ environment, flags: flags('--admission-port', '3') });
    expect(settings.admission).toMatchObject({ port: 3, host: 'environment', path: '/file' });
    expect(settings.log.level).toBe('debug');
    expect(settings.audit.port).toBe(8444);
  });

  it('are read from the file that the flag names, also when the environment names another', () => {
    const environment = { SEALGATE_CONFIG: file('log: {level: warn}') };
    const other = file('log: {level: error}');
    expect(loadSettings({ environment, flags: flags('--config', other) })).toMatchObject({
      settings: { log: { level: 'error' } },
      file: other,
    });
  });

  it('can be the same in YAML, JSON, environment and flags, lists and objects included', () => {
    const fields = [{ group: '', kind: 'ConfigMap', paths: ['data.password'] }];
    const wanted = {
      tls: { hostnames: ['a.example', '10.0.0.1'] },
      redact: { fields },
      audit: { tls: { requireClientCertificate: false } },
    };
    const yaml = `tls:
  hostnames: [a.example, 10.0.0.1]
redact:
  fields:
    - {group: '', kind: ConfigMap, paths: [data.password]}
audit:
  tls: {requireClientCertificate: false}
`;
    const given = [
      fromFile(yaml),
      fromFile(JSON.stringify(wanted, null, '\t')),
      fromEnvironment({
        SEALGATE_TLS_HOSTNAMES: 'a.example, 10.0.0.1',
        SEALGATE_REDACT_FIELDS: JSON.stringify(fields),
        SEALGATE_AUDIT_TLS_REQUIRE_CLIENT_CERTIFICATE: 'false',
      }),
      loadSettings({
        flags: flags(
          ...['--tls-hostnames', '["a.example","10.0.0.1"]'],
          ...['--redact-fields', JSON.stringify(fields)],
          ...['--audit-tls-require-client-certificate', 'false'],
        ),
      }).settings,
    ];
    for (const settings of given) {
      expect(settings).toMatchObject(wanted);
      expect(settings).toEqual(given[0]);
    }
  });

  it('that are not set in a section with nothing in it keep their defaults', () => {
    expect(fromFile('admission:\napi: {}\naudit:\n  port:\n')).toEqual(loadSettings({}).settings);
    expect(fromFile('')).toEqual(loadSettings({}).settings);
    expect(fromFile('# only a comment\n')).toEqual(loadSettings({}).settings);
    expect(fromEnvironment({ SEALGATE_LOG_LEVEL: '' }).log.level).toBe('info');
  });

  it('that are true or false may be given by the bare flag', () => {
    const { settings } = loadSettings({
      environment: { SEALGATE_AUDIT_TLS_REQUIRE_CLIENT_CERTIFICATE: 'false' },
      flags: flags('--audit-tls-require-client-certificate'),
    });
    expect(settings.audit.tls.requireClientCertificate).toBe(true);
  });

  it('may ask for free ports', () => {
    const ports = ['admission', 'audit', 'api', 'metrics'].flatMap((name) => [`--${name}-port`, '0']);
    expect(loadSettings({ flags: flags(...ports) }).settings.api.port).toBe(0);
  });
});

describe('a misspelled setting', () => {
  it('in the file is refused with its line and the name that was meant', () => {
    expect(refusal({ flags: { config: file('log:\n  level: info\nadmision:\n  port: 1\n') } })).toMatch(
      /settings-\d+\.yaml:3: admision: .*did you mean admission\?$/,
    );
    expect(refusal({ flags: { config: file('admission:\n  tls:\n    certfile: x\n') } })).toMatch(
      /\.yaml:3: admission\.tls\.certfile: .*did you mean admission\.tls\.certFile\?$/,
    );
    expect(
      refusal({ flags: { config: file('redact:\n  fields:\n  - kind: A\n    paths: [a]\n    resorce: b\n') } }),
    ).toMatch(/\.yaml:5: redact\.fields\[0\]\.resorce: .*did you mean redact\.fields\[0\]\.resource\?$/);
  });

  it('in the wrong section of the file is refused with the right one', () => {
    expect(refusal({ flags: { config: file('admission:\n  graceMs: 1\n') } })).toMatch(
      /did you mean shutdown\.graceMs\?$/,
    );
  });

  it('in the environment is refused with the name that was meant', () => {
    expect(refusal({ environment: { SEALGATE_ADMISION_PORT: '1' } })).toBe(
      'SEALGATE_ADMISION_PORT: there is no such setting: did you mean SEALGATE_ADMISSION_PORT?',
    );
    expect(refusal({ environment: { SEALGATE_QQQQQQQQQQQQ: '1' } })).toMatch(/unset it or correct its name$/);
  });

  it('among the flags is refused with the name that was meant', () => {
    expect(() => flags('--admision-port', '1')).toThrow(/--admision-port.*Did you mean --admission-port\?/s);
  });

  it('that looks like a part of every object is refused too', () => {
    expect(refusal({ flags: { config: file('__proto__:\n  x: 1\n') } })).toMatch(/__proto__: there is no such setting/);
    expect(refusal({ flags: { config: file('admission: {constructor: 1}\n') } })).toMatch(/admission\.constructor/);
  });
});

describe('variables that begin with SEALGATE_ but are no settings', () => {
  it('are passed over when they are those of Kubernetes Services, of tests or the name of the file', () => {
    const environment = {
      SEALGATE_SERVICE_HOST: '10.0.0.1',
      SEALGATE_SERVICE_PORT: '8443',
      SEALGATE_SERVICE_PORT_HTTPS: '8443',
      SEALGATE_PORT: 'tcp://10.0.0.1:8443',
      SEALGATE_PORT_8443_TCP: 'tcp://10.0.0.1:8443',
      SEALGATE_PORT_8443_TCP_PROTO: 'tcp',
      SEALGATE_PORT_8443_TCP_PORT: '8443',
      SEALGATE_PORT_8443_TCP_ADDR: '10.0.0.1',
      SEALGATE_AUDIT_SERVICE_HOST: '10.0.0.2',
      SEALGATE_TOOL_OPA: '/usr/bin/opa',
      SEALGATE_CONFIG: file(''),
      OTHER_SEALGATE_THING: 'x',
    };
    expect(fromEnvironment(environment)).toEqual(loadSettings({}).settings);
  });

  it('do not set a port when a Service happens to have the name of its section', () => {
    expect(fromEnvironment({ SEALGATE_AUDIT_PORT: 'tcp://10.0.0.1:8444' }).audit.port).toBe(8444);
    expect(fromEnvironment({ SEALGATE_AUDIT_PORT: '9444' }).audit.port).toBe(9444);
  });
});

describe('a value that cannot be', () => {
  it.each([
    ['log: {level: debgu}', /log\.level: must be one of trace, .*, not "debgu": did you mean debug\?$/],
    ['admission: {port: 65536}', /admission\.port: must be at most 65535, not 65536$/],
    ['admission: {port: -1}', /admission\.port: must be at least 0, not -1$/],
    ['admission: {port: 1.5}', /admission\.port: must be a whole number, not 1\.5$/],
    ['admission: {port: "8443"}', /admission\.port: must be a whole number, not the text "8443": remove the quotes$/],
    ['admission: {bodyLimitBytes: 1048576}', /admission\.bodyLimitBytes: must be at least 8388608/],
    ['admission: 5', /admission: must be a mapping of settings/],
    ['tls: {hostnames: {a: 1}}', /tls\.hostnames: must be a list/],
    ['tls: {hostnames: [a, a]}', /tls\.hostnames: /],
    ['tls: {hostnames: ["a b"]}', /tls\.hostnames\[0\]: must match/],
    ['identity: {cluster: "a b"}', /identity\.cluster: must match .*for example prod-eu-1, not "a b"$/],
    ['identity: {cluster: a+b}', /identity\.cluster: must match/],
    ['identity: {domain: a/b}', /identity\.domain: must match/],
    ['identity: {replica: ""}', /identity\.replica: must match/],
    ['audit: {tls: {requireClientCertificate: "no"}}', /requireClientCertificate: must be true or false/],
    ['redact: {fields: [{kind: A}]}', /redact\.fields\[0\]: must have paths/],
    ['just text', /holds no settings/],
    ['[]', /holds no settings/],
    ['a: [', /not valid YAML/],
    ['api: {}\napi: {}', /:2: not valid YAML: .*unique/],
  ])('such as %j is refused', (text, message) => {
    expect(refusal({ flags: { config: file(text) } })).toMatch(message);
  });

  it('is refused in the environment and among the flags by their names', () => {
    expect(refusal({ environment: { SEALGATE_POLICY_WORKERS: 'many' } })).toBe(
      'SEALGATE_POLICY_WORKERS: must be a whole number, not "many"',
    );
    expect(refusal({ environment: { SEALGATE_REDACT_FIELDS: 'a,b' } })).toMatch(/must be a list of objects \(JSON\)/);
    expect(refusal({ flags: flags('--admission-on-unrecordable', 'panic') })).toBe(
      '--admission-on-unrecordable: must be one of deny, allow, error, not "panic"',
    );
  });

  it('is refused although a stronger source has a good one', () => {
    expect(refusal({ flags: flags('--api-port', '1'), environment: { SEALGATE_API_PORT: 'x' } })).toMatch(
      /^SEALGATE_API_PORT/,
    );
  });

  it('is not repeated when it is a secret', () => {
    const message = refusal({ environment: { SEALGATE_ADMISSION_PATH: 'my secret path' } });
    expect(message).toMatch(/^SEALGATE_ADMISSION_PATH: must match/);
    expect(message).not.toContain('secret path');
  });

  it('is reported together with all others', () => {
    const message = refusal({
      flags: { ...flags('--api-port', '-1'), config: file('log: {level: x}\nfoo: 1\n') },
      environment: { SEALGATE_POLICY_WORKERS: 'x', SEALGATE_BAR: '1' },
    });
    expect(message.split('\n')).toHaveLength(6);
    for (const part of ['5 settings', '--api-port', 'POLICY_WORKERS', 'SEALGATE_BAR', 'log.level', 'foo']) {
      expect(message).toContain(part);
    }
  });
});

describe('settings that do not go together', () => {
  it('are refused where they were given', () => {
    expect(refusal({ environment: { SEALGATE_ADMISSION_TLS_CERT_FILE: 'a.crt' } })).toMatch(
      /^SEALGATE_ADMISSION_TLS_CERT_FILE: needs admission\.tls\.keyFile/,
    );
    expect(refusal({ flags: flags('--audit-tls-key-file', 'a.key') })).toMatch(
      /^--audit-tls-key-file: needs audit\.tls\.certFile/,
    );
    expect(refusal({ flags: flags('--audit-port', '8443') })).toBe(
      '--audit-port: 8443 is admission.port already; give each listener a port of its own',
    );
    expect(refusal({ flags: flags('--server-max-in-flight-bytes', '1048576') })).toMatch(/must be at least 67108864/);
    expect(
      refusal({ flags: flags('--admission-max-deadline-ms', '1000', '--admission-deadline-margin-ms', '1000') }),
    ).toMatch(/must be less than admission\.maxDeadlineMs/);
    const retention = (days: string, ...rest: string[]) =>
      refusal({ flags: flags('--ledger-local-retention-days', days, ...rest) });
    expect(retention('30')).toMatch(/needs mirror\.url/);
    expect(retention('400', '--mirror-url', 's3://bucket')).toMatch(/must be less than mirror\.retention\.logDays/);
  });

  it('do not include one port on two addresses', () => {
    const { settings } = loadSettings({
      flags: flags('--api-port', '9000', '--metrics-port', '9000', '--metrics-host', '10.0.0.1'),
    });
    expect(settings.metrics.port).toBe(settings.api.port);
  });
});

describe('a settings file', () => {
  it('that cannot be read is named with the reason', () => {
    expect(refusal({ environment: { SEALGATE_CONFIG: join(dir, 'nowhere.yaml') } })).toMatch(
      /nowhere\.yaml cannot be read: ENOENT/,
    );
    expect(refusal({ environment: { SEALGATE_CONFIG: dir } })).toMatch(/EISDIR/);
  });

  it('cannot blow itself up with aliases', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(10)}]`);
    expect(refusal({ flags: { config: file(`a0: &a0 [x]\n${levels.join('\n')}\n`) } })).toMatch(/too many aliases/);
  });
});

describe('the digest', () => {
  it('is of what is effective, however it was given', () => {
    const { digest } = loadSettings({});
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(loadSettings({ environment: { SEALGATE_API_PORT: '8080' } }).digest).toBe(digest);
    expect(loadSettings({ flags: { config: file('metrics: {port: 9090}\napi: {port: 8080}') } }).digest).toBe(digest);
  });

  it('changes with every setting', () => {
    const digests = new Set([
      loadSettings({}).digest,
      loadSettings({ environment: { SEALGATE_API_PORT: '8081' } }).digest,
      loadSettings({ environment: { SEALGATE_TLS_HOSTNAMES: 'a,b' } }).digest,
      loadSettings({ environment: { SEALGATE_TLS_HOSTNAMES: 'b,a' } }).digest,
      loadSettings({ environment: { SEALGATE_LEDGER_KEY_FILE: 'x' } }).digest,
    ]);
    expect(digests.size).toBe(5);
  });
});
