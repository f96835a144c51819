# Calls whose results must be those of opa eval: test/unit/policy/builtins.test.ts compares each key of r. Templates by the
# thousand are compared in template.test.ts; these are about what the variables may be.
package q

variables := [
	{"a": "x"},
	{"a": 1.0},
	{"a": 12345678901234567890123},
	{"a": 1e400},
	{"a": null},
	{"a": [1, {"b": [true, null]}]},
	{"a": {"b": {"c": "<no value>"}}},
	{"a": {1, 2}},
	{"a": set()},
	{"a": {3: "key"}},
	{3: "key"},
	{"a": "\u0001"},
	{"a": "\u007f"},
	{"a": "tab\tquote\"line\nslash\\\u2028\u00ad😀"},
	{"ä": "umlaut", "b": 2, "B": 3},
	{},
	["no object"],
	"no object",
]

texts := ["{{.a}}", "{{.}}", "{{.a.b.c}}", "{{printf `%v %d %T %#v` .a .a .a .a}}", "{{len .a}}", "{{range $k, $v := .}}{{$k}}={{$v}} {{end}}", "", 3]

r := {"strings.render_template": [[i, t, v] |
	some i, x in variables
	some t in texts
	v := strings.render_template(t, x)
]}
