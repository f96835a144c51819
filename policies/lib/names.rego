# Names with * for any text.
package lib.names

listed(name, patterns) if {
	some pattern in patterns
	glob.match(pattern, null, name)
}

protected_namespace if listed(input.request.namespace, data.sealgate.protectedNamespaces)

host_namespace if listed(input.request.namespace, data.sealgate.hostNamespaces)

production if listed(input.request.namespace, data.sealgate.productionNamespaces)
