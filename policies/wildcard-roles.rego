# METADATA
# title: Roles say what they allow
# description: >-
#   A rule with every verb on every resource, or on every resource of every group, is cluster-admin by another name. One
#   wildcard alone is a warning: it grants what does not exist yet.
# custom:
#   severity: high
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [rbac.authorization.k8s.io/ClusterRole, rbac.authorization.k8s.io/Role]
#   controls:
#     - PCI-DSS-4.0:7.2.1
#     - PCI-DSS-4.0:7.2.5
#     - HIPAA-164.308(a)(4)
#     - GDPR-32
#     - CIS-Kubernetes-1.8:5.1.3
#   remediation: Name the verbs and the resources.
package admission.wildcard_roles

import data.lib.requester
import data.lib.roles

deny contains message if {
	not requester.is_system
	some rule in roles.new_rules
	all_power(rule)
	message := sprintf("%s %s has a rule with %s", [input.request.kind.kind, input.request.name, concat(" and ", wildcards(rule))])
}

warn contains message if {
	not requester.is_system
	some rule in roles.new_rules
	not all_power(rule)
	count(wildcards(rule)) > 0
	message := sprintf("%s %s has a rule with %s", [input.request.kind.kind, input.request.name, concat(" and ", wildcards(rule))])
}

all_power(rule) if {
	"*" in rule.verbs
	"*" in rule.resources
}

all_power(rule) if {
	"*" in rule.verbs
	"*" in rule.nonResourceURLs
}

all_power(rule) if {
	"*" in rule.apiGroups
	"*" in rule.resources
	roles.grants(rule, {"create", "update", "patch", "delete", "deletecollection"})
}

# From a list, not an object: the order of an object's keys is not the same in every evaluator.
wildcards(rule) := [words |
	some [key, words] in [
		["verbs", "every verb"],
		["resources", "every resource"],
		["apiGroups", "every API group"],
		["nonResourceURLs", "every URL"],
	]
	"*" in rule[key]
]
