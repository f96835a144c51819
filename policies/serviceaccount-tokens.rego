# METADATA
# title: No tokens of the control plane's service accounts
# description: >-
#   A token of a service account in a protected namespace acts as that account. Only the control plane, which needs them
#   for its pods and controllers, and operators may ask for one, be it by TokenRequest or as a long-lived Secret.
# custom:
#   action: deny
#   severity: critical
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [authentication.k8s.io/TokenRequest, /Secret]
#   controls:
#     - PCI-DSS-4.0:7.2.5
#     - PCI-DSS-4.0:8.6.1
#     - HIPAA-164.312(a)(1)
#     - GDPR-32
#     - CIS-Kubernetes-1.8:5.1.13
#   remediation: Create a service account of your own with the permissions that the task needs.
package admission.serviceaccount_tokens

import data.lib.names
import data.lib.requester

deny contains message if {
	input.request.kind.kind == "TokenRequest"
	restricted
	message := sprintf("%s may not ask for a token of service account %s/%s", [
		requester.username,
		input.request.namespace,
		input.request.name,
	])
}

deny contains message if {
	input.request.kind.kind == "Secret"
	input.request.object.type == "kubernetes.io/service-account-token"
	restricted
	message := sprintf("%s may not create a long-lived token for service account %s/%s", [
		requester.username,
		input.request.namespace,
		object.get(input.request.object, ["metadata", "annotations", "kubernetes.io/service-account.name"], "(unnamed)"),
	])
}

restricted if {
	names.protected_namespace
	not requester.is_system
	not requester.is_operator
}
