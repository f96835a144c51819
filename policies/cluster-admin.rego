# METADATA
# title: cluster-admin is not handed out
# description: >-
#   Binding the role cluster-admin gives everything, in a namespace or in the cluster. Only subjects of
#   data.sealgate.clusterAdmins may be bound.
# custom:
#   action: deny
#   severity: critical
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [rbac.authorization.k8s.io/ClusterRoleBinding, rbac.authorization.k8s.io/RoleBinding]
#   controls:
#     - PCI-DSS-4.0:7.2.1
#     - PCI-DSS-4.0:7.2.2
#     - HIPAA-164.308(a)(4)
#     - HIPAA-164.312(a)(1)
#     - GDPR-32
#     - CIS-Kubernetes-1.8:5.1.1
#   remediation: Bind a role that names the resources and verbs that the work needs.
package admission.cluster_admin

import data.lib.requester
import data.lib.roles

deny contains message if {
	input.request.object.roleRef.name == "cluster-admin"
	input.request.object.roleRef.kind == "ClusterRole"
	not requester.is_system
	some subject in roles.new_subjects
	not roles.describe(subject) in data.sealgate.clusterAdmins
	message := sprintf("%s %s gives cluster-admin to %s", [
		input.request.kind.kind,
		input.request.name,
		roles.describe(subject),
	])
}
