# Names with * for any text, at their start or end.
package lib.names

listed(name, patterns) if name in patterns

listed(name, patterns) if {
	some pattern in patterns
	endswith(pattern, "*")
	startswith(name, trim_suffix(pattern, "*"))
}

listed(name, patterns) if {
	some pattern in patterns
	startswith(pattern, "*")
	endswith(name, trim_prefix(pattern, "*"))
}

protected_namespace if listed(input.request.namespace, data.sealgate.protectedNamespaces)

host_namespace if listed(input.request.namespace, data.sealgate.hostNamespaces)

production if listed(input.request.namespace, data.sealgate.productionNamespaces)
