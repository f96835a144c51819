# METADATA
# title: Roles are not for everybody
# description: >-
#   A binding for system:anonymous or system:unauthenticated opens the cluster to whoever reaches it; system:masters
#   passes every check of RBAC, so that a binding for it can only mislead. A binding for every authenticated user or
#   service account is a warning.
# custom:
#   severity: critical
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [rbac.authorization.k8s.io/ClusterRoleBinding, rbac.authorization.k8s.io/RoleBinding]
#   controls:
#     - PCI-DSS-4.0:7.2.1
#     - PCI-DSS-4.0:8.2.2
#     - HIPAA-164.312(a)(2)(i)
#     - GDPR-32
#     - CIS-Kubernetes-1.8:5.1.7
#   remediation: Bind the role to the users, groups or service accounts that need it.
package admission.untrusted_subjects

import data.lib.requester
import data.lib.roles

deny contains message if {
	not requester.is_system
	some subject in roles.new_subjects
	subject.name in {"system:anonymous", "system:unauthenticated", "system:masters"}
	subject.kind in {"User", "Group"}
	message := sprintf("%s %s gives %s to %s", [
		input.request.kind.kind,
		input.request.name,
		input.request.object.roleRef.name,
		roles.describe(subject),
	])
}

warn contains message if {
	not requester.is_system
	some subject in roles.new_subjects
	subject.kind == "Group"
	subject.name in {"system:authenticated", "system:serviceaccounts"}
	message := sprintf("%s %s gives %s to all of %s", [
		input.request.kind.kind,
		input.request.name,
		input.request.object.roleRef.name,
		subject.name,
	])
}
