// The policies that both sides of the admission benchmark evaluate, as folders: Sealgate takes each as it is, OPA with one rule more that
// makes an AdmissionReview of what they say, as its Kubernetes tutorial does.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const RULES: Readonly<Record<string, string>> = {
  privileged: `deny contains message if {
	some container in input.request.object.spec.containers
	container.securityContext.privileged == true
	message := sprintf("container %s is privileged", [container.name])
}`,
  hostnetwork: `deny contains message if {
	input.request.object.spec.hostNetwork == true
	message := sprintf("pod %s uses the network of its node", [input.request.name])
}`,
  images: `deny contains message if {
	some container in input.request.object.spec.containers
	endswith(container.image, ":latest")
	message := sprintf("container %s has no version in its image %s", [container.name, container.image])
}`,
};

const MAIN = `package system

main := {
	"apiVersion": "admission.k8s.io/v1",
	"kind": "AdmissionReview",
	"response": {
		"uid": input.request.uid,
		"allowed": count(messages) == 0,
		"status": {"message": concat("; ", messages)},
	},
}

messages contains message if some message in data.admission[_].deny
`;

function policy(name: string, rule: string): string {
  return `# METADATA
# title: ${name}
# custom:
#   action: deny
#   severity: high
#   match:
#     operations: [CREATE]
#     kinds: [Pod]
package admission.${name}

${rule}
`;
}

/** Three small rules about pods. */
export function writePolicies(dir: string): string {
  mkdirSync(dir, { recursive: true });
  for (const [name, rule] of Object.entries(RULES)) writeFileSync(join(dir, `${name}.rego`), policy(name, rule));
  return dir;
}

/** The same, and what OPA answers a review with. */
export function writeForOpa(dir: string): string {
  writePolicies(dir);
  writeFileSync(join(dir, 'main.rego'), MAIN);
  return dir;
}

/** So many policies about pods that are much alike: each looks for a label of its own. */
export function writeManyPolicies(dir: string, count: number): string {
  mkdirSync(dir, { recursive: true });
  for (let i = 0; i < count; i++) {
    const rule = `deny contains message if {
	input.request.object.metadata.labels["example.com/forbidden-${i}"]
	some container in input.request.object.spec.containers
	message := sprintf("container %s may not have that label", [container.name])
}`;
    // The first denies what is bad, as the rules of the comparison do.
    const all = i === 0 ? `${RULES['privileged']}\n\n${rule}` : rule;
    writeFileSync(join(dir, `label${i}.rego`), policy(`label${i}`, all));
  }
  return dir;
}

/** The three rules beside an inventory of so many objects that none of them reads. */
export function writeWithInventory(dir: string, objects: number): string {
  writePolicies(dir);
  const inventory = Object.fromEntries(
    Array.from({ length: objects }, (_, i) => [
      `ingress-${i}`,
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata: { name: `ingress-${i}`, namespace: 'shop', labels: { app: `app-${i % 97}` } },
        spec: { rules: [{ host: `host-${i}.example.com`, http: { paths: [{ path: '/', pathType: 'Prefix' }] } }] },
      },
    ]),
  );
  const folder = join(dir, 'inventory');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'data.json'), JSON.stringify({ namespace: { shop: inventory } }));
  return dir;
}
