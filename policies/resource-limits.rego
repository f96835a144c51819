# METADATA
# title: Containers say what they need
# description: >-
#   A container without a memory limit or a CPU request can starve its neighbours. A warning, because many charts are
#   not there yet.
# custom:
#   action: warn
#   severity: low
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob]
#     excludeNamespaces: [kube-system]
#   controls:
#     - HIPAA-164.308(a)(7)
#     - GDPR-32
#   remediation: Set resources.limits.memory and resources.requests.cpu.
package admission.resource_limits

import data.lib.requester
import data.lib.workloads

warn contains message if {
	workloads.changed
	not requester.is_system
	some entry in workloads.containers
	entry.type != "ephemeral container"
	missing := [path | some path in ["limits.memory", "requests.cpu"]; not stated(entry.container, path)]
	count(missing) > 0
	message := sprintf("%s does not state resources.%s", [workloads.describe(entry), concat(" and resources.", missing)])
}

stated(container, path) if object.get(container, array.concat(["resources"], split(path, ".")), null) != null
