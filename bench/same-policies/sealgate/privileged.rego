# METADATA
# title: No privileged containers
# custom:
#   action: deny
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [Pod]
package admission.privileged

deny contains message if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some container in input.request.object.spec[field]
	container.securityContext.privileged == true
	message := sprintf("container %s is privileged", [container.name])
}
