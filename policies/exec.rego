# METADATA
# title: No sessions into the control plane
# description: >-
#   exec, attach, port-forward and proxy into pods of protected namespaces need a group of data.sealgate.operatorGroups.
# custom:
#   action: deny
#   severity: high
#   match:
#     operations: [CONNECT]
#     resources: [pods/exec, pods/attach, pods/portforward, pods/proxy, services/proxy]
#   controls:
#     - PCI-DSS-4.0:7.2.1
#     - PCI-DSS-4.0:7.2.2
#     - HIPAA-164.312(a)(1)
#     - GDPR-32
#   remediation: Ask a member of an operator group, or debug a copy of the pod in another namespace.
package admission.exec

import data.lib.names
import data.lib.requester

deny contains message if {
	names.protected_namespace
	not requester.is_operator
	not requester.is_system
	message := sprintf("%s may not open %s on %s/%s: the namespace is protected", [
		requester.username,
		input.request.subResource,
		input.request.namespace,
		input.request.name,
	])
}
