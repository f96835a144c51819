// Reads the WebAssembly binary format as far as metering needs it: numbers in LEB128 and the immediates of instructions.
// It accepts less than the engine does: what it does not know, it refuses, because guessing a length would misread all that follows.
import { SealgateError } from '../lib/errors.ts';

/** Opcodes that metering looks at (core spec, 5.4). Those behind the prefix 0xfc have it in their second byte. */
export const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  returnCall: 0x12,
  returnCallIndirect: 0x13,
  globalGet: 0x23,
  globalSet: 0x24,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  i64LtS: 0x53,
  i64Sub: 0x7d,
  i64ShrU: 0x88,
  i64ExtendI32U: 0xad,
  memoryInit: 0xfc08,
  memoryCopy: 0xfc0a,
  memoryFill: 0xfc0b,
  tableInit: 0xfc0c,
  tableCopy: 0xfc0e,
  tableGrow: 0xfc0f,
  tableFill: 0xfc11,
} as const;

export interface Instruction {
  readonly opcode: number;
  /** The first immediate where it is an index, as of the function that `call` names. */
  readonly index: number;
  /** Where a branch may lead: how many blocks out. */
  readonly labels: readonly number[];
}

const NOWHERE: readonly number[] = [];

/** A module that cannot be metered; it may well be a valid one. */
export function unmeterable(what: string): SealgateError {
  return new SealgateError('POLICY_INVALID', `the Wasm module of the policies cannot be metered: ${what}`);
}

export class WasmReader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw unmeterable('it ends too early');
    return byte;
  }

  /** An unsigned number of 32 bits (5.2.2). */
  u32(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value >= 2 ** 32) break;
        return value;
      }
    }
    throw unmeterable(`a number at byte ${this.at} is too large`);
  }

  /** Passes over a signed number of up to 64 bits. */
  skipSigned(): void {
    for (let i = 0; i < 10; i++) if (this.byte() < 0x80) return;
    throw unmeterable(`a number at byte ${this.at} is too large`);
  }

  /** The next `length` bytes. */
  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw unmeterable('it ends too early');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  rest(): Uint8Array {
    return this.take(this.bytes.length - this.at);
  }

  name(): string {
    return new TextDecoder().decode(this.take(this.u32()));
  }

  /** A value type: numbers and the two references (5.3); what needs more than one byte belongs to later proposals. */
  valueType(): void {
    const type = this.byte();
    if (!(type >= 0x7c && type <= 0x7f) && type !== 0x70 && type !== 0x6f)
      throw unmeterable(`unknown value type 0x${type.toString(16)}`);
  }

  limits(): void {
    const flags = this.byte();
    // 2 and up: shared memories, which other threads may change, and those with addresses of 64 bits.
    if (flags > 1) throw unmeterable('a memory or table is shared or of 64 bits');
    this.u32();
    if (flags === 1) this.u32();
  }

  instruction(): Instruction {
    const first = this.byte();
    const opcode = first === 0xfc ? 0xfc00 + this.prefixed() : first;
    if (opcode === OP.brTable) return { opcode, index: 0, labels: this.labelTable() };
    const index = this.immediates(opcode);
    return { opcode, index, labels: opcode === OP.br || opcode === OP.brIf ? [index] : NOWHERE };
  }

  private prefixed(): number {
    const second = this.u32();
    if (second > 0xff) throw unmeterable(`unknown instruction 0xfc ${second}`);
    return second;
  }

  /** Reads what belongs to the instruction, and returns the first index among it, or 0. */
  private immediates(opcode: number): number {
    if (opcode >= 0x45 && opcode <= 0xc4) return 0;
    if (opcode >= 0x28 && opcode <= 0x3e) return this.memoryArgument();
    switch (opcode) {
      case 0x00: // unreachable
      case 0x01: // nop
      case 0x05: // else
      case 0x0b: // end
      case 0x0f: // return
      case 0x1a: // drop
      case 0x1b: // select
      case 0xd1: // ref.is_null
        return 0;
      case 0x02: // block
      case 0x03: // loop
      case 0x04: // if
        return this.blockType();
      case 0x0c: // br
      case 0x0d: // br_if
      case 0x10: // call
      case 0x12: // return_call
      case 0x20: // local.get
      case 0x21: // local.set
      case 0x22: // local.tee
      case 0x23: // global.get
      case 0x24: // global.set
      case 0x25: // table.get
      case 0x26: // table.set
      case 0x3f: // memory.size
      case 0x40: // memory.grow
      case 0xd2: // ref.func
      case 0xfc09: // data.drop
      case 0xfc0b: // memory.fill
      case 0xfc0d: // elem.drop
      case 0xfc0f: // table.grow
      case 0xfc10: // table.size
      case 0xfc11: // table.fill
        return this.u32();
      case 0x11: // call_indirect
      case 0x13: // return_call_indirect
      case 0xfc08: // memory.init
      case 0xfc0a: // memory.copy
      case 0xfc0c: // table.init
      case 0xfc0e: // table.copy
        return this.firstOfTwo();
      case 0x1c: // select with types
        for (let left = this.u32(); left > 0; left--) this.valueType();
        return 0;
      case 0x41: // i32.const
      case 0x42: // i64.const
        this.skipSigned();
        return 0;
      case 0x43: // f32.const
        this.take(4);
        return 0;
      case 0x44: // f64.const
        this.take(8);
        return 0;
      case 0xd0: // ref.null
        this.valueType();
        return 0;
      default:
        // trunc_sat
        if (opcode >= 0xfc00 && opcode <= 0xfc07) return 0;
        throw unmeterable(`unknown instruction 0x${opcode.toString(16)} before byte ${this.at}`);
    }
  }

  /** The labels of br_table; the last is the default. */
  private labelTable(): number[] {
    const labels: number[] = [];
    for (let left = this.u32(); left >= 0; left--) labels.push(this.u32());
    return labels;
  }

  private firstOfTwo(): number {
    const first = this.u32();
    this.u32();
    return first;
  }

  /** Empty, a value type, or the index of a function type as a signed number of 33 bits (5.4.1). */
  private blockType(): number {
    const first = this.bytes[this.at] ?? 0;
    if (first === 0x40) this.at++;
    else if (first >= 0x40 && first < 0x80) this.valueType();
    else this.skipSigned();
    return 0;
  }

  private memoryArgument(): number {
    // Bit 6 says that the index of a memory follows.
    if (this.u32() >= 0x40) throw unmeterable('it has several memories');
    this.u32();
    return 0;
  }
}
