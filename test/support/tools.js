// The pinned tools (opa, etcd, kube-apiserver, kubectl, tlogcheck), as tests reach them.
import { toolPath as pinnedToolPath } from '../../tools/tool-path.js';
/** Path of a tool: $SEALGATE_TOOL_<NAME>, else the cache by the version in its go.mod. Throws, saying `make tools`, when it is not there. */
export function toolPath(name) {
    return pinnedToolPath(name);
}
