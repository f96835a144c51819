// Runs one conformance case through the host that the pod uses and compares as OPA's own runner of Wasm does
// (internal/wasm/sdk/test/e2e/external_test.go).
import { PolicyAbort, PolicyInstance } from '../../src/policy/host.ts';
import { withReplacedNatives } from '../../src/policy/replaced-natives.ts';
import { compareValues, printValue, RegoObject, RegoSet, type Value, writeValue } from '../../src/policy/terms.ts';
import { parseValue } from '../../src/policy/terms-parse.ts';
import { builtinContext } from '../support/builtin-context.ts';
import type { Case } from './cases.ts';

const MAX_MEMORY_BYTES = 256 * 1024 * 1024;

/** What the module says, by the error code that OPA's evaluator gives there. */
const ABORTS: Readonly<Record<string, RegExp>> = {
  eval_conflict_error: /var assignment conflict|object insert conflict/,
};

/** Undefined when the case passes, else what is wrong with it. `now` is the time that it sees, in nanoseconds. */
export async function judge(test: Case, now: bigint): Promise<string | undefined> {
  if (test.compile_error !== undefined) return `does not compile: ${test.compile_error}`;
  let results: RegoSet;
  try {
    results = await evaluate(test, now);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (test.want_result !== undefined || !test.want_error || test.strict_error)
      return `unexpected error: ${error.message}`;
    const wanted = ABORTS[test.want_code ?? ''];
    if (error instanceof PolicyAbort && wanted?.test(error.message)) return undefined;
    return `expected ${test.want_code}, got ${error.name}: ${error.message}`;
  }
  if (test.want_defined !== undefined) {
    const defined = results.members.length > 0;
    return defined === test.want_defined ? undefined : `expected ${test.want_defined ? 'a' : 'no'} result`;
  }
  // An error of a built-in that only strict evaluation raises is undefined otherwise; some cases give that result, too.
  if (test.want_result === undefined && !test.strict_error)
    return `expected ${test.want_code}, got ${printValue(results)}`;
  const wanted = new RegoSet(resultList(test.want_result));
  const got = new RegoSet(results.members.map((result) => asJson(result, test)));
  return compareValues(wanted, got) === 0 ? undefined : `expected ${printValue(wanted)}, got ${printValue(got)}`;
}

async function evaluate(test: Case, now: bigint): Promise<RegoSet> {
  const module = await WebAssembly.compile(withReplacedNatives(test.module));
  const data = Buffer.from(test.data ?? '{}');
  const instance = new PolicyInstance({ module, data, maxMemoryBytes: MAX_MEMORY_BYTES });
  if (test.input !== undefined) instance.setInput(Buffer.from(test.input));
  return instance.results('eval', builtinContext({ now }));
}

function resultList(text = '[]'): Value[] {
  const value = parseValue(text);
  if (!Array.isArray(value)) throw new TypeError(`the wanted result is no list: ${text}`);
  return value;
}

/** One result as JSON holds it, with the bindings that are arrays in order when the case asks for that. */
function asJson(result: Value, test: Case): Value {
  const object = jsonForm(result);
  if (!(object instanceof RegoObject)) throw new TypeError('a result is no object');
  const bindings = object.entries.filter(([name]) => !test.ignore_locals || !String(name).startsWith('__localq'));
  return new RegoObject(
    bindings.map(([name, value]) => [
      name,
      test.sort_bindings && Array.isArray(value) ? value.toSorted(compareValues) : value,
    ]),
  );
}

/** Sets become arrays, and keys that are not strings their JSON text; numbers stay exact. */
function jsonForm(value: Value): Value {
  if (Array.isArray(value)) return value.map(jsonForm);
  if (value instanceof RegoSet) return value.members.map(jsonForm);
  if (!(value instanceof RegoObject)) return value;
  return new RegoObject(
    value.entries.map(([key, item]) => [typeof key === 'string' ? key : writeValue(jsonForm(key)), jsonForm(item)]),
  );
}
