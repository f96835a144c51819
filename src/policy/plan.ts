// Reads a plan: OPA's intermediate representation of the policies (https://www.openpolicyagent.org/docs/ir), which OPA's compiler of Wasm
// works from. Only what moves values is kept, and where control goes.

/** What a statement takes: a local variable of its function, a text, or true or false. */
export type Operand = { readonly local: number } | { readonly text: string } | { readonly bool: boolean };

/**
 * What a statement does with values; `target` and `result` are the local variables that it writes. Many statements are undefined for some
 * values: then control goes behind the block that they stand in, in a loop on to the next round.
 */
export type Step =
  | { readonly op: 'dot'; readonly source: Operand; readonly key: Operand; readonly target: number }
  | { readonly op: 'assign'; readonly source: Operand; readonly target: number }
  /** Assigns, or compares with what is there already. */
  | { readonly op: 'assign-once'; readonly source: Operand; readonly target: number }
  /** Writes a number or null, or unsets. */
  | { readonly op: 'scalar'; readonly target: number }
  /** Writes a new array, object or set. */
  | { readonly op: 'make'; readonly target: number }
  /** Any of these may become part of another value. */
  | { readonly op: 'use'; readonly values: readonly Operand[] }
  | { readonly op: 'compare'; readonly a: Operand; readonly b: Operand }
  /** Asks a local variable what has nothing to do with what is in its value: whether it is set, of which type it is. */
  | { readonly op: 'test' }
  | { readonly op: 'length'; readonly source: Operand; readonly target: number }
  | { readonly op: 'call'; readonly func: string; readonly args: readonly Operand[]; readonly result: number }
  | { readonly op: 'return'; readonly source: number }
  /** A loop over the elements. */
  | { readonly op: 'scan'; readonly source: number; readonly key: number; readonly value: number; readonly body: Block }
  /** Blocks one after the other. */
  | { readonly op: 'blocks'; readonly blocks: readonly Block[] }
  /** Is undefined when control comes to the end of the block. */
  | { readonly op: 'not'; readonly body: Block }
  /** Is undefined when control does not come there. */
  | { readonly op: 'with'; readonly body: Block }
  /** Goes behind the block that stands around so many of those around this. */
  | { readonly op: 'break'; readonly index: number }
  /** What is not followed. */
  | { readonly op: 'unknown'; readonly what: string };

export type Block = readonly Step[];

/** A function, or the query of an entrypoint. */
export interface Code {
  /** Locals that hold the arguments: the input and the data come first. */
  readonly params: readonly number[];
  readonly blocks: readonly Block[];
}

export interface Plan {
  /** By entrypoint. */
  readonly queries: ReadonlyMap<string, Code>;
  readonly funcs: ReadonlyMap<string, Code>;
}

const INPUT = 0;
const DATA = 1;

/** Reads plan.json as `opa build --target=plan` writes it. Throws an Error when it is not that. */
export function readPlan(json: Uint8Array): Plan {
  const policy = object(JSON.parse(Buffer.from(json).toString('utf8')));
  const reader = new Reader(list(object(policy['static'])['strings']).map((string) => text(object(string)['value'])));
  const codes = (values: unknown, params: (value: Fields) => readonly number[]): Map<string, Code> =>
    new Map(
      list(values).map((value) => {
        const fields = object(value);
        return [text(fields['name']), { params: params(fields), blocks: reader.blocks(fields['blocks']) }];
      }),
    );
  return {
    queries: codes(object(policy['plans'])['plans'], () => [INPUT, DATA]),
    funcs: codes(object(policy['funcs'] ?? {})['funcs'], ({ params }) => list(params).map(integer)),
  };
}

type Fields = Readonly<Record<string, unknown>>;

class Reader {
  readonly #strings: readonly string[];

  constructor(strings: readonly string[]) {
    this.#strings = strings;
  }

  blocks(blocks: unknown): Block[] {
    return list(blocks).map((block) => this.#block(block));
  }

  #block(block: unknown): Block {
    return list(object(block)['stmts']).flatMap((statement) => {
      const { type, stmt } = object(statement);
      return this.#steps(text(type), object(stmt));
    });
  }

