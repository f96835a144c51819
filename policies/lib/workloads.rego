# Pods, and everything that makes pods from a template, seen the same way.
package lib.workloads

object := input.request.object

kind := input.request.kind.kind

# The pod's specification, wherever the kind keeps it.
spec := pod_spec(kind, object)

pod_spec("Pod", pod) := pod.spec

pod_spec(name, workload) := workload.spec.template.spec if {
	name in {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"}
}

pod_spec("CronJob", job) := job.spec.jobTemplate.spec.template.spec

# An update that leaves the specification as it was brings nothing new: labels and finalizers of a pod from before the
# policy must stay changeable, or it could never be deleted.
changed if input.request.operation == "CREATE"

changed if {
	input.request.operation == "UPDATE"
	not unchanged
}

unchanged if pod_spec(kind, input.request.oldObject) == spec

# Every container that runs, with what it is.
containers contains {"type": "container", "container": container} if some container in spec.containers

containers contains {"type": "init container", "container": container} if some container in spec.initContainers

containers contains {"type": "ephemeral container", "container": container} if some container in spec.ephemeralContainers

# For messages: container "web", init container "setup".
describe(entry) := sprintf("%s %q", [entry.type, entry.container.name])
