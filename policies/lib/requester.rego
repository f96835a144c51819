# Who asks. The control plane's own identities are exempt where denying them would stop the cluster from working.
package lib.requester

username := input.request.userInfo.username

groups contains group if some group in input.request.userInfo.groups

# The API server itself, the control plane's components, the kubelets, and the controllers, which use service accounts
# of kube-system.
is_system if username == "system:apiserver"

is_system if startswith(username, "system:kube-")

is_system if is_node

is_system if startswith(username, "system:serviceaccount:kube-system:")

is_node if {
	startswith(username, "system:node:")
	"system:nodes" in groups
}

is_operator if {
	some group in data.sealgate.operatorGroups
	group in groups
}

is_anonymous if username == "system:anonymous"

is_anonymous if "system:unauthenticated" in groups
