# Calls whose results must be those of opa eval: test/unit/policy/builtins.test.ts compares each key of r.
package q

layouts := ["ANSIC", "UnixDate", "RubyDate", "RFC822", "RFC822Z", "RFC850", "RFC1123", "RFC1123Z", "RFC3339", "RFC3339Nano", "2006-01-02", "02/Jan/2006:15:04:05 -0700", "Jan _2 15:04:05.000", "3:04PM", "15h04m05s,999", "Monday January 2 06 03:04:05 pm Z07:00:00", "2006-002", "__2 -07 Z07 Z0700 -07:00", "20060102150405", "Janx Monx January", "_2006 _2", "1/2/06 5", "2006-01-02T15:04:05.9999Z07:00", "-070000 Z070000", ".00x ,9 .001", ""]

moments := [0, 1700000000123456789, 1719835199000000000, 951782400500000000, 4000000000000000000, 1711846800000000000, 1711846799999999999]

zones := ["", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Tehran", "America/Sao_Paulo", "Australia/Sydney", "Africa/Johannesburg", "Nope"]

texts := ["2024-02-29", "2024-2-9", "2023-02-29", "29/Feb/2024:12:34:56 +0230", "Feb  9 01:02:03.123", "3:04AM", "12:04PM", "12:04AM", "13:04PM", "15h04m05s", "15h04m05s,123", "Thursday January 4 24 03:04:05 pm +01:00:00", "2024-060", "2024-366", "2023-366", "20240102150405", "2024-01-02T15:04:05.12345+01:30", "2024-01-02T15:04:05Z", "2024-01-02T5:04:05,5Z", "Mon Jan  2 15:04:05 2006", "Mon Jan 2 15:04:05 MST 2006", "Mon Jan 02 15:04:05 -0700 2006", "02 Jan 06 15:04 CEST", "02 Jan 06 15:04 GMT+3", "02 Jan 06 15:04 -0700", "Monday, 02-Jan-06 15:04:05 WITA", "mon, 02 jan 2006 15:04:05 UTC", "Mon, 02 Jan 2006 15:04:05 +2400", "Mon, 02 Jan 2006 15:04:05 +2500", "3:04am", " 3:04PM", "1/2/69 5", "1/2/68 59", "12/31/99 60", "2024-01-02 ", "_2024 _2", "_2024  2", "  9 -07 Z Z -07:00", "100 +01 +02 -0330 +04:30", ""]

steps := [[0, 0, 0], [1, 1, 1], [0, 1, 0], [-1, -13, 400], [0, 0, -1], [0, 0, 1], [100, 0, 0], [1000, 0, 0], [0, 12, -31]]

r := {
	"time.format": [[[m, z, l], v] | some m in moments; some z in zones; some l in layouts; v := time.format([m, z, l])],
	"time.parse_ns": [[[l, t], v] | some l in layouts; some t in texts; v := time.parse_ns(l, t)],
	"time.add_date": [[[m, s], v] | some m in moments; some s in steps; v := time.add_date(m, s[0], s[1], s[2])],
	"time.diff": [[[a, b, z], v] | some a in moments; some b in moments; some z in zones; v := time.diff([a, z], [b, "Asia/Tokyo"])],
}
