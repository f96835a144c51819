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

/** Beginnings of the names of built-ins that OPA has and policies here may not use, and why. docs/policies.md lists them. */
const REFUSED: readonly (readonly [prefix: string, reason: string])[] = [
  ['http.send', 'policies must not reach the network'],
  ['net.lookup_ip_addr', 'policies must not reach the network'],
  ['opa.runtime', 'there is no OPA runtime around the policy'],
  ['rego.parse_module', 'there is no parser of Rego where policies are evaluated'],
  ['providers.aws.', 'requests are not signed here, because policies must not reach the network'],
  ['graphql.', 'an admission request holds no GraphQL'],
];

/** Why a built-in that OPA has is not there, for the message. */
export function refusalReason(name: string): string {
  const known = REFUSED.find(([prefix]) => name.startsWith(prefix));
  return known?.[1] ?? 'this version of Sealgate does not know it';
}

/** Whether the built-in is left out on purpose. */
export function isRefused(name: string): boolean {
  return REFUSED.some(([prefix]) => name.startsWith(prefix));
}