  #steps(type: string, fields: Fields): Step[] {
    const operand = (name: string): Operand => this.#operand(fields[name]);
    const local = (name: string): number => integer(fields[name]);
    switch (type) {
      case 'DotStmt':
        return [{ op: 'dot', source: operand('source'), key: operand('key'), target: local('target') }];
      case 'ScanStmt': {
        const body = this.#block(fields['block']);
        return [{ op: 'scan', source: local('source'), key: local('key'), value: local('value'), body }];
      }
      case 'AssignVarStmt':
        return [{ op: 'assign', source: operand('source'), target: local('target') }];
      case 'AssignVarOnceStmt':
        return [{ op: 'assign-once', source: operand('source'), target: local('target') }];
      case 'AssignIntStmt':
      case 'MakeNullStmt':
      case 'MakeNumberIntStmt':
      case 'MakeNumberRefStmt':
      case 'ResetLocalStmt':
        return [{ op: 'scalar', target: local('target') }];
      case 'MakeArrayStmt':
      case 'MakeObjectStmt':
      case 'MakeSetStmt':
        return [{ op: 'make', target: local('target') }];
      case 'ObjectInsertStmt':
      case 'ObjectInsertOnceStmt':
        return [use(operand('key'), operand('value'))];
      case 'ArrayAppendStmt':
      case 'SetAddStmt':
        return [use(operand('value'))];
      case 'ObjectMergeStmt':
        return [use({ local: local('a') }, { local: local('b') }), { op: 'make', target: local('target') }];
      case 'ResultSetAddStmt':
        return [use({ local: local('value') })];
      case 'EqualStmt':
      case 'NotEqualStmt':
        return [{ op: 'compare', a: operand('a'), b: operand('b') }];
      case 'LenStmt':
        return [{ op: 'length', source: operand('source'), target: local('target') }];
      case 'CallStmt': {
        const args = list(fields['args']).map((arg) => this.#operand(arg));
        return [{ op: 'call', func: text(fields['func']), args, result: local('result') }];
      }
      case 'ReturnLocalStmt':
        return [{ op: 'return', source: local('source') }];
      case 'BlockStmt':
        return [{ op: 'blocks', blocks: this.blocks(fields['blocks']) }];
      case 'NotStmt':
        return [{ op: 'not', body: this.#block(fields['block']) }];
      case 'WithStmt':
        if (local('local') !== DATA) return [unknown('it replaces the input (with)')];
        return [use(operand('value')), { op: 'with', body: this.#block(fields['block']) }];
      case 'BreakStmt':
        return [{ op: 'break', index: local('index') }];
      case 'IsDefinedStmt':
      case 'IsUndefinedStmt':
      case 'IsArrayStmt':
      case 'IsObjectStmt':
      case 'IsSetStmt':
        return [{ op: 'test' }];
      case 'NopStmt':
        return [];
      case 'CallDynamicStmt':
        return [unknown('it works out which rule it refers to (data[…])')];
      default:
        return [unknown(`its plan has a ${type}, which is not known`)];
    }
  }

  #operand(value: unknown): Operand {
    const { type, value: inner } = object(value);
    if (type === 'local') return { local: integer(inner) };
    if (type === 'string_index') return { text: text(this.#strings[integer(inner)]) };
    if (type === 'bool' && typeof inner === 'boolean') return { bool: inner };
    throw new Error(`an operand is of type ${String(type)}, which is not known`);
  }
}

function use(...values: Operand[]): Step {
  return { op: 'use', values };
}

function unknown(what: string): Step {
  return { op: 'unknown', what };
}

function object(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('an object');
  return value as Fields;
}

/** Go writes null for a list without entries. */
function list(value: unknown): readonly unknown[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw malformed('a list');
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw malformed('a text');
  return value;
}

function integer(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw malformed('an integer');
  return value as number;
}

function malformed(wanted: string): Error {
  return new Error(`the plan has something else where ${wanted} should be`);
}
