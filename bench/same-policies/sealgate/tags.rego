# METADATA
# title: Images have a tag
# custom:
#   action: deny
#   match:
#     operations: [CREATE, UPDATE]
#     kinds: [Pod]
package admission.tags

deny contains message if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some container in input.request.object.spec[field]
	floats(container.image)
	message := sprintf("container %s runs %s", [container.name, container.image])
}

floats(image) if endswith(image, ":latest")

floats(image) if {
	not contains(image, "@")
	parts := split(image, "/")
	not contains(parts[count(parts) - 1], ":")
}
