# METADATA
# title: Nobody approves their own certificate
# description: >-
#   A certificate for the API server is an identity: who asked for it does not approve it.
# custom:
#   action: deny
#   severity: high
#   match:
#     operations: [UPDATE]
#     resources: [certificatesigningrequests.certificates.k8s.io/approval]
#   controls:
#     - PCI-DSS-4.0:7.2.1
#     - PCI-DSS-4.0:8.2.4
#     - HIPAA-164.308(a)(4)
#     - GDPR-32
#   remediation: Let somebody else approve the request.
package admission.certificate_approval

import data.lib.requester

deny contains message if {
	some condition in input.request.object.status.conditions
	condition.type == "Approved"
	not condition.type in old_types
	input.request.object.spec.username == requester.username
	message := sprintf("%s may not approve certificate request %s, which is their own", [
		requester.username,
		input.request.name,
	])
}

old_types contains condition.type if some condition in input.request.oldObject.status.conditions
