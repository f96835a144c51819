package admission.serviceaccount_tokens_test

import data.admission.serviceaccount_tokens as policy

token(namespace, user) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"},
	"subResource": "token",
	"namespace": namespace,
	"name": "deployment-controller",
	"userInfo": user,
}}

secret(namespace, type) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "", "version": "v1", "kind": "Secret"},
	"namespace": namespace,
	"name": "t",
	"userInfo": {"username": "alice", "groups": []},
	"object": {"type": type, "metadata": {"annotations": {"kubernetes.io/service-account.name": "job-controller"}}},
}}

alice := {"username": "alice", "groups": ["system:authenticated"]}

test_token_of_a_controller_is_denied if {
	policy.deny == {"alice may not ask for a token of service account kube-system/deployment-controller"} with input as token("kube-system", alice)
}

test_token_elsewhere_is_allowed if {
	count(policy.deny) == 0 with input as token("default", alice)
}

test_kubelet_gets_tokens_for_its_pods if {
	kubelet := {"username": "system:node:n1", "groups": ["system:nodes"]}
	count(policy.deny) == 0 with input as token("kube-system", kubelet)
}

test_a_name_like_a_kubelet_is_not_enough if {
	count(policy.deny) == 1 with input as token("kube-system", {"username": "system:node:n1", "groups": []})
}

test_controller_manager_gets_tokens if {
	count(policy.deny) == 0 with input as token("kube-system", {"username": "system:kube-controller-manager"})
}

test_long_lived_token_is_denied if {
	policy.deny == {"alice may not create a long-lived token for service account kube-system/job-controller"} with input as secret("kube-system", "kubernetes.io/service-account-token")
}

test_other_secret_is_allowed if {
	count(policy.deny) == 0 with input as secret("kube-system", "Opaque")
}
