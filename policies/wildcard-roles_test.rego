package admission.wildcard_roles_test

import data.admission.wildcard_roles as policy

review(rules, old, user) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole"},
	"name": "r",
	"userInfo": {"username": user, "groups": []},
	"object": {"rules": rules},
	"oldObject": {"rules": old},
}}

everything := {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}

test_all_power_is_denied if {
	policy.deny == {"ClusterRole r has a rule with every verb and every resource and every API group"} with input as review([everything], null, "alice")
	count(policy.warn) == 0 with input as review([everything], null, "alice")
}

test_writing_everything_is_denied_without_the_verb_wildcard if {
	rule := {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "patch"]}
	count(policy.deny) == 1 with input as review([rule], null, "alice")
}

test_every_url_is_denied if {
	policy.deny == {"ClusterRole r has a rule with every verb and every URL"} with input as review([{"nonResourceURLs": ["*"], "verbs": ["*"]}], null, "alice")
}

test_one_wildcard_is_a_warning if {
	rule := {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}
	count(policy.deny) == 0 with input as review([rule], null, "alice")
	policy.warn == {"ClusterRole r has a rule with every verb"} with input as review([rule], null, "alice")
}

test_reading_everything_is_a_warning if {
	rule := {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
	count(policy.deny) == 0 with input as review([rule], null, "alice")
	count(policy.warn) == 1 with input as review([rule], null, "alice")
}

test_rule_from_before_is_allowed if {
	count(policy.deny) == 0 with input as review([everything], [everything], "alice")
}

test_aggregation_by_the_controller_is_allowed if {
	count(policy.deny) == 0 with input as review([everything], null, "system:serviceaccount:kube-system:clusterrole-aggregation-controller")
}

test_named_verbs_and_resources_are_silent if {
	rule := {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "update"]}
	count(policy.deny) + count(policy.warn) == 0 with input as review([rule], null, "alice")
}
