// What the code of a Wasm function costs: the places where it pays fuel, and how much at each.
import { OP, unmeterable, WasmReader } from './wasm-reader.ts';

/**
 * A function that neither loops nor calls pays nothing itself when it has no more instructions than this: whoever calls it
 * pays for it. The runtime's functions of a few instructions are called all the time.
 */
const MAX_LEAF = 64;
/** A call of the host takes a microsecond and more, as long as a thousand instructions. */
const HOST_CALL = 1000;
/** What the operating system has to do counts as such a call. */
const GROW = 1000;

/** A place where a function pays for what may follow before the next such place. */
interface Place {
  /** Offset in the body. */
  readonly at: number;
  instructions: number;
  /** Functions that are called there, one entry a call. */
  readonly calls: number[];
}

export interface ScannedBody {
  readonly bytes: Uint8Array;
  /** At the entry and at the head of each loop, in the order of the code. */
  readonly places: readonly [Place, ...Place[]];
  /** Offsets of instructions that write as many bytes or elements as the number on top of the stack says. */
  readonly lengths: readonly number[];
  /** Whether it may do more than its own instructions say: loops, calls, writes of any length. */
  readonly isLeaf: boolean;
}

export interface Charge {
  readonly at: number;
  /** Undefined: by the length on top of the stack. */
  readonly cost: number | undefined;
}

/** Reads one function: its locals and its code up to the last `end` (core spec, 5.5.13). */
export function scanBody(bytes: Uint8Array): ScannedBody {
  const reader = new WasmReader(bytes);
  for (let groups = reader.u32(); groups > 0; groups--) {
    reader.u32();
    reader.valueType();
  }
  const entry: Place = { at: reader.at, instructions: 0, calls: [] };
  const places: [Place, ...Place[]] = [entry];
  const lengths: number[] = [];
  let isLeaf = true;
  /** For each block that is open, where its instructions are paid for: once a round inside a loop, else as before. */
  const open: Place[] = [entry];
  for (let here: Place | undefined = entry; here !== undefined; here = open.at(-1)) {
    const at = reader.at;
    const { opcode, index } = reader.instruction();
    here.instructions++;
    switch (opcode) {
      case OP.block:
      case OP.if:
        open.push(here);
        break;
      case OP.loop: {
        const round: Place = { at: reader.at, instructions: 0, calls: [] };
        places.push(round);
        open.push(round);
        isLeaf = false;
        break;
      }
      case OP.end:
        open.pop();
        break;
      case OP.call:
      case OP.returnCall:
        here.calls.push(index);
        isLeaf = false;
        break;
      case OP.callIndirect:
      case OP.returnCallIndirect:
        // It may be a leaf, which pays nothing itself.
        here.instructions += MAX_LEAF;
        isLeaf = false;
        break;
      case OP.memoryGrow:
        here.instructions += GROW;
        isLeaf = false;
        break;
      case OP.memoryInit:
      case OP.memoryCopy:
      case OP.memoryFill:
      case OP.tableInit:
      case OP.tableCopy:
      case OP.tableGrow:
      case OP.tableFill:
        lengths.push(at);
        isLeaf = false;
        break;
      default:
    }
  }
  if (!reader.atEnd) throw unmeterable('a function goes on behind its end');
  return { bytes, places, lengths, isLeaf };
}

/** The charges of each function of a module that imports so many others, in the order of the code. */
export function chargesOf(bodies: readonly ScannedBody[], imported: number): Charge[][] {
  const unpaid = bodies.map(({ isLeaf, places: [entry] }) => isLeaf && entry.instructions <= MAX_LEAF);
  /** What the caller pays for a call. */
  const callCost = (index: number): number => {
    if (index < imported) return HOST_CALL;
    return unpaid[index - imported] ? (bodies[index - imported]?.places[0].instructions ?? 0) : 0;
  };
  return bodies.map(({ places, lengths }, i) => {
    if (unpaid[i]) return [];
    const fixed = places.map(({ at, instructions, calls }) => ({
      at,
      cost: calls.reduce((cost, index) => cost + callCost(index), instructions),
    }));
    return [...fixed, ...lengths.map((at) => ({ at, cost: undefined }))].sort((a, b) => a.at - b.at);
  });
}
