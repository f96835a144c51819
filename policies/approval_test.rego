package admission.approval_test

import data.admission.approval

review(namespace, user, annotations) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
	"namespace": namespace,
	"name": "web",
	"userInfo": {"username": user, "groups": ["system:authenticated"]},
	"object": deployment(annotations, "a"),
	"oldObject": null,
}}

deployment(annotations, image) := {
	"metadata": {"annotations": annotations},
	"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
}

approved := {"sealgate.dev/approved-by": "alice", "sealgate.dev/change": "CHG-1"}

update(old, new) := {"request": {
	"operation": "UPDATE",
	"kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
	"namespace": "production",
	"name": "web",
	"userInfo": {"username": "bob", "groups": []},
	"object": new,
	"oldObject": old,
}}

test_workload_without_approval_is_denied if {
	approval.deny == {
		"Deployment web in namespace production needs the annotation sealgate.dev/approved-by",
		"Deployment web in namespace production needs the annotation sealgate.dev/change",
	} with input as review("production", "bob", {})
}

test_own_approval_is_denied if {
	approval.deny == {"alice may not approve their own change of Deployment web"} with input as review("production", "alice", approved)
}

test_approval_by_another_is_allowed if {
	count(approval.deny) == 0 with input as review("production", "bob", approved)
}

test_approver_must_be_listed_where_there_is_a_list if {
	approval.deny == {"alice is not among those who may approve changes in production"} with input as review("production", "bob", approved) with data.sealgate.approvers as ["carol"]
}

test_other_namespaces_need_no_approval if {
	count(approval.deny) == 0 with input as review("default", "bob", {})
}

test_controllers_need_no_approval if {
	count(approval.deny) == 0 with input as review("production", "system:serviceaccount:kube-system:replicaset-controller", {})
}

test_change_reference_must_be_renewed if {
	approval.deny == {"sealgate.dev/change is still \"CHG-1\": a new change of Deployment web needs its own reference"} with input as update(deployment(approved, "a"), deployment(approved, "b"))
	renewed := object.union(approved, {"sealgate.dev/change": "CHG-2"})
	count(approval.deny) == 0 with input as update(deployment(approved, "a"), deployment(renewed, "b"))
}

test_update_that_changes_nothing_that_runs_needs_no_approval if {
	count(approval.deny) == 0 with input as update(deployment({}, "a"), deployment({"note": "x"}, "a"))
}
