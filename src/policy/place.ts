// Where a rule is, for the message of a failure.

/** For example `deny at images.rego:12`. */
export function placeOf({ rule, location }: { readonly rule: string; readonly location: string }): string {
  return `${rule} at ${location}`;
}
