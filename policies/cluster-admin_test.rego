package admission.cluster_admin_test

import data.admission.cluster_admin

review(role, subjects, old) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRoleBinding"},
	"name": "b",
	"userInfo": {"username": "alice", "groups": ["system:masters"]},
	"object": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": subjects},
	"oldObject": {"subjects": old},
}}

bob := {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}

robot := {"kind": "ServiceAccount", "namespace": "ci", "name": "robot"}

test_new_admins_are_denied if {
	cluster_admin.deny == {
		"ClusterRoleBinding b gives cluster-admin to User:bob",
		"ClusterRoleBinding b gives cluster-admin to ServiceAccount:ci/robot",
	} with input as review("cluster-admin", [bob, robot], [])
}

test_other_roles_are_allowed if {
	count(cluster_admin.deny) == 0 with input as review("view", [bob], [])
}

test_listed_subjects_are_allowed if {
	masters := {"kind": "Group", "name": "system:masters"}
	count(cluster_admin.deny) == 0 with input as review("cluster-admin", [masters], [])
	count(cluster_admin.deny) == 0 with input as review("cluster-admin", [robot], []) with data.sealgate.clusterAdmins as ["ServiceAccount:ci/robot"]
}

test_only_added_subjects_count if {
	cluster_admin.deny == {"ClusterRoleBinding b gives cluster-admin to ServiceAccount:ci/robot"} with input as review("cluster-admin", [bob, robot], [bob])
}

test_binding_without_subjects_is_allowed if {
	count(cluster_admin.deny) == 0 with input as review("cluster-admin", null, null)
}

test_bootstrap_of_the_api_server_is_allowed if {
	start := json.patch(review("cluster-admin", [bob], []), [{"op": "replace", "path": "/request/userInfo/username", "value": "system:apiserver"}])
	count(cluster_admin.deny) == 0 with input as start
}
