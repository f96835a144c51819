# METADATA
# title: No namespaces of the node
# custom:
#   action: deny
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [Pod]
package admission.host

deny contains message if {
	some field in ["hostNetwork", "hostPID", "hostIPC"]
	input.request.object.spec[field] == true
	message := sprintf("the pod asks for %s", [field])
}
