// Holds each conformance case to it that a query gives the same on what it reads of its input, cut out as on the main thread, as on all
// of it: on the input of the case, and on inputs that are changed at random, with members that nobody asks for and values of other types.
import { JsonDocument } from '../../src/lib/json-document.ts';
import { PolicyInstance } from '../../src/policy/host.ts';
import { inputReads } from '../../src/policy/input-reads.ts';
import { Projector } from '../../src/policy/projection.ts';
import { withReplacedNatives } from '../../src/policy/replaced-natives.ts';
import { printValue } from '../../src/policy/terms.ts';
import { builtinContext } from '../support/builtin-context.ts';
import { changedJson } from '../support/changed-json.ts';
import type { Case } from './cases.ts';

/** The query of a case has no other name. */
const QUERY = 'eval';
const MAX_MEMORY_BYTES = 256 * 1024 * 1024;
/** Changed inputs of a case. */
const CHANGED = 12;

export class Projections {
  /** Inputs that were cut, and those that became smaller by that. */
  inputs = 0;
  smaller = 0;
  readonly #doc = new JsonDocument();

  /** Undefined when it is so, else what is wrong. */
  async judge({ input, plan, module, data = '{}' }: Case, now: bigint): Promise<string | undefined> {
    const reads = inputReads(plan, [QUERY]).get(QUERY);
    if (input === undefined || reads === undefined || typeof reads === 'string') return undefined;
    const projector = new Projector([reads], MAX_MEMORY_BYTES);
    const compiled = await WebAssembly.compile(withReplacedNatives(module));
    const run = (text: string): string => {
      const instance = new PolicyInstance({
        ...{ module: compiled, data: Buffer.from(data), maxMemoryBytes: MAX_MEMORY_BYTES },
      });
      instance.setInput(Buffer.from(text));
      return outcome(() =>
        printValue(instance.results(QUERY, builtinContext({ now, random: () => Buffer.alloc(16) }))),
      );
    };
    for (const text of [input, ...Array.from({ length: CHANGED }, (_, seed) => changedJson(input, seed))]) {
      this.#doc.scan(Buffer.from(text));
      const cut = projector.project([0], this.#doc);
      if (cut === undefined) continue;
      this.inputs++;
      if (cut.length < this.#doc.bytes.length) this.smaller++;
      const read = Buffer.from(cut).toString('utf8');
      const [whole, part] = [run(text), run(read)];
      if (whole !== part) return `${text} gives ${whole}, and what is read of it, ${read}, gives ${part}`;
    }
    return undefined;
  }
}

function outcome(act: () => string): string {
  try {
    return act();
  } catch (error) {
    return String(error);
  }
}
