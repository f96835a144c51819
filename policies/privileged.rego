# METADATA
# title: No privileged containers
# description: >-
#   A privileged container, one with capabilities that amount to it, or a Windows host process owns its node. Only
#   namespaces of data.sealgate.hostNamespaces may have them.
# custom:
#   action: deny
#   severity: critical
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob]
#   controls:
#     - PCI-DSS-4.0:2.2.6
#     - PCI-DSS-4.0:7.2.5
#     - HIPAA-164.312(a)(1)
#     - GDPR-32
#     - CIS-Kubernetes-1.8:5.2.2
#   remediation: Remove securityContext.privileged and add only the capabilities that the program needs.
package admission.privileged

import data.lib.names
import data.lib.workloads

deny contains message if {
	applies
	some entry in workloads.containers
	entry.container.securityContext.privileged == true
	message := sprintf("%s is privileged, which namespace %s does not allow", [
		workloads.describe(entry),
		input.request.namespace,
	])
}

deny contains message if {
	applies
	some entry in workloads.containers
	some capability in entry.container.securityContext.capabilities.add
	trim_prefix(upper(capability), "CAP_") in dangerous
	message := sprintf("%s adds capability %s, which namespace %s does not allow", [
		workloads.describe(entry),
		capability,
		input.request.namespace,
	])
}

deny contains message if {
	applies
	workloads.spec.securityContext.windowsOptions.hostProcess == true
	message := sprintf("the pod is a host process, which namespace %s does not allow", [input.request.namespace])
}

deny contains message if {
	applies
	some entry in workloads.containers
	entry.container.securityContext.windowsOptions.hostProcess == true
	message := sprintf("%s is a host process, which namespace %s does not allow", [
		workloads.describe(entry),
		input.request.namespace,
	])
}

applies if {
	workloads.changed
	not names.host_namespace
}

# Each of these is a known way from the container to root on the node.
dangerous := {"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "DAC_READ_SEARCH", "BPF", "NET_ADMIN"}
