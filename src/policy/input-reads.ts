// Which parts of the input an entrypoint can read: a data-flow analysis of its plan. What it cannot follow, it takes to be read whole,
// so that an input which has only the parts that are read gives every rule the value that the whole one gives it.
import { messageOf } from '../lib/errors.ts';
import { type Block, type Code, type Operand, type Plan, readPlan, type Step } from './plan.ts';
import { Reads } from './reads.ts';

/** What an entrypoint reads of its input; a text says why that is all of it. */
export type InputReads = Reads | string;

/** Steps that are looked at for one entrypoint, those of functions each time that they are called with other parts. */
const MAX_STEPS = 200_000;

/** What a local variable may hold. */
interface Held {
  /** Parts of the input. */
  readonly parts: ReadonlySet<Reads>;
  /** Whether it may also be an array, an object or a set that is no part of the input, or read whole. */
  readonly other: boolean;
}

const SCALAR: Held = { parts: new Set(), other: false };
const OTHER: Held = { parts: new Set(), other: true };

class NotFollowed extends Error {}

/** For each entrypoint what it reads of its input, by the plan as OPA wrote it. */
export function inputReads(json: Uint8Array, entrypoints: readonly string[]): ReadonlyMap<string, InputReads> {
  let plan: Plan;
  try {
    plan = readPlan(json);
  } catch (error) {
    const why = `its plan cannot be read: ${messageOf(error)}`;
    return new Map(entrypoints.map((entrypoint) => [entrypoint, why]));
  }
  return new Map(entrypoints.map((entrypoint) => [entrypoint, readsOf(plan, entrypoint)]));
}

function readsOf(plan: Plan, entrypoint: string): InputReads {
  const query = plan.queries.get(entrypoint);
  if (query === undefined) return 'the plan does not have it';
  try {
    const input = new Reads();
    new Analysis(plan).run('', query, [{ parts: new Set([input]), other: false }, OTHER]);
    return input.all ? 'it uses the input as one value' : input;
  } catch (error) {
    if (error instanceof NotFollowed) return error.message;
    throw error;
  }
}

/** Of one entrypoint. Functions are gone through for each combination of parts that they are called with. */
class Analysis {
  readonly plan: Plan;
  /** By function and arguments, what it returns. */
  readonly #results = new Map<string, Held>();
  readonly #running = new Set<string>();
  #steps = 0;

  constructor(plan: Plan) {
    this.plan = plan;
  }

  /** What the code returns. `name` tells it apart. */
  run(name: string, { params, blocks }: Code, args: readonly Held[]): Held {
    const key = [name, ...args.map(keyOf)].join(' ');
    const known = this.#results.get(key);
    if (known !== undefined) return known;
    if (this.#running.has(name)) throw new NotFollowed('its plan has a function that calls itself');
    this.#running.add(name);
    const frame = new Frame(this);
    frame.blocks(blocks, new Map(params.map((local, i) => [local, args[i] ?? OTHER])));
    this.#running.delete(name);
    this.#results.set(key, frame.result);
    return frame.result;
  }

  count(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw new NotFollowed('it takes too long to find out what it reads');
  }
}

/** Steps that are never undefined, or say themselves what follows then. */
const TOTAL: ReadonlySet<Step['op']> = new Set([
  ...(['assign', 'assign-once', 'scalar', 'make', 'use', 'length', 'scan', 'blocks', 'not', 'with'] as const),
]);

/** What local variables may hold at one place; one that is not there is not set. */
type Locals = ReadonlyMap<number, Held>;

/** A place that control may go to from several others. */
class Label {
  readonly loop: boolean;
  /** What locals may hold there; undefined as long as nothing goes there. */
  locals: Locals | undefined;

  constructor(loop = false) {
    this.loop = loop;
  }

  join(locals: Locals): void {
    this.locals = this.locals === undefined ? locals : merged(this.locals, locals);
  }
}

/** One function while it is gone through. */
class Frame {
  readonly #analysis: Analysis;
  /** Behind the blocks around the step at hand, the innermost last; at a loop, also its next round. */
  readonly #around: Label[] = [];
  result = SCALAR;

  constructor(analysis: Analysis) {
    this.#analysis = analysis;
  }

  /** What locals may hold behind the blocks; undefined where control never comes there. */
  blocks(blocks: readonly Block[], before: Locals): Locals | undefined {
    let locals: Locals | undefined = before;
    for (const block of blocks) {
      if (locals === undefined) break;
      const { end, behind } = this.#block(block, locals);
      if (end !== undefined) behind.join(end);
      locals = behind.locals;
    }
    return locals;
  }

  /** What locals may hold at the end of the block and, where a step was undefined or jumped there, behind it. */
  #block(block: Block, before: Locals, behind = new Label()): { end: Locals | undefined; behind: Label } {
    this.#around.push(behind);
    this.#analysis.count(block.length);
    let locals: Locals | undefined = before;
    for (const step of block) {
      locals = this.#follow(step, locals);
      if (locals === undefined) break;
      if (!TOTAL.has(step.op)) behind.join(locals);
    }
    this.#around.pop();
    return { end: locals, behind };
  }

