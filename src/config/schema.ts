// Every setting there is, once: the loader, the types, the environment names, the flags and docs/settings.md come from here.
// Units are in the names (Ms, Seconds, Days, Bytes, MiB).
import type { FromSchema } from 'json-schema-to-ts';

const MIB = 2 ** 20;

/** A part of the settings that holds others. Nothing in it is required, so that a file may give any part of it. */
function section<const D extends string, const P extends object>(description: D, properties: P) {
  return { type: 'object', description, additionalProperties: false, default: {}, properties } as const;
}

const port = { type: 'integer', minimum: 0, maximum: 65_535 } as const;
const host = { type: 'string', minLength: 1, maxLength: 253, pattern: '^[^\\s/]+$' } as const;
const path = { type: 'string', maxLength: 1024, pattern: '^/[A-Za-z0-9._~/-]+$' } as const;
const file = { type: 'string', minLength: 1, maxLength: 4096 } as const;
/** Part of the log's name, which is a C2SP key name (no white space, no plus sign) of parts between slashes. */
const namePart = { type: 'string', maxLength: 253, pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$' } as const;

const certificateFiles = {
  certFile: {
    ...file,
    description:
      'Server certificate, PEM, with its intermediates behind it. Needs keyFile. Without the two, one is issued.',
  },
  keyFile: { ...file, description: 'Private key of certFile, PEM without a passphrase.' },
} as const;

export const settingsSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Sealgate settings',
  type: 'object',
  additionalProperties: false,
  properties: {
    dataDir: {
      ...file,
      default: 'sealgate-data',
      description: 'Folder for the ledger, its key, the index and issued certificates. A local disk or block volume.',
    },
    log: section('Log lines: JSON on standard output.', {
      level: {
        type: 'string',
        enum: ['trace', 'debug', 'info', 'warn', 'error'],
        default: 'info',
        description: 'The least important lines that are written.',
      },
    }),
    identity: section(
      'The name of the log: `<domain>/<cluster>/<replica>`. It is in every checkpoint and cannot be changed later.',
      {
        domain: {
          ...namePart,
          default: 'sealgate.local',
          description: 'A DNS name of the organisation.',
          examples: ['audit.example.com'],
        },
        cluster: {
          ...namePart,
          default: 'local',
          description: 'Name of the cluster within the domain.',
          examples: ['prod-eu-1'],
        },
        replica: {
          ...namePart,
          default: '0',
          description: 'Name of this replica within the cluster; each has a ledger of its own.',
          examples: ['sealgate-0'],
        },
      },
    ),
    admission: section('The validating webhook.', {
      host: { ...host, default: '0.0.0.0', description: 'Address to listen on.' },
      port: { ...port, default: 8443, description: 'Port to listen on; 0 takes a free one.' },
      path: {
        ...path,
        default: '/v1/admit',
        description:
          'Path of the webhook. Where the API server has no client certificate, a long random path keeps others from forging reviews; give it by file or environment then, because flags can be seen in the process list.',
        examples: ['/v1/admit'],
        writeOnly: true,
      },
      bodyLimitBytes: {
        type: 'integer',
        minimum: 8 * MIB,
        maximum: 512 * MIB,
        default: 16 * MIB,
        description: 'Largest review that is taken; an update carries the object twice.',
      },
      maxDeadlineMs: {
        type: 'integer',
        minimum: 1000,
        maximum: 30_000,
        default: 30_000,
        description: 'Most time for an answer. The `?timeout=` of the call counts when it is shorter.',
      },
      deadlineMarginMs: {
        type: 'integer',
        minimum: 0,
        maximum: 5000,
        default: 200,
        description: 'Part of the time kept back from the policies, for recording the decision and answering.',
      },
      maxDepth: {
        type: 'integer',
        minimum: 64,
        maximum: 10_000,
        default: 10_000,
        description: 'Deepest nesting of a review. The default is what the API server itself accepts.',
      },
      onUnrecordable: {
        type: 'string',
        enum: ['deny', 'allow', 'error'],
        default: 'deny',
        description:
          'The answer when a decision cannot be recorded. `deny` denies the request; `allow` gives the verdict of the policies with a warning, and so breaks the promise that every permission has a record; `error` gives no verdict, so that `failurePolicy` of the webhook decides.',
      },
      tls: section('TLS of the webhook.', {
        ...certificateFiles,
        clientCaFile: {
          ...file,
          description:
            'CA certificates, PEM, for the client certificate of the API server. Without it, none is asked for.',
        },
        requireClientCertificate: {
          type: 'boolean',
          default: true,
          description: 'Whether a client without a certificate is refused. Only counts when clientCaFile is given.',
        },
        managed: section(
          'A CA and a certificate that the replicas keep in a Secret, renew in time, and have the API server trust (docs/install.md).',
          {
            secret: {
              type: 'string',
              maxLength: 253,
              default: '',
              description: 'Its name; made when it is missing. Empty: off.',
              examples: ['sealgate-webhook-ca'],
            },
            webhookConfiguration: {
              type: 'string',
              maxLength: 253,
              default: '',
              description: 'The ValidatingWebhookConfiguration whose caBundle is kept. Needed with secret.',
              examples: ['sealgate'],
            },
            hostnames: {
              type: 'array',
              items: { type: 'string', minLength: 1, maxLength: 253 },
              maxItems: 64,
              default: [],
              description: 'DNS names and addresses that the API server calls. Needed with secret.',
              examples: [['sealgate-admission.sealgate-system.svc']],
            },
            namespace: {
              type: 'string',
              maxLength: 63,
              description: 'Namespace of the Secret. Default: that of the pod.',
            },
            kubeconfig: {
              ...file,
              description: 'How to reach the API server from outside of the cluster. Default: as a pod.',
            },
          },
        ),
      }),
    }),
    audit: section('The sink of the audit stream.', {
      host: { ...host, default: '0.0.0.0', description: 'Address to listen on.' },
      port: { ...port, default: 8444, description: 'Port to listen on; 0 takes a free one.' },
      path: {
        ...path,
        default: '/v1/audit',
        description: 'Path that takes audit batches.',
        examples: ['/v1/audit'],
        writeOnly: true,
      },
      bodyLimitBytes: {
        type: 'integer',
        minimum: MIB,
        maximum: 512 * MIB,
        default: 64 * MIB,
        description:
          'Largest batch that is taken. The API server does not limit batches unless truncation is on, and a batch that is refused is lost after its retries.',
      },
      maxDepth: {
        type: 'integer',
        minimum: 64,
        maximum: 10_000,
        default: 10_000,
        description: 'Deepest nesting of a batch. The default is what the API server itself accepts.',
      },
      malformedBytes: {
        type: 'integer',
        minimum: 0,
        maximum: MIB,
        default: 16_384,
        description: 'How many bytes are recorded of an item that is not an audit event.',
      },
      redelivery: section('The memory by which a batch that comes again makes no second record.', {
        seconds: {
          type: 'integer',
          minimum: 0,
          maximum: 86_400,
          default: 300,
          description:
            "How long an event is remembered. The API server's retries end after 82 s and the time of five calls.",
        },
        maxEvents: {
          type: 'integer',
          minimum: 0,
          maximum: 16_777_216,
          default: 262_144,
          description: 'How many events are remembered at most, each about 100 bytes of memory.',
        },
      }),
      tls: section('TLS of the audit sink.', {
        ...certificateFiles,
        clientCaFile: {
          ...file,
          description:
            'CA certificates, PEM, for client certificates. Without it, those of the issued audit CA are taken.',
        },
        requireClientCertificate: {
          type: 'boolean',
          default: true,
          description:
            'Whether a client without a certificate is refused. Without it, anybody who reaches the port can write events.',
        },
      }),
    }),
    api: section(
      'The query API. It has no authentication of its own: keep it on loopback, and reach it by port-forward.',
      {
        host: { ...host, default: '127.0.0.1', description: 'Address to listen on.' },
        port: { ...port, default: 8080, description: 'Port to listen on; 0 takes a free one.' },
        queryTimeoutMs: {
          type: 'integer',
          minimum: 100,
          maximum: 600_000,
          default: 10_000,
          description: 'Most time that one query may take.',
        },
      },
    ),
    peers: section(
      'The other replicas. With `service` or `addresses`, a query through one includes the ledgers of all, over a listener of its own with mutual TLS.',
      {
        host: { ...host, default: '0.0.0.0', description: 'Address to listen on.' },
        port: {
          ...port,
          default: 8445,
          description:
            'Port to listen on (0 takes a free one), and that of the replicas at the addresses of `service`.',
        },
        service: {
          type: 'string',
          maxLength: 253,
          pattern: '^([^\\s/]+)?$',
          default: '',
          description:
            'DNS name whose addresses are those of all replicas: a headless Service. It is looked up again as replicas come and go.',
          examples: ['sealgate-replicas.sealgate-system.svc'],
        },
        addresses: {
          type: 'array',
          items: { type: 'string', maxLength: 261, pattern: '^(\\[[0-9a-fA-F:.]+\\]|[^\\s/:]+):\\d{1,5}$' },
          maxItems: 99,
          uniqueItems: true,
          default: [],
          description: 'Replicas that are always at the same place, `host:port`. This one may be among them.',
          examples: [['audit-1.example.com:8445', 'audit-2.example.com:8445']],
        },
        expected: {
          type: 'array',
          items: namePart,
          maxItems: 99,
          uniqueItems: true,
          default: [],
          description:
            'Names (identity.replica) of all replicas that there should be: an answer says which of them is not in it, also when it has no address any more. Each is looked up as `<name>.<service>`, too.',
          examples: [['sealgate-0', 'sealgate-1']],
        },
        timeoutMs: {
          type: 'integer',
          minimum: 100,
          maximum: 60_000,
          default: 5000,
          description: 'Most time for the answer of another replica; one that takes longer is named in the answer.',
        },
        tls: section(
          'Mutual TLS of the replicas, under a CA that issues for nobody else: whoever has its certificate reads the ledger.',
          {
            certFile: {
              ...file,
              description: 'Certificate of this replica as server and as client, PEM. All replicas may share one.',
            },
            keyFile: { ...file, description: 'Private key of certFile, PEM without a passphrase.' },
            caFile: {
              ...file,
              description: "CA certificates, PEM, that the others' certificates are checked against.",
            },
            serverName: {
              type: 'string',
              maxLength: 253,
              pattern: '^([^\\s/]+)?$',
              default: '',
              description: 'DNS name that the certificate of each replica bears. Default: `service`.',
            },
          },
        ),
      },
    ),
    metrics: section('Metrics and health, plain HTTP.', {
      host: { ...host, default: '0.0.0.0', description: 'Address to listen on.' },
      port: { ...port, default: 9090, description: 'Port to listen on; 0 takes a free one.' },
    }),
    tls: section('Certificates that Sealgate issues for itself, where none are given.', {
      hostnames: {
        type: 'array',
        items: host,
        maxItems: 64,
        uniqueItems: true,
        default: [],
        description:
          'More DNS names and IP addresses in the server certificates, besides localhost, 127.0.0.1 and ::1.',
        examples: [['sealgate.sealgate.svc', '10.96.0.44']],
      },
      validityDays: {
        type: 'integer',
        minimum: 1,
        maximum: 3650,
        default: 365,
        description: 'Validity of a server certificate. A new one is issued when a third of it is left.',
      },
      caValidityDays: {
        type: 'integer',
        minimum: 30,
        maximum: 36_500,
        default: 3650,
        description:
          "Validity of the two CAs and of the audit client's certificate, which are not replaced by themselves.",
      },
    }),
    server: section('Limits of each of the TLS listeners.', {
      maxConnections: {
        type: 'integer',
        minimum: 1,
        maximum: 65_536,
        default: 4096,
        description: 'Open connections; more are closed at once.',
      },
      headersTimeoutMs: {
        type: 'integer',
        minimum: 100,
        maximum: 60_000,
        default: 10_000,
        description: 'Most time for the TLS handshake, and then for the headers of a request.',
      },
      requestTimeoutMs: {
        type: 'integer',
        minimum: 100,
        maximum: 600_000,
        default: 30_000,
        description: 'Most time for a whole request to arrive.',
      },
      keepAliveTimeoutMs: {
        type: 'integer',
        minimum: 1000,
        maximum: 3_600_000,
        default: 120_000,
        description:
          "How long an idle connection stays open. Longer than the API server's own 90 s, so that it never sends on a connection that is just being closed.",
      },
      maxInFlightBytes: {
        type: 'integer',
        minimum: MIB,
        maximum: 16_384 * MIB,
        default: 256 * MIB,
        description: 'Bytes of all bodies that are being received or worked on; beyond it requests get 503.',
      },
    }),
    ledger: section('The record.', {
      keyFile: {
        ...file,
        description:
          'Signing key: Ed25519, PKCS#8 PEM, mode 0600. Made when missing. Default: keys/ledger.key in dataDir.',
      },
      previousKeyFile: {
        ...file,
        description:
          'The key before it, until its rotation is recorded (docs/keys.md). Default: beside keyFile, ledger.previous.key, where there is one.',
      },
      checkpointIntervalMs: {
        type: 'integer',
        minimum: 10,
        maximum: 60_000,
        default: 1000,
        description: 'Time between signed checkpoints while entries arrive.',
      },
      maxQueuedBytes: {
        type: 'integer',
        minimum: MIB,
        maximum: 16_384 * MIB,
        default: 256 * MIB,
        description: 'Bytes of entries that wait to be written; beyond it requests get 503.',
      },
      reserveBytes: {
        type: 'integer',
        minimum: 0,
        maximum: 1_048_576 * MIB,
        default: 256 * MIB,
        description:
          "Free space on the ledger's volume that is kept for decisions: with less, audit batches get 503 until there is room again. 0 keeps nothing.",
      },
      lowSpaceBytes: {
        type: 'integer',
        minimum: 0,
        maximum: 1_048_576 * MIB,
        default: 1024 * MIB,
        description: 'Free space on that volume below which the log and `/readyz` warn. At least reserveBytes.',
      },
      maxShardEntries: {
        type: 'integer',
        minimum: 2,
        maximum: 1_000_000_000,
        default: 10_000_000,
        description: 'Entries from which a shard is full: it is sealed, and the next one begun, before the next entry.',
      },
      maxShardBytes: {
        type: 'integer',
        minimum: MIB,
        maximum: 1_048_576 * MIB,
        default: 4096 * MIB,
        description: 'Size of its database from which a shard is full.',
      },
      maxShardAgeSeconds: {
        type: 'integer',
        minimum: 60,
        maximum: 315_360_000,
        default: 30 * 86_400,
        description: 'Age at which a shard is full; the next one begins with the next entry after it.',
      },
      localRetentionDays: {
        type: 'integer',
        minimum: 0,
        maximum: 36_500,
        default: 0,
        description:
          'Days after its last entry from which a full shard leaves the volume, once all of it was read back from the mirror and found whole and locked. The newest shard and the one before it stay. 0: every shard stays. Above 0 it needs mirror.url, and locks that last longer.',
      },
      selfCheck: section('The verification that the pod does itself (docs/findings.md).', {
        intervalHours: {
          type: 'integer',
          minimum: 0,
          maximum: 480,
          default: 24,
          description: 'Hours between two checks of the whole ledger. 0: none.',
        },
        newEntriesMinutes: {
          type: 'integer',
          minimum: 0,
          maximum: 10_080,
          default: 60,
          description: 'Minutes between two checks of the open shard and what is new in it. 0: none.',
        },
        cpuPercent: {
          type: 'integer',
          minimum: 1,
          maximum: 100,
          default: 10,
          description: 'Part of one core that a check takes.',
        },
      }),
    }),
    mirror: section('The copy in object storage that nobody can rewrite.', {
      url: {
        type: 'string',
        maxLength: 2048,
        default: '',
        description:
          'Where the ledger is mirrored to: `s3://bucket/prefix`, `file:///folder` or a folder. Empty: no mirror. A folder on the disk of the ledger protects against nothing.',
        examples: ['s3://audit-example-com/sealgate'],
      },
      intervalSeconds: {
        type: 'integer',
        minimum: 1,
        maximum: 3600,
        default: 10,
        description: 'Time between pushes while entries arrive. What is lost with a volume is at most what came since.',
      },
      parallel: {
        type: 'integer',
        minimum: 1,
        maximum: 64,
        default: 8,
        description: 'Most objects that are written at the same time.',
      },
      onRollback: {
        type: 'string',
        enum: ['new-shard', 'refuse'],
        default: 'new-shard',
        description:
          'What a start does that finds an older or another history on the volume than the mirror has: go on in a new shard that says so, or refuse.',
      },
      maxLagSeconds: {
        type: 'integer',
        minimum: 0,
        maximum: 31_536_000,
        default: 0,
        description:
          'Readiness fails and audit batches are refused once the oldest entry that is not mirrored is older than this; what reaches admission is decided and recorded all the same. 0: never, the ledger keeps what the mirror lacks.',
      },
      anchorSeconds: {
        type: 'integer',
        minimum: 0,
        maximum: 86_400,
        default: 60,
        description:
          'Least time between two entries in the ledger that say what the mirror holds; there is one only when other entries came. 0: none.',
      },
      configMap: section(
        'A ConfigMap in the cluster that carries the newest pushed checkpoint, so that etcd and its backups do, too.',
        {
          name: {
            type: 'string',
            maxLength: 253,
            pattern: '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$',
            default: '',
            description: 'Its name. Empty: none. The pod needs to be allowed to patch and create it.',
          },
          namespace: {
            type: 'string',
            minLength: 1,
            maxLength: 63,
            pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
            description: 'Its namespace. Default: that of the pod.',
          },
          everySeconds: {
            type: 'integer',
            minimum: 10,
            maximum: 86_400,
            default: 300,
            description:
              'Least time between two writes of it. Nothing is written when nothing but its own traces was recorded since.',
          },
          kubeconfig: {
            ...file,
            description: 'How to reach the API server from outside of the cluster. Default: as a pod.',
          },
        },
      ),
      witnesses: section('Who is asked to cosign each checkpoint before it is pushed (docs/witnesses.md).', {
        policyFile: {
          ...file,
          description:
            'Policy (C2SP tlog-policy) that names the witnesses, where they are, and how many have to cosign.',
        },
        timeoutSeconds: {
          type: 'integer',
          minimum: 1,
          maximum: 60,
          default: 5,
          description: 'Most time that a push waits for a witness. One that failed is left alone for 30 s.',
        },
      }),
      retention: section('How long what was written cannot be deleted (Object Lock).', {
        mode: {
          type: 'string',
          enum: ['compliance', 'governance', 'none'],
          default: 'compliance',
          description:
            'In `compliance` nobody can shorten it, not even the owner of the account; in `governance` those with s3:BypassGovernanceRetention can; `none` locks nothing.',
        },
        logDays: {
          type: 'integer',
          minimum: 0,
          maximum: 36_500,
          default: 400,
          description: 'Days for leaves, tiles and checkpoints. 0 does not lock them.',
        },
        bodiesDays: {
          type: 'integer',
          minimum: 0,
          maximum: 36_500,
          default: 400,
          description:
            'Days for bodies, which hold the personal data: while they are locked, an erasure does not reach the mirror. 0 does not lock them.',
        },
        partialDays: {
          type: 'integer',
          minimum: 0,
          maximum: 36_500,
          default: 7,
          description:
            'Days for what a later push replaces: tiles and bundles that are not full yet. 0 does not lock them.',
        },
        legalHold: {
          type: 'boolean',
          default: false,
          description: 'Whether leaves, tiles, checkpoints and bodies get a legal hold, too, which has no end.',
        },
      }),
      s3: section('Connection to S3 or a compatible. Credentials come from the default chain of the AWS SDK.', {
        endpoint: {
          type: 'string',
          minLength: 1,
          maxLength: 2048,
          pattern: '^https?://[^/?#\\s]+/?$',
          description: 'Endpoint of an S3-compatible. Default: that of AWS for the region.',
          examples: ['https://minio.example.com:9000'],
        },
        region: {
          type: 'string',
          minLength: 1,
          maxLength: 64,
          pattern: '^[a-z0-9-]+$',
          description:
            'Region of the bucket. Default: AWS_REGION of the environment, or us-east-1 with an endpoint of its own.',
          examples: ['eu-central-1'],
        },
        pathStyle: {
          type: 'boolean',
          default: false,
          description: 'Whether the bucket stands in the path instead of the host name. Most S3-compatibles want that.',
        },
        timeoutSeconds: {
          type: 'integer',
          minimum: 1,
          maximum: 600,
          default: 30,
          description:
            'Most time until an answer begins, and between two parts of it. A large object gets more time to be sent, and no exchange lasts for ever.',
        },
        tagPartials: {
          type: 'boolean',
          default: true,
          description:
            'Whether what a later push replaces is tagged `sealgate-class=partial`, for a lifecycle rule to expire. Off for S3-compatibles without tags.',
        },
        kmsKeyId: {
          type: 'string',
          minLength: 1,
          maxLength: 2048,
          description: 'Id, ARN or alias of the KMS key for SSE-KMS. Default: as the bucket encrypts by default.',
        },
        caFile: {
          type: 'string',
          minLength: 1,
          maxLength: 4096,
          description:
            'CA certificates, PEM, that the endpoint may have its certificate from, besides the public ones.',
        },
        proxy: {
          type: 'string',
          minLength: 1,
          maxLength: 2048,
          pattern: '^https?://[^/?#\\s]+/?$',
          description:
            'URL of an HTTP proxy; with a password in it, give it by file or environment. Default: HTTPS_PROXY and NO_PROXY of the environment.',
          examples: ['http://proxy.example.com:3128'],
          writeOnly: true,
        },
      }),
    }),
    policy: section('Rego policies.', {
      dir: { ...file, default: 'policies', description: 'Folder with the policies.' },
      opa: {
        ...file,
        default: 'opa',
        description: 'The opa program, which compiles them: a path, or a name looked up on PATH.',
      },
      workers: {
        type: 'integer',
        minimum: 0,
        maximum: 256,
        default: 0,
        description: 'Threads that evaluate policies; 0 is one for each core.',
      },
      inThread: {
        type: 'boolean',
        default: true,
        description:
          'Evaluates on the main thread what takes little there, metered and cut off after some milliseconds; only the rest goes to those threads. False leaves all of it to them.',
      },
      timeLimitMs: {
        type: 'integer',
        minimum: 1,
        maximum: 30_000,
        default: 1000,
        description: 'Most time for one evaluation; one that takes longer is cut off and counts as failed.',
      },
      maxPending: {
        type: 'integer',
        minimum: 1,
        maximum: 1_000_000,
        default: 1024,
        description: 'Most requests that wait for a thread.',
      },
      memoryLimitMiB: {
        type: 'integer',
        minimum: 16,
        maximum: 4096,
        default: 512,
        description: 'Most memory of one thread for policies, their data and the request.',
      },
      reloadSeconds: {
        type: 'integer',
        minimum: 0,
        maximum: 3600,
        default: 5,
        description:
          'Time between looks at the folder. One that has changed is made active when two looks see the same and nothing is wrong with it. 0: it is read at start only.',
      },
      runTests: {
        type: 'boolean',
        default: true,
        description: "Whether the folder's own tests (`*_test.rego`) have to pass before it becomes active.",
      },
    }),
    inventory: section('Objects of the cluster that policies see as `data.inventory` (docs/policies.md).', {
      resources: {
        type: 'array',
        maxItems: 64,
        default: [],
        description: 'What is followed. Sealgate has to be allowed to list and watch it. Secrets are refused.',
        examples: [[{ group: 'networking.k8s.io', version: 'v1', resource: 'ingresses' }]],
        items: {
          type: 'object',
          additionalProperties: false,
          required: ['version', 'resource'],
          properties: {
            group: {
              type: 'string',
              maxLength: 253,
              pattern: '^[a-z0-9.-]*$',
              description: 'API group. Default: the core group.',
            },
            version: { type: 'string', minLength: 1, maxLength: 63, pattern: '^[a-z0-9]+$', description: 'Version.' },
            resource: {
              type: 'string',
              minLength: 1,
              maxLength: 253,
              pattern: '^[a-z0-9.-]+$',
              description: 'Plural name in the API.',
            },
            labelSelector: { type: 'string', minLength: 1, description: 'Only objects with these labels.' },
            fieldSelector: { type: 'string', minLength: 1, description: 'Only objects with these fields.' },
          },
        },
      },
      maxObjects: {
        type: 'integer',
        minimum: 1,
        maximum: 1_000_000,
        default: 50_000,
        description: 'Most objects. More are left out, which is told by readiness, a metric, and each decision.',
      },
      maxMiB: {
        type: 'integer',
        minimum: 1,
        maximum: 1024,
        default: 32,
        description:
          'Most JSON of those objects. In each policy thread, and on the main one, it takes about ten times as much.',
      },
      kubeconfig: {
        ...file,
        description: 'How to reach the API server from outside of the cluster. Default: as a pod.',
      },
    }),
    redact: section('What is never recorded, besides the values of Secrets and tokens.', {
      fields: {
        type: 'array',
        maxItems: 1024,
        default: [],
        description: 'Fields of objects whose values are removed before anything is written.',
        examples: [[{ group: '', kind: 'ConfigMap', paths: ['data.password'] }]],
        items: {
          type: 'object',
          additionalProperties: false,
          required: ['kind', 'paths'],
          properties: {
            group: { type: 'string', description: 'API group, empty for the core group. Default: any.' },
            kind: { type: 'string', minLength: 1, description: 'Kind of the object.' },
            resource: {
              type: 'string',
              minLength: 1,
              description: 'Plural name in the API. Default: guessed from the kind.',
            },
            namespace: { type: 'string', minLength: 1, description: 'Only objects in this namespace.' },
            name: { type: 'string', minLength: 1, description: 'Only objects of this name.' },
            paths: {
              type: 'array',
              minItems: 1,
              items: { type: 'string', minLength: 1 },
              description: 'Where the values are, for example `data.password`.',
            },
          },
        },
      },
      patterns: {
        type: 'array',
        maxItems: 256,
        items: { type: 'string', minLength: 1 },
        default: [],
        description:
          'RE2 expressions for secrets in the command or URI of a session (exec, attach, port-forward, proxy), besides the built-in ones. What the first group matches is removed, or all that is matched.',
        examples: [['--api-key[= ](\\S+)']],
      },
      manifestAnnotations: {
        type: 'array',
        maxItems: 256,
        items: { type: 'string', minLength: 1 },
        default: [
          'kubectl.kubernetes.io/last-applied-configuration',
          'kapp.k14s.io/original',
          'objectset.rio.cattle.io/applied',
          'banzaicloud.com/last-applied',
        ],
        description: 'Annotations whose value is a manifest of the object itself.',
      },
    }),
    detect: section('What Sealgate looks for in the audit stream, and records as findings (docs/findings.md).', {
      webhookConfiguration: {
        type: 'string',
        maxLength: 253,
        pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$',
        default: 'sealgate',
        description: 'Name of the ValidatingWebhookConfiguration by which the API server asks this Sealgate.',
      },
      namespace: {
        type: 'string',
        maxLength: 63,
        pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
        default: 'sealgate-system',
        description: 'Namespace of its pods: changes of what is in it, and sessions with its pods, are findings.',
      },
      expectedUsers: {
        type: 'array',
        maxItems: 256,
        items: { type: 'string', minLength: 1, maxLength: 253 },
        default: [],
        description:
          'Users that install and upgrade Sealgate: what they change is recorded as well, as of lower severity.',
        examples: [['system:serviceaccount:argocd:argocd-application-controller']],
      },
      kubernetesEvents: section('Kubernetes Events about findings, for those who look there first.', {
        enabled: {
          type: 'boolean',
          default: false,
          description:
            'Whether they are written, in that namespace, about findings of severity medium and above: at most 20 at once and then one each 30 s. The pod needs to be allowed to create them.',
        },
        kubeconfig: {
          ...file,
          description: 'How to reach the API server from outside of the cluster. Default: as a pod.',
        },
      }),
    }),
    shutdown: section('The orderly stop.', {
      drainMs: {
        type: 'integer',
        minimum: 0,
        maximum: 600_000,
        default: 0,
        description:
          'How long requests are still taken after the stop was asked for and readiness has failed: the time that load balancers need to hear of it. Each answer ends its connection meanwhile. The Helm chart sets 8 s.',
      },
      graceMs: {
        type: 'integer',
        minimum: 0,
        maximum: 600_000,
        default: 25_000,
        description:
          'Most time, after drainMs, for requests that were accepted to be answered. Kubernetes kills a pod after 30 s by default; with drainMs, this and 5 s for the ledger and the mirror it has to be enough (the chart has 60 s).',
      },
    }),
  },
} as const;

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
type Loose = FromSchema<typeof settingsSchema>;

/** The effective settings. What has no default and was not given is absent. */
export type Settings = DeepReadonly<Loose>;
