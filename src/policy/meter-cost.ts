// What the code of a Wasm function costs: the places where it pays fuel, and how much at each.
import { type Instruction, OP, unmeterable, WasmReader } from './wasm-reader.ts';

/**
 * A call costs as much as a short function, so that one which neither loops nor calls and takes no longer needs no charge of
 * its own. The runtime's functions of a few instructions are called all the time.
 */
const CALL = 20;
/** A call of the host takes about ten microseconds, in each of which the module would use some 40,000. */
const HOST_CALL = 400_000;
/** More memory takes the operating system a few. */
const GROW = 100_000;

/** A place where a function pays. */
export interface Charge {
  /** Offset in the body. */
  readonly at: number;
  /** Undefined: by the length on top of the stack, which says how much the next instruction writes. */
  readonly cost: number | undefined;
}

/**
 * Code that is paid for at its beginning: a function without its loops, or a round of a loop without those in it. No way
 * leads through any part of it twice.
 */
interface Region {
  readonly at: number;
  /** Most instructions of it on a way to here, or DEAD where none leads. Inside an inner loop, the way to that loop. */
  way: number;
  /** The longest way so far. */
  cost: number;
}

/** A block that is open. */
interface Frame {
  readonly isLoop: boolean;
  /** What pays for the code in it: of a loop the loop, of any other block what the block stands in. */
  readonly region: Region;
  /** By branches to the end: the longest way in what the block stands in. */
  toEnd: number;
  /** The same, from an `if` that had no `else` yet. */
  around: number;
}

const DEAD = -1;

/**
 * The charges of one function in the order of their places; `body` is its locals and its code (core spec, 5.5.13), `imported`
 * how many functions the module imports.
 */
export function chargesOf(body: Uint8Array, imported: number): Charge[] {
  const reader = new WasmReader(body);
  for (let groups = reader.u32(); groups > 0; groups--) {
    reader.u32();
    reader.valueType();
  }
  return new CodeWalk(reader, imported).run();
}

class CodeWalk {
  private readonly reader: WasmReader;
  private readonly imported: number;
  private readonly regions: Region[] = [];
  /** Charges before single instructions. */
  private readonly singles: Charge[] = [];
  private readonly open: Frame[] = [];
  private calls = false;

  constructor(reader: WasmReader, imported: number) {
    this.reader = reader;
    this.imported = imported;
  }

  run(): Charge[] {
    this.push(this.begin(), false);
    for (let frame = this.open.at(-1); frame !== undefined; frame = this.open.at(-1)) {
      const at = this.reader.at;
      this.step(frame, this.reader.instruction(), at);
    }
    if (!this.reader.atEnd) throw unmeterable('a function goes on behind its end');
    const { regions, singles } = this;
    const charges = [...regions.map(({ at, cost }) => ({ at, cost })), ...singles].sort((a, b) => a.at - b.at);
    const isShort = charges.length === 1 && !this.calls && (regions[0]?.cost ?? 0) <= CALL;
    return isShort ? [] : charges;
  }

  private begin(): Region {
    const region = { at: this.reader.at, way: 0, cost: 0 };
    this.regions.push(region);
    return region;
  }

  private push(region: Region, isLoop: boolean, around = DEAD): void {
    this.open.push({ isLoop, region, toEnd: DEAD, around });
  }

  private step(frame: Frame, { opcode, index, labels }: Instruction, at: number): void {
    const { region } = frame;
    spend(region, 1);
    switch (opcode) {
      case OP.block:
        this.push(region, false);
        break;
      case OP.if:
        this.push(region, false, region.way);
        break;
      case OP.loop:
        this.push(region.way === DEAD ? region : this.begin(), true);
        break;
      case OP.else:
        this.otherwise(frame);
        break;
      case OP.end:
        this.end(frame);
        break;
      case OP.brIf:
        this.branch(frame, labels);
        break;
      case OP.br:
      case OP.brTable:
        this.branch(frame, labels);
        region.way = DEAD;
        break;
      case OP.return:
      case OP.unreachable:
        region.way = DEAD;
        break;
      case OP.call:
      case OP.callIndirect:
        this.call(region, opcode === OP.call && index < this.imported, at);
        break;
      case OP.returnCall:
      case OP.returnCallIndirect:
        this.call(region, opcode === OP.returnCall && index < this.imported, at);
        region.way = DEAD;
        break;
      case OP.memoryGrow:
        this.singles.push({ at, cost: GROW });
        break;
      case OP.memoryInit:
      case OP.memoryCopy:
      case OP.memoryFill:
      case OP.tableInit:
      case OP.tableCopy:
      case OP.tableGrow:
      case OP.tableFill:
        this.singles.push({ at, cost: undefined });
        break;
      default:
    }
  }

  private call(region: Region, ofHost: boolean, at: number): void {
    this.calls = true;
    if (ofHost) this.singles.push({ at, cost: HOST_CALL });
    else spend(region, CALL);
  }

  /** Ways lead to the ends of blocks that are open; a loop pays again at its head. */
  private branch({ region }: Frame, labels: readonly number[]): void {
    for (const label of labels) {
      const target = this.open.at(-1 - label);
      if (target === undefined) throw unmeterable('a branch leads out of its function');
      const behind = this.open.at(-2 - label)?.region;
      if (region.way === DEAD || target.isLoop || behind === undefined) continue;
      target.toEnd = Math.max(target.toEnd, behind.way);
    }
  }

  private otherwise(frame: Frame): void {
    const outer = this.open.at(-2)?.region;
    if (outer === undefined) throw unmeterable('an else stands in no block');
    if (frame.region.way !== DEAD) frame.toEnd = Math.max(frame.toEnd, outer.way);
    outer.way = frame.around;
    frame.around = DEAD;
  }

  private end({ region, toEnd, around }: Frame): void {
    this.open.pop();
    const outer = this.open.at(-1)?.region;
    if (outer !== undefined) outer.way = Math.max(region.way === DEAD ? DEAD : outer.way, toEnd, around);
  }
}

function spend(region: Region, cost: number): void {
  if (region.way === DEAD) return;
  region.way += cost;
  region.cost = Math.max(region.cost, region.way);
}
