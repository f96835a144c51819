# METADATA
# title: Record of sessions
# description: >-
#   Every exec, attach and port-forward into a pod is marked in the record, so that a query finds them. The command is
#   not repeated: it may hold a secret.
# custom:
#   action: audit
#   severity: medium
#   match:
#     operations: [CONNECT]
#     resources: [pods/exec, pods/attach, pods/portforward]
#   controls:
#     - PCI-DSS-4.0:10.2.1.2
#     - HIPAA-164.312(b)
package admission.sessions

import data.lib.requester

violation contains {"msg": message, "pod": input.request.name, "session": input.request.subResource} if {
	message := sprintf("%s opened %s on %s/%s", [
		requester.username,
		input.request.subResource,
		input.request.namespace,
		input.request.name,
	])
}
