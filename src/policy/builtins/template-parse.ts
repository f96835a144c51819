// The tree of a Go template and of those that it defines (go1.26, src/text/template/parse/parse.go).
import { BuiltinError } from './error.ts';
import { unquote, unquoteCharacter } from './go-unquote.ts';
import { lex, type Token, type TokenKind } from './template-lex.ts';
import { type TemplateNumber, templateNumber } from './template-number.ts';

export type Operand =
  | { readonly type: 'dot' | 'nil' }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'number'; readonly value: TemplateNumber }
  | { readonly type: 'field'; readonly fields: readonly string[] }
  | { readonly type: 'variable'; readonly name: string; readonly fields: readonly string[] }
  | { readonly type: 'function'; readonly name: string }
  | { readonly type: 'pipeline'; readonly pipeline: Pipeline }
  | { readonly type: 'chain'; readonly operand: Operand; readonly fields: readonly string[] };

/** A first operand with its arguments. */
export type Command = readonly [Operand, ...Operand[]];

export interface Pipeline {
  readonly variables: readonly string[];
  /** Whether the variables were there before. */
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export type Node =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'action'; readonly pipeline: Pipeline }
  | { readonly type: 'break' | 'continue' }
  | {
      readonly type: 'if' | 'with' | 'range';
      readonly pipeline: Pipeline;
      readonly list: readonly Node[];
      readonly otherwise: readonly Node[] | undefined;
    }
  | { readonly type: 'template'; readonly name: string; readonly pipeline: Pipeline | undefined };

/** The name of the template that the text itself is. */
export const MAIN = 'template';

/** Templates by name. Throws a BuiltinError where Go gives an error; a RangeError past the depth that is taken. */
export function parseTemplate(text: string, functions: { has(name: string): boolean }): Map<string, readonly Node[]> {
  return new Parser(lex(text), functions).run();
}

/** Blocks and parentheses in one another: each takes stack, here and when the template is executed. */
const MAX_DEPTH = 200;

/** How a list of nodes ended. */
type Ending = 'end' | 'else';

class Parser {
  private readonly tokens: readonly Token[];
  private readonly functions: { has(name: string): boolean };
  private readonly templates = new Map<string, readonly Node[]>();
  private at = 0;
  private depth = 0;
  /** Those in sight; a definition sees none of those around it. */
  private variables = ['$'];
  private ranges = 0;

  constructor(tokens: readonly Token[], functions: { has(name: string): boolean }) {
    this.tokens = tokens;
    this.functions = functions;
  }

  run(): Map<string, readonly Node[]> {
    const nodes: Node[] = [];
    while (this.peek().kind !== 'end') {
      if (this.peek().kind === 'left') {
        const start = this.at++;
        if (this.keyword('define')) {
          this.definition();
          continue;
        }
        this.at = start;
      }
      const node = this.node();
      if (typeof node === 'string') return this.unexpected(node);
      nodes.push(node);
    }
    this.define(MAIN, nodes);
    return this.templates;
  }

  private definition(): void {
    const name = this.name();
    this.expect('right');
    this.define(name, this.body());
  }

  /** The nodes of a template of its own, up to its end. */
  private body(): readonly Node[] {
    const { variables, ranges } = this;
    this.variables = ['$'];
    this.ranges = 0;
    const { nodes, ending } = this.list();
    if (ending !== 'end') this.unexpected(ending);
    this.variables = variables;
    this.ranges = ranges;
    return nodes;
  }

  /** A template of space alone defines nothing where there is one already. */
  private define(name: string, nodes: readonly Node[]): void {
    const before = this.templates.get(name);
    if (before === undefined || isEmpty(before)) this.templates.set(name, nodes);
    else if (!isEmpty(nodes)) throw new BuiltinError(`multiple definition of template ${JSON.stringify(name)}`);
  }

