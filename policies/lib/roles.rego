# Roles and their bindings.
package lib.roles

# Rules that the request brings: all of a new role, of an updated one those that it did not have.
new_rules contains rule if {
	some rule in input.request.object.rules
	not rule in old_rules
}

old_rules contains rule if some rule in input.request.oldObject.rules

# Subjects that the request brings. roleRef cannot be updated.
new_subjects contains subject if {
	some subject in input.request.object.subjects
	not subject in old_subjects
}

old_subjects contains subject if some subject in input.request.oldObject.subjects

# Kind:name, or ServiceAccount:namespace/name.
describe(subject) := sprintf("%s:%s", [subject.kind, subject.name]) if subject.kind != "ServiceAccount"

describe(subject) := sprintf("ServiceAccount:%s/%s", [subject.namespace, subject.name]) if subject.kind == "ServiceAccount"

grants(rule, verbs) if {
	some verb in rule.verbs
	verb in verbs
}
