// The built-ins that OPA 1.22 compiles into the Wasm module itself (internal/compiler/wasm/wasm.go, builtinsFunctions).
// A test builds a policy with each and sees that the module asks the host for none of them. Those that it gets wrong are in
// corrected.ts and json-paths.ts instead.

export const NATIVE_BUILTINS: ReadonlySet<string> = new Set(
  `
  plus minus mul div abs round ceil floor rem
  array.concat array.flatten array.reverse array.slice
  set_diff and or intersection union
  is_number is_string is_boolean is_array is_set is_object is_null type_name
  bits.or bits.and bits.negate bits.xor bits.lsh bits.rsh
  count sum product max min sort all any
  base64.encode base64url.encode
  net.cidr_contains net.cidr_overlap net.cidr_intersects
  equal gt gte lt lte neq
  glob.match
  object.filter object.get object.keys object.remove object.union object.union_n
  concat substring lower upper contains startswith endswith strings.reverse split
  strings.replace_n trim trim_left trim_prefix trim_right trim_suffix trim_space internal.template_string
  numbers.range to_number walk graph.reachable
  regex.is_valid regex.match re_match regex.find_all_string_submatch_n
  internal.member_2 internal.member_3
  `
    .trim()
    .split(/\s+/),
);

/**
 * What the compiler itself takes care of: infix forms, `print` (rewritten to internal.print), rego.metadata (to data).
 */
export const COMPILED_AWAY: ReadonlySet<string> = new Set(
  'assign eq print rego.metadata.chain rego.metadata.rule internal.test_case'.split(' '),
);
