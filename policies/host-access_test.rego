package admission.host_access_test

import data.admission.host_access

review(namespace, spec) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "", "version": "v1", "kind": "Pod"},
	"namespace": namespace,
	"object": {"spec": spec},
}}

test_host_namespaces_are_denied if {
	host_access.deny == {"hostNetwork is not allowed in namespace default", "hostPID is not allowed in namespace default"} with input as review("default", {"hostNetwork": true, "hostPID": true, "hostIPC": false})
}

test_host_path_is_denied if {
	spec := {"volumes": [{"name": "root", "hostPath": {"path": "/"}}, {"name": "tmp", "emptyDir": {}}]}
	host_access.deny == {"volume \"root\" is hostPath /, which namespace default does not allow"} with input as review("default", spec)
}

test_ordinary_pod_is_allowed if {
	count(host_access.deny) == 0 with input as review("default", {"containers": []})
}

test_kube_system_is_allowed if {
	count(host_access.deny) == 0 with input as review("kube-system", {"hostNetwork": true})
}
