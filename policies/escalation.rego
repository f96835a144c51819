# METADATA
# title: No way around RBAC
# description: >-
#   The verbs escalate and bind on roles, and impersonate on identities, let their holder become anybody. Rules that
#   grant them are refused.
# custom:
#   action: deny
#   severity: critical
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [rbac.authorization.k8s.io/ClusterRole, rbac.authorization.k8s.io/Role]
#   controls:
#     - PCI-DSS-4.0:7.2.1
#     - PCI-DSS-4.0:7.2.2
#     - HIPAA-164.308(a)(4)
#     - GDPR-32
#     - CIS-Kubernetes-1.8:5.1.8
#   remediation: Leave the verb out; let a cluster administrator make the bindings.
package admission.escalation

import data.lib.requester
import data.lib.roles

deny contains message if {
	not requester.is_system
	some rule in roles.new_rules
	some verb, resources in dangerous
	roles.grants(rule, {verb, "*"})
	some resource in rule.resources
	base_name(resource) in resources
	message := sprintf("%s %s grants %s on %s", [input.request.kind.kind, input.request.name, verb, resource])
}

# A wildcard of resources with one of these verbs covers what the verb is made for.
dangerous := {
	"escalate": {"roles", "clusterroles", "*"},
	"bind": {"roles", "clusterroles", "*"},
	"impersonate": {"users", "groups", "serviceaccounts", "uids", "userextras", "*"},
}

# userextras/scopes is as good as userextras.
base_name(resource) := split(resource, "/")[0]
