// docs/settings.md, made from the schema of the settings.
import { allSections } from '../../src/config/names.js';
/** Shown on the page, and loaded by a test. */
export const EXAMPLE = `dataDir: /var/lib/sealgate
identity:
  domain: audit.example.com
  cluster: prod-eu-1
admission:
  tls:
    clientCaFile: /etc/sealgate/api-server-ca.crt
tls:
  hostnames: [sealgate.sealgate.svc, 10.96.0.44]
redact:
  fields:
    - kind: ConfigMap
      group: ''
      paths: [data.password]
`;
const INTRODUCTION = `<!-- Made by \`make generate\` from src/config/schema.ts: change it there. -->
# Settings

Every setting can be given in a file, in the environment and by a flag. A flag wins over the environment, the environment over
the file, the file over the default.

| in | \`admission.bodyLimitBytes\` is | |
|---|---|---|
| a file | \`admission: {bodyLimitBytes: 16777216}\` | YAML or JSON, named by \`--config\` or \`SEALGATE_CONFIG\` |
| the environment | \`SEALGATE_ADMISSION_BODY_LIMIT_BYTES=16777216\` | an empty variable counts as one that is not set |
| a flag | \`--admission-body-limit-bytes 16777216\` | \`sealgate serve --help\` lists them |

In the environment and in flags a list is \`a,b,c\` or JSON; a list of objects is JSON. Relative paths are relative to the folder
that Sealgate is started in.

What is unknown is refused, wherever it stands, with the name that was probably meant: a limit that was misspelled is a limit
that is not there. Of variables that begin with \`SEALGATE_\`, those that Kubernetes makes for Services of that name
(\`SEALGATE_SERVICE_HOST\`, \`SEALGATE_AUDIT_PORT=tcp://…\`) and \`SEALGATE_TOOL_…\` (of the tests) are passed over.

The SHA-256 of the effective settings is in every \`start\` entry of the ledger, so that a change of settings shows there.

\`\`\`yaml
${EXAMPLE}\`\`\`
`;
/** The whole page. */
export function settingsPage() {
    const sections = allSections().map(({ name, description, settings }) => {
        const heading = name === '' ? '## At the top' : `## ${name}`;
        const rows = settings.map(row).join('\n');
        const text = description === '' ? '' : `${description}\n\n`;
        return `${heading}\n\n${text}| setting | default | |\n|---|---|---|\n${rows}\n`;
    });
    return `${INTRODUCTION}\n${sections.join('\n')}`;
}
function row({ name, schema }) {
    const allowed = allowedText(schema);
    const sentence = schema.description ?? '';
    return `| \`${name}\` | ${defaultText(schema)} | ${cell(sentence)}${allowed} |`;
}
function defaultText({ default: value }) {
    if (value === undefined || value === '')
        return '';
    if (Array.isArray(value))
        return value.length === 0 ? 'none' : value.map((item) => `\`${String(item)}\``).join(' ');
    return `\`${String(value)}\``;
}
function allowedText(schema) {
    const { enum: choices, minimum, maximum, examples, items } = schema;
    const [example] = examples ?? [];
    const shown = example === undefined || example === schema.default ? '' : ` For example \`${cell(textOf(example))}\`.`;
    if (choices !== undefined)
        return ` One of ${choices.map((choice) => `\`${String(choice)}\``).join(', ')}.`;
    if (minimum !== undefined && maximum !== undefined)
        return ` ${minimum} to ${maximum}.${shown}`;
    const members = Object.entries(items?.properties ?? {}).map(([key, { description }]) => `\`${key}\`: ${cell(description ?? '')}`);
    return `${members.length === 0 ? '' : ` ${members.join(' ')}`}${shown}`;
}
function textOf(value) {
    return typeof value === 'string' ? value : JSON.stringify(value);
}
/** A bar would end the cell of the table. */
function cell(text) {
    return text.replaceAll('|', '\\|');
}
