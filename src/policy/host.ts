// A thin host on OPA's Wasm ABI 1.3 (https://www.openpolicyagent.org/docs/wasm) and its SDK: the SDK loads the policy,
// data change in place, the input is parsed once, then any number of entrypoints are evaluated on it. docs/decisions/0005-policy-host.md
// says why this is not the SDK's evaluate.
import * as sdk from '@open-policy-agent/opa-wasm';
import { BuiltinError } from './builtins/error.ts';
import { HOST_BUILTINS } from './builtins/registry.ts';
import { TooLong } from './builtins/too-long.ts';
import type { Builtin, BuiltinContext } from './builtins/types.ts';
import { HEAVY_BUILTINS } from './heavy-builtins.ts';
import { FUEL_EXPORT } from './meter.ts';
import { replacedBuiltin } from './replaced-natives.ts';
import { isLongerThan, RegoObject, RegoSet, type Value, writeValue } from './terms.ts';
import { parseValue } from './terms-parse.ts';

/** The SDK's ES module has this class only on its default export, and its types only beside it. */
const { LoadedPolicy } = (sdk as unknown as { readonly default: typeof sdk }).default;

const BACKSLASH = 0x5c;
const PAGE = 65_536;
const INITIAL_PAGES = 16;
/** What evaluations on one input may leave behind before the heap is reset. */
const GARBAGE_BYTES = 1024 * 1024;
/** Of the size that the module keeps in order of their addresses (malloc.c). */
const SORTING_BYTES = 128;

/** The exports that the host calls; addresses are byte offsets in the module's memory. */
interface Exports {
  opa_malloc(size: number): number;
  opa_free(address: number): void;
  opa_json_parse(address: number, length: number): number;
  opa_value_parse(address: number, length: number): number;
  opa_value_dump(value: number): number;
  opa_value_free(value: number): void;
  opa_value_add_path(base: number, path: number, value: number): number;
  opa_value_remove_path(base: number, path: number): number;
  opa_heap_blocks_stash(): void;
  opa_heap_blocks_restore(): void;
  opa_json_dump(value: number): number;
  opa_heap_ptr_get(): number;
  opa_heap_ptr_set(address: number): void;
  opa_eval_ctx_new(): number;
  opa_eval_ctx_set_input(context: number, value: number): void;
  opa_eval_ctx_set_data(context: number, value: number): void;
  opa_eval_ctx_set_entrypoint(context: number, entrypoint: number): void;
  opa_eval_ctx_get_result(context: number): number;
  eval(context: number): number;
  builtins(): number;
  opa_wasm_abi_version: { value: number };
  opa_wasm_abi_minor_version: { value: number };
  /** Of a metered module (meter.ts). */
  [FUEL_EXPORT]?: { value: bigint };
}

/** What the SDK's LoadedPolicy has and its types leave out. */
interface Loaded {
  readonly entrypoints: Readonly<Record<string, number>>;
}

/**
 * What the module itself reports: a conflict between rules, memory that ran out. The instance must not be used again.
 */
export class PolicyAbort extends Error {
  override readonly name = 'PolicyAbort';
}

/** The input is not a JSON document that OPA accepts; the instance is unharmed. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

export interface HostOptions {
  readonly module: WebAssembly.Module;
  /** The data document as JSON; or an instance whose data, with all changes, the new one takes over. That one is not to be used again. */
  readonly data: Uint8Array | PolicyInstance;
  /** Most bytes that the instance's memory may grow to. */
  readonly maxMemoryBytes: number;
  /** A memory taken over stays in use, as it is, as long as it has grown past the data by no more than this. */
  readonly recycleBytes?: number;
}

/** A value in the instance's memory that waits for its place. */
interface Staged {
  readonly path: number;
  /** Undefined: what stands at the path goes. */
  readonly value: number | undefined;
}

/**
 * One instance of a policy module. Not to be used after anything but an InputError was thrown: an exception through
 * Wasm frames leaves the module's own stack pointer where it was.
 */
export class PolicyInstance {
  private readonly memory: WebAssembly.Memory;
  private view = new Uint8Array(0);
  private readonly exports: Exports;
  /** By the numbers that the module gave them. */
  private readonly builtins: (Builtin | undefined)[] = [];
  /** Heap pointer below the data. */
  private readonly base: number;
  private readonly entrypoints: ReadonlyMap<string, number>;
  private readonly dataAddress: number;
  /** Heap pointer above the data: where an input goes. What is freed below it is used again by changes of the data only. */
  private dataTop: number;
  /** Parts of an update that is not complete. */
  private staged: Staged[] = [];
  private inputAddress = 0;
  /** Heap pointer above the input: where an evaluation starts. */
  private inputTop = 0;
  private context: BuiltinContext | undefined;

