package admission.escalation_test

import data.admission.escalation

review(rule, user) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole"},
	"name": "r",
	"userInfo": {"username": user, "groups": []},
	"object": {"rules": [rule]},
	"oldObject": null,
}}

test_the_three_verbs_are_denied if {
	escalation.deny == {
		"ClusterRole r grants escalate on clusterroles",
		"ClusterRole r grants bind on clusterroles",
	} with input as review({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["escalate", "bind", "get"]}, "alice")
	escalation.deny == {
		"ClusterRole r grants impersonate on users",
		"ClusterRole r grants impersonate on userextras/scopes",
	} with input as review({"apiGroups": [""], "resources": ["users", "userextras/scopes"], "verbs": ["impersonate"]}, "alice")
}

test_a_verb_wildcard_grants_them_too if {
	escalation.deny == {
		"ClusterRole r grants escalate on roles",
		"ClusterRole r grants bind on roles",
	} with input as review({"apiGroups": ["*"], "resources": ["roles"], "verbs": ["*"]}, "alice")
}

test_binding_pods_is_not_meant if {
	count(escalation.deny) == 0 with input as review({"apiGroups": [""], "resources": ["pods/binding"], "verbs": ["bind", "create"]}, "alice")
}

test_the_control_plane_is_allowed if {
	rule := {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
	count(escalation.deny) == 0 with input as review(rule, "system:apiserver")
}
