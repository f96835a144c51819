// manifests/install.yaml: the chart rendered for people without Helm. No key may stand in a public file, so the certificate of the
// webhook comes from cert-manager and that of the audit sink from a Secret.
import { render } from './render.ts';

const INTRODUCTION = `# Sealgate without Helm: made by \`make generate\` from charts/sealgate, change it there. Needs cert-manager, and before it
#   kubectl create namespace sealgate-system
#   a Secret sealgate-audit-tls (tls.crt, tls.key, ca.crt) in it for the audit sink
# docs/install.md says how. The image is \`sealgate:<version>\`: put the name that your nodes can pull in its place.
`;

const VALUES = [
  'webhook.path=/v1/admit',
  'webhook.certificate.source=certManager',
  'audit.certificate.source=existingSecret',
  'audit.certificate.secretName=sealgate-audit-tls',
  'peers.enabled=false',
];

/** The whole file. */
export function plainManifests(): string {
  const yaml = render('--no-hooks', ...VALUES.map((value) => `--set=${value}`));
  const lines = yaml
    .split('\n')
    .filter((line) => !/^\s*(# Source: |helm\.sh\/chart: |app\.kubernetes\.io\/managed-by: )/.test(line));
  return `${INTRODUCTION}${lines.join('\n')}`;
}