  constructor(options: HostOptions) {
    const { data, module } = options;
    const before = data instanceof PolicyInstance ? data : undefined;
    this.memory = before?.memoryToKeep(options.recycleBytes ?? 0) ?? newMemory(options, before?.dataTop ?? 0);
    // On a memory that stays, this writes again what stands below the data, and finds out how large the memory is.
    const instance = new WebAssembly.Instance(module, { env: this.imports() });
    this.exports = instance.exports as unknown as Exports;
    const version = this.exports.opa_wasm_abi_version.value;
    if (version !== 1) throw new PolicyAbort(`the module has ABI version ${version}, this host version 1`);
    for (const [name, id] of this.numbers(this.exports.builtins())) {
      const call = HOST_BUILTINS.get(name);
      if (call === undefined)
        throw new PolicyAbort(`the module needs the built-in ${name}, which this host does not have`);
      // What no fuel stops is not begun where there is any.
      this.builtins[id] = this.isMetered && HEAVY_BUILTINS.has(name) ? () => this.spend(UNMETERED) : call;
    }
    const minor = this.exports.opa_wasm_abi_minor_version.value;
    const policy = new LoadedPolicy({ instance, module }, this.memory, minor) as unknown as Loaded;
    this.entrypoints = new Map(Object.entries(policy.entrypoints));
    this.base = this.exports.opa_heap_ptr_get();
    if (data instanceof PolicyInstance) {
      this.dataAddress = data.dataAddress;
      this.dataTop = this.takeOver(data);
      this.staged = data.staged;
    } else {
      this.dataAddress = this.parseFreed(data);
      if (this.dataAddress === 0) throw new PolicyAbort('the data document is not JSON');
      this.exports.opa_heap_blocks_stash();
      this.dataTop = this.exports.opa_heap_ptr_get();
    }
    this.inputTop = this.dataTop;
  }

  /** Bytes up to the end of the data: what was freed below and is not in use again counts, too. */
  get dataBytes(): number {
    return this.dataTop;
  }

  /**
   * Reads values that `commit` will put in their places, between evaluations. A PolicyAbort leaves the data as they were: a
   * successor of this instance has them, and what was staged before.
   */
  stage(path: string, value: Uint8Array | undefined): void {
    this.change(() => {
      const pathAddress = this.parseFreed(encoder.encode(path));
      const valueAddress = value === undefined ? undefined : this.parseFreed(value);
      if (pathAddress === 0 || valueAddress === 0) throw new PolicyAbort(`what changes at ${path} is not JSON`);
      this.staged.push({ path: pathAddress, value: valueAddress });
    });
  }

  /** Forgets what was staged since the last commit. */
  unstage(): void {
    this.staged = [];
  }

  /** Brings everything that was staged into effect. After a PolicyAbort, the data are neither the old ones nor the new ones. */
  commit(): void {
    const { exports, staged } = this;
    this.staged = [];
    this.change(() => {
      for (const { path, value } of staged) {
        if (value === undefined) exports.opa_value_remove_path(this.dataAddress, path);
        else if (exports.opa_value_add_path(this.dataAddress, path, value) !== 0)
          throw new PolicyAbort(
            `data cannot be put at ${this.textAt(exports.opa_json_dump(path))}: a value stands above`,
          );
        exports.opa_value_free(path);
      }
      // Freed blocks are sorted in when the next large one is asked for, and what is not sorted in would be lost.
      exports.opa_free(exports.opa_malloc(SORTING_BYTES));
    });
  }

  /** What a metered module may use up from now on, what it asks of the host included. */
  refuel(fuel: bigint): void {
    const own = this.exports[FUEL_EXPORT];
    if (own === undefined) throw new TypeError('the module is not metered');
    own.value = fuel;
  }

  private get isMetered(): boolean {
    return this.exports[FUEL_EXPORT] !== undefined;
  }

  /** Takes the fuel for a text that a built-in of the host is given or gives. */
  private pay(bytes: number): void {
    if (this.isMetered) this.spend(BigInt(bytes) * FUEL_PER_BYTE);
  }

  /** Stops when there is not enough. */
  private spend(fuel: bigint): undefined {
    const own = this.exports[FUEL_EXPORT];
    if (own === undefined) return;
    own.value -= fuel;
    if (own.value < 0n) throw new PolicyAbort('a built-in of the host used up the fuel');
  }

  /** Bytes that the instance's memory has grown to; Wasm memory never shrinks. */
  get memoryBytes(): number {
    return this.memory.buffer.byteLength;
  }

