import { describe, expect, it } from 'vitest';
import { HOST_BUILTINS } from '../../../src/policy/builtins/registry.ts';
import { HEAVY_BUILTINS } from '../../../src/policy/heavy-builtins.ts';

describe('the built-ins that may run for long', () => {
  it('are built-ins of the host', () => {
    const unknown = [...HEAVY_BUILTINS].filter((name) => !HOST_BUILTINS.has(name));
    expect(unknown).toEqual([]);
  });

  it('are all that are not in the list of those that are known to be quick', () => {
    // A new built-in has to be put in one of the two lists.
    expect([...HOST_BUILTINS.keys()].filter((name) => !HEAVY_BUILTINS.has(name)).sort()).toEqual(QUICK);
  });
});

const QUICK = `
  base64.decode base64.is_valid base64url.decode base64url.encode_no_pad cast_array cast_boolean cast_null cast_object
  cast_set cast_string crypto.hmac.equal crypto.hmac.md5 crypto.hmac.sha1 crypto.hmac.sha256 crypto.hmac.sha512
  crypto.md5 crypto.sha1 crypto.sha256 format_int glob.quote_meta hex.decode hex.encode indexof internal.print
  io.jwt.decode io.jwt.verify_hs256 io.jwt.verify_hs384 io.jwt.verify_hs512 json.filter json.is_valid json.marshal json.remove
  json.unmarshal
  net.cidr_is_valid rand.intn replace semver.compare semver.is_valid sprintf strings.count strings.split_n time.now_ns
  time.parse_duration_ns time.parse_ns time.parse_rfc3339_ns trace units.parse units.parse_bytes uri.is_valid
  uri.parse urlquery.decode urlquery.encode urlquery.encode_object uuid.parse uuid.rfc4122
  yaml.marshal
`
  .trim()
  .split(/\s+/);