  private list(): { nodes: Node[]; ending: Ending } {
    const nodes: Node[] = [];
    while (this.peek().kind !== 'end') {
      const node = this.node();
      if (typeof node === 'string') return { nodes, ending: node };
      nodes.push(node);
    }
    return this.unexpected('EOF');
  }

  /** A text or an action; the end of a list is told by its keyword. */
  private node(): Node | Ending {
    const { kind, text } = this.nextToken();
    if (kind === 'text') return { type: 'text', text };
    if (kind !== 'left') return this.unexpected(text);
    const first = this.nextToken();
    if (first.kind === 'keyword') {
      switch (first.text) {
        case 'if':
        case 'with':
        case 'range':
          return this.deeper(() => this.control(first.text as 'if'));
        case 'block':
          return this.deeper(() => this.block());
        case 'template':
          return this.template();
        case 'break':
        case 'continue':
          this.expect('right');
          if (this.ranges === 0) this.unexpected(first.text);
          return { type: first.text };
        case 'end':
          this.expect('right');
          return 'end';
        case 'else':
          // `else if` and `else with` are left for control() to see.
          if (!this.sees('if') && !this.sees('with')) this.expect('right');
          return 'else';
        default:
      }
    }
    this.at--;
    return { type: 'action', pipeline: this.pipeline('right') };
  }

  private control(type: 'if' | 'with' | 'range'): Node {
    const seen = this.variables.length;
    const pipeline = this.pipeline('right', type === 'range');
    if (type === 'range') this.ranges++;
    const { nodes: list, ending } = this.list();
    if (type === 'range') this.ranges--;
    let otherwise: readonly Node[] | undefined;
    if (ending === 'else') {
      if (type !== 'range' && this.sees(type)) {
        this.at++;
        otherwise = [this.deeper(() => this.control(type))];
      } else {
        const rest = this.list();
        if (rest.ending !== 'end') this.unexpected(rest.ending);
        otherwise = rest.nodes;
      }
    }
    this.variables.length = seen;
    return { type, pipeline, list, otherwise };
  }

  /** A definition and its use in one. */
  private block(): Node {
    const name = this.name();
    const pipeline = this.pipeline('right');
    this.define(name, this.body());
    return { type: 'template', name, pipeline };
  }

  private template(): Node {
    const name = this.name();
    const bare = this.nextToken().kind === 'right';
    if (!bare) this.at--;
    return { type: 'template', name, pipeline: bare ? undefined : this.pipeline('right') };
  }

  private name(): string {
    const { kind, text } = this.nextToken();
    return kind === 'string' ? unquote(text) : this.unexpected(text);
  }

  /** `range` may declare two variables, everything else one. */
  private pipeline(end: 'right' | ')', range = false): Pipeline {
    const { variables, assigns } = this.declarations(range);
    const commands: Command[] = [];
    for (;;) {
      const { kind, text } = this.nextToken();
      if (kind === end) break;
      if (!BEGINS_OPERAND.has(kind) && !(kind === 'keyword' && text === 'nil')) this.unexpected(text);
      this.at--;
      commands.push(this.command());
    }
    if (commands.length === 0) throw new BuiltinError('missing value');
    if (commands.slice(1).some(([first]) => CONSTANTS.has(first.type)))
      throw new BuiltinError('non executable command in a pipeline');
    return { variables, assigns, commands };
  }

  private declarations(range: boolean): { variables: string[]; assigns: boolean } {
    const variables: string[] = [];
    for (;;) {
      const start = this.at;
      const { kind, text: name } = this.nextToken();
      const { kind: mark } = kind === 'variable' ? this.nextToken() : { kind };
      if (mark !== ':=' && mark !== '=' && mark !== ',') {
        this.at = start;
        return { variables, assigns: false };
      }
      variables.push(name);
      this.variables.push(name);
      if (mark !== ',') return { variables, assigns: mark === '=' };
      const { kind: next } = this.nextToken();
      if (!range || variables.length > 1 || (next !== 'variable' && next !== 'right'))
        throw new BuiltinError('too many declarations');
      this.at--;
    }
  }

