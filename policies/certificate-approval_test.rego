package admission.certificate_approval_test

import data.admission.certificate_approval as policy

review(requester, approver, old) := {"request": {
	"operation": "UPDATE",
	"subResource": "approval",
	"name": "csr-1",
	"userInfo": {"username": approver},
	"object": {"spec": {"username": requester}, "status": {"conditions": [{"type": "Approved", "status": "True"}]}},
	"oldObject": {"spec": {"username": requester}, "status": old},
}}

test_own_request_is_denied if {
	policy.deny == {"alice may not approve certificate request csr-1, which is their own"} with input as review("alice", "alice", {})
}

test_request_of_another_is_allowed if {
	count(policy.deny) == 0 with input as review("bob", "alice", {})
}

test_request_approved_before_is_allowed if {
	count(policy.deny) == 0 with input as review("alice", "alice", {"conditions": [{"type": "Approved"}]})
}
