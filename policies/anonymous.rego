# METADATA
# title: Nothing changes anonymously
# description: >-
#   Requests without an identity may read what RBAC lets them read; they change nothing and open no sessions.
# custom:
#   action: deny
#   severity: critical
#   controls:
#     - PCI-DSS-4.0:8.2.1
#     - HIPAA-164.312(a)(2)(i)
#     - HIPAA-164.312(d)
#     - GDPR-32
#   remediation: Authenticate; find out which binding gave system:anonymous or system:unauthenticated this permission.
package admission.anonymous

import data.lib.requester

deny contains message if {
	requester.is_anonymous
	message := sprintf("%s of %s by %s, who is not authenticated", [
		input.request.operation,
		input.request.resource.resource,
		requester.username,
	])
}
