package admission.untrusted_subjects_test

import data.admission.untrusted_subjects as policy

review(subject, user) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "RoleBinding"},
	"name": "b",
	"userInfo": {"username": user, "groups": []},
	"object": {"roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [subject]},
	"oldObject": null,
}}

test_untrusted_subjects_are_denied if {
	policy.deny == {"RoleBinding b gives view to User:system:anonymous"} with input as review({"kind": "User", "name": "system:anonymous"}, "alice")
	policy.deny == {"RoleBinding b gives view to Group:system:unauthenticated"} with input as review({"kind": "Group", "name": "system:unauthenticated"}, "alice")
	policy.deny == {"RoleBinding b gives view to Group:system:masters"} with input as review({"kind": "Group", "name": "system:masters"}, "alice")
}

test_everybody_who_is_authenticated_is_a_warning if {
	count(policy.deny) == 0 with input as review({"kind": "Group", "name": "system:authenticated"}, "alice")
	policy.warn == {"RoleBinding b gives view to all of system:authenticated"} with input as review({"kind": "Group", "name": "system:authenticated"}, "alice")
}

test_a_named_group_is_silent if {
	count(policy.deny) + count(policy.warn) == 0 with input as review({"kind": "Group", "name": "dev"}, "alice")
}

test_bootstrap_of_the_api_server_is_allowed if {
	count(policy.deny) == 0 with input as review({"kind": "Group", "name": "system:unauthenticated"}, "system:apiserver")
}
