// How a built-in says that it has no value for its arguments.

/** Undefined in the policy, as in OPA outside of strict mode. */
export class BuiltinError extends Error {
  override readonly name = 'BuiltinError';
}
