package admission.images_test

import data.admission.images
import data.lib.images as reference

digest := "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

pinned := sprintf("registry.k8s.io/pause@%s", [digest])

review(namespace, image) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "", "version": "v1", "kind": "Pod"},
	"namespace": namespace,
	"object": {"spec": {"containers": [{"name": "web", "image": image}]}},
}}

test_tag_in_production_is_denied if {
	images.deny == {"container \"web\": image \"registry.k8s.io/pause:3.10\" must be named by digest in namespace shop-prod"} with input as review("shop-prod", "registry.k8s.io/pause:3.10")
}

test_foreign_registry_in_production_is_denied if {
	image := sprintf("nginx@%s", [digest])
	images.deny == {sprintf("container \"web\": image %q is not from a registry that namespace production allows (registry.k8s.io)", [image])} with input as review("production", image)
}

test_digest_from_allowed_registry_is_allowed if {
	count(images.deny) == 0 with input as review("production", pinned)
}

test_registry_is_not_a_prefix_of_a_name if {
	count(images.deny) == 1 with input as review("production", sprintf("registry.k8s.io.evil.example/pause@%s", [digest]))
}

test_a_short_digest_is_none if {
	not reference.by_digest("registry.k8s.io/pause@sha256:0123")
	not reference.by_digest(sprintf("registry.k8s.io/pause@%s0", [digest]))
	not reference.by_digest(upper(pinned))
	reference.by_digest(pinned)
}

test_missing_image_in_production_is_denied if {
	review_without := {"request": {
		"operation": "CREATE",
		"kind": {"kind": "Pod"},
		"namespace": "production",
		"object": {"spec": {"containers": [{"name": "web", "image": ""}]}},
	}}
	count(images.deny) > 0 with input as review_without
}

test_tag_elsewhere_is_a_warning if {
	count(images.deny) == 0 with input as review("default", "nginx:1.27")
	images.warn == {"container \"web\": tag \"1.27\" of image \"nginx:1.27\" can change under you; name the image by digest"} with input as review("default", "nginx:1.27")
	count(images.warn) == 1 with input as review("default", "localhost:5000/nginx")
}

test_digest_elsewhere_is_silent if {
	count(images.deny) + count(images.warn) == 0 with input as review("default", pinned)
}

test_short_names if {
	reference.full_name("nginx") == "docker.io/library/nginx"
	reference.full_name("acme/web:1") == "docker.io/acme/web:1"
	reference.full_name("localhost/web") == "localhost/web"
	reference.full_name("r.example/web") == "r.example/web"
	reference.full_name("localhost:5000/web") == "localhost:5000/web"
}
