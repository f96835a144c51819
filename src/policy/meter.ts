// Metering: a copy of a Wasm module that pays out of a budget, its fuel, for what it executes, and traps when that is used
// up. A policy that runs away is so cut off in bounded time on any thread. What the host does for the module is not metered.
import { type Charge, chargesOf } from './meter-cost.ts';
import { OP, unmeterable, WasmReader } from './wasm-reader.ts';
import { concat, signed, sized, unsigned } from './wasm-writer.ts';

/**
 * The export whose value is the fuel: a mutable global of type i64. The host sets it before each evaluation. It begins with
 * more than can be used up, and is below zero after a trap that it caused.
 */
export const FUEL_EXPORT = 'sealgate_fuel';

/** Identifiers of sections in the order that they come in (core spec, 5.5.2). */
const ORDER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];
const CUSTOM = 0;
const IMPORTS = 2;
const GLOBALS = 6;
const EXPORTS = 7;
const CODE = 10;

/** Magic number and version 1. */
const HEADER = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);
/** The payload of a section without any entry. */
const EMPTY = Uint8Array.of(0);

/** Mutable globals: the fuel, and behind it a place for a length while it is paid for. */
const ADDED_GLOBALS = [
  Uint8Array.of(0x7e, 0x01, OP.i64Const, ...signed(2n ** 63n - 1n), OP.end),
  Uint8Array.of(0x7f, 0x01, OP.i32Const, 0, OP.end),
];

/**
 * The module with metering. A unit of fuel is about one instruction: a function pays when it is entered, a loop at the
 * beginning of each round, for all instructions that may follow before the next such place. Throws POLICY_INVALID for a
 * module with anything in it that is not known here.
 */
export function meterModule(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  const { sections, names } = readSections(wasm);
  const imported = countImports(sections.get(IMPORTS) ?? EMPTY);
  const globals = new WasmReader(sections.get(GLOBALS) ?? EMPTY);
  const count = globals.u32();
  const fuel = imported.globals + count;
  sections.set(GLOBALS, concat([unsigned(count + ADDED_GLOBALS.length), globals.rest(), ...ADDED_GLOBALS]));
  sections.set(EXPORTS, withExport(sections.get(EXPORTS) ?? EMPTY, fuel));
  const code = sections.get(CODE);
  if (code !== undefined) sections.set(CODE, meterCode(code, imported.functions, fuel));

  const written = ORDER.flatMap((id) => {
    const payload = sections.get(id);
    return payload === undefined ? [] : [Uint8Array.of(id), sized(payload)];
  });
  const metered = concat([HEADER, ...written, ...names.flatMap((payload) => [Uint8Array.of(CUSTOM), sized(payload)])]);
  if (!WebAssembly.validate(metered)) throw unmeterable('with metering, it is not a valid module');
  return metered;
}

/**
 * The payload of each section, and of custom ones those with names: functions keep their indices, so they stay right.
 * Others may point into the code, which moves.
 */
function readSections(wasm: Uint8Array): { sections: Map<number, Uint8Array>; names: Uint8Array[] } {
  const reader = new WasmReader(wasm);
  if (!Buffer.from(HEADER).equals(reader.take(HEADER.length))) throw unmeterable('it is not Wasm of version 1');
  const sections = new Map<number, Uint8Array>();
  const names: Uint8Array[] = [];
  while (!reader.atEnd) {
    const id = reader.byte();
    const payload = reader.take(reader.u32());
    if (id === CUSTOM) {
      if (new WasmReader(payload).name() === 'name') names.push(payload);
    } else if (sections.has(id) || !ORDER.includes(id)) throw unmeterable(`section ${id} is unknown or there twice`);
    else sections.set(id, payload);
  }
  return { sections, names };
}

/** Imports come before what the module defines itself, in the numbering of functions and of globals (5.5.5). */
function countImports(payload: Uint8Array): { functions: number; globals: number } {
  const reader = new WasmReader(payload);
  let functions = 0;
  let globals = 0;
  for (let left = reader.u32(); left > 0; left--) {
    reader.name();
    reader.name();
    const kind = reader.byte();
    if (kind === 0x00) {
      reader.u32();
      functions++;
    } else if (kind === 0x01) {
      reader.valueType();
      reader.limits();
    } else if (kind === 0x02) reader.limits();
    else if (kind === 0x03) {
      reader.valueType();
      reader.byte();
      globals++;
    } else throw unmeterable(`unknown kind of import ${kind}`);
  }
  return { functions, globals };
}

function withExport(payload: Uint8Array, fuel: number): Uint8Array {
  const reader = new WasmReader(payload);
  const count = reader.u32();
  const start = reader.at;
  for (let left = count; left > 0; left--) {
    if (reader.name() === FUEL_EXPORT) throw unmeterable(`it has an export ${FUEL_EXPORT} already`);
    reader.byte();
    reader.u32();
  }
  if (!reader.atEnd) throw unmeterable('the section of exports goes on behind its end');
  const added = [sized(new TextEncoder().encode(FUEL_EXPORT)), Uint8Array.of(0x03), unsigned(fuel)];
  return concat([unsigned(count + 1), payload.subarray(start), ...added]);
}

function meterCode(payload: Uint8Array, imported: number, fuel: number): Uint8Array {
  const reader = new WasmReader(payload);
  const bodies = Array.from({ length: reader.u32() }, () => reader.take(reader.u32()));
  if (!reader.atEnd) throw unmeterable('the section of code goes on behind its end');
  const metered = bodies.map((body) => sized(withCharges(body, chargesOf(body, imported), fuel)));
  return concat([unsigned(bodies.length), ...metered]);
}

function withCharges(body: Uint8Array, charges: readonly Charge[], fuel: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let copied = 0;
  for (const { at, cost } of charges) {
    parts.push(body.subarray(copied, at), cost === undefined ? payLength(fuel) : payFixed(fuel, cost));
    copied = at;
  }
  return concat([...parts, body.subarray(copied)]);
}

function payFixed(fuel: number, cost: number): Uint8Array {
  return pay(fuel, [OP.i64Const, ...signed(BigInt(cost))]);
}

/** For what writes by the length on top of the stack, which stays there: a unit for every eight. */
function payLength(fuel: number): Uint8Array {
  const length = unsigned(fuel + 1);
  const eighth = [OP.globalGet, ...length, OP.i64ExtendI32U, OP.i64Const, 3, OP.i64ShrU];
  return Uint8Array.of(OP.globalSet, ...length, ...pay(fuel, eighth), OP.globalGet, ...length);
}

/** Takes what `cost` leaves on the stack from the fuel and traps when that is then below zero. */
function pay(fuel: number, cost: readonly number[]): Uint8Array {
  const index = unsigned(fuel);
  return Uint8Array.of(
    ...[OP.globalGet, ...index, ...cost, OP.i64Sub, OP.globalSet, ...index],
    ...[OP.globalGet, ...index, OP.i64Const, 0, OP.i64LtS],
    ...[OP.if, NO_RESULT, OP.unreachable, OP.end],
  );
}
const NO_RESULT = 0x40;
