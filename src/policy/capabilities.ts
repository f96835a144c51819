// Which built-ins a policy may use: OPA's own capabilities, less what neither Wasm nor our host can do. Given to `opa
// build`, so that a policy that needs more fails where it is written and not on a request.
import { COMPILED_AWAY, NATIVE_BUILTINS } from './builtins/native.ts';
import { HOST_BUILTINS } from './builtins/registry.ts';

interface Capabilities {
  readonly builtins: readonly { readonly name: string }[];
}

/** What `opa capabilities --current` prints, filtered; the names that were taken out stand beside it. */
export function supportedCapabilities(current: string): { json: string; refused: ReadonlySet<string> } {
  const all: Capabilities = JSON.parse(current);
  const refused = new Set(all.builtins.map((builtin) => builtin.name).filter((name) => !isSupported(name)));
  const builtins = all.builtins.filter((builtin) => !refused.has(builtin.name));
  // allow_net: [] keeps the compiler itself from fetching remote schemas.
  return { json: JSON.stringify({ ...all, builtins, allow_net: [] }), refused };
}

export function isSupported(name: string): boolean {
  return NATIVE_BUILTINS.has(name) || HOST_BUILTINS.has(name) || COMPILED_AWAY.has(name);
}

/** Why a built-in that OPA has is not there, for the message. */
export function refusalReason(name: string): string {
  if (name === 'http.send' || name === 'net.lookup_ip_addr') return 'policies must not reach the network';
  if (name === 'opa.runtime') return 'there is no OPA runtime around the policy';
  return 'it is not available to policies compiled to Wasm here';
}