  /** What locals may hold behind the step; undefined where control never comes there. */
  #follow(step: Step, locals: Locals): Locals | undefined {
    const held = (operand: Operand): Held => ('local' in operand ? (locals.get(operand.local) ?? SCALAR) : SCALAR);
    switch (step.op) {
      case 'dot':
        readAll(held(step.key));
        return written(locals, step.target, partOf(held(step.source), step.key));
      case 'assign':
        return written(locals, step.target, held(step.source));
      case 'assign-once': {
        const there = held({ local: step.target });
        const source = held(step.source);
        compare(there, source);
        return written(locals, step.target, union(there, source));
      }
      case 'scalar':
        return written(locals, step.target, SCALAR);
      case 'make':
        return written(locals, step.target, OTHER);
      case 'use':
        readAll(...step.values.map(held));
        return locals;
      case 'compare':
        compare(held(step.a), held(step.b));
        return locals;
      case 'test':
        return locals;
      case 'length':
        elementOf(held(step.source));
        return written(locals, step.target, SCALAR);
      case 'call':
        return written(locals, step.result, this.#called(step.func, step.args, step.args.map(held)));
      case 'return':
        this.result = union(this.result, held({ local: step.source }));
        return undefined;
      case 'blocks':
        return this.blocks(step.blocks, locals);
      case 'scan':
        return this.#scan(step, locals);
      case 'not': {
        const { end, behind } = this.#block(step.body, locals);
        if (end !== undefined) this.#around.at(-1)?.join(end);
        return behind.locals;
      }
      case 'with': {
        const { end, behind } = this.#block(step.body, locals);
        if (behind.locals !== undefined) this.#around.at(-1)?.join(behind.locals);
        return end;
      }
      case 'break':
        return this.#break(step.index, locals);
      case 'unknown':
        throw new NotFollowed(step.what);
    }
  }

  /** What the locals may hold behind all rounds, each of which begins with what the ones before left there. */
  #scan({ source, key, value, body }: Extract<Step, { op: 'scan' }>, before: Locals): Locals {
    const out = new Label();
    const round = new Label(true);
    round.join(before);
    for (;;) {
      const locals = round.locals ?? before;
      const scanned = locals.get(source) ?? SCALAR;
      // The keys of what is JSON are texts and numbers.
      const keyed = written(locals, key, scanned.other ? OTHER : SCALAR);
      out.join(keyed);
      this.#around.push(out);
      const { end } = this.#block(body, written(keyed, value, elementOf(scanned)), round);
      this.#around.pop();
      if (end !== undefined) round.join(end);
      if (round.locals === locals) return out.locals ?? keyed;
    }
  }

  /** A loop counts for two blocks in Wasm. Whether that is meant is left open: past one, the jump may go behind any block that is around. */
  #break(index: number, locals: Locals): undefined {
    const at = this.#around.length - 1 - index;
    const target = this.#around[at];
    if (target === undefined) throw new NotFollowed('its plan jumps further than out of all blocks');
    const past = this.#around.slice(at + 1).some(({ loop }) => loop);
    const targets = past ? this.#around : target.loop ? this.#around.slice(at - 1, at + 1) : [target];
    for (const label of targets) label.join(locals);
  }

  #called(func: string, operands: readonly Operand[], args: readonly Held[]): Held {
    const code = this.#analysis.plan.funcs.get(func);
    if (code !== undefined) return this.#analysis.run(func, code, args);
    const [first = SCALAR, second = SCALAR, third = SCALAR] = args;
    if (OF_TYPE.has(func)) return SCALAR;
    if (COMPARISONS.has(func)) {
      compare(first, second);
      return SCALAR;
    }
    if (func === 'count') {
      elementOf(first);
      return SCALAR;
    }
    const key = operands[1];
    if (func === 'object.get' && key !== undefined && 'text' in key) return union(partOf(first, key), third);
    readAll(...args);
    return OTHER;
  }
}

/** Built-ins that look at nothing but the type. */
const OF_TYPE: ReadonlySet<string> = new Set([
  ...['is_array', 'is_boolean', 'is_null', 'is_number', 'is_object', 'is_set', 'is_string', 'type_name'],
]);

const COMPARISONS: ReadonlySet<string> = new Set(['equal', 'neq', 'lt', 'lte', 'gt', 'gte']);

/** Of two values one of which is no array, object or set, the type decides where the other is one. */
function compare(a: Held, b: Held): void {
  if (!isScalar(a) && !isScalar(b)) readAll(a, b);
}

function isScalar({ parts, other }: Held): boolean {
  return !other && parts.size === 0;
}

function readAll(...held: Held[]): void {
  for (const { parts } of held) for (const part of parts) part.readAll();
}

function partOf(held: Held, key: Operand): Held {
  return 'text' in key ? each(held, (part) => part.member(key.text)) : elementOf(held);
}

function elementOf(held: Held): Held {
  return each(held, (part) => part.element());
}

function each({ parts, other }: Held, step: (part: Reads) => Reads | undefined): Held {
  const found = [...parts].map(step);
  const known = new Set(found.filter((part) => part !== undefined));
  return { parts: known, other: other || known.size < parts.size };
}

/** `a` itself when it holds all of `b`. */
function union(a: Held, b: Held): Held {
  if ((a.other || !b.other) && [...b.parts].every((part) => a.parts.has(part))) return a;
  return { parts: new Set([...a.parts, ...b.parts]), other: a.other || b.other };
}

/** `a` itself when it holds all of `b`. */
function merged(a: Locals, b: Locals): Locals {
  if (a === b) return a;
  let all: Map<number, Held> | undefined;
  for (const [local, held] of b) {
    const before = a.get(local) ?? SCALAR;
    const after = union(before, held);
    if (after === before) continue;
    all ??= new Map(a);
    all.set(local, after);
  }
  return all ?? a;
}

function written(locals: Locals, local: number, held: Held): Locals {
  if (locals.get(local) === held) return locals;
  return new Map(locals).set(local, held);
}

function keyOf({ parts, other }: Held): string {
  return `${[...parts].map(({ id }) => id).sort((a, b) => a - b)}${other ? '+' : ''}`;
}
