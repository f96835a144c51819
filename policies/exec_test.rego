package admission.exec_test

import data.admission.exec

review(namespace, user) := {"request": {
	"operation": "CONNECT",
	"resource": {"group": "", "version": "v1", "resource": "pods"},
	"subResource": "exec",
	"namespace": namespace,
	"name": "etcd-0",
	"userInfo": user,
}}

alice := {"username": "alice", "groups": ["dev", "system:authenticated"]}

test_session_into_kube_system_is_denied if {
	exec.deny == {"alice may not open exec on kube-system/etcd-0: the namespace is protected"} with input as review("kube-system", alice)
}

test_session_elsewhere_is_allowed if {
	count(exec.deny) == 0 with input as review("default", alice)
}

test_operator_is_allowed if {
	count(exec.deny) == 0 with input as review("kube-system", {"username": "olga", "groups": ["sealgate:operators"]})
}

test_user_without_groups_is_denied if {
	count(exec.deny) == 1 with input as review("kube-system", {"username": "nobody"})
}

test_control_plane_is_allowed if {
	count(exec.deny) == 0 with input as review("kube-system", {"username": "system:kube-controller-manager", "groups": []})
}

test_protected_namespaces_are_data if {
	count(exec.deny) == 1 with input as review("vault-eu", alice) with data.sealgate.protectedNamespaces as ["vault-*"]
}
