// Why a rule held: the values of its variables whenever it did, taken from the trace of OPA itself on the same policies and the
// same input.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SealgateError } from '../lib/errors.ts';
import type { StagedFolder } from './bundle.ts';
import { runOpa } from './opa.ts';
import { printValue, RegoObject, RegoSet, type Value } from './terms.ts';

/** One time that a rule held. */
export interface Firing {
  /** Package and name, for example `admission.images.deny`. */
  readonly rule: string;
  readonly file: string;
  readonly line: number;
  /** By the names that the source gives its variables, as Rego, in the order of the source. */
  readonly values: readonly { readonly name: string; readonly value: string }[];
}

interface Term {
  readonly type: string;
  readonly value: unknown;
}

interface TraceEvent {
  readonly Op: string;
  readonly Node?: { readonly head?: { readonly name?: string; readonly ref?: readonly Term[] } };
  readonly Location?: { readonly file: string; readonly row: number };
  readonly Locals?: readonly (Term & { readonly name: string })[];
  readonly LocalMetadata?: Readonly<
    Record<string, { readonly name: string; readonly location: { readonly row: number; readonly col: number } | null }>
  >;
}

/** Most times that are told of one rule. */
const MAX_FIRINGS = 100;
const MAX_VALUE_CHARS = 400;

/** Evaluates `rules` (`admission.images.deny`) on the input with OPA; helpers that held are among the firings. */
export async function traceRules(
  opa: string,
  { dir, work }: StagedFolder,
  rules: readonly string[],
  input: Uint8Array,
): Promise<Firing[]> {
  writeFileSync(join(work, 'input.json'), input);
  const firings: Firing[] = [];
  for (const rule of rules) {
    const query = `data${rule
      .split('.')
      .map((part) => `[${JSON.stringify(part)}]`)
      .join('')}`;
    const args = ['eval', '--format=json', '--explain=full', '--bundle', '.', '--input=../input.json', query];
    const output = await runOpa(opa, args, dir);
    const { explanation = [], errors = [] }: { explanation?: TraceEvent[]; errors?: { message: string }[] } =
      output.stdout === '' ? {} : JSON.parse(output.stdout);
    if (!output.ok)
      throw new SealgateError(
        'POLICY_FAILED',
        `opa eval of ${rule} failed: ${errors[0]?.message ?? output.stderr.trim()}`,
      );
    const held = explanation.filter(
      ({ Op, Node, Location }) =>
        Op === 'Exit' && Node?.head !== undefined && Location !== undefined && Location.file !== '',
    );
    firings.push(...held.slice(0, MAX_FIRINGS).map((event) => firingOf(event)));
  }
  return unique(firings);
}

function firingOf({ Node, Location, Locals = [], LocalMetadata = {} }: TraceEvent): Firing {
  const named = Locals.flatMap(({ name, ...term }) => {
    const source = LocalMetadata[name];
    // What the compiler made has no place in the source.
    if (source?.location == null || source.name.startsWith('__local')) return [];
    return [{ ...source.location, name: source.name, value: shorten(printValue(groundValue(term))) }];
  });
  named.sort((a, b) => a.row - b.row || a.col - b.col);
  return {
    rule: nameOf(Node?.head),
    file: (Location?.file ?? '').replace(/^\.?\//, ''),
    line: Location?.row ?? 0,
    values: named.map(({ name, value }) => ({ name, value })),
  };
}

function nameOf(head: NonNullable<TraceEvent['Node']>['head']): string {
  return head?.name ?? String(head?.ref?.[0]?.value ?? '');
}

/** A term of OPA's syntax tree that is ground. */
function groundValue({ type, value }: Term): Value {
  if (type === 'array') return (value as Term[]).map(groundValue);
  if (type === 'set') return new RegoSet((value as Term[]).map(groundValue));
  if (type === 'object')
    return new RegoObject((value as [Term, Term][]).map(([key, item]) => [groundValue(key), groundValue(item)]));
  if (type === 'string' || type === 'number' || type === 'boolean') return value as Value;
  return null;
}

function shorten(text: string): string {
  return text.length <= MAX_VALUE_CHARS ? text : `${text.slice(0, MAX_VALUE_CHARS)}… (${text.length} characters)`;
}

function unique(firings: readonly Firing[]): Firing[] {
  return [...new Map(firings.map((firing) => [JSON.stringify(firing), firing])).values()];
}