  /** The memory. A view ends, and is then empty, when the memory grows: not to be kept. */
  private get bytes(): Uint8Array<ArrayBuffer> {
    if (this.view.length === 0) this.view = new Uint8Array(this.memory.buffer);
    return this.view;
  }

  /** Parses the JSON document that the following evaluations see. */
  setInput(json: Uint8Array): void {
    this.exports.opa_heap_ptr_set(this.dataTop);
    const address = this.parseJson(hasSurrogateEscape(json) ? withoutLoneSurrogates(json) : json);
    if (address === 0) throw new InputError('the input is not JSON');
    this.inputAddress = address;
    this.inputTop = this.exports.opa_heap_ptr_get();
  }

  /** The value of one entrypoint, or undefined. */
  evaluate(entrypoint: string, context: BuiltinContext): Value | undefined {
    const [first] = this.results(entrypoint, context).members;
    return first instanceof RegoObject ? first.get('result') : undefined;
  }

  /** Every result of one entrypoint: objects of the variables that it binds. A rule has one, `result`, or none. */
  results(entrypoint: string, context: BuiltinContext): RegoSet {
    const id = this.entrypoints.get(entrypoint);
    if (id === undefined) throw new PolicyAbort(`the module has no entrypoint ${entrypoint}`);
    const { exports } = this;
    this.context = context;
    // Drops what evaluations before left behind; input and data stay below. Not every time: with it go the expressions
    // that the module has compiled.
    if (exports.opa_heap_ptr_get() - this.inputTop > GARBAGE_BYTES) exports.opa_heap_ptr_set(this.inputTop);
    const evaluation = exports.opa_eval_ctx_new();
    exports.opa_eval_ctx_set_input(evaluation, this.inputAddress);
    exports.opa_eval_ctx_set_data(evaluation, this.dataAddress);
    exports.opa_eval_ctx_set_entrypoint(evaluation, id);
    if (exports.eval(evaluation) !== 0) throw new PolicyAbort('the evaluation failed');
    const dumped = exports.opa_value_dump(exports.opa_eval_ctx_get_result(evaluation));
    if (this.standsAt(dumped, EMPTY_SET_RESULT)) return EMPTY_SET;
    const results = parseValue(this.textAt(dumped));
    if (!(results instanceof RegoSet)) throw new PolicyAbort('the module gave no set of results');
    return results;
  }

  /** Runs `act` on the heap as the data left it: what it allocates becomes part of the data. */
  private change(act: () => void): void {
    const { exports } = this;
    // Data are not an evaluation's.
    if (this.isMetered) this.refuel(UNMETERED);
    exports.opa_heap_ptr_set(this.dataTop);
    exports.opa_heap_blocks_restore();
    act();
    exports.opa_heap_blocks_stash();
    this.dataTop = exports.opa_heap_ptr_get();
    this.inputAddress = 0;
    this.inputTop = this.dataTop;
  }

  /** Address of the value that the JSON document is; its text does not stay. 0 when it is none. */
  private parseFreed(json: Uint8Array): number {
    const text = hasSurrogateEscape(json) ? withoutLoneSurrogates(json) : json;
    const address = this.exports.opa_malloc(text.length);
    this.bytes.set(text, address);
    const value = this.exports.opa_json_parse(address, text.length);
    this.exports.opa_free(address);
    return value;
  }

  /** The memory, unless it has grown by more than `recycleBytes` past the data. */
  private memoryToKeep(recycleBytes: number): WebAssembly.Memory | undefined {
    return this.memoryBytes - this.dataTop > recycleBytes ? undefined : this.memory;
  }

  /** Puts the data of `before` where they were there, and returns where they end. */
  private takeOver(before: PolicyInstance): number {
    // What the module writes when it starts ends where the data begin: else it would stand in them.
    if (this.base !== before.base) throw new PolicyAbort('two instances of the module begin with different memory');
    if (this.memory !== before.memory) {
      const data = new Uint8Array(before.memory.buffer, this.base, before.dataTop - this.base);
      new Uint8Array(this.memory.buffer).set(data, this.base);
    }
    this.exports.opa_heap_ptr_set(before.dataTop);
    return before.dataTop;
  }

  private imports(): WebAssembly.ModuleImports {
    return {
      memory: this.memory,
      opa_abort: (address: number) => {
        throw new PolicyAbort(this.textAt(address));
      },
      opa_println: () => undefined,
      opa_builtin0: (id: number) => this.callBuiltin(id, []),
      opa_builtin1: (id: number, _context: number, a: number) => this.callBuiltin(id, [a]),
      opa_builtin2: (id: number, _context: number, a: number, b: number) => this.callBuiltin(id, [a, b]),
      opa_builtin3: (id: number, _context: number, a: number, b: number, c: number) => this.callBuiltin(id, [a, b, c]),
      opa_builtin4: (id: number, _context: number, a: number, b: number, c: number, d: number) =>
        this.callBuiltin(id, [a, b, c, d]),
    };
  }

