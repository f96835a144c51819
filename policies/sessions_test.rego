package admission.sessions_test

import data.admission.sessions

test_session_is_marked if {
	review := {"request": {
		"operation": "CONNECT",
		"subResource": "exec",
		"namespace": "default",
		"name": "web",
		"userInfo": {"username": "alice"},
		"object": {"kind": "PodExecOptions", "command": ["mysql", "-psecret"]},
	}}
	sessions.violation == {{"msg": "alice opened exec on default/web", "pod": "web", "session": "exec"}} with input as review
}
