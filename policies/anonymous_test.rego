package admission.anonymous_test

import data.admission.anonymous

review(user) := {"request": {"operation": "CREATE", "resource": {"resource": "configmaps"}, "userInfo": user}}

test_anonymous_user_is_denied if {
	anonymous.deny == {"CREATE of configmaps by system:anonymous, who is not authenticated"} with input as review({"username": "system:anonymous", "groups": ["system:unauthenticated"]})
}

test_unauthenticated_group_is_denied if {
	count(anonymous.deny) == 1 with input as review({"username": "x", "groups": ["system:unauthenticated"]})
}

test_a_user_is_allowed if {
	count(anonymous.deny) == 0 with input as review({"username": "alice", "groups": ["system:authenticated"]})
}
