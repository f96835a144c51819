// strings.render_template: Go's text/template as OPA runs it (go1.26, src/text/template/exec.go, in OPA's copy without
// methods), on the variables as Go's encoding/json reads them. Its size and depth are bounded.
import { printValue, RegoObject, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { readJson } from './go-json.ts';
import { objectOperand, stringOperand } from './operands.ts';
import { printed, TEMPLATE_FUNCTIONS } from './template-functions.ts';
import { type Command, MAIN, type Node, type Operand, type Pipeline, parseTemplate } from './template-parse.ts';
import { Byte, Float, type Item, isTrue, itemOf } from './template-value.ts';
import type { Builtin } from './types.ts';

export const TEMPLATE: Readonly<Record<string, Builtin>> = {
  'strings.render_template': (args) => render(stringOperand(args, 1), objectOperand(args, 2)),
};

/** Characters of what is rendered and of each text on the way. */
const MAX_LENGTH = 1024 * 1024;

/** Lists of nodes within one another, over all templates that call one another: each takes stack. */
const MAX_DEPTH = 1000;

/** These look at their arguments only as far as they must. */
const SHORT_CIRCUIT: ReadonlySet<string> = new Set(['and', 'or']);

const FUNCTION_NAMES: ReadonlySet<string> = new Set([...SHORT_CIRCUIT, ...TEMPLATE_FUNCTIONS.keys()]);

/** Throws a BuiltinError where Go gives an error, and a RangeError when a limit is passed. */
function render(template: string, variables: RegoObject): string {
  // OPA prints the variables as Rego and reads that as JSON: what is not JSON (a set, a key that is no string) is an error.
  const data: Value = readJson(printValue(variables));
  const run = new Run(parseTemplate(template, FUNCTION_NAMES));
  return run.main(itemOf(data)).replaceAll('<no value>', '<undefined>');
}

/** How a list of nodes was left. */
type Left = 'break' | 'continue' | undefined;

/** In place of the value that a command gets from the one before it. */
const NOTHING = Symbol('nothing');
type Final = Item | typeof NOTHING;

interface Variable {
  readonly name: string;
  value: Item;
}

class Run {
  private readonly templates: ReadonlyMap<string, readonly Node[]>;
  private variables: Variable[] = [];
  private readonly parts: string[] = [];
  private length = 0;
  private depth = 0;

  constructor(templates: ReadonlyMap<string, readonly Node[]>) {
    this.templates = templates;
  }

  main(data: Item): string {
    this.call(MAIN, data);
    return this.parts.join('');
  }

  /** Runs a template of its own, which sees no variable but $. */
  private call(name: string, data: Item): void {
    const nodes = this.templates.get(name);
    if (nodes === undefined) throw new BuiltinError(`template ${JSON.stringify(name)} not defined`);
    const { variables } = this;
    this.variables = [{ name: '$', value: data }];
    this.list(data, nodes);
    this.variables = variables;
  }

  private list(dot: Item, nodes: readonly Node[]): Left {
    if (++this.depth > MAX_DEPTH)
      throw new RangeError(`strings.render_template: templates and blocks are more than ${MAX_DEPTH} deep`);
    let left: Left;
    for (const node of nodes) {
      left = this.node(dot, node);
      if (left !== undefined) break;
    }
    this.depth--;
    return left;
  }

  private node(dot: Item, node: Node): Left {
    switch (node.type) {
      case 'text':
        this.write(node.text);
        return undefined;
      case 'action': {
        // Variables that it declares stay until the block ends.
        const value = this.pipeline(dot, node.pipeline);
        if (node.pipeline.variables.length === 0) this.write(printed(value));
        return undefined;
      }
      case 'template':
        this.call(node.name, node.pipeline === undefined ? undefined : this.pipeline(dot, node.pipeline));
        return undefined;
      case 'break':
      case 'continue':
        return node.type;
      default: {
        const seen = this.variables.length;
        const left = node.type === 'range' ? this.range(dot, node) : this.branch(dot, node);
        this.variables.length = seen;
        return left;
      }
    }
  }

  private branch(dot: Item, node: Node & { type: 'if' | 'with' | 'range' }): Left {
    const value = this.pipeline(dot, node.pipeline);
    if (isTrue(value)) return this.list(node.type === 'with' ? value : dot, node.list);
    return node.otherwise === undefined ? undefined : this.list(dot, node.otherwise);
  }

  private range(dot: Item, node: Node & { type: 'if' | 'with' | 'range' }): Left {
    const over = this.pipeline(dot, node.pipeline);
    const { variables: names, assigns } = node.pipeline;
    const seen = this.variables.length;
    let empty = true;
    for (const [key, item] of steps(over, names.length)) {
      empty = false;
      // With one variable it is the value, with two the first is the key.
      names.forEach((name, i) => {
        const value = names.length > 1 && i === 0 ? key : item;
        if (assigns) this.assign(name, value);
        else (this.variables[seen - names.length + i] as Variable).value = value;
      });
      const left = this.list(item, node.list);
      this.variables.length = seen;
      if (left === 'break') break;
    }
    return empty && node.otherwise !== undefined ? this.list(dot, node.otherwise) : undefined;
  }

  /** The value of the last command; each is given that of the one before it. */
  private pipeline(dot: Item, { commands, variables, assigns }: Pipeline): Item {
    let value: Final = NOTHING;
    // A nil is nothing more once it has gone through a pipeline.
    for (const command of commands) value = this.command(dot, command, value) ?? undefined;
    const result = value === NOTHING ? undefined : value;
    for (const name of variables) {
      if (assigns) this.assign(name, result);
      else this.variables.push({ name, value: result });
    }
    return result;
  }

  private command(dot: Item, [first, ...args]: Command, final: Final): Item {
    if (first.type === 'function') return this.function(dot, first.name, args, final);
    // Fields have no arguments, except that nothing minds them where there is nothing to look into.
    const given = args.length > 0 || final !== NOTHING;
    if (first.type === 'field') return this.fields(dot, first.fields, given);
    if (first.type === 'chain') return this.chain(dot, first, given);
    if (first.type === 'variable' && first.fields.length > 0)
      return this.fields(this.variable(first.name), first.fields, given);
    if (given) throw new BuiltinError("can't give argument to non-function");
    if (first.type === 'nil') throw new BuiltinError('nil is not a command');
    return this.operand(dot, first);
  }

  private operand(dot: Item, operand: Operand): Item {
    switch (operand.type) {
      case 'dot':
        return dot;
      case 'nil':
        return undefined;
      case 'boolean':
      case 'text':
        return operand.value;
      case 'number':
        if (operand.value.type === 'overflow') throw new BuiltinError('a number overflows int');
        return operand.value.type === 'int' ? operand.value.value : new Float(operand.value.value);
      case 'field':
        return this.fields(dot, operand.fields, false);
      case 'variable':
        return this.fields(this.variable(operand.name), operand.fields, false);
      case 'function':
        return this.function(dot, operand.name, [], NOTHING);
      case 'pipeline':
        return this.pipeline(dot, operand.pipeline);
      default:
        return this.chain(dot, operand, false);
    }
  }

  private chain(dot: Item, { operand, fields }: Operand & { type: 'chain' }, given: boolean): Item {
    return this.fields(this.operand(dot, operand), fields, given);
  }

  private fields(receiver: Item, fields: readonly string[], given: boolean): Item {
    let found = receiver;
    fields.forEach((field, i) => {
      if (found === undefined) return;
      if (!(found instanceof RegoObject)) throw new BuiltinError(`can't evaluate field ${field}`);
      if (given && i === fields.length - 1) throw new BuiltinError(`${field} is not a method but has arguments`);
      const value = found.get(field);
      found = value === undefined ? undefined : itemOf(value);
    });
    return found;
  }

  private function(dot: Item, name: string, operands: readonly Operand[], final: Final): Item {
    const count = operands.length + (final === NOTHING ? 0 : 1);
    const { least, most } = TEMPLATE_FUNCTIONS.get(name) ?? { least: 1, most: Number.POSITIVE_INFINITY };
    if (count < least || count > most) throw new BuiltinError(`wrong number of args for ${name}`);
    if (SHORT_CIRCUIT.has(name)) {
      let value: Item;
      for (const operand of operands) {
        value = this.operand(dot, operand);
        if (isTrue(value) === (name === 'or')) return value;
      }
      return final === NOTHING ? value : final;
    }
    const args = operands.map((operand) => this.operand(dot, operand));
    const result = TEMPLATE_FUNCTIONS.get(name)?.call(final === NOTHING ? args : [...args, final]);
    if (typeof result === 'string') bounded(result.length);
    return result;
  }

  private variable(name: string): Item {
    return this.find(name).value;
  }

  private assign(name: string, value: Item): void {
    this.find(name).value = value;
  }

  /** The parser has seen that it is declared, but not that the declaration was executed. */
  private find(name: string): Variable {
    const found = this.variables.findLast((variable) => variable.name === name);
    if (found === undefined) throw new BuiltinError(`undefined variable: ${name}`);
    return found;
  }

  private write(text: string): void {
    this.length += text.length;
    bounded(this.length);
    this.parts.push(text);
  }
}

function bounded(length: number): void {
  if (length > MAX_LENGTH)
    throw new RangeError(`strings.render_template: a text is longer than ${MAX_LENGTH} characters`);
}

/** Keys and values that `range` goes over with that many variables. */
function* steps(over: Item, variables: number): Generator<readonly [Item, Item]> {
  if (over === undefined || over === null) return;
  if (typeof over === 'bigint' || over instanceof Byte) {
    if (variables > 1) throw new BuiltinError("can't use a number to iterate over more than one variable");
    const count = typeof over === 'bigint' ? over : over.value;
    for (let i = 0n; i < count; i++) yield [undefined, typeof over === 'bigint' ? i : new Byte(Number(i))];
  } else if (Array.isArray(over)) {
    for (const [i, item] of over.entries()) yield [BigInt(i), itemOf(item)];
  } else if (over instanceof RegoObject) {
    for (const [key, item] of over.entries) yield [itemOf(key), itemOf(item)];
  } else {
    throw new BuiltinError("range can't iterate over this");
  }
}
