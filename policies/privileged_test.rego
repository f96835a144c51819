package admission.privileged_test

import data.admission.privileged

review(kind, namespace, object) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "", "version": "v1", "kind": kind},
	"namespace": namespace,
	"object": object,
}}

container := {"name": "shell", "securityContext": {"privileged": true}}

pod := {"spec": {"containers": [container]}}

message := "container \"shell\" is privileged, which namespace default does not allow"

test_privileged_pod_is_denied_naming_the_container if {
	privileged.deny == {message} with input as review("Pod", "default", pod)
}

test_ordinary_pod_is_allowed if {
	count(privileged.deny) == 0 with input as review("Pod", "default", {"spec": {"containers": [{"name": "shell"}]}})
}

test_templates_are_looked_into if {
	template := {"template": pod}
	every kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"] {
		privileged.deny == {message} with input as review(kind, "default", {"spec": template})
	}
	privileged.deny == {message} with input as review("CronJob", "default", {"spec": {"jobTemplate": {"spec": template}}})
}

test_init_and_ephemeral_containers_are_looked_into if {
	object := {"spec": {"containers": [{"name": "a"}], "initContainers": [container], "ephemeralContainers": [container]}}
	privileged.deny == {
		"init container \"shell\" is privileged, which namespace default does not allow",
		"ephemeral container \"shell\" is privileged, which namespace default does not allow",
	} with input as review("Pod", "default", object)
}

test_dangerous_capability_is_denied if {
	object := {"spec": {"containers": [{"name": "a", "securityContext": {"capabilities": {"add": ["CAP_SYS_ADMIN", "CHOWN"]}}}]}}
	privileged.deny == {"container \"a\" adds capability CAP_SYS_ADMIN, which namespace default does not allow"} with input as review("Pod", "default", object)
}

test_host_process_is_denied if {
	object := {"spec": {"securityContext": {"windowsOptions": {"hostProcess": true}}, "containers": []}}
	privileged.deny == {"the pod is a host process, which namespace default does not allow"} with input as review("Pod", "default", object)
}

test_kube_system_is_allowed if {
	count(privileged.deny) == 0 with input as review("Pod", "kube-system", pod)
}

test_update_that_keeps_the_specification_is_allowed if {
	update := {"request": {
		"operation": "UPDATE",
		"kind": {"kind": "Pod"},
		"namespace": "default",
		"object": object.union(pod, {"metadata": {"finalizers": []}}),
		"oldObject": object.union(pod, {"metadata": {"finalizers": ["x"]}}),
	}}
	count(privileged.deny) == 0 with input as update
}

test_update_that_changes_the_specification_is_denied if {
	update := {"request": {
		"operation": "UPDATE",
		"kind": {"kind": "Pod"},
		"namespace": "default",
		"object": pod,
		"oldObject": {"spec": {"containers": []}},
	}}
	privileged.deny == {message} with input as update
}
