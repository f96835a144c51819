// Some built-ins that OPA compiles into every module do not do there what they do in OPA: `replace` of an empty text never ends,
// json.is_valid takes what goes on after its end, format_int stops beyond 32 bits, json.remove at an empty path. A built module is changed so that their
// functions ask the host instead.
import { SealgateError } from '../lib/errors.ts';
import { HOST_BUILTINS } from './builtins/registry.ts';
import type { Builtin } from './builtins/types.ts';
import { OP, WasmReader } from './wasm-reader.ts';
import { concat, signed, sized, unsigned } from './wasm-writer.ts';

interface Replaced {
  /** Of the function in OPA's library (internal/compiler/wasm/wasm.go, builtinsFunctions). */
  readonly native: string;
  readonly builtin: string;
  readonly parameters: number;
}

const REPLACED: readonly Replaced[] = [
  { native: 'builtin_json_filter', builtin: 'json.filter', parameters: 2 },
  { native: 'builtin_json_remove', builtin: 'json.remove', parameters: 2 },
  { native: 'opa_base64_decode', builtin: 'base64.decode', parameters: 1 },
  { native: 'opa_base64_is_valid', builtin: 'base64.is_valid', parameters: 1 },
  { native: 'opa_base64_url_decode', builtin: 'base64url.decode', parameters: 1 },
  { native: 'opa_json_is_valid', builtin: 'json.is_valid', parameters: 1 },
  { native: 'opa_json_marshal', builtin: 'json.marshal', parameters: 1 },
  { native: 'opa_json_unmarshal', builtin: 'json.unmarshal', parameters: 1 },
  { native: 'opa_strings_format_int', builtin: 'format_int', parameters: 2 },
  { native: 'opa_strings_indexof', builtin: 'indexof', parameters: 2 },
  { native: 'opa_strings_replace', builtin: 'replace', parameters: 3 },
];

/** The module numbers what it imports itself from 0; these are the numbers after which ours come. */
const FIRST_ID = 1 << 20;

const SECTION = { custom: 0, imports: 2, code: 10 } as const;
const HEADER_BYTES = 8;
const FUNCTION_NAMES = 1;
const LOCAL_GET = 0x20;

/** What the module asks for by a number that it was given here. */
export function replacedBuiltin(id: number): Builtin | undefined {
  const replaced = REPLACED[id - FIRST_ID];
  return replaced === undefined ? undefined : HOST_BUILTINS.get(replaced.builtin);
}

/** The module, with what stands in the table above left to the host. */
export function withReplacedNatives(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  const sections = sectionsOf(wasm);
  const imports = importedFunctions(sections.find(({ id }) => id === SECTION.imports)?.payload);
  const names = sections.filter(({ id }) => id === SECTION.custom).flatMap(({ payload }) => functionNames(payload));
  const bodies = new Map<number, Uint8Array>();
  for (const [index, name] of names) {
    const at = REPLACED.findIndex(({ native }) => native === name);
    const replaced = REPLACED[at];
    if (replaced !== undefined) bodies.set(index - imports.length, body(replaced, FIRST_ID + at, imports));
  }
  const parts = sections.map(({ id, payload }) => {
    const written = id === SECTION.code ? withBodies(payload, bodies) : payload;
    return concat([Uint8Array.of(id), sized(written)]);
  });
  return concat([wasm.subarray(0, HEADER_BYTES), ...parts]);
}

function sectionsOf(wasm: Uint8Array): { id: number; payload: Uint8Array }[] {
  const reader = new WasmReader(wasm, HEADER_BYTES);
  const sections: { id: number; payload: Uint8Array }[] = [];
  while (!reader.atEnd) {
    const id = reader.byte();
    sections.push({ id, payload: reader.take(reader.u32()) });
  }
  return sections;
}

/** Names of the functions that the module imports, in the order of their indices. */
function importedFunctions(payload: Uint8Array = Uint8Array.of(0)): string[] {
  const reader = new WasmReader(payload);
  const names: string[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    reader.name();
    const name = reader.name();
    const kind = reader.byte();
    if (kind === 0x00) {
      reader.u32();
      names.push(name);
    } else if (kind === 0x02) reader.limits();
    else
      throw new SealgateError('POLICY_INVALID', `the Wasm module of the policies imports ${name}, which is not known`);
  }
  return names;
}

/** Indices and names of functions, if this is the section with names (core spec, 7.4.1). */
function functionNames(payload: Uint8Array): [index: number, name: string][] {
  const reader = new WasmReader(payload);
  if (reader.name() !== 'name') return [];
  while (!reader.atEnd) {
    const id = reader.byte();
    const part = new WasmReader(reader.take(reader.u32()));
    if (id === FUNCTION_NAMES) return Array.from({ length: part.u32() }, () => [part.u32(), part.name()]);
  }
  return [];
}

/** No locals; the call of opa_builtin<n> with the number, no context, and the parameters. */
function body({ parameters }: Replaced, id: number, imports: readonly string[]): Uint8Array {
  const call = imports.indexOf(`opa_builtin${parameters}`);
  const constant = (value: number): Uint8Array => Uint8Array.of(OP.i32Const, ...signed(BigInt(value)));
  const given = Array.from({ length: parameters }, (_, i) => Uint8Array.of(LOCAL_GET, i));
  const calls = [Uint8Array.of(OP.call), unsigned(call), Uint8Array.of(OP.end)];
  return concat([Uint8Array.of(0), constant(id), constant(0), ...given, ...calls]);
}

function withBodies(payload: Uint8Array, bodies: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const reader = new WasmReader(payload);
  const count = reader.u32();
  const written = Array.from({ length: count }, (_, i) => {
    const own = reader.take(reader.u32());
    return sized(bodies.get(i) ?? own);
  });
  return concat([unsigned(count), ...written]);
}