  /** Address of the result, 0 for undefined. */
  private callBuiltin(id: number, addresses: readonly number[]): number {
    const builtin = this.builtins[id] ?? replacedBuiltin(id);
    if (builtin === undefined || this.context === undefined)
      throw new PolicyAbort(`the module calls built-in ${id}, which it never named`);
    const args = addresses.map((address) => this.read(address));
    let result: Value | undefined;
    try {
      result = builtin(args, this.context);
    } catch (error) {
      if (error instanceof BuiltinError && !(this.isMetered && isOverflow(error.cause))) return 0;
      throw error;
    }
    if (result === undefined) return 0;
    const { maxChars } = this.context;
    if (isLongerThan(result, maxChars)) throw new TooLong(maxChars);
    const text = encoder.encode(writeValue(result));
    this.pay(text.length);
    return this.parse(text, this.exports.opa_value_parse);
  }

  private read(value: number): Value {
    const dumped = this.exports.opa_value_dump(value);
    const text = this.textAt(dumped, MAX_ARGUMENT_BYTES, true);
    this.exports.opa_free(dumped);
    return parseValue(text);
  }

  private parseJson(json: Uint8Array): number {
    return this.parse(json, this.exports.opa_json_parse);
  }

  private parse(text: Uint8Array, parser: (address: number, length: number) => number): number {
    const address = this.exports.opa_malloc(text.length);
    this.bytes.set(text, address);
    return parser(address, text.length);
  }

  /** A NUL-terminated UTF-8 string. */
  private textAt(address: number, maxBytes = Number.MAX_SAFE_INTEGER, paid = false): string {
    const { bytes } = this;
    const end = bytes.indexOf(0, address);
    if (paid) this.pay(end - address);
    if (end - address > maxBytes)
      throw new PolicyAbort(`a value of ${end - address} bytes is too large for a built-in of the host`);
    return decoder.decode(bytes.subarray(address, end));
  }

  /** Whether the memory holds these bytes at the address. */
  private standsAt(address: number, wanted: Uint8Array): boolean {
    const { bytes } = this;
    for (let i = 0; i < wanted.length; i++) if (bytes[address + i] !== wanted[i]) return false;
    return true;
  }

  private numbers(address: number): Map<string, number> {
    const names: Record<string, number> = JSON.parse(this.textAt(this.exports.opa_json_dump(address)));
    return new Map(Object.entries(names));
  }
}

/**
 * Whether the stack ended, of which a worker has more: no reason to call what was being read invalid here.
 */
function isOverflow(error: unknown): boolean {
  return error instanceof RangeError || (error instanceof Error && isOverflow(error.cause));
}

/** The module learns when it starts how much memory there is: all that the data need has to be there then. */
function newMemory({ maxMemoryBytes }: HostOptions, dataTop: number): WebAssembly.Memory {
  const initial = Math.ceil(dataTop / PAGE) + INITIAL_PAGES;
  return new WebAssembly.Memory({ initial, maximum: Math.max(initial, Math.ceil(maxMemoryBytes / PAGE)) });
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** More than can be used up. */
const UNMETERED = 2n ** 63n - 1n;

/** For each byte that a built-in of the host reads or writes: the quick ones take up to 50 ns for it. */
const FUEL_PER_BYTE = 2000n;

/** Text of one argument: as JavaScript values it takes many times the space. */
const MAX_ARGUMENT_BYTES = 32 * 1024 * 1024;

/** How the module dumps a rule that has no member: by far the most frequent result, so it is not parsed. */
const EMPTY_SET_RESULT = Buffer.from('{{"result": set()}}\0');
const EMPTY_SET = new RegoSet([new RegoObject([['result', new RegoSet([])]])]);

/**
 * The one thing that JSON.parse and OPA accept and the module aborts on is an escaped lone surrogate, as in "\ud800".
 * OPA reads U+FFFD there.
 */
function withoutLoneSurrogates(json: Uint8Array): Uint8Array {
  const escapes =
    /\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|[\s\S])/g;
  const text = decoder.decode(json);
  return encoder.encode(text.replace(escapes, (found) => (/^\\u[dD][89a-fA-F]..$/.test(found) ? '\\ufffd' : found)));
}

function hasSurrogateEscape(json: Uint8Array): boolean {
  // Most texts have no backslash at all, and no search is as quick as that for one byte.
  if (!json.includes(BACKSLASH)) return false;
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  return bytes.includes('\\ud') || bytes.includes('\\uD');
}
