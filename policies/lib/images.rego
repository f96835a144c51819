# References of container images, as container runtimes read them.
package lib.images

# With the registry and path that a short name stands for: nginx is docker.io/library/nginx.
full_name(image) := image if has_registry(image)

full_name(image) := sprintf("docker.io/%s", [image]) if {
	not has_registry(image)
	contains(image, "/")
}

full_name(image) := sprintf("docker.io/library/%s", [image]) if not contains(image, "/")

has_registry(image) if {
	parts := split(image, "/")
	count(parts) > 1
	is_host(parts[0])
}

is_host("localhost")

is_host(name) if contains(name, ".")

is_host(name) if contains(name, ":")

# Without a regular expression, because this runs for every container of every request.
by_digest(image) if {
	parts := split(image, "@sha256:")
	count(parts) == 2
	count(parts[1]) == 64
	trim(parts[1], "0123456789abcdef") == ""
}

# The tag, latest when there is neither a tag nor a digest.
tag(image) := name if {
	not contains(image, "@")
	parts := split(last_part(image), ":")
	count(parts) == 2
	name := parts[1]
}

tag(image) := "latest" if {
	not contains(image, "@")
	not contains(last_part(image), ":")
}

last_part(image) := parts[count(parts) - 1] if parts := split(image, "/")

# A registry covers its paths, and a path what is below it.
from_allowed_registry(image) if {
	some registry in data.sealgate.allowedRegistries
	startswith(full_name(image), sprintf("%s/", [trim_suffix(registry, "/")]))
}
