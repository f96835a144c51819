# METADATA
# title: Production changes are approved
# description: >-
#   A new or changed workload in a production namespace carries the annotations sealgate.dev/approved-by, somebody other
#   than who applies it, and sealgate.dev/change, the reference of the change, which a later change must renew. The
#   annotation is a claim by who applies it; the record keeps claim and claimant together.
# custom:
#   action: deny
#   severity: high
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob]
#   controls:
#     - PCI-DSS-4.0:6.5.1
#     - HIPAA-164.312(c)(1)
#     - GDPR-32
#   remediation: Have the change approved and set sealgate.dev/approved-by and sealgate.dev/change.
package admission.approval

import data.lib.names
import data.lib.requester
import data.lib.workloads

deny contains message if {
	applies
	approver == ""
	message := sprintf("%s in namespace %s needs the annotation sealgate.dev/approved-by", [subject, input.request.namespace])
}

deny contains message if {
	applies
	approver == requester.username
	message := sprintf("%s may not approve their own change of %s", [requester.username, subject])
}

deny contains message if {
	applies
	approver != ""
	count(data.sealgate.approvers) > 0
	not approver in data.sealgate.approvers
	message := sprintf("%s is not among those who may approve changes in production", [approver])
}

deny contains message if {
	applies
	change == ""
	message := sprintf("%s in namespace %s needs the annotation sealgate.dev/change", [subject, input.request.namespace])
}

deny contains message if {
	applies
	change != ""
	change == annotation(input.request.oldObject, "sealgate.dev/change")
	message := sprintf("sealgate.dev/change is still %q: a new change of %s needs its own reference", [change, subject])
}

# The control plane makes pods of workloads that were approved, and keeps their status.
applies if {
	names.production
	workloads.changed
	not requester.is_system
}

subject := sprintf("%s %s", [input.request.kind.kind, input.request.name])

approver := annotation(input.request.object, "sealgate.dev/approved-by")

change := annotation(input.request.object, "sealgate.dev/change")

annotation(object_with, key) := trim_space(object.get(object_with, ["metadata", "annotations", key], ""))
