# METADATA
# title: Production runs known images
# description: >-
#   In production namespaces an image is named by digest, so that what was approved is what runs, and comes from a
#   registry of data.sealgate.allowedRegistries. Elsewhere a tag is a warning.
# custom:
#   severity: high
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob]
#     excludeNamespaces: [kube-system]
#   controls:
#     - PCI-DSS-4.0:6.3.2
#     - PCI-DSS-4.0:6.5.1
#     - HIPAA-164.312(c)(1)
#     - GDPR-32
#   remediation: Write the image as registry/path@sha256:… with a registry that is allowed.
package admission.images

import data.lib.images
import data.lib.names
import data.lib.workloads

deny contains message if {
	names.production
	workloads.changed
	some entry in workloads.containers
	not images.by_digest(entry.container.image)
	message := sprintf("%s: image %q must be named by digest in namespace %s", [
		workloads.describe(entry),
		entry.container.image,
		input.request.namespace,
	])
}

deny contains message if {
	names.production
	workloads.changed
	some entry in workloads.containers
	not images.from_allowed_registry(entry.container.image)
	message := sprintf("%s: image %q is not from a registry that namespace %s allows (%s)", [
		workloads.describe(entry),
		entry.container.image,
		input.request.namespace,
		concat(", ", data.sealgate.allowedRegistries),
	])
}

warn contains message if {
	not names.production
	workloads.changed
	some entry in workloads.containers
	tag := images.tag(entry.container.image)
	message := sprintf("%s: tag %q of image %q can change under you; name the image by digest", [
		workloads.describe(entry),
		tag,
		entry.container.image,
	])
}
