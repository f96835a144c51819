package admission.resource_limits_test

import data.admission.resource_limits

review(resources) := {"request": {
	"operation": "CREATE",
	"kind": {"kind": "Pod"},
	"namespace": "default",
	"userInfo": {"username": "alice"},
	"object": {"spec": {"containers": [{"name": "web", "resources": resources}]}},
}}

test_missing_resources_are_a_warning if {
	resource_limits.warn == {"container \"web\" does not state resources.limits.memory and resources.requests.cpu"} with input as review({})
	resource_limits.warn == {"container \"web\" does not state resources.requests.cpu"} with input as review({"limits": {"memory": "1Gi"}})
}

test_stated_resources_are_silent if {
	count(resource_limits.warn) == 0 with input as review({"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m"}})
}