  private command(): Command {
    const operands: Operand[] = [];
    for (;;) {
      const operand = this.operand();
      if (operand !== undefined) operands.push(operand);
      const { kind, text } = this.next();
      if (kind === 'space') continue;
      if (kind === 'right' || kind === ')') this.at--;
      else if (kind !== '|') this.unexpected(text);
      break;
    }
    const [first, ...rest] = operands;
    if (first === undefined) throw new BuiltinError('empty command');
    return [first, ...rest];
  }

  private operand(): Operand | undefined {
    const term = this.term();
    if (term === undefined || this.peek().kind !== 'field') return term;
    const fields: string[] = [];
    while (this.peek().kind === 'field') fields.push(this.next().text.slice(1));
    if (term.type === 'field' || term.type === 'variable') return { ...term, fields: [...term.fields, ...fields] };
    if (term.type === 'function' || term.type === 'pipeline') return { type: 'chain', operand: term, fields };
    throw new BuiltinError(`unexpected . after a ${term.type}`);
  }

  private term(): Operand | undefined {
    const { kind, text } = this.nextToken();
    switch (kind) {
      case 'identifier':
        if (!this.functions.has(text)) throw new BuiltinError(`function ${text} not defined`);
        return { type: 'function', name: text };
      case 'dot':
        return { type: 'dot' };
      case 'variable':
        if (!this.variables.includes(text)) throw new BuiltinError(`undefined variable ${text}`);
        return { type: 'variable', name: text, fields: [] };
      case 'field':
        return { type: 'field', fields: [text.slice(1)] };
      case 'boolean':
        return { type: 'boolean', value: text === 'true' };
      case 'character':
        return { type: 'number', value: { type: 'int', value: BigInt(unquoteCharacter(text)) } };
      case 'number':
        return { type: 'number', value: templateNumber(text) };
      case '(':
        return { type: 'pipeline', pipeline: this.deeper(() => this.pipeline(')')) };
      case 'string':
        return { type: 'text', value: unquote(text) };
      default:
        if (kind === 'keyword' && text === 'nil') return { type: 'nil' };
        this.at--;
        return undefined;
    }
  }

  private deeper<T>(parse: () => T): T {
    if (++this.depth > MAX_DEPTH)
      throw new RangeError(`strings.render_template: blocks and parentheses are more than ${MAX_DEPTH} deep`);
    const parsed = parse();
    this.depth--;
    return parsed;
  }

  private peek(): Token {
    return this.tokens[this.at] ?? END;
  }

  private next(): Token {
    const token = this.peek();
    this.at++;
    return token;
  }

  /** The next token that is no space. */
  private nextToken(): Token {
    while (this.peek().kind === 'space') this.at++;
    return this.next();
  }

  private sees(keyword: string): boolean {
    while (this.peek().kind === 'space') this.at++;
    const { kind, text } = this.peek();
    return kind === 'keyword' && text === keyword;
  }

  private keyword(keyword: string): boolean {
    const seen = this.sees(keyword);
    if (seen) this.at++;
    return seen;
  }

  private expect(kind: TokenKind): void {
    const token = this.nextToken();
    if (token.kind !== kind) this.unexpected(token.text);
  }

  private unexpected(text: string): never {
    throw new BuiltinError(`unexpected ${JSON.stringify(text)} in a template`);
  }
}

const END: Token = { kind: 'end', text: '' };

const BEGINS_OPERAND: ReadonlySet<TokenKind> = new Set([
  'boolean',
  'character',
  'dot',
  'field',
  'identifier',
  'number',
  'string',
  'variable',
  '(',
]);

const CONSTANTS: ReadonlySet<Operand['type']> = new Set(['boolean', 'dot', 'nil', 'number', 'text']);

function isEmpty(nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.type === 'text' && /^\p{White_Space}*$/u.test(node.text));
}
