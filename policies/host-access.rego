# METADATA
# title: No access to the host
# description: >-
#   hostNetwork, hostPID, hostIPC and hostPath volumes reach around every other boundary. Only namespaces of
#   data.sealgate.hostNamespaces may use them.
# custom:
#   action: deny
#   severity: high
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob]
#   controls:
#     - PCI-DSS-4.0:2.2.6
#     - PCI-DSS-4.0:7.2.5
#     - HIPAA-164.312(a)(1)
#     - GDPR-32
#     - CIS-Kubernetes-1.8:5.2.5
#     - CIS-Kubernetes-1.8:5.2.12
#   remediation: Use a Service for the network, and a PersistentVolumeClaim, emptyDir or projected volume for files.
package admission.host_access

import data.lib.names
import data.lib.workloads

deny contains message if {
	applies
	some setting in ["hostNetwork", "hostPID", "hostIPC"]
	workloads.spec[setting] == true
	message := sprintf("%s is not allowed in namespace %s", [setting, input.request.namespace])
}

deny contains message if {
	applies
	some volume in workloads.spec.volumes
	volume.hostPath
	message := sprintf("volume %q is hostPath %s, which namespace %s does not allow", [
		volume.name,
		object.get(volume.hostPath, "path", ""),
		input.request.namespace,
	])
}

applies if {
	workloads.changed
	not names.host_namespace
}
